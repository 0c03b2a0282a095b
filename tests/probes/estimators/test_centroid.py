import numpy as np
import pytest
from sklearn.neighbors import NearestCentroid

from probes.estimators import NearestCentroidProbe


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_equals_scikit_learn(n_classes):
    rng = np.random.default_rng(0)
    y = rng.integers(n_classes, size=400)
    X = rng.normal(size=(400, 6)) + rng.normal(size=(n_classes, 6))[y] + 10
    ours, theirs = NearestCentroidProbe().fit(X, y), NearestCentroid().fit(X, y)
    assert (ours.predict(X) == theirs.predict(X)).all()
    assert 1 / n_classes < ours.score(X, y) < 1
    distances = ((X[:, None] - theirs.centroids_) ** 2).sum(2)
    decision = ours.decision_function(X)
    if n_classes == 2:
        np.testing.assert_allclose(decision, (distances[:, 0] - distances[:, 1]) / 2, atol=1e-8)
    else:
        expected = (distances[:, :1] - distances[:, 1:]) / 2
        np.testing.assert_allclose(decision[:, 1:] - decision[:, :1], expected, atol=1e-8)


def test_by_hand():
    """Centroids (0, 0), (4, 0) and (2, 6), whose mean is (2, 2)."""
    X = np.array([[-1.0, 0.0], [1.0, 0.0], [4.0, 1.0], [4.0, -1.0], [2.0, 5.0], [2.0, 7.0]])
    fitted = NearestCentroidProbe().fit(X, np.array(["a", "a", "b", "b", "c", "c"]))
    np.testing.assert_allclose(fitted.coef_, [[-2, -2], [2, -2], [0, 4]])
    np.testing.assert_allclose(fitted.direction("c"), [0, 1])
    np.testing.assert_allclose(fitted.decision_function(np.array([[2.0, 2.0]])), [[-4, -4, -8]])
