"""Can a label be read off activations, and how simply: accuracy and code length, each beside shuffled labels."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from threadpoolctl import threadpool_limits

from interp.errors import InputError
from probes.estimators.linear import LogisticProbe
from probes.reading.by_layer import Condition, held_out
from probes.reading.controls import majority_accuracy, shuffled_labels
from probes.reading.description_length import code_length
from probes.reading.intervals import Estimate, accuracy_over_groups, measure_over_groups
from probes.samples.data import Groups, Labels, Rows
from probes.samples.split import group_folds

N_SHUFFLES = 3
"""Permutations of the labels, and orders of the code."""


@dataclass(frozen=True)
class Readable:
    """What a probe reads at one site."""

    accuracy: Estimate
    control_shuffled: Estimate
    compression: Estimate
    control_shuffled_compression: Estimate
    majority: float

    @property
    def decodable(self) -> bool:
        """Whether the accuracy's interval lies above the majority and above the shuffled labels' interval."""
        return self.accuracy.low > max(self.majority, self.control_shuffled.high)

    @property
    def simple(self) -> bool:
        """Whether, besides, the code is shorter than a uniform one and than that of shuffled labels."""
        return self.decodable and self.compression.low > max(1.0, self.control_shuffled_compression.high)


@dataclass(frozen=True)
class Reading:
    """Labels to read, true and shuffled, and the folds that go with them: the same at every site."""

    labels: Labels
    groups: Groups
    true: Condition
    shuffled: list[Condition]
    probe: LogisticProbe
    seed: int

    @classmethod
    def of(cls, labels: Labels, groups: Groups, probe: LogisticProbe, *, n_splits: int, seed: int) -> "Reading":
        """Make folds and permutations.

        Raises:
            InputError: too few groups of a class, or labels that cannot be permuted.
        """
        folds = group_folds(labels, groups, n_splits=n_splits, seed=seed)
        # The same folds: among shuffled labels a rare class may fall into too few groups for folds of its own.
        turned = [shuffled_labels(labels, groups, seed=seed + number) for number in range(N_SHUFFLES)]
        shuffled = [Condition(each, folds) for each in turned]
        return cls(labels, groups, Condition(labels, folds), shuffled, probe, seed)

    def read(self, X: Float[np.ndarray, "sample d"]) -> Readable:
        """Probe the activations of one site."""
        # Fits this small are slower on several threads, and a hundred times slower where the cores are shared.
        with threadpool_limits(1):
            return Readable(
                self._accuracy(X, [self.true]),
                self._accuracy(X, self.shuffled),
                self._compression(X, [self.true] * N_SHUFFLES),
                self._compression(X, self.shuffled),
                majority_accuracy(self.labels),
            )

    def _accuracy(self, X: Float[np.ndarray, "sample d"], runs: list[Condition]) -> Estimate:
        return accuracy_over_groups(
            np.stack([held_out(X, run, self.probe) for run in runs]), self.groups, seed=self.seed
        )

    def _compression(self, X: Float[np.ndarray, "sample d"], runs: list[Condition]) -> Estimate:
        codes = [
            code_length(X, run.labels, self.groups, [self.probe], seed=self.seed + number)
            for number, run in enumerate(runs)
        ]
        return measure_over_groups([code.compression_of for code in codes], self.groups, seed=self.seed)


def some_samples(labels: Labels, groups: Groups, most: int, n_splits: int, *, seed: int = 0) -> Rows:
    """Choose whole groups at random, up to so many samples, and of those the classes that fill the folds.

    Raises:
        InputError: fewer than two classes are left.
    """
    names, member, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    taken = np.zeros(len(names), bool)
    taken[order[: max(2, int(np.searchsorted(sizes[order].cumsum(), most, side="right")))]] = True
    kept = taken[member]
    for label in np.unique(labels):
        here = kept & (labels == label)
        if len(np.unique(groups[here])) < n_splits:
            kept &= labels != label
    if len(left := np.unique(labels[kept])) < 2:
        raise InputError(
            f"{len(left)} classes occur in {n_splits} groups or more. Expected at least two: give more groups of each."
        )
    return np.flatnonzero(kept)
