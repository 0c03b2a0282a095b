"""Intervals and p-values over prompts, by resampling; nothing here assumes a normal distribution."""

import numpy as np
from jaxtyping import Float
from scipy import stats

N_RESAMPLES = 2000
N_FLIPS = 4096


def bootstrap_interval(
    values: Float[np.ndarray, "prompt ..."], *, seed: int = 0, confidence: float = 0.95
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """Percentile bootstrap interval of the mean over prompts.

    Args:
        values: At least two prompts on the first axis.
        seed: Decides the resamples.
        confidence: Share of resampled means inside the interval.

    Returns:
        Lower and upper end, each of the shape of one prompt.
    """
    found = stats.bootstrap(
        (values,),
        np.mean,
        axis=0,
        n_resamples=N_RESAMPLES,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
        batch=100,
    )
    return np.asarray(found.confidence_interval.low), np.asarray(found.confidence_interval.high)


def sign_flip_p(values: Float[np.ndarray, "prompt ..."], *, seed: int = 0) -> Float[np.ndarray, "..."]:
    """Two-sided p-values that the mean over prompts is 0, corrected over all cells together (max-T).

    Each prompt's signs are flipped as one, which keeps the dependence between cells; the largest studentised mean
    over cells is the reference for every cell. All flips are tried where there are few, random ones otherwise. With n
    prompts no p-value can fall below 2 / 2**n: few prompts cannot show much.

    Args:
        values: At least two prompts on the first axis, then cells; NaN where a prompt has no such cell.
        seed: Decides the random flips.

    Returns:
        Corrected p-values, of the shape of one prompt.

    Source: Westfall & Young 1993, Resampling-Based Multiple Testing, ch. 4.
    """
    cells = values.reshape(len(values), -1)
    present = np.isfinite(cells)
    cells = np.where(present, cells, 0.0)
    # Square of the sum over (count times sum of squares): grows with |t|, and stays finite where all prompts agree.
    scale = present.sum(0) * (cells**2).sum(0)
    scale = np.where(scale > 0, scale, 1.0)
    observed = cells.sum(0) ** 2 / scale
    largest = ((_signs(len(cells), seed) @ cells) ** 2 / scale).max(1)
    # A relative tolerance: the identity flip must count as reaching the observed value.
    reached = largest[:, None] >= observed[None] * (1 - 1e-9)
    return reached.mean(0).reshape(values.shape[1:])


def _signs(n: int, seed: int) -> Float[np.ndarray, "flip prompt"]:
    if 2**n <= N_FLIPS:
        bits = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
        return 1.0 - 2.0 * bits
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(N_FLIPS, n))
    signs[0] = 1.0
    return signs
