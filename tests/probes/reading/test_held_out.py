"""Held-out probabilities are scikit-learn's own, and nothing is fitted where it should not be."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from interp.errors import InputError
from probes.reading.held_out import predict_fold, predict_held_out
from probes.samples.split import Fold, group_folds

GROUPS = np.repeat(np.arange(30), 4)
LABELS = np.array(["de", "en", "fr"])[GROUPS % 3]
PROBE = make_pipeline(StandardScaler(), LogisticRegression(C=0.1))


def activations(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(120, 8)) + rng.normal(size=(3, 8))[GROUPS % 3]).astype(np.float32)


def test_equals_cross_val_predict():
    X = activations()
    found = predict_held_out(PROBE, X, LABELS, group_folds(LABELS, GROUPS, n_splits=4, seed=3))
    folds = StratifiedGroupKFold(4, shuffle=True, random_state=3)
    wanted = cross_val_predict(PROBE, X.astype(float), LABELS, groups=GROUPS, cv=folds, method="predict_proba")
    np.testing.assert_allclose(found.probabilities, wanted, atol=1e-12)
    assert not hasattr(PROBE[-1], "coef_")  # only copies are fitted
    assert (found.classes[found.truth] == LABELS).all()
    np.testing.assert_allclose(found.of_truth, wanted[np.arange(120), found.truth])


def test_a_class_that_was_not_seen_has_no_probability_but_that_of_smoothing():
    seen = np.flatnonzero(LABELS != "en")
    fold = Fold(seen, np.arange(120))
    classes = np.unique(LABELS)
    plain = predict_fold(PROBE, activations(), LABELS, fold, classes)
    assert (plain[:, 1] == 0).all()
    smooth = predict_fold(PROBE, activations(), LABELS, fold, classes, pseudocount=0.5)
    np.testing.assert_allclose(smooth[:, 1], 0.5 / (80 + 1.5))
    np.testing.assert_allclose(smooth[:, 0], (80 * plain[:, 0] + 0.5) / (80 + 1.5))
    np.testing.assert_allclose(smooth.sum(1), 1)


def test_from_one_class_nothing_is_known():
    fold = Fold(np.flatnonzero(LABELS == "en"), np.arange(120))
    np.testing.assert_array_equal(predict_fold(PROBE, activations(), LABELS, fold, np.unique(LABELS)), 1 / 3)


def test_refusals():
    folds = group_folds(LABELS, GROUPS, n_splits=3)
    with pytest.raises(InputError, match="tested in 0 folds"):
        predict_held_out(PROBE, activations(), LABELS, folds[:2])
    with pytest.raises(InputError, match="tested in 2 folds"):
        predict_held_out(PROBE, activations(), LABELS, [*folds, folds[0]])
    with pytest.raises(InputError, match="RidgeClassifier has no predict_proba"):
        predict_held_out(RidgeClassifier(), activations(), LABELS, folds)
    with pytest.raises(InputError, match="LogisticRegression did not converge on "):
        predict_held_out(LogisticRegression(C=1e6, max_iter=2), activations(), LABELS, folds)
