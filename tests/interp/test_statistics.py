import numpy as np
import pytest
from scipy import stats

from interp import statistics
from interp.statistics import bootstrap_interval, sign_flips


def test_the_smallest_p_value_of_three_agreeing_prompts_is_a_quarter():
    # All 8 flips: only the identity and its mirror image reach the observed mean.
    found = sign_flips(np.array([[1.0], [2.0], [3.0]]))
    assert found.p[0] == found.p_corrected[0] == found.q_fdr[0] == pytest.approx(2 / 8)


def test_two_cells_worked_out_by_hand():
    # |sums| over the 8 flips: cell 0 (1, 2, 3) has 6, 4, 2, 0 twice each; cell 1 (2, -1, 2) has 3, 5, 1, 1 twice each.
    found = sign_flips(np.array([[1.0, 2.0], [2.0, -1.0], [3.0, 2.0]]))
    np.testing.assert_allclose(found.p, [2 / 8, 4 / 8])
    # Squared over 3 times the sum of squares: 36/42 is matched by 36/42 and by 25/27 of cell 1's (1, -1, 1) flip;
    # 9/27 is reached by all but the flips (1, 1, -1) and its mirror, where both are 0 and 1/27.
    np.testing.assert_allclose(found.p_corrected, [4 / 8, 6 / 8])
    np.testing.assert_allclose(found.q_fdr, [4 / 8, 4 / 8])


def test_a_planted_effect_is_found_among_noise_and_a_cell_without_effect_has_p_one():
    values = np.random.default_rng(0).normal(size=(16, 5, 8))
    values[:, 2, 3] += 3
    values[:, 0, 0] = 0
    found = sign_flips(values)
    for p in (found.p_corrected, found.q_fdr):
        assert p[2, 3] < 0.02
        assert p[0, 0] == 1.0
        assert np.argwhere(p < 0.05).tolist() == [[2, 3]]
    assert (found.p <= found.p_corrected).all()
    assert (found.p <= found.q_fdr).all()


def test_cells_that_are_zero_for_every_prompt_are_no_hypotheses():
    values = np.random.default_rng(0).normal(size=(10, 20)) + 0.8
    with_zeros = np.concatenate([values, np.zeros((10, 500))], axis=1)
    alone, together = sign_flips(values), sign_flips(with_zeros)
    assert alone.q_fdr.min() < 0.05, "there must be something to lose"
    for name in ("p", "p_corrected", "q_fdr"):
        np.testing.assert_array_equal(getattr(together, name)[:20], getattr(alone, name))
        assert (getattr(together, name)[20:] == 1).all()
    assert (sign_flips(np.zeros((4, 3))).q_fdr == 1).all()


def test_under_the_null_any_cell_is_significant_in_about_one_sweep_of_twenty():
    rng = np.random.default_rng(1)
    found = [sign_flips(rng.normal(size=(10, 40))) for _ in range(200)]
    # 99.9 % band of a binomial with p = 0.05 over 200 runs.
    assert np.mean([(one.p_corrected < 0.05).any() for one in found]) < 0.11
    assert np.mean([(one.q_fdr < 0.05).any() for one in found]) < 0.11
    assert np.mean([(one.p < 0.05).any() for one in found]) > 0.5, "uncorrected, the same cells mislead"


def test_a_missing_prompt_counts_neither_for_nor_against():
    whole = np.array([[1.0], [2.0], [1.5], [2.5]])
    with_hole = np.vstack([whole, [[np.nan]]])
    assert sign_flips(with_hole).p_corrected[0] == pytest.approx(sign_flips(whole).p_corrected[0])


def test_a_cell_that_fewer_prompts_have_is_measured_by_its_own_prompts():
    # All four prompts of the second cell agree, which only flips that keep these four together can match: 4 of 32.
    values = np.array([[1.0, 1.0], [-1.0, 1.0], [1.0, 1.0], [-1.0, 1.0], [0.3, np.nan]])
    assert sign_flips(values).p_corrected[1] == pytest.approx(4 / 32)


def test_random_flips_stand_for_all_of_them():
    values = np.random.default_rng(2).normal(size=(14, 6)) + 0.4
    by_normal = stats.ttest_1samp(values, 0).pvalue
    np.testing.assert_allclose(sign_flips(values).p, by_normal, atol=0.03)


def test_a_grid_in_parts_gives_the_numbers_of_the_whole(monkeypatch):
    values = np.random.default_rng(3).normal(size=(9, 7, 5)) + 0.5
    whole, ends = sign_flips(values), bootstrap_interval(values)
    monkeypatch.setattr(statistics, "CELLS_AT_ONCE", 8)
    parts = sign_flips(values)
    for name in ("p", "p_corrected", "q_fdr"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))
    np.testing.assert_allclose(bootstrap_interval(values), ends, rtol=0, atol=1e-12)


def test_the_bootstrap_interval_of_a_known_sample():
    values = np.arange(20.0)[:, None]
    low, high = bootstrap_interval(values)
    # The standard error is 5.766 / sqrt(20) = 1.289, so the normal interval is 9.5 -+ 2.53.
    assert low[0] == pytest.approx(9.5 - 2.53, abs=0.25)
    assert high[0] == pytest.approx(9.5 + 2.53, abs=0.25)


@pytest.mark.parametrize("confidence", [0.95, 0.8])
def test_the_bootstrap_interval_is_the_one_of_scipy(confidence):
    values = np.random.default_rng(4).normal(size=(11, 3, 4))
    theirs = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=statistics.N_RESAMPLES,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(5),
        batch=100,
    ).confidence_interval
    ours = bootstrap_interval(values, seed=5, confidence=confidence)
    np.testing.assert_allclose(ours, [theirs.low, theirs.high], rtol=0, atol=1e-12)
