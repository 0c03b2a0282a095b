import numpy as np
import pytest

from interp.attention import repeated_tokens
from interp.errors import InputError

POOL = np.arange(10, 40)


@pytest.mark.parametrize(("bos", "start"), [(7, 1), (None, 0)])
def test_each_token_comes_twice_one_period_apart(bos, start):
    drawn = repeated_tokens(POOL, bos=bos, n_sequences=4, period=6)
    tokens = drawn.batch.tokens
    assert drawn.start == start
    assert tokens.shape == (4, start + 12)
    assert (tokens[:, :start] == (bos or 0)).all()
    first, second = tokens[:, start : start + 6], tokens[:, start + 6 :]
    assert (first == second).all()
    assert all(len(set(row)) == 6 for row in first.tolist())
    assert np.isin(first, POOL).all()
    assert drawn.batch.mask.all()


def test_the_unrepeated_twin_shares_the_first_half_and_repeats_nothing():
    drawn = repeated_tokens(POOL, bos=7, n_sequences=4, period=6)
    assert (drawn.unrepeated.tokens[:, :7] == drawn.batch.tokens[:, :7]).all()
    assert all(len(set(row)) == 13 for row in drawn.unrepeated.tokens.tolist())


def test_the_seed_decides():
    draws = [repeated_tokens(POOL, bos=7, n_sequences=2, period=6, seed=seed).batch.tokens for seed in (0, 0, 1)]
    assert (draws[0] == draws[1]).all()
    assert (draws[0] != draws[2]).any()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"period": 2}, "cannot tell the detectors apart"),
        ({"period": 16}, "period of 15 or less"),
        ({"n_sequences": 1}, "gives no interval"),
    ],
)
def test_refusals(settings, words):
    with pytest.raises(InputError, match=words):
        repeated_tokens(POOL, bos=7, **({"n_sequences": 2, "period": 6} | settings))
