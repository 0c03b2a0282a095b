"""One probe per layer, beside its controls."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from interp.errors import InputError
from interp.results import Provenance, Result
from probes.estimators.linear import LogisticProbe
from probes.reading.controls import majority_accuracy, shuffled_labels
from probes.reading.intervals import Estimate, accuracy_over_groups
from probes.samples.data import LabelledActivations, Labels
from probes.samples.split import Fold, group_folds

N_DIRECTIONS = 5
"""Draws of random directions."""
N_SHUFFLES = 5
"""Permutations of the labels between groups; the shuffled control is over all of them."""

_METHOD = (
    "Multinomial logistic regression on the activations of each layer, standardised on the samples it is fitted to, "
    "in {n_splits} folds split by group (C={C}); each sample is predicted once, by the probe that never saw its group. "
    "Intervals: 95 % bootstrap over groups of the held-out predictions, without fitting anew. "
    "High accuracy shows that the label can be read off linearly; it is not evidence that the model uses it."
)
_CONTROL = (
    "shuffled: the same probe on labels permuted between groups ({n_shuffles} permutations; the interval is of one); "
    "random weights: the same probe on the same samples run through the same architecture with random weights; "
    "random direction: the same probe on as many random directions as the label needs ({n_directions} draws); "
    "majority: always answering the most frequent class"
)


@dataclass(frozen=True)
class Condition:
    """Labels to fit, and the folds that go with them."""

    labels: Labels
    folds: list[Fold]


def probe_by_layer(
    data: LabelledActivations,
    control_activations: Float[np.ndarray, "layer sample d_model"],
    provenance: Provenance,
    *,
    probe: LogisticProbe | None = None,
    n_splits: int = 5,
    seed: int = 0,
) -> Result:
    """Measure from which layer on a label can be read off linearly, and how much of that is owed to the model.

    Only the distance to the highest control speaks for the trained weights: random weights keep much of the input, and
    similar samples of one group can be told apart without any of its meaning. Positive: more held-out samples right.

    Args:
        data: Activations with labels and groups.
        control_activations: The same samples in the same architecture with random weights.
        provenance: Where the activations come from.
        probe: Settings of the classifier.
        n_splits: Folds, split by group.
        seed: Decides folds, permutations and resamples.

    Returns:
        Accuracy by layer with `control_shuffled`, `control_random_weights`, `control_random_direction` and
        `control_majority`.

    Raises:
        InputError: control activations of another shape or not finite, too few groups of a class, or a probe that
            does not converge.
    """
    check_control(data, control_activations)
    probe = probe or LogisticProbe()
    true = Condition(data.labels, group_folds(data.labels, data.groups, n_splits=n_splits, seed=seed))
    shuffled = _shuffles(data, n_splits, seed)
    conditions = {
        "accuracy": (data.X, [true]),
        "control_shuffled": (data.X, shuffled),
        "control_random_weights": (control_activations, [true]),
    }
    variables: dict[str, Any] = {}
    # Fits this small are slower on several threads, and a hundred times slower where the cores are shared.
    with threadpool_limits(1):
        for name, (X, runs) in conditions.items():
            correct = [[held_out(layer.astype(np.float64), run, probe) for run in runs] for layer in X]
            estimates = [accuracy_over_groups(np.stack(layer), data.groups, seed=seed) for layer in correct]
            variables |= as_variables(name, estimates)
        variables |= _random_directions(data, true, probe, seed)
    variables["control_majority"] = ("layer", np.full(data.n_layers, majority_accuracy(data.labels)))
    return Result(
        kind="probe_by_layer",
        data=xr.Dataset(variables, {"layer": list(data.layers)}),
        unit="accuracy (share of held-out samples)",
        sign="A larger number means that more held-out samples are predicted right.",
        method=_METHOD.format(n_splits=n_splits, C=probe.C),
        provenance=provenance,
        notes=notes_on(data, _CONTROL.format(n_shuffles=N_SHUFFLES, n_directions=N_DIRECTIONS)),
    )


def check_control(data: LabelledActivations, control: Float[np.ndarray, "layer sample d_model"]) -> None:
    """Refuse control activations that cannot stand beside the activations.

    Raises:
        InputError: another shape, NaN or infinity, or the very same numbers.
    """
    if control.shape != data.X.shape:
        raise InputError(
            f"Control activations have shape {control.shape} and the activations {data.X.shape}. "
            "Capture the same samples at the same layers of a random-weights model of the same architecture."
        )
    if not np.isfinite(control).all():
        raise InputError("Control activations hold NaN or infinity. Capture in a wider dtype, such as float32.")
    if np.array_equal(control, data.X):
        raise InputError("Control activations equal the activations. Capture them from a random-weights model.")


def _shuffles(data: LabelledActivations, n_splits: int, seed: int) -> list[Condition]:
    drawn = [shuffled_labels(data.labels, data.groups, seed=seed + number) for number in range(N_SHUFFLES)]
    return [Condition(labels, group_folds(labels, data.groups, n_splits=n_splits, seed=seed)) for labels in drawn]


def _random_directions(
    data: LabelledActivations, true: Condition, probe: LogisticProbe, seed: int
) -> dict[str, tuple[str, np.ndarray]]:
    """Probes that see random directions only, as many as tell the classes apart: what any direction gives away."""
    rng, rank = np.random.default_rng(seed), min(len(np.unique(data.labels)) - 1, data.X.shape[-1])
    drawn = rng.normal(size=(N_DIRECTIONS, data.X.shape[-1], rank))
    correct = [[held_out(layer.astype(np.float64) @ one, true, probe) for one in drawn] for layer in data.X]
    estimates = [accuracy_over_groups(np.stack(layer), data.groups, seed=seed) for layer in correct]
    return as_variables("control_random_direction", estimates)


def held_out(
    X: Float[np.ndarray, "sample d_model"], condition: Condition, probe: LogisticProbe
) -> Bool[np.ndarray, " sample"]:
    """Say which held-out predictions are right; False where no fold tests."""
    correct = np.zeros(len(X), bool)
    for fold in condition.folds:
        fitted = clone(probe).fit(X[fold.train], condition.labels[fold.train])
        correct[fold.test] = fitted.predict(X[fold.test]) == condition.labels[fold.test]
    return correct


def as_variables(name: str, estimates: Sequence[Estimate]) -> dict[str, tuple[str, np.ndarray]]:
    """Name the estimates of each layer, and the ends of their intervals."""
    ends = {name: "value", f"{name}_low": "low", f"{name}_high": "high"}
    return {
        variable: ("layer", np.array([getattr(estimate, end) for estimate in estimates]))
        for variable, end in ends.items()
    }


def notes_on(data: LabelledActivations, control: str) -> dict[str, Any]:
    """Count what went in, and say what the control is."""
    classes, counts = np.unique(data.labels, return_counts=True)
    return {
        "control": control,
        "n_samples": len(data.labels),
        "n_groups": len(np.unique(data.groups)),
        "classes": dict(zip(map(str, classes.tolist()), counts.tolist(), strict=True)),
    }
