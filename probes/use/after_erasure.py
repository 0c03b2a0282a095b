"""What a new probe still finds after a concept was erased, beside what it finds after as much was erased at random."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float
from threadpoolctl import threadpool_limits

from interp.errors import InputError
from interp.results import Provenance, Result
from probes.estimators.linear import LogisticProbe
from probes.reading.by_layer import Condition, as_variables, held_out, notes_on
from probes.reading.controls import majority_accuracy
from probes.reading.intervals import accuracy_over_groups
from probes.samples.data import LabelledActivations, Rows
from probes.samples.split import Fold, group_folds
from probes.use.erasure import leace, random_eraser

N_RANDOM = 5
"""Random erasures beside each erasure."""
PLAIN, ERASED, RANDOM = "accuracy", "erased", "control_random_erasure"

_METHOD = (
    "LEACE is fitted to one half of the groups; in the other half new linear probes (logistic regression, C={C}) are "
    "fitted and tested in {n_splits} folds split by group, on the activations as they are and erased; then the halves "
    "change places, so that each sample is predicted once. Intervals: 95 % bootstrap over groups of the held-out "
    "predictions, without fitting anew. Erased at the majority's accuracy: the eraser takes the concept out of samples "
    "it never saw, for linear readers; what stays above is what it missed, and more samples leave less. Neither is "
    "evidence of whether the model uses the concept."
)
_CONTROL = (
    "random erasure: the same probes after as many random directions were erased ({n_random} draws; the interval is of "
    "one); majority: always answering the most frequent class"
)


@dataclass(frozen=True)
class _Half:
    """Samples that erasers are fitted to, and the probes' folds among all others."""

    fit: Rows
    others: Condition


def probe_after_erasure(
    data: LabelledActivations,
    provenance: Provenance,
    *,
    probe: LogisticProbe | None = None,
    n_random: int = N_RANDOM,
    n_splits: int = 4,
    seed: int = 0,
) -> Result:
    """Measure by layer what a linear probe finds before and after the labels are erased, on samples held out from both.

    An erasure that works brings `erased` down to `control_majority` where `accuracy` is far above it and
    `control_random_erasure` stays there. Positive: more held-out samples right.

    Args:
        data: Activations with labels and groups; each half needs more samples than coordinates.
        provenance: Where the activations come from.
        probe: Settings of the classifier.
        n_random: Random erasures beside each.
        n_splits: Folds of the probes in each half, split by group.
        seed: Decides halves, folds, random directions and resamples.

    Returns:
        By layer: `accuracy` with nothing erased, `erased`, `control_random_erasure` and `control_majority`; and
        `rank`, the number of directions erased (the larger of the two halves).

    Raises:
        InputError: no random erasure, too few groups or samples, labels that cannot be erased, or a probe that does
            not converge.

    Source: Belrose et al. 2023, LEACE (arXiv:2306.03819), sec. 3; the control is that of Elazar et al. 2021, Amnesic
    Probing (arXiv:2006.00995), sec. 3.2.
    """
    if n_random < 1:
        raise InputError(f"{n_random} random erasures leave the erasure without a control. Expected at least 1.")
    probe, halves = probe or LogisticProbe(), _halves(data, n_splits, seed)
    # Fits this small are slower on several threads, and a hundred times slower where the cores are shared.
    with threadpool_limits(1):
        layers = [_read_layer(X.astype(np.float64), halves, probe, n_random, seed) for X in data.X]
    variables = {}
    for name in (PLAIN, ERASED, RANDOM):
        estimates = [accuracy_over_groups(correct[name], data.groups, seed=seed) for correct, _ in layers]
        variables |= as_variables(name, estimates)
    variables["control_majority"] = ("layer", np.full(data.n_layers, majority_accuracy(data.labels)))
    variables["rank"] = ("layer", np.array([rank for _, rank in layers]))
    return Result(
        kind="probe_after_erasure",
        data=xr.Dataset(variables, {"layer": list(data.layers)}),
        unit="accuracy (share of held-out samples)",
        sign="A larger number means that more held-out samples are predicted right.",
        method=_METHOD.format(C=probe.C, n_splits=n_splits),
        provenance=provenance,
        notes=notes_on(data, _CONTROL.format(n_random=n_random)),
    )


def _halves(data: LabelledActivations, n_splits: int, seed: int) -> list[_Half]:
    halves = []
    for half in group_folds(data.labels, data.groups, n_splits=2, seed=seed):
        folds = group_folds(data.labels[half.test], data.groups[half.test], n_splits=n_splits, seed=seed)
        among_all = [Fold(half.test[fold.train], half.test[fold.test]) for fold in folds]
        halves.append(_Half(half.train, Condition(data.labels, among_all)))
    return halves


def _read_layer(
    X: Float[np.ndarray, "sample d_model"], halves: list[_Half], probe: LogisticProbe, n_random: int, seed: int
) -> tuple[dict[str, Bool[np.ndarray, "run sample"]], int]:
    """Which held-out predictions are right, under each erasure; and how many directions were erased."""
    correct = {name: np.zeros((n, len(X)), bool) for name, n in ((PLAIN, 1), (ERASED, 1), (RANDOM, n_random))}
    ranks = []
    for half in halves:
        eraser = leace(X[half.fit], half.others.labels[half.fit])
        randoms = [random_eraser(X[half.fit], eraser.rank, seed=seed + number) for number in range(n_random)]
        ranks.append(eraser.rank)
        for name, runs in ((PLAIN, [X]), (ERASED, [eraser.erase(X)]), (RANDOM, [each.erase(X) for each in randoms])):
            # Each sample is tested in one half only.
            correct[name] |= np.stack([held_out(run, half.others, probe) for run in runs])
    return correct, max(ranks)
