"""Figures of a few readers or subspaces, one in each row: exchanged subspaces, and what the input alone tells."""

import numpy as np
from jaxtyping import Bool

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.png import encode_png
from interp.plots.row_marks import Marks, draw_rows, picture_rows
from interp.results import Result

_INTERCHANGE = (
    "Each row is one subspace. The filled dot is the share of held-out pairs in which exchanging it makes the model "
    "give the other prompt's answer, with its 95 % interval; the square is an equally large move inside random "
    "subspaces, the upright triangle the whole activation exchanged. The diamond and the cross belong to the learned "
    "subspace alone: the same search on arbitrary answers, and in the same architecture with random weights. A "
    "subspace counts as far as its dot is clear of all of these but the triangle; even then it shows what can be "
    "done to the model there, not that the model does it of itself."
)
_FLOOR = (
    "Each row is one reader of the input alone: `embedding` reads what enters the first block, `token` only which "
    "token it is. The filled dot is how often it is right on held-out samples, with its 95 % interval; the square is "
    "the same on labels shuffled between groups, the diamond the majority's answer. What a probe of a layer finds "
    "below the filled dots need not come from anything that the model computed; above them it may still be a memory "
    "of the tokens before, so this is not the only control to look at."
)
_DAS = "das"
_BESIDE = ("rank", "above_placebo", "above_placebo_p_corrected")
"""What the words at the right of a subspace say."""


def plot_interchange(result: Result) -> Figure:
    """Draw the share of exchanged answers for each subspace, beside placebos and the controls of learning.

    Raises:
        ResultError: no control, or a variable missing.
    """
    names = ["iia", "control_placebo", "control_arbitrary", "control_untrained", "everything"]
    contract.check_drawable(result, [*names, *_BESIDE])
    subspaces = [str(name) for name in result.data["subspace"].values]
    learned = np.array([name == _DAS for name in subspaces])
    every = np.ones(len(subspaces), bool)
    series = [
        _marks(result, "exchanged", "iia", every),
        _marks(result, "control: random subspaces", "control_placebo", every),
        _marks(result, "control: learned on arbitrary answers", "control_arbitrary", learned),
        _marks(result, "everything exchanged", "everything", every),
        _marks(result, "control: learned in random weights", "control_untrained", learned),
    ]
    numbers = zip(*(result.data[name].values for name in _BESIDE), strict=True)
    extra = [f"rank {rank}, {more:+.2g} above random\np {p:.2g} (corrected)" for rank, more, p in numbers]
    tested, trained = result.notes.get("n_test"), result.notes.get("n_train")
    where = f" at {result.notes['site']}" if "site" in result.notes else ""
    return _figure(
        result,
        f"Interchange of subspaces{where}",
        _INTERCHANGE,
        (subspaces, series, extra),
        [
            "" if tested is None else f"{tested} pairs held out, {trained} learned on.",
            "Intervals: 95 % bootstrap over held-out pairs.",
            _learning_in_words(result),
        ],
    )


def _learning_in_words(result: Result) -> str:
    """Say how far das beats the searches that should fail, and how much those fitted what they were given."""
    data, parts = result.data, []
    for name in ("arbitrary", "untrained"):
        if f"above_{name}_p_corrected" in data:
            difference, p = float(data[f"above_{name}"]), float(data[f"above_{name}_p_corrected"])
            parts.append(f"das minus {name} {difference:+.3g}, p {p:.2g} (corrected)")
    return f"{'; '.join(parts)}." if parts else ""


def plot_input_floor(result: Result) -> Figure:
    """Draw what each reader of the input alone reaches, beside shuffled labels and the majority.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, ["accuracy", "control_shuffled", "control_majority"])
    sources = [str(name) for name in result.data["source"].values]
    every = np.ones(len(sources), bool)
    series = [
        _marks(result, "reader of the input", "accuracy", every),
        _marks(result, "control: shuffled labels", "control_shuffled", every),
        _marks(result, "control: majority", "control_majority", every),
    ]
    unseen = result.notes.get("unseen_tokens")
    words = "" if unseen is None else f"{100 * unseen:.1f} % of the samples have a token that their reader never met."
    what = f": {result.notes['what']}" if "what" in result.notes else ""
    drawn = (sources, series, None)
    return _figure(
        result, f"What the input tells{what}", _FLOOR, drawn, ["Intervals: 95 % bootstrap over groups.", words]
    )


def _marks(result: Result, words: str, name: str, rows: Bool[np.ndarray, " row"]) -> Marks:
    """A number in each of these rows, the same in all where it has no dimension; some have no interval."""
    value, low, high = (
        np.where(rows, result.data[each].values.astype(float), np.nan)
        if each in result.data
        else np.full(len(rows), np.nan)
        for each in (name, f"{name}_low", f"{name}_high")
    )
    return Marks(words, value, low, high)


def _figure(
    result: Result, title: str, how: str, drawn: tuple[list[str], list[Marks], list[str] | None], more: list[str]
) -> Figure:
    names, series, extra = drawn
    return Figure(
        title=title,
        how_to_read=how,
        caption=contract.sentences(
            contract.unit_in_words(result),
            contract.prompts_in_words(result),
            *more,
            contract.baselines_in_words(result),
        ),
        control=contract.control_in_words(result, "the same where there is nothing to find"),
        png=encode_png(picture_rows(series)),
        plotly=draw_rows(names, series, result.unit, extra),
    )
