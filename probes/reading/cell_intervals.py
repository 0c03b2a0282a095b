"""Held-out accuracy in many cells at once, with intervals and corrected p-values over groups."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from interp.statistics import SignFlips, sign_flips
from probes.reading.intervals import CONFIDENCE, N_RESAMPLES
from probes.samples.data import Groups

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

    def right(self, correct: Bool[np.ndarray, "cell _"]) -> Float[np.ndarray, "cell unit"]:
        """Count the right predictions in each unit."""
        return np.stack([np.bincount(self.member, weights=cell, minlength=len(self.sizes)) for cell in correct])


def accuracy_intervals(
    correct: Bool[np.ndarray, "cell _"], units: Units, *, seed: int = 0
) -> tuple[Float[np.ndarray, " cell"], Float[np.ndarray, " cell"]]:
    """Bootstrap the accuracy of every cell over groups, with the same 2000 resamples for all (percentiles, 95 %).

    The interval of `accuracy_over_groups`, drawn once for all cells. The probes are not fitted anew, so it leaves out
    the chance in fitting.

    Args:
        correct: Whether each held-out prediction was right.
        units: What is drawn with replacement.
        seed: Decides the resamples.

    Returns:
        Lower and upper end.
    """
    n, rng, tail = len(units.sizes), np.random.default_rng(seed), (1 - CONFIDENCE) / 2
    draws = rng.multinomial(n, np.full(n, 1 / n), size=N_RESAMPLES)
    accuracies = (draws @ units.right(correct).T) / (draws @ units.sizes)[:, None]
    low, high = np.quantile(accuracies, [tail, 1 - tail], axis=0)
    return low, high


def above_control(
    correct: Bool[np.ndarray, "cell _"], control: Bool[np.ndarray, "cell _"], units: Units, *, seed: int = 0
) -> SignFlips:
    """Test for every cell that predictions are right no more often than the control's, by flipping groups.

    Under the null a group is as likely to be told better by the control as by the probe, by the same margin. All cells
    are flipped as one, so that the correction knows how alike neighbouring layers are. Two-sided: read the sign off
    the accuracies.

    Args:
        correct: Whether each held-out prediction was right.
        control: The same of the control.
        units: What is flipped as one.
        seed: Decides the flips.
    """
    return sign_flips((units.right(correct) - units.right(control)).T, seed=seed)
