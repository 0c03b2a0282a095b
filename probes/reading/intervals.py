"""Intervals for accuracies, and for any other measure, whose samples come in groups."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Shaped

from interp.errors import InputError
from probes.samples.data import Groups

N_RESAMPLES = 2000
CONFIDENCE = 0.95
_DRAWN_AT_ONCE = 200
"""Resamples held at once, a row of weights each: bounds the memory."""

Measure = Callable[[Float[np.ndarray, "draw sample"]], Float[np.ndarray, " draw"]]
"""From how often each sample counts, the measure: a row of ones is the samples as they are."""


@dataclass(frozen=True)
class Estimate:
    """A number with its interval."""

    value: float
    low: float
    high: float


def mean_of(values: Shaped[np.ndarray, " sample"], chosen: Bool[np.ndarray, " sample"] | None = None) -> Measure:
    """Mean over samples, or over the chosen ones; undefined (NaN) where a draw has none of them."""
    counted = np.ones(len(values)) if chosen is None else chosen.astype(np.float64)
    kept = values * counted

    def measure(weights: Float[np.ndarray, "draw sample"]) -> Float[np.ndarray, " draw"]:
        whole = weights @ counted
        return np.divide(weights @ kept, whole, out=np.full(len(whole), np.nan), where=whole > 0)

    return measure


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


def measure_over_groups(
    runs: Sequence[Measure], groups: Groups, *, seed: int = 0, n_resamples: int = N_RESAMPLES
) -> Estimate:
    """Compute any measure, with a 95 % bootstrap interval over groups.

    As `accuracy_over_groups`, for a measure given as a function of how often each sample counts: a resample of groups
    is a row of whole-number weights, so that thousands of resamples are a few matrix products. A difference of two
    measures on the same samples is paired by this. Resamples in which the measure is undefined (NaN: a class that
    was not drawn) are left out.

    Args:
        runs: The measure of each run; the value is their mean, and each resample is of one run drawn at random.
        groups: Group of each sample.
        seed: Decides the resamples.
        n_resamples: Number of resamples.

    Raises:
        InputError: no run, or a measure that is undefined on the samples themselves.
    """
    if not runs:
        raise InputError("There is no run to measure. Expected at least one.")
    values = np.concatenate([run(np.ones((1, len(groups)))) for run in runs])
    if not np.isfinite(values).all():
        raise InputError(
            f"The measure is {values.tolist()} on these samples. Expected numbers: give samples of all kinds."
        )
    names, member = np.unique(groups, return_inverse=True)
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=n_resamples)
    drawn = rng.integers(len(runs), size=n_resamples)
    found = np.concatenate(
        [
            run(counts[part][:, member].astype(np.float64))
            for number, run in enumerate(runs)
            for part in np.array_split(np.flatnonzero(drawn == number), 1 + n_resamples // _DRAWN_AT_ONCE)
        ]
    )
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(found, [tail, 1 - tail])
    return Estimate(float(values.mean()), float(low), float(high))
