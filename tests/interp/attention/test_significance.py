import numpy as np
import pytest

from interp.attention.significance import (
    against_random,
    corrected_p,
    critical_values,
    found_above,
    pooled_p,
    q_values,
    smallest_q,
)


def test_corrected_p_by_hand():
    # Three random models of one layer and two heads; their best heads score 0.3, 0.5 and 0.2.
    controls = np.array([[0.3, 0.1], [0.4, 0.5], [0.2, 0.2]])[:, None, None, :]
    scores = np.array([0.6, 0.25])[None, None]
    # 0.6 is above all three: (1 + 0) / 4. 0.25 is reached by two: (1 + 2) / 4.
    np.testing.assert_allclose(corrected_p(scores, controls), [[[0.25, 0.75]]])
    np.testing.assert_allclose(critical_values(controls), [0.5])


def test_a_tie_counts_against_the_head():
    controls = np.full((3, 1, 1, 2), 0.5)
    assert corrected_p(np.full((1, 1, 2), 0.5), controls).tolist() == [[[1.0, 1.0]]]


def test_random_models_rarely_pass_their_own_null():
    """The chance that any of 24 heads of a random model has p <= 0.05 is at most 0.05."""
    rng = np.random.default_rng(0)
    passed = 0
    for _ in range(1000):
        drawn = rng.random((20, 1, 4, 6))
        passed += bool((corrected_p(drawn[0], drawn[1:]) <= 0.05).any())
    assert 25 <= passed <= 75


def test_detectors_are_corrected_each_by_itself():
    controls = np.stack([np.full((2, 1, 3), 0.1), np.full((2, 1, 3), 0.9)], axis=1).reshape(2, 2, 1, 3)
    assert critical_values(controls).tolist() == [0.1, 0.9]
    assert (corrected_p(np.full((2, 1, 3), 0.5), controls)[:, 0, 0] == [1 / 3, 1]).all()


def test_pooled_p_and_q_by_hand():
    # Four control heads: 0.1, 0.2, 0.3, 0.4. Above all of them: 1/5. Three reach 0.2: 4/5. All reach 0: 1.
    controls = np.array([[0.1, 0.4], [0.3, 0.2]])[None, None]
    scores = np.array([[0.5, 0.2], [0.0, 0.45]])[None]
    np.testing.assert_allclose(pooled_p(scores, controls), [[[0.2, 0.8], [1.0, 0.2]]])
    # Benjamini-Hochberg over four heads: the second smallest p is 0.2, times 4 / 2; the third 0.8, times 4 / 3.
    np.testing.assert_allclose(q_values(scores, controls), [[[0.4, 1.0], [1.0, 0.4]]])


def test_a_lone_head_needs_twenty_random_models():
    rng = np.random.default_rng(0)
    scores = np.full((1, 3, 4), -1.0)
    scores[0, 1, 2] = 2.0
    for n_models, passes in ((19, False), (20, True)):
        q = q_values(scores, rng.random((n_models, 1, 3, 4)))[0, 1, 2]
        assert q == pytest.approx(smallest_q(n_models, 12))
        assert (q <= 0.05) == passes


def test_detectors_have_their_own_null():
    controls = np.stack([np.full((20, 1, 3), 0.1), np.full((20, 1, 3), 0.9)], axis=1)
    scores = np.full((2, 1, 3), 0.5)
    np.testing.assert_allclose(pooled_p(scores, controls)[:, 0, 0], [1 / 61, 1])
    np.testing.assert_allclose(q_values(scores, controls)[:, 0, 0], [1 / 61, 1])


def test_a_head_is_found_from_twice_the_distance_of_the_largest_control_head():
    controls = np.array([[0.1, 0.2], [0.3, 0.6]])[:, None, None, :]  # mean 0.3, largest 0.6
    np.testing.assert_allclose(found_above(controls), [0.9])
    even = np.full((5, 1, 2, 3), 0.2)  # no distance at all, so a tenth
    np.testing.assert_allclose(found_above(even), [0.3])
    np.testing.assert_allclose(found_above(even, least=0.0), [0.2])


def test_found_asks_for_q_distance_and_every_other_control():
    controls = np.linspace(0, 0.2, 80).reshape(20, 1, 1, 4)
    scores = np.array([0.9, 0.9, 0.9, 0.1])[None, None]
    against = against_random(scores, controls)
    low, other = np.array([0.8, 0.25, 0.8, 0.8])[None, None], np.array([0.1, 0.1, 0.85, 0.1])[None, None]
    # By one head each: all hold; the interval is too wide; the other control is larger; the score is like the null's.
    assert against.found(low, other).tolist() == [[[True, False, False, False]]]
    assert against.found(low).tolist() == [[[True, False, True, False]]]


def test_random_models_keep_the_false_discovery_rate():
    """With no true head, any head of a model is below q 0.05 in about 5 % of models, and found in next to none."""
    rng = np.random.default_rng(0)
    passed = found = 0
    for _ in range(1000):
        drawn = rng.normal(0.2, 0.05, (21, 1, 4, 6))
        against = against_random(drawn[0], drawn[1:])
        passed += bool((against.q_fdr <= 0.05).any())
        found += bool(against.found(drawn[0]).any())
    assert 25 <= passed <= 75
    assert found == 0
