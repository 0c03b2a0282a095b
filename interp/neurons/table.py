"""Language neurons: every neuron's score for every language by five methods, in one labelled table."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float
from scipy import stats

from interp.errors import InputError
from interp.neurons.activity import TextActivity
from interp.neurons.scoring import ALPHA, METHODS, ByMethod, Evidence, Scored, Selection
from interp.results import Result

N_SHUFFLES = 20
N_GROUPS = 10
_DIMS = ("method", "layer", "neuron", "language")
_UNIT = {
    "lape": "entropy over languages (nats)",
    "average_precision": "average precision",
    "average_precision_bottom": "average precision of the negative",
    "mean_difference": "pooled standard deviations",
    "auroc": "AUROC",
}
_METHOD = (
    "Texts are rows, units of resampling are documents ({n_documents} of {n_texts} texts). lape (Tang et al. 2024): "
    "entropy of the firing probabilities over languages, the same for all languages; found are the lowest {rate:.3g} "
    "of all neurons, in the languages where they fire above the {percentile:.3g} percentile. average_precision and "
    "_bottom (Kojima et al. 2024): of ranking texts by the mean activation, and by its negative; found are the first "
    "{n_each}. mean_difference: means apart, from {least_difference:.3g} on; auroc: of the mean activation, from "
    "{least_auroc:.3g} on. Each language against all others. p, one-sided: languages dealt out among whole documents "
    "at random; for lape the tokens at which the neuron fires, for mean_difference the activation, for auroc the "
    "ranks, by the first three moments of all deals (Pearson III); for average_precision random rankings of the "
    "documents. q: Benjamini and Hochberg over all neurons and languages of a method. Found also asks for q up to "
    "{alpha:.3g}. Replicated: found by the same rule in both halves of the documents, too. Intervals: 95 %, by a "
    "jackknife that leaves out one of {n_left_out} groups of documents at a time. Firing for a language is not "
    "evidence that the model speaks it by that neuron: see what ablation does."
)


@dataclass(frozen=True)
class _Controls:
    """The same under shuffled labels."""

    score: ByMethod
    """Of the first shuffle."""
    found: Float[np.ndarray, "method shuffle"]
    surprising: Bool[np.ndarray, "method shuffle"]
    by_layer: Float[np.ndarray, "method layer language"]
    """Mean number found."""


def language_neurons(
    activity: TextActivity,
    *,
    random_weights: TextActivity | None = None,
    selection: Selection | None = None,
    n_shuffles: int = N_SHUFFLES,
    seed: int = 0,
) -> Result:
    """Score every neuron for every language by five methods, and test each against chance.

    The control is the same with the languages dealt out anew among the documents: of what is found then, all is
    chance. With `random_weights` a second control is the same architecture, which tells texts apart by their tokens
    alone. Found means more active in the language, but for `average_precision_bottom`: there, less.

    Args:
        activity: What every neuron does in every text; see `text_activity`.
        random_weights: The same texts through the same architecture with random weights.
        selection: What each method asks of a neuron.
        n_shuffles: Shuffles of the labels.
        seed: Decides the shuffles.

    Returns:
        Kind `language_neurons`, over method, layer, neuron, language. Larger scores mean more active in the language,
        but for `lape` (smaller: fewer languages) and `average_precision_bottom` (larger: less active).

    Raises:
        InputError: a language of fewer than four documents, no shuffles, or other texts for the random weights.
    """
    chosen = selection or Selection()
    _check(activity, random_weights, n_shuffles)
    evidence = Evidence.of(activity)
    scored = evidence.scored(activity.language, chosen)
    halves = [Evidence.of(half).scored(half.language, chosen) for half in activity.halves()]
    low, high = _interval(activity, scored.score)
    controls = _shuffled(evidence, chosen, n_shuffles, seed)
    variables = {
        "score": (_DIMS, scored.score),
        "score_low": (_DIMS, low),
        "score_high": (_DIMS, high),
        "control": (_DIMS, controls.score),
        "p": (_DIMS, scored.p),
        "q_fdr": (_DIMS, scored.q),
        "found": (_DIMS, scored.found),
        "replicated": (_DIMS, scored.found & halves[0].found & halves[1].found),
        "found_in_half": (("half", *_DIMS), np.stack([half.found for half in halves])),
        "score_in_half": (("half", *_DIMS), np.stack([half.score for half in halves])),
        "control_found": (("method", "shuffle"), controls.found),
        "control_surprising": (("method", "shuffle"), controls.surprising),
        "control_found_by_layer": (("method", "layer", "language"), controls.by_layer),
        "probability": (_DIMS[1:], np.moveaxis(activity.probability, 0, -1)),
        "mean": (_DIMS[1:], np.moveaxis(_means(activity), 0, -1)),
        **({} if random_weights is None else _random(random_weights, chosen)),
    }
    return _as_result(activity, chosen, variables, n_shuffles, seed)


def _random(activity: TextActivity, selection: Selection) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    scored = Evidence.of(activity).scored(activity.language, selection)
    return {"control_random": (_DIMS, scored.score), "control_random_found": (_DIMS, scored.found)}


def _shuffled(evidence: Evidence, selection: Selection, n: int, seed: int) -> _Controls:
    rng, activity = np.random.default_rng(seed), evidence.ranked.activity
    runs: list[Scored] = [evidence.scored(activity.shuffled_labels(rng), selection) for _ in range(n)]
    return _Controls(
        score=runs[0].score,
        found=np.stack([run.found.sum((1, 2, 3)) for run in runs], 1).astype(float),
        surprising=np.stack([run.surprising for run in runs], 1),
        by_layer=np.mean([run.found.sum(2) for run in runs], 0),
    )


def _interval(activity: TextActivity, score: ByMethod) -> tuple[ByMethod, ByMethod]:
    """Delete-a-group jackknife: student's t with one degree of freedom less than groups."""
    left = [Evidence.of(part).ranked.scores(part.language) for part in _without_groups(activity)]
    n = len(left)
    spread = np.sqrt((n - 1) / n * sum((each - score) ** 2 for each in left))
    reach = stats.t.ppf(0.975, n - 1) * spread
    return score - reach, score + reach


def _without_groups(activity: TextActivity) -> Iterator[TextActivity]:
    """Leave out each group of documents in turn; groups hold each language's share."""
    documents, first = np.unique(activity.document, return_index=True)
    group = np.zeros(len(documents), int)
    for number in range(len(activity.languages)):
        mine = activity.language[first] == number
        group[mine] = np.arange(mine.sum()) % N_GROUPS
    of_text = group[np.searchsorted(documents, activity.document)]
    return (activity[of_text != out] for out in range(group.max() + 1))


def _means(activity: TextActivity) -> Float[np.ndarray, "language layer neuron"]:
    """Mean over the texts of each language."""
    return np.stack([activity.mean[activity.language == k].mean(0) for k in range(len(activity.languages))])


def _check(activity: TextActivity, random_weights: TextActivity | None, n_shuffles: int) -> None:
    for number, name in enumerate(activity.languages):
        if (n := len(np.unique(activity.document[activity.language == number]))) < 4:
            raise InputError(
                f"{name!r} has {n} documents. Expected four or more of each language, to split and to test."
            )
    if n_shuffles < 1:
        raise InputError(f"{n_shuffles} shuffles are no control. Expected at least one.")
    if random_weights is None:
        return
    if (
        not np.array_equal(random_weights.n_tokens, activity.n_tokens)
        or random_weights.mean.shape != activity.mean.shape
    ):
        raise InputError("The random-weights control has other texts or another shape. Run the same rows through it.")
    if random_weights.provenance.fingerprint == activity.provenance.fingerprint:
        raise InputError("The control model has the model's own weights. Load random: before the model's name.")


def _as_result(activity: TextActivity, selection: Selection, variables: dict, n_shuffles: int, seed: int) -> Result:
    _, n_layers, n_neurons = activity.mean.shape
    coords = {
        "method": np.array(METHODS, object),
        "layer": np.arange(n_layers),
        "neuron": np.arange(n_neurons),
        "language": np.array(activity.languages, object),
        "half": [0, 1],
        "shuffle": np.arange(n_shuffles),
    }
    data = xr.Dataset(variables, coords)
    asked = asdict(selection) | {"n_each": selection.n_taken(n_layers * n_neurons)}
    n_texts, n_documents = len(activity), len(np.unique(activity.document))
    told = {"n_texts": n_texts, "n_documents": n_documents, "n_left_out": N_GROUPS, "alpha": ALPHA}
    call = f"language_neurons({n_texts} texts, {selection}, n_shuffles={n_shuffles}, seed={seed})"
    return Result(
        kind="language_neurons",
        data=data,
        unit="; ".join(f"{method}: {unit}" for method, unit in _UNIT.items()),
        sign="Larger: more active in the language, but for lape (smaller: fires in fewer languages) and "
        "average_precision_bottom (larger: less active)",
        method=_METHOD.format(**asked, **told),
        provenance=replace(activity.provenance, call=call, seed=seed),
        baselines={f"found by {method}, labels shuffled": float(n) for method, n in _mean_found(data)},
        notes={
            **asked,
            **told,
            "n_samples": n_texts,
            "n_groups": n_documents,
            "control": f"the same with the languages dealt out anew among the {n_documents} documents",
            "texts_of_language": dict(zip(activity.languages, np.bincount(activity.language).tolist(), strict=True)),
        },
    )


def _mean_found(data: xr.Dataset) -> Iterator[tuple[str, float]]:
    return zip(METHODS, data["control_found"].values.mean(1).tolist(), strict=True)
