"""Calibration: temperatures by hand, planted ones found, and nothing learnt from the fold that is tested."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn import metrics
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression

from interp.errors import InputError
from interp.results import Provenance, Result
from probes.reading.calibration import (
    at_temperature,
    calibrated_error,
    fit_temperature,
    predict_calibrated,
    reliability,
)
from probes.reading.held_out import Predictions, predict_held_out
from probes.reading.measures import calibration_error
from probes.samples.split import group_folds

MADE_BY = Provenance("planted", "0", "0", "0", "float32", True, "test")


def planted(temperature: float, n: int = 2000, seed: int = 0) -> Predictions:
    """Labels drawn from softmax(z), and probabilities softmax(temperature z): too sure above 1."""
    rng = np.random.default_rng(seed)
    logits = 1.5 * rng.normal(size=(n, 3))
    labels = np.array([rng.choice(3, p=row) for row in softmax(logits, axis=1)])
    return Predictions(softmax(temperature * logits, axis=1), labels, np.arange(3))


def test_temperature_by_hand():
    # Three of four right at a logit of 2: softmax(2 / T) must be three quarters, so T = 2 / ln 3.
    sure = 1 / (1 + np.exp(-2.0))
    predictions = Predictions(np.tile([1 - sure, sure], (4, 1)), np.array([1, 1, 1, 0]), np.arange(2))
    assert fit_temperature(predictions) == pytest.approx(2 / np.log(3), abs=1e-4)
    np.testing.assert_allclose(at_temperature(predictions.probabilities, 2 / np.log(3))[:, 1], 0.75)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_planted_temperature_is_found_and_mends(temperature):
    given, other = planted(temperature), planted(temperature, seed=1)
    found = fit_temperature(given)
    assert found == pytest.approx(temperature, rel=0.1)
    mended = Predictions(at_temperature(other.probabilities, found), other.labels, other.classes)
    assert (mended.answers == other.answers).all()
    before, after = (metrics.log_loss(each.labels, each.probabilities) for each in (other, mended))
    assert after <= before + 1e-3
    error = float(calibration_error(mended)(np.ones((1, 2000)))[0])
    assert error < calibrated_error(mended)[1] * 1.3
    if temperature == 3:
        assert float(calibration_error(other)(np.ones((1, 2000)))[0]) > 3 * calibrated_error(other)[1]
        assert after < before - 0.1


def test_what_true_probabilities_would_score():
    # The error of labels drawn from the probabilities, computed by drawing anew and measuring as one measures.
    given = planted(1.0, n=400)
    rng = np.random.default_rng(7)
    errors = []
    for _ in range(200):
        labels = np.array([rng.choice(3, p=row) for row in given.probabilities])
        drawn = Predictions(given.probabilities, labels, given.classes)
        errors.append(calibration_error(drawn)(np.ones((1, 400)))[0])
    mean, end = calibrated_error(given)
    assert mean == pytest.approx(np.mean(errors), rel=0.07)
    assert end == pytest.approx(np.quantile(errors, 0.95), rel=0.12)


@pytest.fixture(scope="module")
def curve() -> Result:
    return reliability(planted(3.0), np.arange(2000) // 4, MADE_BY)


def test_reliability_is_that_of_scikit_learn(curve):
    given = planted(3.0)
    confidence, right = given.probabilities.max(1), given.answers == given.truth
    accuracy, mean = calibration_curve(right, confidence, n_bins=15)
    np.testing.assert_allclose(curve.data["accuracy"], accuracy, atol=1e-12)
    np.testing.assert_allclose(curve.data["confidence"], mean, atol=1e-12)
    assert int(curve.data["count"].sum()) == 2000
    gaps = abs(curve.data["accuracy"] - curve.data["confidence"]) * curve.data["count"] / 2000
    assert curve.baselines["ece"] == pytest.approx(float(gaps.sum()))
    assert curve.has_control


def test_one_too_sure_lies_below_what_true_probabilities_give(curve):
    data = curve.data
    assert (data["accuracy_low"] <= data["accuracy"]).all()
    assert (data["accuracy"] <= data["accuracy_high"]).all()
    assert (data["accuracy_high"] < data["control_calibrated_low"])[-5:].all()
    calm = reliability(planted(1.0), np.arange(2000) // 4, MADE_BY, binning="equal_mass").data
    assert (calm["accuracy_low"] <= calm["control_calibrated_high"]).all()
    assert calm["count"].max() - calm["count"].min() <= 1


def test_intervals_are_over_groups_and_the_seed_decides_them():
    given = planted(3.0, n=300)
    first, again, other = (reliability(given, np.arange(300), MADE_BY, seed=seed).data for seed in (0, 0, 1))
    assert first.equals(again)
    assert first["accuracy"].equals(other["accuracy"])
    for name in ("accuracy_low", "control_calibrated", "control_calibrated_low"):
        assert not first[name].equals(other[name])
    assert (first["control_calibrated_low"] <= first["control_calibrated"]).all()
    assert (first["control_calibrated"] <= first["control_calibrated_high"]).all()
    # Four copies of each sample in a group of its own are no more than the one.
    copies = Predictions(np.repeat(given.probabilities, 4, 0), np.repeat(given.labels, 4), given.classes)
    fourfold = reliability(copies, np.repeat(np.arange(300), 4), MADE_BY).data
    for end in ("accuracy_low", "accuracy_high"):
        np.testing.assert_allclose(fourfold[end], first[end], atol=1e-12)


def test_by_hand_one_confidence_is_a_binomial():
    """A thousand answers at 0.7: a deviation of 0.0145, of which 1.96 to either side; its size is 0.8 on average."""
    given = Predictions(np.tile([0.3, 0.7], (1000, 1)), (np.arange(1000) % 10 < 7).astype(int), np.arange(2))
    deviation = np.sqrt(0.7 * 0.3 / 1000)
    one = reliability(given, np.arange(1000), MADE_BY, n_bins=1).data.isel(bin=0)
    assert float(one["control_calibrated_low"]) == pytest.approx(0.7 - 1.96 * deviation, abs=0.2 * deviation)
    assert float(one["control_calibrated_high"]) == pytest.approx(0.7 + 1.96 * deviation, abs=0.2 * deviation)
    mean, end = calibrated_error(given, n_bins=1)
    assert mean == pytest.approx(deviation * np.sqrt(2 / np.pi), rel=0.1)
    assert end == pytest.approx(1.96 * deviation, rel=0.07)
    assert calibrated_error(given, n_bins=1) == (mean, end)
    assert calibrated_error(given, n_bins=1, seed=1) != (mean, end)


def test_bins_of_equal_mass_split_what_bins_of_equal_width_hold_together():
    """All confidences lie in one of five bins of equal width, which is as good as one bin."""
    sure = np.linspace(0.51, 0.59, 500)
    given = Predictions(np.stack([1 - sure, sure], 1), (np.arange(500) < 250).astype(int), np.arange(2))
    assert calibrated_error(given, n_bins=5) == pytest.approx(calibrated_error(given, n_bins=1))
    assert calibrated_error(given, n_bins=5, binning="equal_mass")[0] > 1.5 * calibrated_error(given, n_bins=5)[0]
    found = reliability(given, np.arange(500), MADE_BY, n_bins=5, binning="equal_mass")
    gaps = abs(found.data["accuracy"] - found.data["confidence"]) * found.data["count"] / 500
    assert found.data.sizes["bin"] == 5
    assert found.baselines["ece"] == pytest.approx(float(gaps.sum()))


def test_temperatures_are_those_of_a_plain_loop_over_inner_folds():
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(40), 5)
    labels = (groups % 2).astype(int)
    X = rng.normal(size=(200, 30)) + rng.normal(size=(40, 30))[groups]
    folds, sure = group_folds(labels, groups, n_splits=3), LogisticRegression(max_iter=1000)
    _, temperatures = predict_calibrated(sure, X, labels, groups, folds, n_splits=4, seed=3)
    for fold, found in zip(folds, temperatures, strict=True):
        rows = fold.train
        inner = group_folds(labels[rows], groups[rows], n_splits=4, seed=3)
        assert found == fit_temperature(predict_held_out(sure, X[rows], labels[rows], inner))


def test_a_probability_of_nothing_has_a_temperature_too():
    np.testing.assert_allclose(at_temperature(np.array([[1.0, 0.0]]), 2.0), [[1, 0]], atol=1e-7)


def test_the_tested_fold_decides_nothing():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 5)
    labels = (groups % 2).astype(int)
    X = rng.normal(size=(200, 30)) + 0.4 * labels[:, None]
    folds = group_folds(labels, groups, n_splits=4)
    sure = LogisticRegression(C=1e3, max_iter=1000)
    found, temperatures = predict_calibrated(sure, X, labels, groups, folds)
    assert (temperatures > 1.5).all()
    plain = predict_held_out(sure, X, labels, folds)
    assert (found.answers == plain.answers).all()
    assert metrics.log_loss(labels, found.probabilities) < metrics.log_loss(labels, plain.probabilities)
    test = folds[0].test
    X[test] += 10
    turned = labels.copy()
    turned[test] = 1 - turned[test]
    assert predict_calibrated(sure, X, turned, groups, folds[:1] + folds[1:])[1][0] == temperatures[0]


def test_refusals():
    given = planted(1.0, n=30)
    with pytest.raises(InputError, match="temperature is 0"):
        at_temperature(given.probabilities, 0.0)
    with pytest.raises(InputError, match="0 bins"):
        reliability(given, np.arange(30), MADE_BY, n_bins=0)
