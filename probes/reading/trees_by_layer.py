"""One structural probe per layer, beside its controls."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float
from sklearn.base import clone
from sklearn.model_selection import GroupKFold
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from interp.errors import InputError
from interp.results import Provenance, Result
from interp.statistics import sign_flips
from probes.estimators.structural import TreeDepthProbe, TreeDistanceProbe
from probes.estimators.tree_scores import LENGTHS
from probes.reading.by_layer import as_variables
from probes.reading.intervals import measure_over_groups
from probes.reading.tree_measures import (
    DEPTHS,
    DISTANCES,
    MEASURES,
    BySentence,
    Predicted,
    TreeKind,
    of_length,
    scores,
)
from probes.samples.split import Fold
from probes.samples.tree_activations import TreeActivations
from probes.samples.trees import TreeLabels

AnyProbe = TreeDistanceProbe | TreeDepthProbe
Scores = Mapping[str, list[BySentence]]
"""Of each measure, the scores of the sentences at every layer."""

CONTROLS = ("shuffled", "random_weights", "linear")
_METHOD = (
    "A structural probe (Hewitt & Manning 2019): {fitted} in the dependency tree, B of rank {rank}, on the activations "
    "of each layer, in {n_splits} folds split by group; each sentence is predicted once, by a probe that never saw it. "
    "{measured}. Intervals: 95 % bootstrap over groups of the held-out predictions, without fitting anew. above_*: "
    "difference from each control, paired; its p is two-sided, by flipping signs of groups (of edges found, or of mean "
    "correlations), corrected over layers and controls (max-T). Trees that can be read off linearly are no evidence "
    "that the model builds or uses them."
)
_CONTROL = (
    "shuffled: the same probe where the vectors of each sentence are permuted among its words, fitted and tested so "
    "(one permutation): what the sentence's length and its set of vectors give away; random weights: the same probe on "
    "the same words run through the same architecture with random weights: what which words stand where gives away; "
    "linear: no activations, each word hangs on the one before it"
)


def probe_trees(
    data: TreeActivations,
    control_activations: Float[np.ndarray, "layer word d_model"],
    provenance: Provenance,
    *,
    probe: AnyProbe | None = None,
    n_splits: int = 5,
    seed: int = 0,
) -> Result:
    """Measure at which layer syntax trees can be read off linearly, and how much of that is owed to the model.

    Only the distance to the highest control speaks for the trained weights: most words hang on a neighbour, so that
    the order of words alone finds 43 % of the edges in English (PUD). Positive: more of the trees is found.

    Args:
        data: Activations of words, with trees.
        control_activations: The same words in the same architecture with random weights.
        provenance: Where the activations come from.
        probe: Settings of the probe: a `TreeDistanceProbe` (by default) or a `TreeDepthProbe`.
        n_splits: Folds, split by group.
        seed: Decides folds, the permutation, resamples and flips; what is drawn in a fit the probe's own seed decides.

    Returns:
        By layer: of distances `uuas` and `spearman`, of depths `spearman` and `root_accuracy`, each with
        `control_shuffled_`, `control_random_weights_` and `control_linear_` of the same name; and how far the first is
        `above_` each control, with `_p` and `_p_corrected`.

    Raises:
        InputError: settings out of range, too few groups or sentences of 5 to 50 words, or control activations of
            another shape, not finite or the same as the activations.
    """
    probe = probe or TreeDistanceProbe()
    check_plan(data.trees, data.groups, probe, n_splits, data.X.shape[-1])
    _check_control(data, control_activations)
    kind = DEPTHS if isinstance(probe, TreeDepthProbe) else DISTANCES
    predicted = _predictions(data, control_activations, probe, kind, _folds(data.groups, n_splits, seed), seed)
    found = _scores(data.trees, predicted, kind)
    return Result(
        kind="structural_probe",
        data=xr.Dataset(
            _measured(data, found, seed) | _above(data, found, kind.measures[0], seed), {"layer": list(data.layers)}
        ),
        unit=kind.unit,
        sign=kind.sign,
        method=_METHOD.format(fitted=kind.fitted, rank=probe.rank, n_splits=n_splits, measured=kind.measured),
        provenance=provenance,
        notes={
            "what": kind.what,
            "control": _CONTROL,
            "rank": probe.rank,
            "n_sentences": len(data.trees),
            "n_words": int(data.trees.lengths.sum()),
            "n_groups": len(np.unique(data.groups)),
        },
    )


def check_plan(trees: TreeLabels, groups: np.ndarray, probe: AnyProbe, n_splits: int, width: int) -> None:
    """Refuse what cannot be fitted or tested, before anything is.

    Raises:
        InputError: settings out of range, a rank above the width, or too few groups or sentences of 5 to 50 words.
    """
    probe.check_settings()
    if probe.rank > width:
        raise InputError(f"A map of rank {probe.rank} from activations {width} wide. Expected at most {width}.")
    if not 2 <= n_splits <= len(np.unique(groups)):
        raise InputError(
            f"{n_splits} folds of {len(np.unique(groups))} groups of sentences. Expected at least 2 folds, and no more "
            "than there are groups."
        )
    if (n := int(of_length(trees.lengths).sum())) < 2:
        raise InputError(
            f"{n} sentences of {LENGTHS[0]} to {LENGTHS[1]} words, of which correlations are measured. "
            "Expected at least 2."
        )


def _check_control(data: TreeActivations, control: np.ndarray) -> None:
    if control.shape != data.X.shape or not np.isfinite(control).all() or np.array_equal(control, data.X):
        raise InputError(
            f"Control activations of shape {control.shape} beside activations of shape {data.X.shape} are of another "
            "shape, not finite, or the very same. Capture the same words at the same layers of a random-weights model "
            "of the same architecture, in float32."
        )


def _folds(groups: np.ndarray, n_splits: int, seed: int) -> list[Fold]:
    splitter = GroupKFold(n_splits, shuffle=True, random_state=seed)
    return [Fold(train, test) for train, test in splitter.split(np.zeros(len(groups)), groups=groups)]


def _predictions(
    data: TreeActivations,
    control: np.ndarray,
    probe: AnyProbe,
    kind: TreeKind,
    folds: Sequence[Fold],
    seed: int,
) -> dict[str, list[Predicted]]:
    """What the probe predicts by layer, under the empty name, and what each control does."""
    true = kind.targets(data.trees)
    stacks = {"": data.X, "shuffled": _permuted(data, seed), "random_weights": control}
    predicted: dict[str, list[Predicted]] = {name: [] for name in stacks}
    n_fits = len(stacks) * len(data.layers) * len(folds)
    # Fits this small are slower on several threads, and a hundred times slower where the cores are shared.
    with threadpool_limits(1), tqdm(total=n_fits, desc="probe", unit="fit", leave=False, delay=2) as bar:
        for name, stack in stacks.items():
            for X in stack:
                predicted[name].append(_held_out(data.by_sentence(X), true, folds, probe, bar))
    # The order of words is the same at every layer.
    return predicted | {"linear": [kind.in_order(data.trees)] * len(data.layers)}


def _scores(trees: TreeLabels, predicted: Mapping[str, list[Predicted]], kind: TreeKind) -> dict[str, Scores]:
    true = kind.targets(trees)
    return {
        name: {measure: [scores(measure, layer, true) for layer in layers] for measure in kind.measures}
        for name, layers in predicted.items()
    }


def _permuted(data: TreeActivations, seed: int) -> Float[np.ndarray, "layer word d_model"]:
    """The vectors of each sentence in another order, the same at every layer."""
    rng = np.random.default_rng(seed)
    rows = [rng.permutation(words) for words in data.by_sentence(np.arange(data.X.shape[1]))]
    return data.X[:, np.concatenate(rows)]


def _held_out(
    words: Sequence[np.ndarray], true: Sequence[np.ndarray], folds: Sequence[Fold], probe: AnyProbe, bar: Any
) -> Predicted:
    """Predict each sentence by a probe that was not fitted to it."""
    predicted: dict[int, np.ndarray] = {}
    for fold in folds:
        fitted = clone(probe).fit([words[each] for each in fold.train], [true[each] for each in fold.train])
        predicted |= zip(fold.test.tolist(), fitted.predict([words[each] for each in fold.test]), strict=True)
        bar.update()
    return [predicted[sentence] for sentence in range(len(words))]


def _measured(data: TreeActivations, found: Mapping[str, Scores], seed: int) -> dict[str, Any]:
    lengths, variables = data.trees.lengths, {}
    for measure in found[""]:
        for condition, by_measure in found.items():
            name = f"control_{condition}_{measure}" if condition else measure
            runs = [MEASURES[measure](layer, lengths) for layer in by_measure[measure]]
            variables |= as_variables(name, [measure_over_groups([run], data.groups, seed=seed) for run in runs])
    return variables


def _above(data: TreeActivations, found: Mapping[str, Scores], measure: str, seed: int) -> dict[str, Any]:
    """How far the probe is above each control, with p-values over groups."""
    lengths, variables, margins = data.trees.lengths, {}, []
    for control in CONTROLS:
        margins.append(
            [ours - theirs for ours, theirs in zip(found[""][measure], found[control][measure], strict=True)]
        )
        # Measures are linear in the scores: that of the difference is the difference, in every resample.
        runs = [MEASURES[measure](margin, lengths) for margin in margins[-1]]
        estimates = [measure_over_groups([run], data.groups, seed=seed) for run in runs]
        variables |= as_variables(f"above_{control}", estimates)
    counted = of_length(lengths) if measure == "spearman" else np.ones(len(lengths), bool)
    _, member = np.unique(data.groups, return_inverse=True)
    sums = np.apply_along_axis(lambda row: np.bincount(member, weights=row * counted), 2, np.array(margins))
    flips = sign_flips(sums.transpose(2, 0, 1), seed=seed)
    for place, control in enumerate(CONTROLS):
        variables[f"above_{control}_p"] = ("layer", flips.p[place])
        variables[f"above_{control}_p_corrected"] = ("layer", flips.p_corrected[place])
    return variables
