"""Mean scores of many cells at once, with intervals and corrected p-values over groups."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped

from probes.reading.intervals import CONFIDENCE, N_RESAMPLES
from probes.samples.data import Groups, Rows

MOST_UNITS = 2000
"""Where there are more groups than this, groups are put together at random into so many: it bounds the memory."""


@dataclass(frozen=True)
class Units:
    """What is drawn and flipped as one: groups, or groups put together where there are very many."""

    member: Int[np.ndarray, " _"]
    """Unit of each sample."""
    sizes: Int[np.ndarray, " unit"]

    @classmethod
    def of(cls, groups: Groups, *, seed: int = 0) -> "Units":
        """Make each group a unit, or put groups together at random where there are more than `MOST_UNITS`."""
        names, member = np.unique(groups, return_inverse=True)
        if len(names) > MOST_UNITS:
            unit = np.random.default_rng(seed).permutation(np.arange(len(names)) % MOST_UNITS)
            member = unit[member]
        return cls(member, np.bincount(member))

    def sums(self, scores: Shaped[np.ndarray, "cell _"]) -> Float[np.ndarray, "cell unit"]:
        """Add the scores of each unit's samples."""
        return np.stack([np.bincount(self.member, weights=cell, minlength=len(self.sizes)) for cell in scores])

    def sums_at(self, rows: Rows, scores: Shaped[np.ndarray, "cell _"]) -> Float[np.ndarray, "cell unit"]:
        """Add the scores of some samples, unit by unit; NaN where a unit has none of them."""
        here, n = self.member[rows], len(self.sizes)
        added = np.stack([np.bincount(here, weights=cell, minlength=n) for cell in scores])
        return np.where(np.bincount(here, minlength=n) > 0, added, np.nan)


def score_intervals(
    runs: Shaped[np.ndarray, "run cell _"], units: Units, *, seed: int = 0
) -> tuple[Float[np.ndarray, " cell"], Float[np.ndarray, " cell"]]:
    """Bootstrap the mean score of every cell over groups, with the same 2000 resamples for all (percentiles, 95 %).

    The interval of `accuracy_over_groups`, drawn once for all cells: of several runs, each resample is of one drawn at
    random. The probes are not fitted anew, so it leaves out the chance in fitting.

    Args:
        runs: For each run (permutation), the score of each held-out sample, such as whether it was right.
        units: What is drawn with replacement.
        seed: Decides the resamples.

    Returns:
        Lower and upper end.
    """
    n, rng, tail = len(units.sizes), np.random.default_rng(seed), (1 - CONFIDENCE) / 2
    draws = rng.multinomial(n, np.full(n, 1 / n), size=N_RESAMPLES)
    drawn = rng.integers(len(runs), size=N_RESAMPLES)
    means = np.empty((N_RESAMPLES, runs.shape[1]))
    for number, run in enumerate(runs):
        chosen = draws[drawn == number]
        means[drawn == number] = (chosen @ units.sums(run).T) / (chosen @ units.sizes)[:, None]
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    return low, high
