import numpy as np

from interp.attention.significance import corrected_p, critical_values


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
