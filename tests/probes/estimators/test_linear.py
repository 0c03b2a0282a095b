import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from interp.errors import InputError
from probes import LogisticProbe


def planted(n_classes: int = 2, *, n: int = 600, d: int = 24, strength: float = 3.0):
    """Activations with one direction per class, unequal scales and a shared offset."""
    rng = np.random.default_rng(0)
    labels = np.array(["de", "en", "fr"])[rng.integers(n_classes, size=n)]
    scales = np.exp(rng.normal(size=d))
    directions = rng.normal(size=(3, d))
    places = np.searchsorted(["de", "en", "fr"], labels)
    X = scales * (rng.normal(size=(n, d)) + strength * directions[places]) + 5
    return X, labels, directions * scales


@pytest.mark.parametrize("n_classes", [2, 3])
def test_equals_scikit_learn(n_classes):
    X, labels, _ = planted(n_classes, strength=0.2)
    ours = LogisticProbe(C=0.3).fit(X, labels)
    theirs = make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=1000)).fit(X, labels)
    np.testing.assert_allclose(ours.decision_function(X), theirs.decision_function(X), atol=1e-8)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-8)
    assert (ours.predict(X) == theirs.predict(X)).all()
    assert ours.score(X, labels) == theirs.score(X, labels)
    assert 0.4 < ours.score(X, labels) < 1


def test_its_numbers_are_not_those_without_standardisation():
    X, labels, _ = planted(strength=0.2)
    plain = LogisticRegression(C=0.01, max_iter=1000).fit(X, labels)
    assert np.abs(LogisticProbe().fit(X, labels).decision_function(X) - plain.decision_function(X)).max() > 0.1


def test_by_hand_on_one_coordinate():
    """Two symmetric clouds: the boundary lies in the middle and the direction points to the second class."""
    X = np.array([[1.0], [2.0], [3.0], [5.0], [6.0], [7.0]])
    fitted = LogisticProbe().fit(X, np.array(["a"] * 3 + ["b"] * 3))
    assert -fitted.intercept_[0] / fitted.coef_[0, 0] == pytest.approx(4.0)
    assert fitted.direction_ == pytest.approx([1.0])
    assert fitted.direction() == pytest.approx([1.0])
    assert fitted.direction("a") == pytest.approx([-1.0])
    assert fitted.predict(np.array([[3.9], [4.1]])).tolist() == ["a", "b"]


def test_a_planted_direction_is_found_and_its_sign_is_the_second_class():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=32)
    truth /= np.linalg.norm(truth)
    labels = np.arange(2000) % 2
    X = rng.normal(size=(2000, 32)) + 6 * np.outer(labels, truth)
    fitted = LogisticProbe().fit(X, labels)
    assert fitted.score(X, labels) > 0.99
    assert fitted.direction() @ truth > 0.95
    assert fitted.direction(0) @ truth < -0.95


def test_moving_along_a_class_direction_raises_its_logit():
    X, labels, _ = planted(3)
    fitted = LogisticProbe().fit(X, labels)
    assert fitted.direction_.shape == (3, 24)
    for place, label in enumerate(fitted.classes_):
        moved = X + 100 * fitted.direction(label)
        assert (fitted.decision_function(moved)[:, place] > fitted.decision_function(X)[:, place]).all()
        assert np.linalg.norm(fitted.direction(label)) == pytest.approx(1)
        np.testing.assert_array_equal(fitted.direction(label), fitted.direction_[place])


def test_a_constant_coordinate_does_no_harm():
    X, labels, _ = planted()
    X[:, 0] = 3.0
    fitted = LogisticProbe().fit(X, labels)
    assert fitted.coef_[0, 0] == pytest.approx(0)
    assert np.isfinite(fitted.decision_function(X)).all()


def test_activations_without_a_direction_have_none():
    fitted = LogisticProbe().fit(np.ones((4, 3)), np.array([0, 1, 0, 1]))
    with pytest.raises(InputError, match="all zero, so it has no direction"):
        fitted.direction()


def test_no_convergence_is_an_error():
    X, labels, _ = planted(3, strength=0.2)
    with pytest.raises(InputError, match=r"did not converge within 2 iterations at C=100.0. Raise max_iter"):
        LogisticProbe(C=100.0, max_iter=2).fit(X, labels)


def test_refusals():
    X, labels, _ = planted(3)
    with pytest.raises(InputError, match="at least two classes"):
        LogisticProbe().fit(X, np.full(len(X), "de"))
    with pytest.raises(InputError, match="Expected both above zero"):
        LogisticProbe(C=0.0).fit(X, labels)
    with pytest.raises(InputError, match="599 labels for 600 samples"):
        LogisticProbe().fit(X, labels[1:])
    with pytest.raises(InputError, match="fractions or NaN"):
        LogisticProbe().fit(X, np.linspace(0, 1, len(X)))
    with pytest.raises(InputError, match="Expected 2 axes, and at least one sample"):
        LogisticProbe().fit(X[:0], labels[:0])
    fitted = LogisticProbe().fit(X, labels)
    with pytest.raises(InputError, match="Say which one"):
        fitted.direction()
    with pytest.raises(InputError, match="no class 'es'"):
        fitted.direction("es")
