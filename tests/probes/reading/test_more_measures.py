"""Measures of numbers and of several labels: by hand, and equal to scikit-learn and scipy."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from interp.errors import InputError
from probes.reading.more_measures import (
    REGRESSION,
    LabelPredictions,
    NumberPredictions,
    multilabel_measures,
    regression_measures,
)

GROUPS = np.repeat(np.arange(30), 4)


def numbers(seed: int = 0) -> NumberPredictions:
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=120).round(1)
    return NumberPredictions((0.7 * truth + 0.5 * rng.normal(size=120)).round(1), truth)


def test_numbers_equal_scipy_and_scikit_learn_on_every_resample():
    given = numbers()
    rows = np.random.default_rng(1).integers(0, 120, (4, 120))
    rows[0] = np.arange(120)
    weights = np.stack([np.bincount(row, minlength=120) for row in rows]).astype(float)
    found = {name: make(given)(weights) for name, make in REGRESSION.items()}
    for number, row in enumerate(rows):
        truth, predicted = given.truth[row], given.predicted[row]
        assert found["r2"][number] == pytest.approx(metrics.r2_score(truth, predicted), abs=1e-10)
        assert found["pearson"][number] == pytest.approx(stats.pearsonr(truth, predicted)[0], abs=1e-10)
        assert found["spearman"][number] == pytest.approx(stats.spearmanr(truth, predicted)[0], abs=1e-10)


def test_numbers_by_hand():
    # Residuals 0, 0, 1 against a spread of 1 + 0 + 1; ranks agree but for nothing; covariance 3 of sqrt(2 * 14 / 3).
    given = NumberPredictions(np.array([1.0, 2.0, 4.0]), np.array([1, 2, 3]))
    found = {name: make(given)(np.ones((1, 3)))[0] for name, make in REGRESSION.items()}
    assert found["r2"] == pytest.approx(0.5)
    assert found["pearson"] == pytest.approx(3 / np.sqrt(2 * 14 / 3))
    assert found["spearman"] == pytest.approx(1)


def test_numbers_have_intervals_and_the_shuffled_ones_reach_nothing():
    given = numbers()
    mixed = NumberPredictions(np.random.default_rng(0).permutation(given.predicted), given.truth)
    found, control = (regression_measures([each], GROUPS) for each in (given, mixed))
    for name in REGRESSION:
        value, low, high = found.sel(measure=name).values
        assert low <= value <= high
        assert low > 0.3
    assert float(control.sel(measure="pearson", end="low")) < 0
    assert float(control.sel(measure="r2", end="value")) < 0


def test_what_does_not_vary_correlates_with_nothing():
    flat = NumberPredictions(np.full(10, 0.1), np.arange(10.0))
    assert REGRESSION["r2"](flat)(np.ones((1, 10)))[0] < 0
    for name in ("pearson", "spearman"):
        assert np.isnan(REGRESSION[name](flat)(np.ones((1, 10)))).all()
    # A resample of one group only, whose numbers are equal.
    assert np.isnan(REGRESSION["pearson"](numbers())(np.eye(120)[:1] * 3)).all()


def test_several_labels_equal_scikit_learn():
    rng = np.random.default_rng(0)
    p = rng.random((120, 3)).round(1)
    truth = rng.random((120, 3)) < p
    found = multilabel_measures([LabelPredictions(p, truth)], GROUPS)
    answers = p > 0.5
    clipped = np.clip(p, np.finfo(float).eps, 1 - np.finfo(float).eps)
    wanted = {
        "accuracy": 1 - metrics.hamming_loss(truth, answers),
        "exact_match": metrics.accuracy_score(truth, answers),
        "macro_f1": metrics.f1_score(truth, answers, average="macro"),
        "auroc": metrics.roc_auc_score(truth, p, average="macro"),
        "log_loss_nats": np.mean([metrics.log_loss(truth[:, n], clipped[:, n]) for n in range(3)]),
        "brier": np.mean([metrics.brier_score_loss(truth[:, n], p[:, n]) for n in range(3)]),
    }
    for name, value in wanted.items():
        assert float(found.sel(measure=name, end="value")) == pytest.approx(value, abs=1e-10), name
    assert (found.sel(end="low") <= found.sel(end="value")).all()
    assert (found.sel(end="value") <= found.sel(end="high")).all()


def test_several_labels_by_hand():
    p = np.array([[0.9, 0.2], [0.6, 0.8], [0.3, 0.4]])
    truth = np.array([[True, False], [False, True], [True, True]])
    found = multilabel_measures([LabelPredictions(p, truth)], np.arange(3)).sel(end="value")
    assert float(found.sel(measure="accuracy")) == pytest.approx(3 / 6)
    assert float(found.sel(measure="exact_match")) == pytest.approx(1 / 3)
    # First label: one of two answered, one of two had. Second: one answered, of two had: 2 * 1 / 3.
    assert float(found.sel(measure="macro_f1")) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert float(found.sel(measure="auroc")) == pytest.approx((1 / 2 + 1) / 2)


def test_refusals():
    with pytest.raises(InputError, match="2 predictions for 3 numbers"):
        NumberPredictions(np.zeros(2), np.arange(3))
    with pytest.raises(InputError, match="'predicted' are NaN"):
        NumberPredictions(np.array([0.0, np.inf]), np.arange(2))
    with pytest.raises(InputError, match="All true numbers are 3"):
        NumberPredictions(np.arange(2), np.full(2, 3))
    with pytest.raises(InputError, match="on these samples"):
        regression_measures([NumberPredictions(np.zeros(4), np.arange(4))], np.arange(4))
    with pytest.raises(InputError, match="for labels of shape"):
        LabelPredictions(np.zeros((3, 2)), np.zeros((2, 2), bool))
    with pytest.raises(InputError, match="probabilities are NaN or outside"):
        LabelPredictions(np.full((2, 1), 2.0), np.array([[True], [False]]))
    with pytest.raises(InputError, match="Label 1 is False for every sample"):
        LabelPredictions(np.zeros((2, 2)), np.array([[True, False], [False, False]]))
