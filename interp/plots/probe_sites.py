"""Figures of what depends on a label, site by site: amnesic probing, swapped labels, and the verdict."""

import numpy as np

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.png import encode_png
from interp.plots.row_marks import Marks, draw_rows, picture_rows
from interp.results import Result

_AMNESIC = (
    "Each row is one site. The filled dot is how far the answer moves when the label is erased there, the square the "
    "same for as many random directions, the diamond after the right label was put back, the triangle with everything "
    "at that place gone. A label is used where the dot stands clear of the square and putting it back restores the "
    "answer. Dots at the square say only that this answer does not need it at this site."
)
_SWAP = (
    "Each row is one site. The filled dot is how far the answer moves when a wrong label's mean is put in place of the "
    "right one; the square is the same edit with the right label, the diamond the wrong label along random directions "
    "(missing where the label fills the site). A label is used where the dot stands clear of both. "
    "Where it is not, this answer does not follow the label at this site; another answer, or another site, may."
)
_VERDICT_NEEDS = ["verdict", "simple", "accuracy", "control_majority"]
_VERDICT = (
    " The words at the right are the verdict: decodable is about reading (held-out accuracy against the majority and "
    "shuffled labels), simple about how little data that takes, used about the model's answer and said only of what is "
    "decodable."
)


def plot_amnesic_probe(result: Result) -> Figure:
    """Draw the answer's move under erasure, and beside it random directions, reinjection and everything gone.

    Raises:
        ResultError: no control, or a variable missing.
    """
    names = {"erased": "effect", "control: random directions": "control"}
    names |= {"right label put back": "reinjected", "everything gone": "everything"}
    contract.check_drawable(result, [*names.values(), "above_control", "p_corrected"])
    series = [_marks(words, *_ends(result, name)) for words, name in names.items()]
    above, p = (result.data[name].values for name in ("above_control", "p_corrected"))
    extra = [f"{more:+.2g} above random\np {value:.2g} (corrected)" for more, value in zip(above, p, strict=True)]
    return _figure(result, "Amnesic probing", _AMNESIC, series, extra)


def plot_label_swap(result: Result) -> Figure:
    """Draw the answer's move under a wrong label, beside the right one and random directions; with verdicts, those too.

    Raises:
        ResultError: no control, or a variable missing.
    """
    is_verdict = result.kind == "probe_verdict"
    contract.check_drawable(result, ["swapped", "control", "used", *(_VERDICT_NEEDS if is_verdict else [])])
    series = [_marks("wrong label", *_ends(result, "swapped"))]
    for words, arm in (("control: right label", "reinjected"), ("control: random directions", "random")):
        series.append(_marks(words, *_ends(result, "control", arm)))
    if not is_verdict:
        extra = ["used" if used else "not used" for used in result.data["used"].values]
        return _figure(result, "Swapped labels", _SWAP, series, extra)
    said, simple = result.data["verdict"].values, result.data["simple"].values
    accuracy, majority = result.data["accuracy"].values, result.data["control_majority"].values
    extra = [
        f"{words}{', simple' if easy else ''}\naccuracy {right:.2f}, majority {most:.2f}"
        for words, easy, right, most in zip(said, simple, accuracy, majority, strict=True)
    ]
    return _figure(result, "Verdict", _SWAP + _VERDICT, series, extra)


def _ends(result: Result, name: str, arm: str | None = None) -> list[np.ndarray]:
    found = [result.data[f"{name}{end}"] for end in ("", "_low", "_high")]
    return [(each if arm is None else each.sel(arm=arm)).values.astype(float) for each in found]


def _marks(words: str, value: np.ndarray, low: np.ndarray, high: np.ndarray) -> Marks:
    return Marks(words, value, low, high)


def _figure(result: Result, title: str, how: str, series: list[Marks], extra: list[str]) -> Figure:
    what = str(result.notes.get("what", "label"))
    return Figure(
        title=f"{title}: {what}",
        how_to_read=how,
        caption=contract.sentences(
            contract.unit_in_words(result),
            contract.prompts_in_words(result),
            "Intervals: 95 % bootstrap over prompts.",
            contract.baselines_in_words(result),
        ),
        control=contract.control_in_words(result, "random directions"),
        png=encode_png(picture_rows(series)),
        plotly=draw_rows([str(site) for site in result.data["site"].values], series, result.unit, extra),
    )
