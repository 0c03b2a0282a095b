"""Significance against random weights: worked by hand, and the errors of simulated null models counted."""

import numpy as np
import pytest

from interp.attention.significance import (
    LEAST,
    LEVEL,
    Measured,
    against_random,
    beside_random,
    smallest_p,
    smallest_q,
)

BY_HAND = np.array([[0.0, 2.0], [0.0, 4.0], [1.0, 1.0]])[:, None, None, :]
"""Three random models of one layer and two heads, and one detector.

Each measured against the other two: 0 and 2 against 0, 4, 1, 1 (mean 3/2, spread 3/2) gives -1 and 1/3; 0 and 4 against
0, 2, 1, 1 (mean 1, spread sqrt(1/2)) gives -sqrt(2) and 3 sqrt(2); 1 and 1 against 0, 2, 0, 4 (mean 3/2, spread
sqrt(11)/2) gives -1/sqrt(11). All six: mean 4/3, spread sqrt(17)/3.
"""


def at(*distances: float) -> np.ndarray:
    """Scores so many spreads from the mean of all six heads."""
    return (4 / 3 + np.sqrt(17) / 3 * np.array(distances)).reshape(1, 1, -1)


@pytest.mark.parametrize(
    ("distances", "p", "q"),
    [
        # Further than all three models; reached by the 3 sqrt(2) of one. By itself 1/7 and 2/7, times 2/1 and 2/2.
        ((4.3, 1.2), (1 / 4, 2 / 4), (2 / 7, 2 / 7)),
        # Reached by 1/3 and 3 sqrt(2); by all. By itself 3/7 and 5/7, times 2/1 and 2/2, the smaller for both.
        ((0.3, -0.9), (3 / 4, 4 / 4), (5 / 7, 5 / 7)),
    ],
)
def test_p_and_q_by_hand(distances, p, q):
    against = against_random(at(*distances), BY_HAND)
    np.testing.assert_allclose(against.p_corrected, [[p]])
    np.testing.assert_allclose(against.q_fdr, [[q]])


def test_threshold_by_hand():
    against = against_random(at(0.0, 0.0), BY_HAND)
    np.testing.assert_allclose(against.threshold, at(3 * np.sqrt(2))[0, 0])
    np.testing.assert_allclose(against.found_above, against.threshold)  # further above 4/3 than a tenth
    np.testing.assert_allclose(against_random(at(0.0, 0.0), BY_HAND, least=9.0).found_above, [4 / 3 + 9])


def test_the_threshold_is_where_p_becomes_small():
    controls = np.random.default_rng(0).normal(size=(59, 3, 2, 4))
    threshold = against_random(controls[0], controls).threshold[:, None, None] + np.zeros((3, 2, 4))
    for sign, small in ((1, True), (-1, False)):
        assert ((against_random(threshold + sign * 1e-6, controls).p_corrected <= LEVEL) == small).all()


def test_a_tie_counts_against_the_head():
    against = against_random(np.full((1, 1, 2), 0.5), np.full((3, 1, 1, 2), 0.5))
    assert against.p_corrected.tolist() == against.q_fdr.tolist() == [[[1.0, 1.0]]]


def test_a_detector_without_spread_gives_none_away():
    """Heads that all attend evenly: what is above them by a thousandth stands out from nothing, and is not found."""
    controls = np.full((20, 1, 2, 3), 0.2) + np.random.default_rng(0).normal(0, 1e-9, (20, 1, 2, 3))
    against = against_random(np.full((1, 2, 3), 0.201), controls)
    assert against.found_above == pytest.approx([0.2 + LEAST])
    assert not against.found(np.full((1, 2, 3), 0.201)).any()
    # No more than a twentieth of `least` is taken for a spread, however alike the control heads are.
    assert against.threshold == pytest.approx([0.2], abs=1e-6)


def test_detectors_of_any_scale_are_one_family():
    rng = np.random.default_rng(1)
    controls, scores = rng.normal(size=(20, 3, 2, 4)), rng.normal(1.5, 1, (3, 2, 4))
    scale, shift = np.array([1.0, 100.0, 0.5])[:, None, None], np.array([0.0, -7.0, 3.0])[:, None, None]
    plain = against_random(scores, controls, least=0.0)
    moved = against_random(scores * scale + shift, controls * scale + shift, least=0.0)
    np.testing.assert_allclose(moved.p_corrected, plain.p_corrected)
    np.testing.assert_allclose(moved.q_fdr, plain.q_fdr)
    assert len(np.unique(plain.p_corrected)) > 3


def test_more_detectors_make_every_p_larger_or_leave_it():
    rng = np.random.default_rng(2)
    controls, scores = rng.normal(size=(40, 6, 2, 3)), rng.normal(1, 1, (6, 2, 3))
    alone, all_six = against_random(scores[:1], controls[:, :1]), against_random(scores, controls)
    assert (alone.p_corrected <= all_six.p_corrected[:1]).all()
    assert (alone.p_corrected < all_six.p_corrected[:1]).any()


def test_a_lone_head_needs_nineteen_random_models_for_p_and_twenty_for_q():
    rng = np.random.default_rng(0)
    scores = np.full((1, 3, 4), -1.0)
    scores[0, 1, 2] = 30.0
    for n_models, by_p, by_q in ((18, False, False), (19, True, False), (20, True, True)):
        against = against_random(scores, rng.random((n_models, 1, 3, 4)))
        p, q = against.p_corrected[0, 1, 2], against.q_fdr[0, 1, 2]
        assert (p, q) == (pytest.approx(smallest_p(n_models)), pytest.approx(smallest_q(n_models, 12)))
        assert ((p <= LEVEL), (q <= LEVEL)) == (by_p, by_q)


def test_found_asks_for_p_distance_and_every_other_control():
    controls = np.linspace(0, 0.2, 80).reshape(20, 1, 1, 4)
    scores = np.array([0.9, 0.9, 0.9, 0.1])[None, None]
    against = against_random(scores, controls)
    low, other = np.array([0.8, 0.19, 0.8, 0.8])[None, None], np.array([0.1, 0.1, 0.85, 0.1])[None, None]
    # By one head each: all hold; the interval is too wide; the other control is larger; the score is like the null's.
    assert against.found(low, other).tolist() == [[[True, False, False, False]]]
    assert against.found(low).tolist() == [[[True, False, True, False]]]


def test_only_the_detectors_that_are_asked_must_beat_the_other_control():
    controls, high = np.random.default_rng(3).random((20, 2, 1, 2)) / 10, np.full((2, 1, 2), 0.9)
    measured = Measured(high, high - 0.05, high + 0.05, other=np.broadcast_to([0.9, 0.0], (2, 1, 2)))
    variables = beside_random(measured, controls, beats=np.array([False, True]))
    assert variables["found"][1].tolist() == [[[True, True]], [[False, True]]]
    np.testing.assert_array_equal(variables["control"][1], controls.mean(0))


def normal(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(0.2, 0.05, (21, 5, 4, 6))


def heavy_tails(rng: np.random.Generator) -> np.ndarray:
    """Detectors of other scales and tails: copying is near normal, attention to one place is not."""
    return np.stack([rng.normal(0, 1, (21, 4, 6)), rng.lognormal(0, 1, (21, 4, 6)), rng.standard_t(3, (21, 4, 6))], 1)


def heads_alike(rng: np.random.Generator) -> np.ndarray:
    """Heads of one model share its embedding: what one does by chance, the others do, too."""
    return rng.normal(size=(21, 3, 1, 1)) + 0.3 * rng.normal(size=(21, 3, 2, 4))


def one_head(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(21, 4, 1, 1))


@pytest.mark.parametrize("draw", [normal, heavy_tails, heads_alike, one_head])
def test_any_head_of_a_random_model_passes_in_one_model_of_twenty(draw):
    """The family-wise error over all heads and detectors: at most 0.05, give or take three errors of 1500 trials."""
    rng, passed, trials = np.random.default_rng(0), 0, 1500
    for _ in range(trials):
        drawn = draw(rng)
        passed += bool((against_random(drawn[0], drawn[1:]).p_corrected <= LEVEL).any())
    assert 0.02 * trials < passed < (LEVEL + 3 * np.sqrt(LEVEL * (1 - LEVEL) / trials)) * trials


def test_true_heads_do_not_let_false_ones_pass():
    """Beside heads that do stand out, by one detector, the error over all the others stays."""
    rng, passed, trials = np.random.default_rng(1), 0, 1500
    for _ in range(trials):
        drawn = heavy_tails(rng)
        drawn[0, 0, 0] += 1e4
        p = against_random(drawn[0], drawn[1:]).p_corrected
        assert (p[0, 0] <= LEVEL).all()
        p[0, 0] = 1.0
        passed += bool((p <= LEVEL).any())
    assert passed < (LEVEL + 3 * np.sqrt(LEVEL * (1 - LEVEL) / trials)) * trials


def test_what_barely_differs_is_next_to_never_found():
    """Random models whose heads differ by a twentieth are, one in twenty, above the others, but not by a tenth."""
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(1000):
        drawn = rng.normal(0.2, 0.02, (21, 5, 4, 6))
        found += bool(against_random(drawn[0], drawn[1:]).found(drawn[0]).any())
    assert found == 0
