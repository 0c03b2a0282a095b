"""Held-out probabilities are scikit-learn's own, and nothing is fitted where it should not be."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from interp.errors import InputError
from probes import LabelledActivations
from probes.reading.held_out import (
    Predictions,
    check_probabilities,
    predict_fold,
    predict_held_out,
    predict_prior,
    require_classes,
)
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


def test_what_are_no_probabilities_or_no_labels_of_theirs_is_refused():
    half, labels, classes = np.full((2, 2), 0.5), np.array([0, 1]), np.arange(2)
    assert Predictions(half, labels, classes).answers.tolist() == [0, 0]
    for bad, words in (
        (half[:0], "0 labels and 2 classes"),
        (half + np.array([1e-3, 0]), r"sum to 1 ± 0\.001"),
        (np.array([[1.5, -0.5], [0.5, 0.5]]), "2 of 4 probabilities"),
        (np.array([[np.nan, 0.5], [0.5, 0.5]]), "1 of 4 probabilities"),
    ):
        with pytest.raises(InputError, match=words):
            Predictions(bad, labels[: len(bad)], classes)
    with pytest.raises(InputError, match="Label 2 is none of the classes"):
        Predictions(half, np.array([0, 2]), classes)
    with pytest.raises(InputError, match=r"1 of 2 probabilities .* such as 1\.5"):
        check_probabilities(np.array([1.0, 1.5]))


def test_only_classes_will_do():
    X = activations()[None]
    require_classes(LabelledActivations(X, LABELS, GROUPS))
    numbers = LabelledActivations(X, np.arange(120.0), GROUPS, label_kind="continuous")
    several = LabelledActivations(X, np.stack([GROUPS % 2 == 0, GROUPS % 3 == 0], 1), GROUPS, label_kind="multilabel")
    for data in (numbers, several):
        with pytest.raises(InputError, match="Expected one class for each sample"):
            require_classes(data)


def test_the_prior_is_the_share_of_each_class():
    found = predict_prior(np.array(["b", "a", "b", "b"]))
    np.testing.assert_array_equal(found.probabilities, [[0.25, 0.75]] * 4)
    assert found.classes.tolist() == ["a", "b"]


def test_a_sample_at_the_end_that_no_fold_tests_is_refused():
    folds = [Fold(np.arange(60, 120), np.arange(60)), Fold(np.arange(60), np.arange(60, 119))]
    with pytest.raises(InputError, match="Sample 119 is tested in 0 folds"):
        predict_held_out(PROBE, activations(), LABELS, folds)


def test_as_many_classes_as_samples_are_fitted_without_a_warning():
    fold, classes, labels = Fold(np.arange(24), np.arange(60, 70)), np.arange(24), np.arange(120) % 24
    found = predict_fold(LogisticRegression(max_iter=1000), activations(), labels, fold, classes)
    np.testing.assert_allclose(found.sum(1), 1)
