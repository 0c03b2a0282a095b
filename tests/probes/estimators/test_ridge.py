import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from interp.errors import InputError
from probes.estimators import RidgeProbe


def planted():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 12)) * np.exp(rng.normal(size=12)) + 5
    return X, X @ rng.normal(size=12) + rng.normal(size=200) - 30


@pytest.mark.parametrize("alpha", [0.0, 0.1, 10.0, 1000.0])
def test_equals_scikit_learn_on_standardised_activations(alpha):
    X, y = planted()
    ours, theirs = RidgeProbe(alpha).fit(X, y), make_pipeline(StandardScaler(), Ridge(alpha=alpha)).fit(X, y)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), atol=1e-8)
    assert ours.score(X, y) == pytest.approx(theirs.score(X, y), abs=1e-12)
    np.testing.assert_allclose(X @ ours.coef_ + ours.intercept_, theirs.predict(X), atol=1e-8)


def test_by_hand():
    """Standardised x is -1, 0, 1 times sqrt(3/2), of sum of squares 3; y centred -2, 0, 2 gives x.y = 4 sqrt(3/2).

    With alpha = 1 the weight is 4 sqrt(3/2) / (3 + 1), per unit of x (deviation 2 sqrt(2/3)) it is 3/4.
    """
    fitted = RidgeProbe(1.0).fit(np.array([[1.0], [3.0], [5.0]]), np.array([10.0, 12.0, 14.0]))
    assert fitted.coef_ == pytest.approx([0.75])
    assert fitted.intercept_ == pytest.approx(12 - 3 * 0.75)
    assert fitted.direction_ == pytest.approx([1.0])


def test_the_direction_points_to_larger_numbers():
    X, y = planted()
    fitted = RidgeProbe().fit(X, y)
    assert (fitted.predict(X + fitted.direction_) > fitted.predict(X)).all()
    np.testing.assert_allclose(RidgeProbe().fit(X, -y).direction_, -fitted.direction_, atol=1e-12)


def test_refusals():
    X, y = planted()
    with pytest.raises(InputError, match="alpha is -1"):
        RidgeProbe(-1.0).fit(X, y)
    with pytest.raises(InputError, match="Expected a finite number for each sample"):
        RidgeProbe().fit(X, y.astype(str))
    with pytest.raises(InputError, match="Expected a finite number for each sample"):
        RidgeProbe().fit(X, np.where(np.arange(200) == 3, np.nan, y))
