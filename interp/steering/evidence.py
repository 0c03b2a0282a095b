"""A change beside the changes that random edits make: intervals over documents, and the place among the draws."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from interp.errors import InputError
from interp.statistics import bootstrap_interval

FEWEST_DRAWS = 20
"""With fewer, an effect outside all draws is no evidence."""
NAMES = tuple(f"{name}{end}" for name in ("effect", "control", "above_control") for end in ("", "_low", "_high"))
"""The numbers of a comparison, in the order in which results hold them."""


@dataclass(frozen=True)
class Compared:
    """A mean change over documents, beside that of random edits."""

    numbers: dict[str, float]
    """`NAMES`: intervals are 95 %, over documents; the control's is from the smallest draw to the largest."""
    p: float
    """Rank of the effect's size among the sizes of the draws."""
    n: int
    """Documents that have a value."""

    @property
    def stands(self) -> bool:
        """Larger in size than any draw, and apart from their mean by an interval that leaves out zero."""
        largest = max(abs(self.numbers["control_low"]), abs(self.numbers["control_high"]))
        sure = self.numbers["above_control_low"] > 0 or self.numbers["above_control_high"] < 0
        return bool(abs(self.numbers["effect"]) > largest and sure)


def check_draws(n_draws: int) -> None:
    """Refuse too few draws.

    Raises:
        InputError: fewer than `FEWEST_DRAWS`.
    """
    if n_draws < FEWEST_DRAWS:
        raise InputError(
            f"{n_draws} draws. Expected at least {FEWEST_DRAWS}: with fewer, an effect outside all of them is no "
            "evidence."
        )


def compare(
    change: Float[np.ndarray, " document"], draws: Float[np.ndarray, "draw document"], *, seed: int
) -> Compared | None:
    """Set a change beside those of the draws, on the documents in which it is known.

    Returns:
        The comparison; None where fewer than two documents have a value.
    """
    there = np.isfinite(change) & np.isfinite(draws).any(0)
    if there.sum() < 2:
        return None
    change, draws = change[there], draws[:, there]
    # Whether a document has a value may depend on the edit; each draw is read where it has one.
    means = np.array([row[np.isfinite(row)].mean() if np.isfinite(row).any() else np.nan for row in draws])
    means = means[np.isfinite(means)]
    known = np.isfinite(draws)
    above = change - np.where(known, draws, 0.0).sum(0) / known.sum(0)
    effect = float(change.mean())
    (low, high), (above_low, above_high) = (bootstrap_interval(values, seed=seed) for values in (change, above))
    values = (effect, low, high, means.mean(), means.min(), means.max(), above.mean(), above_low, above_high)
    p = float((1 + (np.abs(means) >= abs(effect)).sum()) / (1 + len(means)))
    return Compared(dict(zip(NAMES, map(float, values), strict=True)), p, int(there.sum()))
