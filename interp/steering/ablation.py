"""Silence the neurons of one language and see what every language loses: the ablation x evaluation matrix.

Language neurons are causal for their language where silencing them costs that language more than the others, and more
than silencing as many random neurons of the same layers that are as active in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import xarray as xr
from jaxtyping import Float
from scipy import stats
from tqdm.auto import tqdm

from interp.errors import InputError
from interp.models import provenance
from interp.neurons.passes import token_losses
from interp.neurons.rows import Rows
from interp.neurons.units import Neurons
from interp.results import RAN, Result
from interp.run import intervene
from interp.statistics import N_RESAMPLES
from interp.steering.corpus import Corpus, Texts, corpus_of
from interp.steering.edits import Plan, hold
from interp.steering.evidence import FEWEST_DRAWS, NAMES, check_draws, compare
from interp.steering.levels import LanguageLevels
from interp.types import Model

AblationEdit = Literal["zero", "median"]
_VALUES = {
    "zero": "at zero",
    "median": "at what they do in the other languages (mean of their medians there)",
}
_METHOD = (
    "Rows: the language whose neurons are held {value} at every token; columns: the language read. effect: loss with "
    "the edit minus loss without, mean over documents of the mean over their tokens; 95 % bootstrap interval over "
    "documents. control: mean over {n_draws} draws of as many random neurons in the same layers, each near one of "
    "these in mean size of activation in the row's language, edited in the same way; its interval is from the smallest "
    "draw to the largest. p: rank of the effect's size among the draws'; q_fdr: Benjamini and Hochberg over all cells. "
    "own_minus_others: effect on the row's own language minus the mean of those on the others; own_minus_largest: "
    "minus the largest of them; intervals resample the documents of each language. A row is dominant where the "
    "interval of own_minus_largest lies above zero. Neurons chosen for being silent in other languages can hardly hurt "
    "those when silenced: dominance alone does not show that they carry the language."
)
_CELL, _ROW = ("edited", "language"), ("edited",)
_OWN = ("own_minus_others", "own_minus_largest")


def ablation_matrix(
    model: Model,
    rows: Texts | Rows | Corpus,
    neurons: Mapping[str, Neurons],
    levels: LanguageLevels,
    *,
    edit: AblationEdit = "zero",
    n_draws: int = FEWEST_DRAWS,
    seed: int = 0,
) -> Result:
    """Silence the neurons of each language in turn, beside random ones, and read the loss of every language.

    Args:
        model: A hooked decoder.
        rows: Text by language, as `corpus_of` takes it: other documents than those that neurons and levels come from.
        neurons: Which neurons, by the language that they are said to be of; see `neurons_by_language`.
        levels: What neurons do in each language, by `read_levels`.
        edit: `zero` holds neurons at zero, `median` at what they do in the other languages.
        n_draws: Random sets of neurons for each language.
        seed: Decides the draws and the resamples.

    Returns:
        An `ablation_matrix` result over `edited` and `language`: `effect` (loss in nats per token; positive means
        worse), `control` and `above_control` with intervals, `p`, `q_fdr` and `stands` (larger than any draw, and apart
        from their mean by its interval); by `edited`: `own_minus_others` and `own_minus_largest` with intervals and
        the draws' mean, `p_own` (rank of the first among the draws, one-sided), `dominant`, `control_dominant` (share
        of draws whose largest effect is on their own language), `n_neurons`. Languages without neurons are not `ran`.

    Raises:
        InputError: no neurons at all, a language without text, too few draws or documents, or an unknown edit.
        SiteError: the model shows no neurons.

    Source: Tang et al. 2024, Language-Specific Neurons, sec. 3.2 (arXiv:2402.16438).
    """
    check_draws(n_draws)
    corpus = corpus_of(model, rows)
    _check(corpus, neurons, levels, edit)
    plain = document_losses(model, corpus)
    total = sum(n_draws + 1 for those in neurons.values() if len(those))
    with tqdm(total=total, desc="ablation matrix", unit="run", leave=False, delay=2) as bar:
        bench = _Bench(model, corpus, levels, edit, plain, bar)
        changes = {
            name: bench.changes(name, those, n_draws, np.random.default_rng([seed, number]))
            for number, (name, those) in enumerate(neurons.items())
            if len(those)
        }
    data = _dataset(corpus, neurons, changes, seed).assign(loss_nats=("language", _means(corpus, plain)))
    return Result(
        kind="ablation_matrix",
        data=data,
        unit="change of loss, nats per token",
        sign="Positive means that the language is predicted worse with the edit than without.",
        method=_METHOD.format(value=_VALUES[edit], n_draws=n_draws),
        provenance=provenance(
            model,
            tokens=[corpus.batch.tokens],
            call=f"ablation_matrix({ ({name: len(those) for name, those in neurons.items()}) } neurons, edit={edit!r}, "
            f"n_draws={n_draws}, seed={seed})",
            seed=seed,
        ),
        notes=_notes(corpus, neurons, edit, n_draws) | {"n_dominant": int(data["dominant"].sum())},
    )


def document_losses(model: Model, corpus: Corpus, plan: Plan | None = None) -> Float[np.ndarray, " document"]:
    """Mean loss of each document in nats per token, edited by a plan or, with none or an empty one, not at all."""
    if not plan:
        return corpus.document_means(token_losses(model, corpus.batch))
    with intervene(model, plan):
        return corpus.document_means(token_losses(model, corpus.batch))


@dataclass(frozen=True)
class _Changes:
    """Change of loss in every document, by these neurons and by each draw."""

    mine: Float[np.ndarray, " document"]
    draws: Float[np.ndarray, "draw document"]


@dataclass(frozen=True)
class _Bench:
    model: Model
    corpus: Corpus
    levels: LanguageLevels
    edit: AblationEdit
    plain: Float[np.ndarray, " document"]
    bar: tqdm

    def changes(self, language: str, neurons: Neurons, n_draws: int, rng: np.random.Generator) -> _Changes:
        activity = self.levels.size[self.levels.number(language)]
        value = self.levels.elsewhere(language) * (self.edit == "median")
        sets = [neurons, *(neurons.like(activity, rng) for _ in range(n_draws))]
        found = np.stack([self._change(those, value) for those in sets])
        return _Changes(found[0], found[1:])

    def _change(self, neurons: Neurons, value: Float[np.ndarray, "layer neuron"]) -> Float[np.ndarray, " document"]:
        losses = document_losses(self.model, self.corpus, hold(neurons, value, "clamp"))
        self.bar.update()
        return losses - self.plain


def _check(corpus: Corpus, neurons: Mapping[str, Neurons], levels: LanguageLevels, edit: str) -> None:
    if edit not in get_args(AblationEdit):
        raise InputError(f"There is no edit {edit!r} here. Expected one of {list(get_args(AblationEdit))}.")
    if missing := [name for name in neurons if name not in corpus.languages]:
        raise InputError(f"There is no text in {missing}, whose neurons are to be edited: {list(corpus.languages)}.")
    if not any(map(len, neurons.values())):
        raise InputError("There are no neurons in any language, so nothing would be edited. Choose another method.")
    for name in neurons:
        levels.number(name)


def _means(corpus: Corpus, values: Float[np.ndarray, "*draw document"]) -> Float[np.ndarray, "language *draw"]:
    return np.stack([values[..., those].mean(-1) for those in corpus.documents])


def _dataset(corpus: Corpus, neurons: Mapping[str, Neurons], changes: Mapping[str, _Changes], seed: int) -> xr.Dataset:
    names, shape = list(neurons), (len(neurons), len(corpus.languages))
    ran = np.array([name in changes for name in names])
    cells = {name: np.full(shape, np.nan) for name in (*NAMES, "p", "q_fdr")}
    stands, rows = np.zeros(shape, bool), []
    for row, name in enumerate(names):
        if name not in changes:
            rows.append({})
            continue
        for column, those in enumerate(corpus.documents):
            found = compare(changes[name].mine[those], changes[name].draws[:, those], seed=seed)
            if found is None:  # a corpus has two documents of each language, and losses are finite
                raise InputError(f"{name!r} has no text with a loss.")
            for key, number in {**found.numbers, "p": found.p}.items():
                cells[key][row, column] = number
            stands[row, column] = found.stands
        rows.append(_own(corpus, name, changes[name], seed))
    cells["q_fdr"][ran] = stats.false_discovery_control(cells["p"][ran].ravel()).reshape(-1, shape[1])
    variables: dict[str, Any] = {name: (_CELL, of) for name, of in cells.items()} | {"stands": (_CELL, stands)}
    keys = next(row for row in rows if row)
    variables |= {key: (_ROW, np.array([row.get(key, np.nan) for row in rows])) for key in keys}
    variables |= {
        "dominant": (_ROW, np.array([row.get("own_minus_largest_low", np.nan) > 0 for row in rows])),
        "n_neurons": (_ROW, np.array([len(those) for those in neurons.values()])),
        "n_documents": ("language", np.array([len(those) for those in corpus.documents])),
        RAN: (_ROW, ran),
    }
    return xr.Dataset(variables, {"edited": np.array(names, object), "language": np.array(corpus.languages, object)})


def _own(corpus: Corpus, name: str, changes: _Changes, seed: int) -> dict[str, float]:
    """How far the effect on the own language exceeds those on the others, beside the same of the draws."""
    own = corpus.languages.index(name)
    order = [own, *(place for place in range(len(corpus.languages)) if place != own)]
    samples = tuple(changes.mine[corpus.documents[place]] for place in order)
    draws = _means(corpus, changes.draws)[order]
    numbers: dict[str, float] = {}
    for key, rest in zip(_OWN, (np.mean, np.max), strict=True):

        def apart(*groups: np.ndarray, axis: int = -1, rest: Any = rest) -> Any:
            means = np.stack([group.mean(axis) for group in groups])
            return means[0] - rest(means[1:], axis=0)

        found = stats.bootstrap(
            samples, apart, n_resamples=N_RESAMPLES, method="percentile", rng=np.random.default_rng(seed)
        )
        numbers[key] = float(apart(*samples))
        numbers[f"{key}_low"], numbers[f"{key}_high"] = (float(end) for end in found.confidence_interval)
        of_draws = draws[0] - rest(draws[1:], axis=0)
        numbers[f"control_{key}"] = float(of_draws.mean())
        if key == _OWN[0]:
            numbers["p_own"] = float((1 + (of_draws >= numbers[key]).sum()) / (1 + len(of_draws)))
        else:
            numbers["control_dominant"] = float((of_draws > 0).mean())
    return numbers


def _notes(corpus: Corpus, neurons: Mapping[str, Neurons], edit: str, n_draws: int) -> dict[str, Any]:
    return {
        "control": f"{n_draws} draws of as many random neurons of the same layers, as active in the row's language, "
        "edited in the same way",
        "n_samples": len(corpus.batch),
        "n_groups": len(corpus.language),
        "n_draws": n_draws,
        "smallest_p": 1 / (1 + n_draws),
        "edit": edit,
        "neurons": {name: those.names for name, those in neurons.items()},
    }
