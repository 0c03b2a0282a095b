"""Intervals for accuracies whose samples come in groups."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from probes.data import Groups

N_RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A number with its interval."""

    value: float
    low: float
    high: float


def accuracy_over_groups(correct: Bool[np.ndarray, "run sample"], groups: Groups, *, seed: int = 0) -> Estimate:
    """Compute the accuracy on held-out samples, with a 95 % bootstrap interval over groups.

    Whole groups are drawn with replacement (percentile method, 2000 resamples), because samples of one group are not
    independent. Where there are several runs, each resample is of one run drawn at random, so that the interval says
    what a single run may reach. The probes are not fitted anew, so it leaves out the chance in fitting.

    Args:
        correct: Whether each held-out prediction was right, for each run of the probe.
        groups: Group of each sample.
        seed: Decides the resamples.
    """
    names, member = np.unique(groups, return_inverse=True)
    sizes = np.bincount(member)
    right = np.stack([np.bincount(member, weights=run) for run in correct])
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=N_RESAMPLES)
    run = rng.integers(len(correct), size=N_RESAMPLES)
    accuracies = (draws * right[run]).sum(1) / (draws @ sizes)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(accuracies, [tail, 1 - tail])
    return Estimate(float(correct.mean()), float(low), float(high))
