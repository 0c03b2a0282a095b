"""The census's numbers on arrays small enough to work out by hand, and the golden values of the literature."""

import numpy as np
import pytest
import torch

from interp.attention.sinks import matrix_entropy, secondary_sinks, sink_share
from interp.attention.sinks.measures import entropies_around_first


def test_the_indicator_is_taken_before_the_mean_over_sequences() -> None:
    alpha = np.array([[[0.9, 0.1]], [[0.1, 0.1]]])  # mean of the first head: 0.5
    np.testing.assert_allclose(sink_share(alpha, 0.3), [[0.5], [0.0]])
    assert sink_share(alpha, 0.3).mean() == 0.25
    assert sink_share(alpha, 0.9).max() == 0, "a head at the threshold is not above it"


def test_matrix_entropy_of_gaussian_rows_and_of_one_huge_row() -> None:
    rows = torch.from_numpy(np.random.default_rng(0).standard_normal((64, 256)))
    assert matrix_entropy(rows) == pytest.approx(4.02874, abs=1e-5)
    rows[0] *= 100
    assert matrix_entropy(rows) == pytest.approx(0.06113, abs=1e-5)
    assert matrix_entropy(rows[1:]) == pytest.approx(4.01512, abs=1e-5)


@pytest.mark.parametrize("shape", [(64, 256), (40, 8), (8, 8)])
def test_entropies_with_and_without_the_first_row_are_shares_of_the_largest(shape: tuple[int, int]) -> None:
    rows = torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rows[0] *= 50
    whole, rest = entropies_around_first(rows)
    assert whole == pytest.approx(matrix_entropy(rows) / np.log(min(shape)), abs=1e-9)
    assert rest == pytest.approx(matrix_entropy(rows[1:]) / np.log(min(shape[0] - 1, shape[1])), abs=1e-7)
    assert whole < 0.2 < 0.7 < rest


def test_equal_directions_give_entropy_one_and_a_line_gives_zero() -> None:
    assert entropies_around_first(torch.eye(6)) == (pytest.approx(1.0), pytest.approx(1.0))
    assert matrix_entropy(torch.ones(5, 3)) == pytest.approx(0.0, abs=1e-9)


def test_lives_of_tokens_like_the_first() -> None:
    like = np.zeros((2, 4, 5))
    like[0, 1:3, 2] = 1  # from boundary 1, two long
    like[0, [0, 3], 3] = 1  # two runs of one: the earlier counts
    like[1, :, 4] = 1  # all four
    counts = secondary_sinks(like)
    assert counts.shape == (2, 4, 4)
    assert counts[0, 1, 1] == counts[0, 0, 0] == counts[1, 0, 3] == 1
    assert counts.sum() == 3
