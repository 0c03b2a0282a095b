"""The streamed probe gives scikit-learn's answer."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from interp.errors import InputError
from probes.estimators.large_logistic import LargeLogisticProbe, fit_labellings

N, WIDTH = 900, 24
NEWTON = "newton-cholesky"
"""scikit-learn's solver that reaches small tolerances; its default gives up at what a step changes in the loss."""


def planted(n_classes: int, strength: float = 1.2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Correlated activations with a massive coordinate, and classes that shift them."""
    rng = np.random.default_rng(seed)
    labels = np.array(["de", "en", "fr", "nl"])[rng.integers(n_classes, size=N)]
    means = rng.normal(size=(n_classes, WIDTH)) / np.sqrt(WIDTH) * strength * 2
    latent = (rng.normal(size=(N, WIDTH)) + means[np.unique(labels, return_inverse=True)[1]]) * np.arange(
        1, WIDTH + 1
    ) ** -0.8
    X = latent @ np.linalg.qr(rng.normal(size=(WIDTH, WIDTH)))[0]
    X[:, 3] = X[:, 3] * 30 + 200
    return X, labels


def scikit_learn(C: float, tol: float, solver: str = "lbfgs") -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=C, tol=tol, max_iter=20_000, solver=solver))


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("C", [0.01, 1.0])
@pytest.mark.parametrize("max_bytes", [0, 2**30])
def test_the_answer_is_that_of_scikit_learn(n_classes, C, max_bytes):
    X, labels = planted(n_classes)
    ours = LargeLogisticProbe(C, tol=1e-11, max_bytes=max_bytes).fit(X, labels)
    scaler, theirs = (step for _, step in scikit_learn(C, 1e-11, NEWTON).fit(X, labels).steps)
    np.testing.assert_allclose(ours.coef_ * scaler.scale_, theirs.coef_, atol=1e-6)
    offsets = ours.intercept_ + ours.coef_ @ scaler.mean_
    np.testing.assert_allclose(offsets, theirs.intercept_, atol=1e-6)
    standard = scaler.transform(X)
    np.testing.assert_allclose(ours.decision_function(X), theirs.decision_function(standard), atol=1e-5)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(standard), atol=1e-6)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(standard))
    assert ours.score(X, labels) == theirs.score(standard, labels) > 0.6
    assert ours.classes_.tolist() == theirs.classes_.tolist()


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_at_the_usual_tolerance_and_precision_the_probabilities_are_those_of_scikit_learn(dtype):
    X, labels = planted(3)
    X = X.astype(dtype)
    ours = LargeLogisticProbe(0.1, tol=1e-6).fit(X, labels)
    exact = scikit_learn(0.1, 1e-10, NEWTON).fit(X.astype(np.float64), labels)
    np.testing.assert_allclose(ours.predict_proba(X), exact.predict_proba(X.astype(np.float64)), atol=2e-4)


def test_the_direction_is_that_towards_the_class():
    X, labels = planted(2)
    probe = LargeLogisticProbe().fit(X, labels)
    assert np.linalg.norm(probe.direction_) == pytest.approx(1)
    at = X.mean(0, keepdims=True)
    step = 1e-3 * probe.direction_
    assert probe.predict_proba(at + step)[0, 1] > probe.predict_proba(at)[0, 1] > probe.predict_proba(at - step)[0, 1]
    X, labels = planted(4)
    probe = LargeLogisticProbe().fit(X, labels)
    np.testing.assert_allclose(np.linalg.norm(probe.direction_, axis=1), 1)
    for place, direction in enumerate(probe.direction_):
        moved = probe.decision_function(at + 1e-3 * direction) - probe.decision_function(at)
        assert moved[0].argmax() == place


def test_chosen_rows_are_fitted_from_a_memory_map_as_if_they_were_all(tmp_path):
    X, labels = planted(3)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    rows = np.flatnonzero(np.arange(N) % 4)
    there = LargeLogisticProbe(tol=1e-10, max_bytes=0).fit(mapped, labels, rows=rows)
    here = LargeLogisticProbe(tol=1e-10).fit(X[rows], labels[rows])
    np.testing.assert_allclose(there.coef_, here.coef_, atol=1e-8)
    np.testing.assert_array_equal(there.predict(mapped, rows=rows), here.predict(X[rows]))
    other = LargeLogisticProbe(tol=1e-10).fit(X, labels)
    assert np.abs(other.coef_ - here.coef_).max() > 1e-4


def test_several_labellings_are_fitted_as_each_would_be_alone():
    X, labels = planted(3)
    shuffled = np.random.default_rng(0).permutation(labels)
    settings = LargeLogisticProbe(tol=1e-10)
    both = fit_labellings(settings, X, [labels, shuffled])
    for together, alone in zip(both, (labels, shuffled), strict=True):
        np.testing.assert_allclose(together.coef_, LargeLogisticProbe(tol=1e-10).fit(X, alone).coef_, atol=1e-7)
    assert not hasattr(settings, "coef_")
    assert both[0].score(X, labels) > both[1].score(X, shuffled)
    with pytest.raises(InputError, match="different classes"):
        fit_labellings(settings, X, [labels, np.where(labels == "de", "en", labels)])


def test_it_is_a_scikit_learn_estimator():
    X, labels = planted(3)
    probe = LargeLogisticProbe(0.5, max_iter=300)
    assert clone(probe).get_params() == {"C": 0.5, "tol": 1e-4, "max_iter": 300, "max_bytes": 2**30, "seed": 0}
    ours = cross_val_score(probe, X, labels, cv=3)
    theirs = cross_val_score(scikit_learn(0.5, 1e-6), X, labels, cv=3)
    np.testing.assert_allclose(ours, theirs, atol=0.005)
    search = GridSearchCV(probe, {"C": [1e-5, 0.1]}, cv=3).fit(X, labels)
    assert search.best_params_ == {"C": 0.1}
    with pytest.raises(NotFittedError):
        probe.predict(X)


def test_the_whitening_saves_passes():
    X, labels = planted(4)
    theirs = scikit_learn(1.0, 1e-6).fit(X, labels)[-1].n_iter_.max()
    assert 2 * LargeLogisticProbe(1.0, tol=1e-6).fit(X, labels).n_iter_[0] < theirs


def test_refusals():
    X, labels = planted(3)
    spoiled = X.copy()
    spoiled[5, 5] = np.nan
    for probe, activations, given, words in (
        (LargeLogisticProbe(0.0), X, labels, "C is 0.0"),
        (LargeLogisticProbe(tol=0.0), X, labels, "tol 0.0"),
        (LargeLogisticProbe(max_iter=0), X, labels, "max_iter 0"),
        (LargeLogisticProbe(), X, labels[:-1], "899 labels for 900 samples"),
        (LargeLogisticProbe(), X, np.full(N, "en"), "All samples have the label 'en'"),
        (LargeLogisticProbe(), X, np.linspace(0, 1, N), "Expected classes"),
        (LargeLogisticProbe(), spoiled, labels, "NaN or infinity"),
        (LargeLogisticProbe(max_iter=2), X, labels, "did not converge"),
    ):
        with pytest.raises(InputError, match=words):
            probe.fit(activations, given)
    with pytest.raises(InputError, match="NaN or infinity"):
        LargeLogisticProbe().fit(X, labels).predict(spoiled)
    with pytest.raises(InputError, match="no direction"):
        _ = LargeLogisticProbe().fit(np.full((N, 2), 3.0), labels).direction_
