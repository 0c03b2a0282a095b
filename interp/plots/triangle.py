"""Attention patterns as bytes: the square root of each weight in one byte, the lower triangle where causal.

The square root keeps small weights apart from zero: with linear bytes about half of all weights would show as 0.
"""

import numpy as np
from jaxtyping import Float, UInt8

LARGEST_ERROR = 1 / 255
"""Largest difference between a weight and what is shown, with a margin: half a step of the root, at weight 1."""
_TOLERANCE = 1e-3


def is_causal(pattern: Float[np.ndarray, "... pos pos"]) -> bool:
    """Tell whether no position attends to a later one."""
    return not np.triu(pattern, 1).any()


def encode(pattern: Float[np.ndarray, "head pos pos"], *, causal: bool) -> UInt8[np.ndarray, "head entry"]:
    """Quantise patterns, row after row; of causal ones only the entries at and below the diagonal.

    Raises:
        ValueError: a weight lies outside [0, 1] by more than rounding.
    """
    if pattern.size and (pattern.min() < -_TOLERANCE or pattern.max() > 1 + _TOLERANCE):
        raise ValueError(f"attention weights from {pattern.min():.4g} to {pattern.max():.4g} are not between 0 and 1")
    roots = np.rint(np.sqrt(pattern.clip(0, 1)) * 255).astype(np.uint8)
    n_pos = pattern.shape[-1]
    return roots[:, *np.tril_indices(n_pos)] if causal else roots.reshape(len(roots), n_pos * n_pos)


def decode(
    entries: UInt8[np.ndarray, "head entry"], n_pos: int, *, causal: bool
) -> Float[np.ndarray, "head n_pos n_pos"]:
    """Return the weights that a viewer shows for these bytes."""
    weights = (entries.astype(np.float32) / 255) ** 2
    if not causal:
        return weights.reshape(len(entries), n_pos, n_pos)
    pattern = np.zeros((len(entries), n_pos, n_pos), dtype=np.float32)
    pattern[:, *np.tril_indices(n_pos)] = weights
    return pattern
