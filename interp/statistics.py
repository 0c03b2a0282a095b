"""Intervals and p-values over prompts, by resampling; nothing here assumes a normal distribution."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

N_RESAMPLES = 2000
N_FLIPS = 4096
CELLS_AT_ONCE = 256
"""Cells resampled at once: bounds the memory, whatever the size of the grid."""
_DRAWN_AT_ONCE = 100


@dataclass(frozen=True)
class SignFlips:
    """Two-sided p-values that each cell's mean over prompts is 0, each of the shape of one prompt."""

    p: Float[np.ndarray, "..."]
    """Of each cell by itself: with many cells, some are small by chance."""
    p_corrected: Float[np.ndarray, "..."]
    """Corrected over all cells (max-T): the chance that any cell at all reaches this under the null is below it."""
    q_fdr: Float[np.ndarray, "..."]
    """Benjamini-Hochberg: among the cells with a q up to 0.05, no more than 5 % are expected to be false."""


def bootstrap_interval(
    values: Float[np.ndarray, "prompt ..."], *, seed: int = 0, confidence: float = 0.95
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """Percentile bootstrap interval of the mean over prompts.

    The numbers of `scipy.stats.bootstrap`, which copies every resample; here a resample is a row of counts, so that
    all means are one matrix product and a grid of thousands of cells fits into memory.

    Args:
        values: At least two prompts on the first axis.
        seed: Decides the resamples.
        confidence: Share of resampled means inside the interval.

    Returns:
        Lower and upper end, each of the shape of one prompt.
    """
    n, rng, tail = len(values), np.random.default_rng(seed), 50 * (1 - confidence)
    drawn = [rng.integers(0, n, (_DRAWN_AT_ONCE, n)) for _ in range(N_RESAMPLES // _DRAWN_AT_ONCE)]
    counts = np.stack([np.bincount(row, minlength=n) for row in np.concatenate(drawn)]) / n
    cells = values.reshape(n, -1).astype(np.float64)
    parts = [np.percentile(counts @ cells[:, part], [tail, 100 - tail], axis=0) for part in _parts(cells.shape[1])]
    low, high = np.concatenate(parts, axis=1)
    return low.reshape(values.shape[1:]), high.reshape(values.shape[1:])


def sign_flips(values: Float[np.ndarray, "prompt ..."], *, seed: int = 0) -> SignFlips:
    """Test for every cell that its mean over prompts is 0, by flipping the signs of prompts.

    Each prompt's signs are flipped as one, which keeps the dependence between cells. All flips are tried where there
    are few, random ones otherwise. With n prompts no p-value can fall below 2 / 2**n, nor below 1 / 4096: few prompts
    cannot show much. The null is that a prompt's values are as likely as the same values with all signs turned.

    A cell that is 0 for every prompt has p = p_corrected = q_fdr = 1 and is not counted among the hypotheses: nothing
    was measured there (the patch equals what it replaces, or the metric cannot see it), and counting such cells would
    make the other cells' q-values depend on how many columns were added to the grid in vain. Leaving them out keeps
    the error rates, because which cells are 0 throughout depends on magnitudes alone, which flips leave as they are.

    Args:
        values: At least two prompts on the first axis, then cells; NaN where a prompt has no such cell.
        seed: Decides the random flips.

    Source: Westfall & Young 1993, Resampling-Based Multiple Testing, ch. 4; Benjamini & Hochberg 1995; for leaving
    cells out by magnitude, Bourgon, Gentleman & Huber 2010 (doi:10.1073/pnas.0914005107).
    """
    shape, cells = values.shape[1:], values.reshape(len(values), -1).astype(np.float64)
    varies = (np.nan_to_num(cells) != 0).any(0)
    p, p_corrected, q = np.ones((3, cells.shape[1]))
    if varies.any():
        p[varies], p_corrected[varies] = _by_flips(cells[:, varies], _signs(len(cells), seed))
        q[varies] = stats.false_discovery_control(p[varies])
    return SignFlips(p.reshape(shape), p_corrected.reshape(shape), q.reshape(shape))


def _by_flips(
    cells: Float[np.ndarray, "prompt cell"], signs: Float[np.ndarray, "flip prompt"]
) -> tuple[Float[np.ndarray, " cell"], Float[np.ndarray, " cell"]]:
    """Uncorrected and corrected p-values; every cell has a value that is not 0."""
    present = np.isfinite(cells)
    cells = np.where(present, cells, 0.0)
    # Square of the sum over (count times sum of squares): grows with |t|, and stays finite where all prompts agree.
    scale = present.sum(0) * (cells**2).sum(0)
    # A relative tolerance: the identity flip must count as reaching the observed value.
    observed = cells.sum(0) ** 2 / scale * (1 - 1e-9)
    p, largest = np.empty(len(observed)), np.zeros(len(signs))
    for part in _parts(len(observed)):
        flipped = (signs @ cells[:, part]) ** 2 / scale[part]
        p[part] = (flipped >= observed[part]).mean(0)
        np.maximum(largest, flipped.max(1), out=largest)
    largest.sort()
    return p, 1 - np.searchsorted(largest, observed) / len(largest)


def _parts(n_cells: int) -> Iterator[slice]:
    for start in range(0, n_cells, CELLS_AT_ONCE):
        yield slice(start, start + CELLS_AT_ONCE)


def _signs(n: int, seed: int) -> Float[np.ndarray, "flip prompt"]:
    if 2**n <= N_FLIPS:
        bits = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
        return 1.0 - 2.0 * bits
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(N_FLIPS, n))
    signs[0] = 1.0
    return signs
