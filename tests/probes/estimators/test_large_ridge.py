"""Ridge regression from a memory map is scikit-learn's, whatever the memory, for one target or several."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from interp.errors import InputError
from probes.estimators.large_ridge import PENALTIES, LargeRidgeProbe, fit_targets, predict_targets


def planted(dtype=np.float64):
    """More rows than one block holds; one coordinate is massive, one constant."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2500, 12)) * np.exp(rng.normal(size=12)) + 5
    X[:, 3] = 300 + 2 * X[:, 3]
    X[:, 4] = 7.0
    return X.astype(dtype), X @ rng.normal(size=12) + rng.normal(size=2500) - 30


@pytest.mark.parametrize("alpha", [0.1, 100.0, 1e5])
@pytest.mark.parametrize("max_bytes", [0, 2**30])
def test_equals_scikit_learn_on_standardised_activations(alpha, max_bytes):
    X, y = planted()
    rows = np.flatnonzero(np.arange(2500) % 5 > 0)
    ours = LargeRidgeProbe(alpha, max_bytes=max_bytes).fit(X, y, rows=rows)
    theirs = make_pipeline(StandardScaler(), Ridge(alpha=alpha)).fit(X[rows], y[rows])
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), atol=1e-8)
    np.testing.assert_allclose(ours.predict(X, rows=rows[:7]), theirs.predict(X[rows[:7]]), atol=1e-8)
    np.testing.assert_allclose(X @ ours.coef_ + ours.intercept_, theirs.predict(X), atol=1e-8)


def test_from_a_map_of_single_precision(tmp_path):
    X, y = planted(np.float32)
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    theirs = make_pipeline(StandardScaler(), Ridge(alpha=10.0)).fit(X.astype(float), y)
    ours = LargeRidgeProbe(10.0, max_bytes=0).fit(mapped, y)
    np.testing.assert_allclose(ours.predict(mapped), theirs.predict(X.astype(float)), atol=1e-3 * y.std())


def test_by_hand():
    """As for `RidgeProbe`: with alpha = 1 three points on a line of slope 1 are read with slope 3/4."""
    fitted = LargeRidgeProbe(1.0).fit(np.array([[1.0], [3.0], [5.0]]), np.array([10.0, 12.0, 14.0]))
    assert fitted.coef_ == pytest.approx([0.75])
    assert fitted.intercept_ == pytest.approx(12 - 3 * 0.75)
    assert fitted.direction_ == pytest.approx([1.0])


def test_several_targets_are_each_fitted_as_alone():
    X, y = planted()
    both = fit_targets(LargeRidgeProbe(), X, [y, -2 * y + X[:, 0]])
    found = predict_targets(both, X, rows=np.arange(9))
    for target, values in zip((y, -2 * y + X[:, 0]), found, strict=True):
        np.testing.assert_allclose(values, LargeRidgeProbe().fit(X, target).predict(X[:9]), atol=1e-10)


def test_refusals():
    X, y = planted()
    with pytest.raises(InputError, match="alpha is 0"):
        LargeRidgeProbe(0.0).fit(X, y)
    with pytest.raises(InputError, match="Give one for each"):
        LargeRidgeProbe().fit(X, y[1:])
    with pytest.raises(InputError, match="fitted to all have the same number"):
        LargeRidgeProbe().fit(X, np.where(np.arange(2500) < 9, 1.0, y), rows=np.arange(9))
    with pytest.raises(InputError, match="NaN or infinity"):
        LargeRidgeProbe().fit(X, y).predict(np.where(np.eye(2500, 12) > 0, np.nan, X))


def test_the_penalty_is_chosen_as_by_leaving_each_sample_out():
    """scikit-learn's `RidgeCV` leaves out sample by sample, which generalised cross-validation approximates."""
    rng = np.random.default_rng(1)
    X = StandardScaler().fit_transform(rng.normal(size=(120, 40)))
    for noise, few in ((0.1, True), (20.0, False)):
        y = X[:, :3].sum(1) + noise * rng.normal(size=120)
        theirs = RidgeCV(alphas=PENALTIES * 120).fit(X, y - y.mean())
        ours = LargeRidgeProbe(alpha=None).fit(X, y)
        assert ours.alpha_ == pytest.approx(theirs.alpha_)
        assert (ours.alpha_ < 12) == few
        np.testing.assert_allclose(ours.coef_, LargeRidgeProbe(ours.alpha_).fit(X, y).coef_, atol=1e-8)


def test_each_target_has_a_penalty_of_its_own():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(120, 40))
    clean, noise = X[:, 0], rng.normal(size=120)
    both = fit_targets(LargeRidgeProbe(alpha=None), X, [clean, noise])
    assert both[0].alpha_ < both[1].alpha_
    for fitted, target in zip(both, (clean, noise), strict=True):
        np.testing.assert_allclose(fitted.coef_, LargeRidgeProbe(alpha=None).fit(X, target).coef_, atol=1e-10)


@pytest.mark.parametrize("seed", range(12))
def test_the_penalty_has_the_lowest_generalised_error_written_out(seed):
    """n RSS / (n - trace of the hat matrix)^2, the mean fitted among the rest."""
    rng = np.random.default_rng(seed)
    X = StandardScaler().fit_transform(rng.normal(size=(10, 4)))
    y = X[:, 0] + rng.normal(size=10)
    errors = []
    for penalty in PENALTIES * 10:
        hat = 0.1 + X @ np.linalg.inv(X.T @ X + penalty * np.eye(4)) @ X.T
        errors.append(10 * ((y - hat @ y) ** 2).sum() / (10 - np.trace(hat)) ** 2)
    assert LargeRidgeProbe(alpha=None).fit(X, y).alpha_ == pytest.approx((PENALTIES * 10)[np.argmin(errors)])
