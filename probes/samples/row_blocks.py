"""Chosen rows of an array that may be larger than memory, block by block, with their means, deviations and Gram matrix.

One pass makes the sums. The products of a block are taken in the dtype of the data (float32 for float32 and float16)
and added up in float64, so that the rounding does not grow with the number of rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped

from interp.errors import InputError
from probes.samples.data import Rows

BLOCK_ROWS = 1024
"""Rows at a time: few enough that a block stays in the processor's cache between the two products of a pass."""
GRAM_ROWS, GRAM_ROWS_PER_COORDINATE = 1000, 20
"""Rows from which the Gram matrix is taken, at least and for each coordinate: it only steers the descent, so a sample
will do."""
_SHIFT_ROWS = 256

# Its length is left open: where lengths differ, our refusal is to say so, not the type checker.
Samples = Shaped[np.ndarray, "_ d_model"]


@dataclass(frozen=True)
class RowBlocks:
    """Rows of an array, shifted to about zero mean, and the sums over them.

    The shift keeps a coordinate whose mean is large beside its deviation (a massive activation) from rounding away.
    """

    X: Samples
    """In memory or memory-mapped; it is never copied whole unless it fits into `max_bytes`."""
    rows: Rows | None
    """Which rows, or None for all."""
    shift: Float[np.ndarray, " d_model"]
    """In the dtype of the computation."""
    mean: Float[np.ndarray, " d_model"]
    """Mean of the shifted rows."""
    scale: Float[np.ndarray, " d_model"]
    """Standard deviation; 1 where a coordinate is constant, as in scikit-learn's `StandardScaler`."""
    gram: Float[np.ndarray, "d_model d_model"]
    """Correlations, of a sample of the rows."""
    kept: Float[np.ndarray, "_ d_model"] | None
    """The shifted rows, where they fit into memory."""

    @classmethod
    def of(cls, X: Samples, rows: Rows | None = None, *, max_bytes: int = 2**30, seed: int = 0) -> "RowBlocks":
        """Read the rows once.

        Args:
            X: Activations, one row for each sample.
            rows: Which rows; by default all. Sorted rows are read fastest.
            max_bytes: Keep the shifted rows in memory where they take no more than this; else each pass reads anew.
            seed: Decides the rows that the Gram matrix is taken from.

        Raises:
            InputError: no numbers, fewer than two rows, or NaN or infinity.
        """
        if X.dtype.kind not in "fiu":
            raise InputError(f"The activations are of type {X.dtype}. Expected floating-point numbers.")
        n, width = len(X) if rows is None else len(rows), X.shape[1]
        if n < 2 or not width:
            raise InputError(f"{n} samples of width {width}. Expected at least two samples to fit to.")
        dtype = np.dtype(np.float32) if X.dtype in (np.float16, np.float32) else np.dtype(np.float64)
        rng = np.random.default_rng(seed)
        few = np.sort(rng.choice(n, min(n, _SHIFT_ROWS), replace=False))
        shift = X[few if rows is None else rows[few]].astype(np.float64).mean(0).astype(dtype)
        kept = np.empty((n, width), dtype) if n * width * dtype.itemsize <= max_bytes else None
        chosen = rng.random(n) < max(GRAM_ROWS, GRAM_ROWS_PER_COORDINATE * width) / n
        sums, squares, products = np.zeros(width), np.zeros(width), np.zeros((width, width))
        for part, block in _read(X, rows, shift):
            sums += block.sum(0, dtype=np.float64)
            squares += np.einsum("ij,ij->j", block, block)
            some = block[chosen[part]]
            products += some.T @ some
            if kept is not None:
                kept[part] = block
        if not (np.isfinite(sums).all() and np.isfinite(squares).all()):
            raise InputError("The activations hold NaN or infinity. Capture in a wider dtype, such as float32.")
        mean, scale = sums / n, _deviations(sums / n, squares / n, dtype)
        gram = (products / max(1, chosen.sum()) - np.outer(mean, mean)) / np.outer(scale, scale)
        return cls(X, rows, shift, mean, scale, gram, kept)

    def __len__(self) -> int:
        return len(self.X) if self.rows is None else len(self.rows)

    def __iter__(self) -> Iterator[tuple[slice, Float[np.ndarray, "_ d_model"]]]:
        """Go through the shifted rows, a block at a time, saying which."""
        if self.kept is None:
            yield from _read(self.X, self.rows, self.shift)
            return
        for part in blocks_of(len(self)):
            yield part, self.kept[part]

    @property
    def centre(self) -> Float[np.ndarray, " d_model"]:
        """Mean of the rows themselves."""
        return self.shift + self.mean


def blocks_of(n: int) -> Iterator[slice]:
    """Cut so many rows into blocks."""
    for start in range(0, n, BLOCK_ROWS):
        yield slice(start, min(n, start + BLOCK_ROWS))


def _read(
    X: Samples, rows: Rows | None, shift: Float[np.ndarray, " d_model"]
) -> Iterator[tuple[slice, Float[np.ndarray, "_ d_model"]]]:
    for part in blocks_of(len(X) if rows is None else len(rows)):
        block = np.asarray(X[part] if rows is None else X[rows[part]])
        yield part, np.subtract(block, shift, dtype=shift.dtype)


def _deviations(
    mean: Float[np.ndarray, " d_model"], square: Float[np.ndarray, " d_model"], dtype: np.dtype
) -> Float[np.ndarray, " d_model"]:
    variance = np.maximum(square - mean**2, 0)
    # After the shift a coordinate that varies has a mean near zero; a constant one is all mean, but for rounding.
    return np.where(variance > 10 * np.finfo(dtype).eps * square, np.sqrt(variance), 1.0)
