"""Means over prompts with their intervals, as variables of a result."""

from typing import Any

import numpy as np
from jaxtyping import Float

from interp.statistics import bootstrap_interval


def means(
    name: str, dims: str | tuple[str, ...], values: Float[np.ndarray, "prompt ..."], *, seed: int
) -> dict[str, Any]:
    """Name the mean over prompts, and the two ends of its 95 % bootstrap interval, in each cell."""
    low, high = bootstrap_interval(values, seed=seed)
    return {name: (dims, values.mean(0)), f"{name}_low": (dims, low), f"{name}_high": (dims, high)}
