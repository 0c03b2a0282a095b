"""What any way of sweeping gives, before it is labelled."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True)
class SweepNumbers:
    """Metric values; NaN where a prompt has no such column, or where a control was not asked for."""

    clean: Float[np.ndarray, " prompt"]
    corrupted: Float[np.ndarray, " prompt"]
    patched: Float[np.ndarray, "prompt layer column"]
    placebo: Float[np.ndarray, "prompt layer column"]
    unpatched: Float[np.ndarray, "prompt column"]
    states: Int[np.ndarray, "prompt layer column"] | None = None
    """`CellState` of each cell; None where every cell was run."""
    rows_per_pass: int | None = None
    """Rows that the engine pushed through the layers together; None by hooks."""
