"""Every probe of vectors is a scikit-learn estimator, and says what it finds in the activations' own coordinates."""

import numpy as np
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from interp.errors import InputError
from probes.estimators import (
    AttentionPooledProbe,
    ContrastConsistentProbe,
    KSparseProbe,
    LogisticProbe,
    MeanDifferenceProbe,
    MultilayerProbe,
    NearestCentroidProbe,
    RidgeProbe,
    TreeDepthProbe,
    TreeDistanceProbe,
)
from probes.samples.trees import tree_depths, tree_distances

LINEAR = [
    LogisticProbe(),
    MeanDifferenceProbe(),
    MeanDifferenceProbe(whiten=True),
    NearestCentroidProbe(),
    KSparseProbe(k=3),
]
OF_VECTORS = [*LINEAR, MultilayerProbe(hidden=(32,)), RidgeProbe()]
GRIDS = {
    "LogisticProbe": {"C": [0.01, 0.1]},
    "MeanDifferenceProbe": {"threshold": ["midpoint", "fitted"]},
    "NearestCentroidProbe": {},
    "KSparseProbe": {"k": [1, 2]},
    "MultilayerProbe": {"alpha": [0.01, 0.1]},
    "RidgeProbe": {"alpha": [0.1, 1.0]},
}


def planted(n_classes: int = 2):
    rng = np.random.default_rng(0)
    y = rng.integers(n_classes, size=240)
    return rng.normal(size=(240, 6)) * np.arange(1, 7) + 8 * rng.normal(size=(n_classes, 6))[y] + 3, y


def named(probe: object) -> str:
    return f"{type(probe).__name__}{'-whitened' if getattr(probe, 'whiten', False) else ''}"


@pytest.mark.parametrize("probe", OF_VECTORS, ids=named)
def test_it_goes_wherever_scikit_learn_takes_an_estimator(probe):
    X, y = planted()
    assert is_regressor(probe) == isinstance(probe, RidgeProbe) != is_classifier(probe)
    assert clone(probe).get_params() == probe.get_params()
    assert clone(probe).set_params(**probe.get_params()).fit(X, y).score(X, y) == clone(probe).fit(X, y).score(X, y)
    scores = cross_val_score(probe, X, y, groups=np.arange(240) // 10, cv=GroupKFold(4))
    assert (scores > 0.5).all()
    piped = make_pipeline(StandardScaler(), clone(probe))
    assert piped.fit(X, y).score(X, y) > 0.5
    search = GridSearchCV(probe, GRIDS[type(probe).__name__], cv=3).fit(X, y)
    assert search.best_score_ > 0.5
    assert not hasattr(probe, "n_features_in_"), "fitting copies of it must leave it as it was"


def sentences():
    rng = np.random.default_rng(0)
    heads = [[0, 1, 2, 2, 4], [2, 0, 2, 3, 4, 5], [2, 3, 0, 3, 3], [0, 1, 1, 1, 1, 5]]
    return [rng.normal(size=(len(tree), 8)) for tree in heads], heads


@pytest.mark.parametrize("kind", [AttentionPooledProbe, ContrastConsistentProbe, TreeDistanceProbe, TreeDepthProbe])
def test_probes_of_more_than_vectors_do_too(kind):
    X, heads = sentences()
    rng = np.random.default_rng(0)
    inputs = {
        AttentionPooledProbe: (X * 5, np.arange(20) % 2),
        ContrastConsistentProbe: (rng.normal(size=(20, 2, 8)), np.arange(20) % 2),
        TreeDistanceProbe: (X, [tree_distances(tree) for tree in heads]),
        TreeDepthProbe: (X, [tree_depths(tree) for tree in heads]),
    }
    given, y = inputs[kind]
    probe = kind()
    probe.set_params(seed=1, **({"n_epochs": 2} if hasattr(probe, "n_epochs") else {"n_starts": 2}))
    assert clone(probe).get_params() == probe.get_params()
    assert np.isfinite(cross_val_score(probe, given, y, cv=2)).all()
    assert GridSearchCV(probe, {"seed": [0, 1]}, cv=2).fit(given, y).best_params_["seed"] in (0, 1)
    assert np.isfinite(make_pipeline("passthrough", probe).fit(given, y).score(given, y))


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("probe", LINEAR, ids=named)
def test_its_decision_is_linear_in_the_activations_themselves(probe, n_classes):
    X, y = planted(n_classes)
    if n_classes == 3 and isinstance(probe, MeanDifferenceProbe):
        pytest.skip("of two classes only")
    fitted = clone(probe).fit(X, y)
    rows = 1 if n_classes == 2 else n_classes
    assert fitted.coef_.shape == (rows, 6)
    assert fitted.intercept_.shape == (rows,)
    decision = fitted.decision_function(X)
    np.testing.assert_allclose(decision, (X @ fitted.coef_.T + fitted.intercept_).squeeze(), atol=1e-12)
    expected = decision.argmax(1) if n_classes == 3 else (decision > 0).astype(int)
    assert (fitted.predict(X) == expected).all()
    assert fitted.score(X, y) > 0.7


@pytest.mark.parametrize("probe", LINEAR, ids=named)
def test_moving_along_its_direction_speaks_for_the_second_class(probe):
    X, y = planted()
    fitted = clone(probe).fit(X, np.array(["no", "yes"])[y])
    assert fitted.classes_.tolist() == ["no", "yes"]
    assert fitted.direction_.shape == (6,)
    assert np.linalg.norm(fitted.direction_) == pytest.approx(1)
    np.testing.assert_array_equal(fitted.direction("yes"), fitted.direction_)
    np.testing.assert_array_equal(fitted.direction("no"), -fitted.direction_)
    far = X + 1000 * fitted.direction_
    assert (fitted.predict(far) == "yes").all()
    if hasattr(fitted, "predict_proba"):
        found = fitted.predict_proba(X)
        np.testing.assert_allclose(found.sum(1), 1)
        assert (fitted.classes_[found.argmax(1)] == fitted.predict(X)).all()


@pytest.mark.parametrize("probe", OF_VECTORS, ids=named)
def test_refusals(probe):
    X, y = planted()
    with pytest.raises(NotFittedError):
        clone(probe).predict(X)
    spoilt = X.copy()
    spoilt[3, 2] = np.nan
    with pytest.raises(InputError, match="1 of 1440 activations are NaN or infinite"):
        clone(probe).fit(spoilt, y)
    with pytest.raises(InputError, match=r"All samples have the (label|number) 0"):
        clone(probe).fit(X, np.zeros(240, int))
    with pytest.raises(InputError, match=r"239 (labels|numbers) for 240 samples"):
        clone(probe).fit(X, y[1:])
    fitted = clone(probe).fit(X, y)
    with pytest.raises(InputError, match="5 wide and the probe was fitted to a width of 6"):
        fitted.predict(X[:, 1:])
    with pytest.raises(InputError, match="NaN or infinite"):
        fitted.predict(spoilt)


@pytest.mark.parametrize("probe", [*LINEAR, RidgeProbe()], ids=named)
def test_a_direction_before_fitting_is_refused_as_unfitted(probe):
    with pytest.raises(NotFittedError):
        clone(probe).direction_  # noqa: B018
