"""One probe for each layer and position, beside its controls."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from interp.errors import InputError
from interp.results import Provenance, Result
from interp.statistics import sign_flips
from probes.estimators.linear import LogisticProbe
from probes.reading.by_layer import Condition, held_out
from probes.reading.controls import majority_accuracy, shuffled_labels
from probes.reading.intervals import accuracy_over_groups
from probes.samples.data import Groups, LabelledActivations, Rows
from probes.samples.split import group_folds

_METHOD = (
    "At each layer and position by itself: multinomial logistic regression (C={C}) on the samples that stand there, in "
    "{n_splits} folds split by group, each sample predicted once. Intervals: 95 % bootstrap over groups, without "
    "fitting anew; p is two-sided, by flipping signs of groups' differences to the shuffled control, corrected over "
    "all cells (below it is no sign of anything, however small p). High accuracy shows that the label can be read off "
    "there linearly; it is not evidence that the model uses it."
)
_CONTROL = "shuffled: the same probe on labels permuted between the groups that stand there (one permutation)"


def probe_by_position(
    data: LabelledActivations,
    positions: Int[np.ndarray, " _"],
    provenance: Provenance,
    *,
    n_bins: int | None = None,
    probe: LogisticProbe | None = None,
    n_splits: int = 5,
    seed: int = 0,
) -> Result:
    """Measure at every layer and position how well a label can be read off linearly: where in a text it is known.

    Positive: more held-out samples right.

    Args:
        data: Activations with labels and groups.
        positions: Position of each sample in its prompt, such as a task's `positions`.
        n_bins: Put positions together into so many bins of about equally many samples; by default each by itself.
        probe: Settings of the classifier.
        n_splits: Folds, split by group.
        seed: Decides folds, permutations, resamples and flips.

    Returns:
        A `probe_positions` over `layer` and `position` (the first of each bin): `accuracy` and `control_shuffled` with
        intervals, `control_majority`, `n_at_position`, and `p_corrected`.

    Raises:
        InputError: lengths that do not fit, no bins, one position, a class in too few groups at a position, or a probe
            that does not converge.
    """
    if len(positions) != len(data.labels):
        raise InputError(f"{len(positions)} positions for {len(data.labels)} samples. Give one for each.")
    probe = probe or LogisticProbe()
    cells = [_Cell.of(data, rows, positions, n_splits, seed) for rows in _bins(positions, n_bins)]
    names, found = np.unique(data.groups), np.empty((2, 3, data.n_layers, len(cells)))
    differences = np.full((len(names), data.n_layers, len(cells)), np.nan)
    work = [(layer, number) for layer in range(data.n_layers) for number in range(len(cells))]
    # Fits this small are slower on several threads, and a hundred times slower where the cores are shared.
    with threadpool_limits(1):
        for layer, number in tqdm(work, desc="probe", unit="cell", leave=False, delay=2):
            cell = cells[number]
            X = data.X[layer, cell.rows].astype(np.float64)
            right = [held_out(X, run, probe) for run in (cell.true, cell.shuffled)]
            for which, each in enumerate(right):
                estimate = accuracy_over_groups(each[None], cell.groups, seed=seed)
                found[which, :, layer, number] = estimate.value, estimate.low, estimate.high
            member = np.searchsorted(names, cell.groups)
            difference = np.bincount(member, right[0] * 1.0 - right[1], minlength=len(names))
            differences[np.unique(member), layer, number] = difference[np.unique(member)]
    return Result(
        kind="probe_positions",
        data=_dataset(data, cells, found, sign_flips(differences, seed=seed).p_corrected),
        unit="accuracy (share of held-out samples)",
        sign="A larger number means that more held-out samples are predicted right.",
        method=_METHOD.format(C=probe.C, n_splits=n_splits),
        provenance=provenance,
        notes={"control": _CONTROL, "n_samples": len(positions), "n_groups": len(np.unique(data.groups))},
    )


@dataclass(frozen=True)
class _Cell:
    """Samples of one position, or of one bin, with their labels, true and shuffled, and folds."""

    start: int
    rows: Rows
    groups: Groups
    true: Condition
    shuffled: Condition

    @classmethod
    def of(cls, data: LabelledActivations, rows: Rows, positions: Rows, n_splits: int, seed: int) -> "_Cell":
        start, labels, groups = int(positions[rows].min()), data.labels[rows], data.groups[rows]
        try:
            turned = shuffled_labels(labels, groups, seed=seed)
            both = [
                Condition(each, group_folds(each, groups, n_splits=n_splits, seed=seed)) for each in (labels, turned)
            ]
        except InputError as error:
            raise InputError(f"Position {start}: {error} Or put positions together with n_bins.") from error
        return cls(start, rows, groups, *both)


def _bins(positions: Rows, n_bins: int | None) -> list[Rows]:
    """Samples of each position, or of positions put together so that bins hold about as many samples."""
    found, counts = np.unique(positions, return_counts=True)
    if len(found) < 2 or (n_bins is not None and not 2 <= n_bins <= len(found)):
        raise InputError(f"{n_bins} bins of {len(found)} positions. Expected at least 2, and no more than positions.")
    if n_bins is None:
        return [np.flatnonzero(positions == position) for position in found]
    place = np.minimum((np.cumsum(counts) - counts / 2) * n_bins // counts.sum(), n_bins - 1)
    of_sample = place[np.searchsorted(found, positions)]
    return [np.flatnonzero(of_sample == number) for number in np.unique(place)]


def _dataset(
    data: LabelledActivations,
    cells: Sequence[_Cell],
    found: Float[np.ndarray, "run end layer position"],
    p: Float[np.ndarray, "layer position"],
) -> xr.Dataset:
    dims = ("layer", "position")
    variables: dict[str, Any] = {
        f"{name}{end}": (dims, found[which, number])
        for which, name in enumerate(("accuracy", "control_shuffled"))
        for number, end in enumerate(("", "_low", "_high"))
    }
    variables |= {
        "control_majority": (
            dims,
            np.tile([majority_accuracy(cell.true.labels) for cell in cells], (data.n_layers, 1)),
        ),
        "p_corrected": (dims, p),
        "n_at_position": ("position", np.array([len(cell.rows) for cell in cells])),
    }
    return xr.Dataset(variables, {"layer": list(data.layers), "position": [cell.start for cell in cells]})
