import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from interp.errors import InputError
from probes.estimators import MeanDifferenceProbe, NearestCentroidProbe
from probes.estimators.mean_difference import best_cut


def planted(n: int = 300, d: int = 10, *, share: float = 0.5):
    rng = np.random.default_rng(0)
    y = (rng.random(n) < share).astype(int)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + np.outer(y, 2 * rng.normal(size=d)) + 4, y


def test_by_hand():
    """Means (0, 1) and (4, 3): theta = (4, 2), midpoint (2, 2), so the cut is at 12.

    Within classes the first coordinate varies by 1 and the second by 4, without covariance: whitened, theta is
    (4, 1/2), and the cut at 9.
    """
    X = np.array([[1.0, 3.0], [1.0, -1.0], [-1.0, 3.0], [-1.0, -1.0], [5.0, 5.0], [5.0, 1.0], [3.0, 5.0], [3.0, 1.0]])
    y = np.array(["a"] * 4 + ["b"] * 4)
    plain, whitened = MeanDifferenceProbe().fit(X, y), MeanDifferenceProbe(whiten=True).fit(X, y)
    np.testing.assert_allclose(plain.coef_, [[4, 2]])
    np.testing.assert_allclose(plain.intercept_, [-12])
    np.testing.assert_allclose(whitened.coef_, [[4, 0.5]])
    np.testing.assert_allclose(whitened.intercept_, [-9])
    np.testing.assert_allclose(plain.direction_, np.array([2, 1]) / np.sqrt(5))
    assert plain.predict_proba(np.array([[2.0, 2.0], [2.0, 2.5]]))[:, 1] == pytest.approx([0.5, 1 / (1 + np.exp(-1))])


def test_whitened_is_linear_discriminant_analysis():
    X, y = planted()
    ours = MeanDifferenceProbe(whiten=True).fit(X, y)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", priors=[0.5, 0.5]).fit(X, y)
    assert ours.coef_[0] @ theirs.coef_[0] / np.linalg.norm(ours.coef_) / np.linalg.norm(theirs.coef_) > 0.999999
    assert (ours.predict(X) == theirs.predict(X)).all()
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)
    plain = MeanDifferenceProbe().fit(X, y)
    assert plain.direction_ @ ours.direction_ < 0.99, "classes must vary unevenly, or this proves nothing"


def test_plain_is_the_nearest_centroid():
    X, y = planted()
    ours, theirs = MeanDifferenceProbe().fit(X, y), NearestCentroidProbe().fit(X, y)
    np.testing.assert_allclose(ours.decision_function(X), theirs.decision_function(X), atol=1e-10)


def test_a_shift_of_all_activations_changes_nothing():
    X, y = planted()
    for whiten in (False, True):
        ours, shifted = MeanDifferenceProbe(whiten).fit(X, y), MeanDifferenceProbe(whiten).fit(X + 100, y)
        np.testing.assert_allclose(ours.decision_function(X), shifted.decision_function(X + 100), atol=1e-6)


def test_axes_of_less_variance_than_the_limit_are_left_out_of_whitening():
    X, y = planted()
    X = np.column_stack([X, 1e-3 * np.random.default_rng(1).normal(size=len(X)) + 5 * y])
    assert MeanDifferenceProbe(whiten=True).fit(X, y).direction_[-1] == pytest.approx(0, abs=1e-3)
    assert MeanDifferenceProbe(whiten=True, smallest_variance=1e-9).fit(X, y).direction_[-1] > 0.99
    with pytest.raises(InputError, match="Lower smallest_variance"):
        MeanDifferenceProbe(whiten=True).fit(X / 1e4, y)


def test_a_fitted_threshold_tells_more_apart_where_classes_spread_unevenly():
    rng = np.random.default_rng(0)
    y = np.arange(2000) % 2
    X = rng.normal(size=(2000, 4)) * np.where(y, 4.0, 0.5)[:, None] + 3 * y[:, None]
    middle, fitted = (MeanDifferenceProbe(threshold=how).fit(X, y) for how in ("midpoint", "fitted"))
    np.testing.assert_array_equal(middle.coef_, fitted.coef_)
    assert fitted.score(X, y) > middle.score(X, y) + 0.01


def test_the_best_cut_by_hand():
    heights = np.array([0.0, 1.0, 2.0, 2.0, 3.0, 9.0])
    second = np.array([False, False, True, False, True, True])
    assert best_cut(heights, second, near=0.0) == pytest.approx(1.5), "one mistake, as at 2.5, which is farther from 0"
    assert best_cut(heights, second, near=4.0) == pytest.approx(2.5)
    assert best_cut(-heights, second, near=0.0) in (-10, 1), "where the direction is of no use, all are one class"


def test_the_best_cut_is_that_of_a_plain_search():
    rng = np.random.default_rng(0)
    for _ in range(20):
        heights, second = rng.integers(8, size=15).astype(float), rng.random(15) < 0.5
        most = max(((heights > cut) == second).sum() for cut in np.arange(-0.5, 9))
        assert ((heights > best_cut(heights, second, near=3.0)) == second).sum() == most


def test_refusals():
    X, y = planted()
    with pytest.raises(InputError, match="a difference of means is of two"):
        MeanDifferenceProbe().fit(X, np.arange(len(y)) % 3)
    probe = MeanDifferenceProbe()
    probe.set_params(threshold="mean")
    with pytest.raises(InputError, match="Expected 'midpoint' or 'fitted'"):
        probe.fit(X, y)
