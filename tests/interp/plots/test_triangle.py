import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from interp.plots.triangle import LARGEST_ERROR, decode, encode, is_causal

PATTERNS = st.tuples(st.integers(1, 3), st.integers(1, 7)).flatmap(
    lambda shape: hnp.arrays(np.float32, (shape[0], shape[1], shape[1]), elements=st.floats(0, 1, width=32))
)


@given(PATTERNS, st.booleans())
def test_what_is_shown_is_what_was_measured_within_the_stated_error(pattern: np.ndarray, causal: bool) -> None:
    kept = np.tril(pattern) if causal else pattern
    shown = decode(encode(kept, causal=causal), pattern.shape[-1], causal=causal)
    assert shown.shape == kept.shape
    assert np.abs(shown - kept).max() <= LARGEST_ERROR


def test_by_hand() -> None:
    pattern = np.array([[[1.0, 0.0], [0.25, 0.75]]], dtype=np.float32)
    assert encode(pattern, causal=True).tolist() == [[255, 128, 221]]
    assert encode(pattern, causal=False).tolist() == [[255, 0, 128, 221]]


def test_small_weights_are_not_shown_as_zero() -> None:
    assert decode(encode(np.full((1, 1, 1), 1e-4, np.float32), causal=True), 1, causal=True)[0, 0, 0] > 0


def test_causality_is_told_from_the_weights() -> None:
    assert is_causal(np.tril(np.ones((2, 3, 3), np.float32)))
    assert not is_causal(np.ones((2, 3, 3), np.float32))


def test_scores_before_the_softmax_are_refused() -> None:
    with pytest.raises(ValueError, match="not between 0 and 1"):
        encode(np.full((1, 2, 2), 1.5, np.float32), causal=False)
