"""Sums over rows that are read block by block are those of the whole."""

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from interp.errors import InputError
from probes.samples.row_blocks import BLOCK_ROWS, RowBlocks

N, WIDTH = 2 * BLOCK_ROWS + 300, 7


def made(dtype: type = np.float64) -> np.ndarray:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, WIDTH)) @ rng.normal(size=(WIDTH, WIDTH)) + rng.normal(size=WIDTH)
    X[:, 2] = X[:, 2] * 30 + 1000  # a massive activation
    X[:, 4] = 3.1  # constant
    return X.astype(dtype)


@pytest.mark.parametrize("rows", [None, np.flatnonzero(np.arange(N) % 3)])
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-9), (np.float32, 1e-4)])
@pytest.mark.parametrize("max_bytes", [0, 2**20])
def test_sums_are_those_of_the_whole(rows, dtype, rtol, max_bytes):
    X = made(dtype)
    blocks = RowBlocks.of(X, rows, max_bytes=max_bytes)
    whole = X if rows is None else X[rows]
    scaler = StandardScaler().fit(whole.astype(np.float64))
    np.testing.assert_allclose(blocks.centre, scaler.mean_, rtol=rtol)
    np.testing.assert_allclose(blocks.scale, scaler.scale_, rtol=rtol)
    assert blocks.scale[4] == 1
    standard = (whole - scaler.mean_) / scaler.scale_
    np.testing.assert_allclose(blocks.gram, standard.T @ standard / len(whole), atol=0.1)
    assert (blocks.kept is None) == (max_bytes == 0)
    read = np.concatenate([block for _, block in blocks])
    assert read.dtype == dtype
    assert len(blocks) == len(whole)
    np.testing.assert_allclose(read + blocks.shift.astype(float), whole, rtol=1e-6, atol=1e-6)


def test_few_rows_give_the_correlations_exactly():
    X = made()[:100]
    blocks = RowBlocks.of(X)
    varying = [0, 1, 2, 3, 5, 6]
    np.testing.assert_allclose(
        blocks.gram[np.ix_(varying, varying)], np.corrcoef(X[:, varying], rowvar=False), atol=1e-9
    )


def test_half_precision_is_computed_in_single(tmp_path):
    X = made(np.float16)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    blocks = RowBlocks.of(mapped, max_bytes=0)
    assert next(iter(blocks))[1].dtype == np.float32
    np.testing.assert_allclose(blocks.centre, X.astype(float).mean(0), rtol=1e-4)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, N - 1])
def test_what_is_not_finite_is_refused(value, row):
    X = made()
    X[row, 1] = value
    with pytest.raises(InputError, match="NaN or infinity"):
        RowBlocks.of(X)


def test_refusals():
    with pytest.raises(InputError, match="type <U3"):
        RowBlocks.of(made().astype("U3"))
    with pytest.raises(InputError, match="1 samples of width 7"):
        RowBlocks.of(made(), np.array([4]))
