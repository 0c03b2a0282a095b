import numpy as np
import pytest

from interp.statistics import bootstrap_interval, sign_flip_p


def test_the_smallest_p_value_of_three_agreeing_prompts_is_a_quarter():
    # All 8 flips: only the identity and its mirror image reach the observed mean.
    assert sign_flip_p(np.array([[1.0], [2.0], [3.0]]))[0] == pytest.approx(2 / 8)


def test_a_planted_effect_is_found_among_noise_and_a_cell_without_effect_has_p_one():
    values = np.random.default_rng(0).normal(size=(16, 5, 8))
    values[:, 2, 3] += 3
    values[:, 0, 0] = 0
    p = sign_flip_p(values)
    assert p[2, 3] < 0.01
    assert p[0, 0] == 1.0
    assert np.argwhere(p < 0.05).tolist() == [[2, 3]]


def test_under_the_null_any_cell_is_significant_in_about_one_sweep_of_twenty():
    rng = np.random.default_rng(1)
    hits = [(sign_flip_p(rng.normal(size=(10, 40))) < 0.05).any() for _ in range(200)]
    # 99.9 % band of a binomial with p = 0.05 over 200 runs.
    assert np.mean(hits) < 0.11


def test_a_missing_prompt_counts_neither_for_nor_against():
    whole = np.array([[1.0], [2.0], [1.5], [2.5]])
    with_hole = np.vstack([whole, [[np.nan]]])
    assert sign_flip_p(with_hole)[0] == pytest.approx(sign_flip_p(whole)[0])


def test_a_cell_that_fewer_prompts_have_is_measured_by_its_own_prompts():
    # All four prompts of the second cell agree, which only flips that keep these four together can match: 4 of 32.
    values = np.array([[1.0, 1.0], [-1.0, 1.0], [1.0, 1.0], [-1.0, 1.0], [0.3, np.nan]])
    assert sign_flip_p(values)[1] == pytest.approx(4 / 32)


def test_the_bootstrap_interval_of_a_known_sample():
    values = np.arange(20.0)[:, None]
    low, high = bootstrap_interval(values)
    # The standard error is 5.766 / sqrt(20) = 1.289, so the normal interval is 9.5 -+ 2.53.
    assert low[0] == pytest.approx(9.5 - 2.53, abs=0.25)
    assert high[0] == pytest.approx(9.5 + 2.53, abs=0.25)
