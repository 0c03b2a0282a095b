"""Each measure by hand, by scikit-learn to the eighth digit, and each interval by drawing groups one at a time."""

import numpy as np
import pytest
from sklearn import metrics

from interp.errors import InputError
from probes.reading.held_out import Predictions, predict_prior
from probes.reading.intervals import accuracy_over_groups, mean_of, measure_over_groups
from probes.reading.measures import (
    CLASSIFICATION,
    N_BINS,
    area,
    bins,
    calibration_error,
    classification_measures,
)

N = 240
GROUPS = np.repeat(np.arange(40), 6)


def drawn(n_classes: int, seed: int = 0, sharpness: float = 1.5) -> Predictions:
    """Probabilities rounded so that scores tie, and labels that follow them in part."""
    rng = np.random.default_rng(seed)
    raw = np.exp(sharpness * rng.normal(size=(N, n_classes))).round(1) + 0.1
    probabilities = raw / raw.sum(1, keepdims=True)
    labels = np.array([rng.choice(n_classes, p=0.7 * row + 0.3 / n_classes) for row in probabilities])
    return Predictions(probabilities, np.array(["a", "b", "c"])[labels], np.array(["a", "b", "c"][:n_classes]))


def one_hot(predictions: Predictions) -> np.ndarray:
    return np.eye(len(predictions.classes))[predictions.truth]


def by_sklearn(predictions: Predictions, weights: np.ndarray) -> dict[str, float]:
    truth, p, answers = predictions.truth, predictions.probabilities, predictions.answers
    w = {"sample_weight": weights}
    binary = len(predictions.classes) == 2
    if binary:
        auroc, brier = metrics.roc_auc_score(truth, p[:, 1], **w), metrics.brier_score_loss(truth, p[:, 1], **w)
    else:
        places = range(len(predictions.classes))
        auroc = np.mean([metrics.roc_auc_score(truth == place, p[:, place], **w) for place in places])
        brier = np.average(((p - one_hot(predictions)) ** 2).sum(1), weights=weights)
    return {
        "accuracy": metrics.accuracy_score(truth, answers, **w),
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, answers, **w),
        "macro_f1": metrics.f1_score(truth, answers, average="macro", **w),
        "auroc": auroc,
        "log_loss_nats": metrics.log_loss(truth, p, **w),
        "brier": brier,
    }


def test_by_hand_the_mean_of_all_and_of_some():
    """Drawn 2, 0 and 1 times: (2 x 1 + 6) / 3 of all, 6 of the last two, and nothing of the second."""
    values, weights = np.array([1.0, 4.0, 6.0]), np.array([[2.0, 0.0, 1.0]])
    assert mean_of(values)(weights) == pytest.approx([8 / 3])
    assert mean_of(values, np.array([False, True, True]))(weights) == pytest.approx([6])
    assert np.isnan(mean_of(values, np.array([False, True, False]))(weights)).all()
    assert mean_of(np.array([True, False, False]))(weights) == pytest.approx([2 / 3])


@pytest.mark.parametrize("n_classes", [2, 3])
def test_equal_to_scikit_learn_under_any_weights(n_classes):
    predictions = drawn(n_classes)
    weights = np.random.default_rng(1).integers(0, 4, (5, N)).astype(float)
    weights[0] = 1
    found = {name: make(predictions)(weights) for name, make in CLASSIFICATION.items()}
    for number, row in enumerate(weights):
        for name, value in by_sklearn(predictions, row).items():
            assert found[name][number] == pytest.approx(value, abs=1e-10), name
    if n_classes == 3:
        whole = metrics.roc_auc_score(predictions.truth, predictions.probabilities, multi_class="ovr", average="macro")
        assert found["auroc"][0] == pytest.approx(whole, abs=1e-10)


def test_by_hand():
    # Answers b, b, a, a to a, b, a, b: half right; of a one of two, of b one of two; a and b answered twice each.
    p = np.array([0.6, 0.9, 0.2, 0.3])
    predictions = Predictions(np.stack([1 - p, p], 1), np.array(["a", "b", "a", "b"]), np.array(["a", "b"]))
    found = {name: make(predictions)(np.ones((1, 4)))[0] for name, make in CLASSIFICATION.items()}
    assert found["accuracy"] == found["balanced_accuracy"] == found["macro_f1"] == 0.5
    assert found["auroc"] == 0.75  # of the pairs .9>.6, .9>.2, .3<.6, .3>.2 three are in order
    assert found["log_loss_nats"] == pytest.approx(-np.log(0.4 * 0.9 * 0.8 * 0.3) / 4)
    assert found["brier"] == pytest.approx((0.36 + 0.01 + 0.04 + 0.49) / 4)
    # Confidences .6 (wrong), .9 (right), .8 (right), .7 (wrong) fall into four bins of 15.
    assert found["ece"] == pytest.approx((0.6 + 0.1 + 0.2 + 0.7) / 4)
    # Two bins: up to .5 none; above it all four, with confidence .75 and accuracy .5.
    assert calibration_error(predictions, n_bins=2)(np.ones((1, 4)))[0] == pytest.approx(0.25)
    # Two bins of two samples: .6, .7 (none right) and .8, .9 (both right).
    adaptive = calibration_error(predictions, n_bins=2, binning="equal_mass")(np.ones((1, 4)))[0]
    assert adaptive == pytest.approx((0.65 + 0.15) / 2)
    # Twice the first sample, none of the others.
    assert calibration_error(predictions)(np.array([[2.0, 0, 0, 0]]))[0] == pytest.approx(0.6)


def test_by_hand_classes_that_were_not_drawn_do_not_count():
    """Answers a, c, c to a, a, b. Without the last sample, b is gone: a is right once of twice, and c is no class."""
    predictions = Predictions(np.eye(3)[[0, 2, 2]], np.array(["a", "a", "b"]), np.array(["a", "b", "c"]))
    weights = np.array([[1.0, 1, 1], [1, 1, 0]])
    np.testing.assert_allclose(CLASSIFICATION["balanced_accuracy"](predictions)(weights), [(0.5 + 0) / 2, 0.5])
    # F1 of a is 2/3; b is never answered and c never true: both are 0, and count where they occur.
    np.testing.assert_allclose(CLASSIFICATION["macro_f1"](predictions)(weights), [2 / 9, 1 / 3])


def test_by_hand_fifteen_bins():
    """0.61 (right) and 0.69 (wrong) are bins apart: a gap of 0.39 and one of 0.69, which would cancel in one bin."""
    predictions = Predictions(np.array([[0.61, 0.39], [0.69, 0.31]]), np.array([0, 1]), np.arange(2))
    for name in ("ece", "ece_adaptive"):
        assert CLASSIFICATION[name](predictions)(np.ones((1, 2)))[0] == pytest.approx((0.39 + 0.69) / 2)


def test_a_true_class_of_probability_0_costs_a_lot_and_not_everything():
    predictions = Predictions(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([0, 1]), np.arange(2))
    assert CLASSIFICATION["log_loss_nats"](predictions)(np.ones((1, 2)))[0] == pytest.approx(52 * np.log(2) / 2)


def test_of_several_runs_it_is_the_mean():
    first, second = (classification_measures([drawn(3, seed)], GROUPS).sel(end="value") for seed in (0, 1))
    both = classification_measures([drawn(3, 0), drawn(3, 1)], GROUPS).sel(end="value")
    np.testing.assert_allclose(both, (first + second) / 2)


def test_brier_of_three_classes_by_hand():
    predictions = Predictions(np.array([[0.5, 0.3, 0.2], [0.0, 0.0, 1.0]]), np.array([0, 1]), np.arange(3))
    assert CLASSIFICATION["brier"](predictions)(np.ones((1, 2)))[0] == pytest.approx((0.25 + 0.09 + 0.04 + 2) / 2)


def test_ties_count_half():
    measure = area(np.array([True, True, False]), np.array([0.5, 0.9, 0.5]))
    assert measure(np.ones((1, 3)))[0] == 0.75
    assert np.isnan(measure(np.array([[1.0, 1.0, 0.0]]))[0])


def test_bins():
    predictions = drawn(3)
    confidence = predictions.probabilities.max(1)
    wide = bins(predictions, N_BINS, "equal_width")
    assert (confidence <= (wide + 1) / N_BINS + 1e-12).all()
    assert (confidence >= wide / N_BINS - 1e-12).all()
    spread = Predictions(
        np.stack([np.linspace(0.5, 0.9, 30), np.linspace(0.5, 0.1, 30)], 1), np.arange(30) % 2, np.arange(2)
    )
    assert np.bincount(bins(spread, 15, "equal_mass")).tolist() == [2] * 15
    # Equal confidences share a bin, however many there are.
    same = Predictions(np.full((10, 2), 0.5), np.arange(10) % 2, np.arange(2))
    assert len(set(bins(same, 5, "equal_mass"))) == 1


def test_the_interval_of_any_measure_is_that_of_the_accuracy():
    predictions = [drawn(3, seed) for seed in range(3)]
    correct = np.stack([each.answers == each.truth for each in predictions])
    wanted = accuracy_over_groups(correct, GROUPS, seed=4)
    found = measure_over_groups([CLASSIFICATION["accuracy"](each) for each in predictions], GROUPS, seed=4)
    assert found.value == pytest.approx(wanted.value, abs=1e-12)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=0.02)
    one = measure_over_groups([CLASSIFICATION["accuracy"](predictions[0])], GROUPS, seed=4)
    alone = accuracy_over_groups(correct[:1], GROUPS, seed=4)
    assert (one.value, one.low, one.high) == pytest.approx((alone.value, alone.low, alone.high), abs=1e-12)


def test_a_resample_is_of_whole_groups():
    # Samples of a group are copies of one another: the interval must not shrink with the copies.
    correct = np.arange(20) % 2 == 0
    wide, narrow = (
        measure_over_groups([lambda w, each=each: w @ each / w.sum(1)], groups, seed=0)
        for each, groups in (
            (np.repeat(correct, 30), np.repeat(np.arange(20), 30)),
            (np.repeat(correct, 30), np.arange(600)),
        )
    )
    assert wide.high - wide.low > 4 * (narrow.high - narrow.low)


def test_the_interval_equals_drawing_groups_one_at_a_time():
    predictions = drawn(2)
    found = measure_over_groups([CLASSIFICATION["auroc"](predictions)], GROUPS, seed=0)
    rng = np.random.default_rng(9)
    values = []
    for _ in range(300):
        rows = np.concatenate([np.flatnonzero(group == GROUPS) for group in rng.integers(0, 40, 40)])
        values.append(metrics.roc_auc_score(predictions.truth[rows], predictions.probabilities[rows, 1]))
    assert (found.low, found.high) == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=0.015)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    covered = 0
    for seed in range(200):
        correct = np.repeat(np.random.default_rng(seed).random(60) < 0.7, 3)
        found = measure_over_groups(
            [lambda w, each=correct: w @ each / w.sum(1)], np.repeat(np.arange(60), 3), seed=seed, n_resamples=400
        )
        covered += found.low <= 0.7 <= found.high
    assert 180 <= covered <= 198


def test_the_record_holds_every_measure_in_its_interval():
    found = classification_measures([drawn(3)], GROUPS)
    assert found.dims == ("measure", "end")
    assert list(found.measure.values) == list(CLASSIFICATION)
    value, low, high = (found.sel(end=end) for end in ("value", "low", "high"))
    assert (low <= value).all()
    assert (value <= high).all()
    assert (high > low).all()
    assert found.equals(classification_measures([drawn(3)], GROUPS))
    assert not found.equals(classification_measures([drawn(3)], GROUPS, seed=1))


def test_the_interval_of_a_calibration_error_is_not_lifted_by_the_noise_of_resamples():
    rng = np.random.default_rng(0)
    p = rng.random(300)
    labels = (rng.random(300) < p).astype(int)
    calibrated = Predictions(np.stack([1 - p, p], 1), labels, np.arange(2))
    plain = measure_over_groups([calibration_error(calibrated)], np.arange(300))
    record = classification_measures([calibrated], np.arange(300))
    value, low, high = record.sel(measure="ece").values
    assert low < plain.low < value < high < plain.high
    adaptive = measure_over_groups([calibration_error(calibrated, binning="equal_mass")], np.arange(300))
    value, low, high = record.sel(measure="ece_adaptive").values
    assert low < adaptive.low < value < high < adaptive.high
    # Sure of the likelier class, it is off by the mean of 1 - max(p, 1 - p), a quarter.
    sure = Predictions(np.stack([p <= 0.5, p > 0.5], 1).astype(float), labels, np.arange(2))
    value, low, high = classification_measures([sure], np.arange(300)).sel(measure="ece").values
    assert low < 0.25 < high
    assert low > 0.15


def test_the_prior_is_chance():
    labels = np.array(["a"] * 60 + ["b"] * 20 + ["c"] * 20)
    found = {name: make(predict_prior(labels))(np.ones((1, 100)))[0] for name, make in CLASSIFICATION.items()}
    assert found["accuracy"] == pytest.approx(0.6)
    assert found["balanced_accuracy"] == pytest.approx(1 / 3)
    assert found["auroc"] == pytest.approx(0.5)
    assert found["log_loss_nats"] == pytest.approx(-(0.6 * np.log(0.6) + 0.4 * np.log(0.2)))
    assert found["ece"] == pytest.approx(0, abs=1e-12)


def test_refusals():
    half = np.full((4, 2), 0.5)
    labels, classes = np.array([0, 1, 0, 1]), np.arange(2)
    with pytest.raises(InputError, match="one column for each class"):
        Predictions(half[:3], labels, classes)
    with pytest.raises(InputError, match="1 of 8 probabilities are NaN or outside"):
        Predictions(np.where(np.arange(8).reshape(4, 2) == 3, np.nan, half), labels, classes)
    with pytest.raises(InputError, match="sum to 1"):
        Predictions(half / 2, labels, classes)
    with pytest.raises(InputError, match="Label 2 is none of the classes"):
        Predictions(half, labels + 1, classes)
    with pytest.raises(InputError, match="0 bins"):
        calibration_error(Predictions(half, labels, classes), n_bins=0)
    with pytest.raises(InputError, match="no run to measure"):
        classification_measures([], np.arange(4))
    with pytest.raises(InputError, match="on these samples"):
        classification_measures([Predictions(half, labels * 0, classes)], np.arange(4))
