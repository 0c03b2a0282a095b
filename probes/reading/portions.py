"""What a sweep probes together: all samples, or those of some positions, with folds, and labels true and permuted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from joblib import cpu_count

from interp.errors import InputError
from probes.reading.controls import shuffled_labels
from probes.samples.data import Groups, Rows
from probes.samples.labels import AnyLabels
from probes.samples.split import Fold, check_fold, group_folds

MOST_DRAWS = 100
"""Permutations drawn before it is given up to find one that leaves every fold something to learn."""


@dataclass(frozen=True)
class SweepPlan:
    """How a sweep of probes splits samples, how often it permutes their labels, and what it may take.

    Raises:
        InputError: no permutation, no worker, or memory below zero.
    """

    n_splits: int = 5
    """Folds, split by group."""
    all_folds: bool = True
    """Test every sample once; or only those of the first fold, one in `n_splits`, which takes as much less time."""
    n_shuffles: int = 3
    """Permutations of the labels, fitted together with the true ones."""
    positions: bool = False
    """Fit the samples of each position by themselves."""
    n_bins: int | None = None
    """Positions: put them together into so many bins of about equally many samples."""
    seed: int = 0
    """Decides folds, permutations, resamples and flips."""
    max_bytes: int = 2**31
    """Memory for the rows fitted to, over all cells being fitted; with less, they are read anew in every pass."""
    workers: int | None = None
    """Cells at a time; by default as many as there are cores."""

    def __post_init__(self) -> None:
        if self.n_shuffles < 1:
            raise InputError(f"{self.n_shuffles} permutations leave probes without a control. Expected at least 1.")
        if self.max_bytes < 0 or (self.workers is not None and self.workers < 1):
            raise InputError(
                f"max_bytes is {self.max_bytes} and workers {self.workers}. Expected memory, and at least one worker."
            )
        if self.n_bins is not None and not self.positions:
            object.__setattr__(self, "positions", True)

    def threads(self, n_cells: int) -> int:
        """How many of so many cells are fitted at a time."""
        return min(self.workers or cpu_count(), n_cells)

    @property
    def in_words(self) -> str:
        """What is held out."""
        folds = f"in {self.n_splits} folds split by group, each sample predicted once"
        return folds if self.all_folds else f"one {self.n_splits}th of the groups held out"

    @property
    def control(self) -> str:
        """What the shuffled control is, to be followed by the floor."""
        n = self.n_shuffles
        drawn = "one permutation" if n == 1 else f"{n} permutations; the interval is of one"
        return f"shuffled: the same probe on labels permuted between groups, on the same split ({drawn}); "


@dataclass(frozen=True)
class Portion:
    """Samples that are probed together."""

    rows: Rows
    """Places among all samples, rising."""
    folds: list[Fold]
    """Of places among all samples."""
    labellings: list[AnyLabels]
    """Of all samples: the true ones, then permuted ones; what they say of samples outside `rows` means nothing."""

    @classmethod
    def of(cls, labels: AnyLabels, groups: Groups, rows: Rows, plan: SweepPlan) -> "Portion":
        """Make folds, and permutations that leave every fold something to learn.

        Raises:
            InputError: too few groups of a class, or labels that cannot be permuted so.
        """
        own, of_group = labels[rows], groups[rows]
        folds = group_folds(own, of_group, n_splits=plan.n_splits, seed=plan.seed)
        folds = folds if plan.all_folds else folds[:1]
        labellings = [labels]
        for number in range(plan.n_shuffles):
            turned = labels.copy()
            turned[rows] = _permuted(own, of_group, folds, plan.seed + number)
            labellings.append(turned)
        return cls(rows, [Fold(rows[fold.train], rows[fold.test]) for fold in folds], labellings)

    @property
    def tested(self) -> Rows:
        """The samples held out, fold after fold."""
        return np.concatenate([fold.test for fold in self.folds])


def _permuted(labels: AnyLabels, groups: Groups, folds: Sequence[Fold], seed: int) -> AnyLabels:
    """Permute labels between groups; again, where a rare class would be missing on a side that is fitted to."""
    for draw in range(MOST_DRAWS):
        turned = shuffled_labels(labels, groups, seed=seed + draw * MOST_DRAWS)
        try:
            for fold in folds:
                check_fold(fold, turned, groups)
        except InputError as error:
            refused = error
        else:
            return turned
    raise InputError(f"Of {MOST_DRAWS} permutations of the labels none can be fitted: {refused}")


def by_position(labels: AnyLabels, groups: Groups, positions: Rows, plan: SweepPlan) -> dict[int, Portion]:
    """Probe the samples of each position, or of bins of positions, by themselves.

    Args:
        labels: Label of each sample.
        groups: Group of each sample.
        positions: Position of each sample in its prompt.
        plan: Folds, permutations and bins.

    Returns:
        A portion for each position, the first of its bin.

    Raises:
        InputError: lengths that do not fit, no bins, one position, or too few groups of a class at a position.
    """
    if len(positions) != len(labels):
        raise InputError(f"{len(positions)} positions for {len(labels)} samples. Give one for each.")
    found = {}
    for rows in _bins(positions, plan.n_bins):
        start = int(positions[rows].min())
        try:
            found[start] = Portion.of(labels, groups, rows, plan)
        except InputError as error:
            raise InputError(f"Position {start}: {error} Or put positions together with n_bins.") from error
    return found


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
