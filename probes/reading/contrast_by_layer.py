"""Contrast-consistent search by layer: what a direction found without labels tells, beside its controls."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float
from sklearn.base import clone
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from interp.results import Provenance, Result
from interp.statistics import sign_flips
from probes.estimators.contrast import UNINFORMED, ContrastConsistentProbe
from probes.estimators.linear import LogisticProbe
from probes.reading.by_layer import N_SHUFFLES, as_variables, check_control, notes_on
from probes.reading.controls import majority_accuracy, shuffled_labels
from probes.reading.intervals import Estimate, accuracy_over_groups, measure_over_groups
from probes.samples.contrast_pairs import ContrastPairs, Pairs, Stack, contrast_folds, even_templates, flat
from probes.samples.data import Groups
from probes.samples.split import Fold

N_DIRECTIONS = 20
"""Random directions drawn at each layer."""

_METHOD = (
    "Contrast-consistent search (Burns et al. 2022, arXiv:2212.03827): of {n_starts} starts the lowest contrast loss "
    "(alpha={alpha}), fitted without labels to both halves of each pair, whose means within each template are taken "
    "off, in {n_splits} folds split by group; the labels of the pairs fitted to decide the sign alone, and each pair "
    "is told once, by the direction that never saw its group. loss: mean contrast loss of held-out pairs; 0 is "
    "consistent and sure, {uninformed} the least reached without looking, above it the direction was learnt by heart. "
    "supervised: a logistic probe of the same differences, fitted to the labels: a ceiling and no control. "
    "first_component: the first principal component of the differences, its sign decided the same way: where it does "
    "as well, the loss adds nothing. "
    "Intervals: 95 % bootstrap over groups of the held-out predictions, without fitting anew. p: "
    "against the mean of the random directions, two-sided, by sign flips over groups, corrected over layers. High "
    "accuracy shows that the label is the most consistent contrast of these pairs; it is evidence neither that the "
    "model uses it nor that it is truth. Low accuracy beside a high ceiling shows that another contrast stands out."
)
_CONTROL = (
    "random direction: {n_directions} random directions, their sign decided by the labels of the same pairs and their "
    "threshold the mean of those: any direction tells a label a little; random weights: the same search on the same "
    "pairs run through the same architecture with random weights; shuffled: the same directions, with labels permuted "
    "between groups ({n_shuffles} permutations; the interval is of one), which only the sign can follow; majority: "
    "always answering the most frequent class"
)


def contrast_by_layer(
    pairs: ContrastPairs,
    control_activations: Stack,
    provenance: Provenance,
    *,
    probe: ContrastConsistentProbe | None = None,
    n_splits: int = 5,
    seed: int = 0,
) -> Result:
    """Measure at which layers the most consistent contrast of pairs is the label that one looks for.

    Only the distance to the random directions and to the highest other control speaks for the search, and only the
    distance to random weights for the model. Positive: more held-out pairs right.

    Args:
        pairs: Activations of both halves, with labels and groups.
        control_activations: The same pairs in the same architecture with random weights.
        provenance: Where the activations come from.
        probe: Settings of the search.
        n_splits: Folds, split by group.
        seed: Decides folds, random directions, permutations, resamples and flips.

    Returns:
        A `contrast_probe` over `layer`: `accuracy` with `control_random_direction`, `control_random_weights`,
        `control_shuffled` and `control_majority`; `above_random_direction` with `p` and `p_corrected`; `supervised`
        and `first_component`; `loss` with `control_random_weights_loss`.

    Raises:
        InputError: settings out of range, control activations of another shape or not finite, too few groups of a
            class or of a template, or a search that does not converge.
    """
    probe = probe or ContrastConsistentProbe()
    probe.check_settings()
    check_control(pairs.samples, flat(control_activations))
    plan, layers = _Plan.of(pairs, probe, n_splits, seed), []
    # Fits this small are slower on several threads, and a hundred times slower where the cores are shared.
    with threadpool_limits(1), tqdm(total=len(pairs.X), desc="contrast", unit="layer", leave=False, delay=2) as bar:
        for X, control in zip(pairs.X, control_activations, strict=True):
            layers.append(_tell_layer(plan, X.astype(np.float64), control.astype(np.float64)))
            bar.update()
    return Result(
        kind="contrast_probe",
        data=xr.Dataset(_variables(pairs, layers, seed), {"layer": list(pairs.layers)}),
        unit="accuracy (share of held-out pairs)",
        sign="A larger number means that more held-out pairs are told right.",
        method=_METHOD.format(n_starts=probe.n_starts, alpha=probe.alpha, n_splits=n_splits, uninformed=UNINFORMED),
        provenance=provenance,
        notes=notes_on(pairs.samples, _CONTROL.format(n_directions=N_DIRECTIONS, n_shuffles=N_SHUFFLES))
        | {"templates": sorted(map(str, np.unique(pairs.templates).tolist()))},
    )


@dataclass(frozen=True)
class _Plan:
    """What is the same at all layers."""

    truth: Bool[np.ndarray, " pair"]
    """Whether a pair is of the second class."""
    shuffled: list[Bool[np.ndarray, " pair"]]
    templates: Groups
    folds: list[Fold]
    probe: ContrastConsistentProbe
    directions: Float[np.ndarray, "direction d_model"]

    @classmethod
    def of(cls, pairs: ContrastPairs, probe: ContrastConsistentProbe, n_splits: int, seed: int) -> "_Plan":
        truth = pairs.labels == np.unique(pairs.labels)[1]
        return cls(
            truth,
            [shuffled_labels(truth, pairs.groups, seed=seed + number) for number in range(N_SHUFFLES)],
            pairs.templates,
            contrast_folds(pairs.labels, pairs.groups, pairs.templates, n_splits=n_splits, seed=seed),
            probe,
            np.random.default_rng(seed).normal(size=(N_DIRECTIONS, pairs.X.shape[-1])),
        )


_Told = dict[str, np.ndarray]
"""For each way of telling pairs, in each of its runs, whether each pair was told right; and the losses of pairs."""


def _tell_layer(plan: _Plan, X: Pairs, control: Pairs) -> _Told:
    found: _Told = {}
    for fold in plan.folds:
        for name, tested in _tell_fold(plan, X, control, fold).items():
            found.setdefault(name, np.zeros((len(tested), len(X)), tested.dtype))[:, fold.test] = tested
    return found


def _tell_fold(plan: _Plan, X: Pairs, control: Pairs, fold: Fold) -> _Told:
    even = even_templates(X, plan.templates, fold.train)
    decision, losses = _search(even, plan, fold)
    of_control, control_losses = _search(even_templates(control, plan.templates, fold.train), plan, fold)
    gaps = even[:, 0] - even[:, 1]
    gaps -= gaps[fold.train].mean(0)
    ceiling = LogisticProbe().fit(gaps[fold.train], plan.truth[fold.train])
    return {
        "accuracy": aligned(decision[None], plan.truth, fold),
        "control_random_direction": aligned(plan.directions @ gaps.T, plan.truth, fold),
        "control_random_weights": aligned(of_control[None], plan.truth, fold),
        "control_shuffled": np.concatenate([aligned(decision[None], turned, fold) for turned in plan.shuffled]),
        "first_component": aligned(first_component(gaps[fold.train])[None] @ gaps.T, plan.truth, fold),
        "supervised": (ceiling.predict(gaps[fold.test]) == plan.truth[fold.test])[None],
        "loss": losses[None],
        "control_random_weights_loss": control_losses[None],
    }


def _search(even: Pairs, plan: _Plan, fold: Fold) -> tuple[Float[np.ndarray, " pair"], Float[np.ndarray, " tested"]]:
    """Decide on all pairs along the direction found without labels, and lose on those held out."""
    fitted = clone(plan.probe).fit(even[fold.train])
    return fitted.decision_function(even), fitted.pair_losses(even[fold.test])


def aligned(
    decisions: Float[np.ndarray, "run pair"], truth: Bool[np.ndarray, " pair"], fold: Fold
) -> Bool[np.ndarray, "run tested"]:
    """Say which held-out pairs decisions tell right, once each has the sign that is better on the pairs fitted to."""
    positive = decisions > 0
    turned = (positive[:, fold.train] == truth[fold.train]).mean(1) < 0.5
    return (positive[:, fold.test] ^ turned[:, None]) == truth[fold.test]


def first_component(gaps: Float[np.ndarray, "pair d_model"]) -> Float[np.ndarray, " d_model"]:
    """Find the direction along which centred differences vary most; its sign is arbitrary."""
    return np.linalg.svd(gaps, full_matrices=False)[2][0]


def _variables(pairs: ContrastPairs, layers: list[_Told], seed: int) -> dict[str, Any]:
    variables: dict[str, Any] = {}
    groups = pairs.groups
    for name, values in layers[0].items():
        told = values.dtype == bool
        estimates = [
            accuracy_over_groups(each[name], groups, seed=seed) if told else _mean(each[name][0], groups, seed)
            for each in layers
        ]
        variables |= as_variables(name, estimates)
    above = [each["accuracy"][0] - each["control_random_direction"].mean(0) for each in layers]
    variables |= as_variables("above_random_direction", [_mean(each, groups, seed) for each in above])
    member = np.unique(groups, return_inverse=True)[1]
    flips = sign_flips(np.stack([np.bincount(member, weights=each) for each in above], axis=1), seed=seed)
    variables |= {"p": ("layer", flips.p), "p_corrected": ("layer", flips.p_corrected)}
    variables["control_majority"] = ("layer", np.full(len(layers), majority_accuracy(pairs.labels)))
    return variables


def _mean(values: Float[np.ndarray, " pair"], groups: Groups, seed: int) -> Estimate:
    """The mean over pairs, with its interval over groups."""
    return measure_over_groups([lambda weights: weights @ values / weights.sum(1)], groups, seed=seed)
