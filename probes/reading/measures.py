"""Measures of a classifier from its held-out probabilities, each with an interval over groups.

Each is written as a function of weights, of which a resample of groups is a row; scikit-learn, whose numbers these
are, takes one row at a time, which for thousands of resamples would take minutes a layer. Larger is better for
accuracies, F1 and AUROC; smaller is better for log-loss, Brier score and calibration error.
"""

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int

from interp.errors import InputError
from probes.reading.held_out import Predictions
from probes.reading.intervals import Estimate, Measure, mean_of, measure_over_groups
from probes.samples.data import Groups

N_BINS = 15
"""Bins of confidence, as in Guo et al. 2017."""
SMALLEST = float(np.finfo(np.float64).eps)
"""Probabilities below it count as this much in a logarithm, as in scikit-learn."""
ENDS = ("value", "low", "high")
Binning = Literal["equal_width", "equal_mass"]


def accuracy(predictions: Predictions) -> Measure:
    """Share of samples whose most probable class is the true one."""
    return mean_of(predictions.answers == predictions.truth)


def balanced_accuracy(predictions: Predictions) -> Measure:
    """Mean over classes of the share of their samples that are right: 1 / K without looking, whatever the shares."""

    def measure(weights: np.ndarray) -> np.ndarray:
        right, true, _ = _counts(predictions, weights)
        return _mean_where(right, true, true > 0)

    return measure


def macro_f1(predictions: Predictions) -> Measure:
    """Mean over classes of F1, of the classes that occur among true or predicted ones."""

    def measure(weights: np.ndarray) -> np.ndarray:
        right, true, answered = _counts(predictions, weights)
        return _mean_where(2 * right, true + answered, true + answered > 0)

    return measure


def auroc(predictions: Predictions) -> Measure:
    """Probability that a sample of a class scores above one of another: 0.5 without looking.

    With two classes that of the second; with more, the mean over classes of each against the rest. Undefined (NaN)
    where a class is missing. The scores of all folds are ranked together.
    """
    chosen = range(1, 2) if len(predictions.classes) == 2 else range(len(predictions.classes))
    each = [area(predictions.truth == place, predictions.probabilities[:, place]) for place in chosen]
    return lambda weights: np.mean([measure(weights) for measure in each], axis=0)


def log_loss_nats(predictions: Predictions) -> Measure:
    """Mean of -log p of the true class: the classes' entropy where only their shares are known."""
    return mean_of(-np.log(np.clip(predictions.of_truth, SMALLEST, 1 - SMALLEST)))


def brier(predictions: Predictions) -> Measure:
    """Mean squared distance of the probabilities from the truth.

    With two classes that of the second alone, so at most 1; with more, summed over classes, so at most 2.
    """
    distance = ((predictions.probabilities - np.eye(len(predictions.classes))[predictions.truth]) ** 2).sum(1)
    return mean_of(distance / 2 if len(predictions.classes) == 2 else distance)


def calibration_error(predictions: Predictions, *, n_bins: int = N_BINS, binning: Binning = "equal_width") -> Measure:
    """Expected calibration error: how far accuracy is from confidence, on average over bins of confidence.

    Confidence is the probability of the answer. Never 0 on finite samples, even for a classifier that is calibrated:
    compare it with `probes.reading.calibration.calibrated_error`, what these very probabilities would score if they
    were true.

    Args:
        predictions: Held-out probabilities.
        n_bins: Number of bins; empty ones count for nothing.
        binning: Bins of equal width in confidence, or of equally many samples (adaptive). Bins are those of all
            samples, in every resample.

    Source: Guo et al. 2017, On Calibration of Modern Neural Networks, sec. 2 (arXiv:1706.04599); equal mass as in
    Nguyen & O'Connor 2015, Posterior calibration (arXiv:1508.05154).
    """
    member = bins(predictions, n_bins, binning)
    confidence = predictions.probabilities.max(1)
    gap = np.zeros((len(member), n_bins))
    gap[np.arange(len(member)), member] = (predictions.answers == predictions.truth) - confidence
    return lambda weights: np.abs(weights @ gap).sum(1) / weights.sum(1)


def adaptive_calibration_error(predictions: Predictions) -> Measure:
    """Expected calibration error over bins of equally many samples."""
    return calibration_error(predictions, binning="equal_mass")


CLASSIFICATION: Mapping[str, Callable[[Predictions], Measure]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "macro_f1": macro_f1,
    "auroc": auroc,
    "log_loss_nats": log_loss_nats,
    "brier": brier,
    "ece": calibration_error,
    "ece_adaptive": adaptive_calibration_error,
}
"""Every measure, by the name it has in results."""
_LEANS_UPWARD = ("ece", "ece_adaptive")


def classification_measures(runs: list[Predictions], groups: Groups, *, seed: int = 0) -> xr.DataArray:
    """Compute every measure, with 95 % bootstrap intervals over groups of the held-out predictions.

    Args:
        runs: Held-out predictions; of several runs (permutations of the labels) the mean, and the interval of one run.
        groups: Group of each sample.
        seed: Decides the resamples.

    Returns:
        `measure` x `end` (value, low, high).

    Raises:
        InputError: no run, or a measure that is undefined on these samples.
    """
    found = {
        name: measure_over_groups([make(run) for run in runs], groups, seed=seed)
        for name, make in CLASSIFICATION.items()
    }
    return as_array({name: _reflected(each) if name in _LEANS_UPWARD else each for name, each in found.items()})


def as_array(estimates: Mapping[str, Estimate]) -> xr.DataArray:
    """Label estimates by measure and by end of the interval."""
    values = [[getattr(estimate, end) for end in ENDS] for estimate in estimates.values()]
    return xr.DataArray(values, {"measure": list(estimates), "end": list(ENDS)}, ("measure", "end"))


def area(positive: Bool[np.ndarray, " sample"], scores: Float[np.ndarray, " sample"]) -> Measure:
    """Area under the ROC curve: the share of pairs of a positive and a negative in the right order, ties half."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(scores[order]) > 0])
    turned = positive[order]

    def measure(weights: np.ndarray) -> np.ndarray:
        weights = weights[:, order]
        up, down = (np.add.reduceat(weights * side, starts, axis=1) for side in (turned, ~turned))
        pairs = up.sum(1) * down.sum(1)
        below = down.cumsum(1) - down / 2
        return np.divide((up * below).sum(1), pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)

    return measure


def bins(predictions: Predictions, n_bins: int, binning: Binning) -> Int[np.ndarray, " sample"]:
    """Bin of each sample's confidence; each bin holds its upper edge, and equal confidences share a bin.

    Raises:
        InputError: no bin.
    """
    if n_bins < 1:
        raise InputError(f"{n_bins} bins hold nothing. Expected at least 1.")
    confidence = predictions.probabilities.max(1)
    shares = np.linspace(0, 1, n_bins + 1)[1:-1]
    edges = shares if binning == "equal_width" else np.quantile(confidence, shares, method="inverted_cdf")
    return np.searchsorted(edges, confidence, side="left")


def _counts(predictions: Predictions, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each draw and class: how much is right, is of the class, and was answered with it."""
    each = np.eye(len(predictions.classes))
    true, answered = each[predictions.truth], each[predictions.answers]
    return weights @ (true * answered), weights @ true, weights @ answered


def _mean_where(part: np.ndarray, whole: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Mean over classes of a ratio, of the classes that are there."""
    return np.divide(part, whole, out=np.zeros(part.shape), where=there).sum(1) / there.sum(1)


def _reflected(estimate: Estimate) -> Estimate:
    """Interval of an error that noise in bins can only raise, in the samples and once more in each resample.

    Percentiles would lie above the value; here their distances from it are turned round (the basic bootstrap). That
    takes the noise of the resamples off, and not that of the samples: whether a classifier is calibrated is answered
    by `calibrated_error`, not by whether this interval reaches 0.
    """
    low, high = 2 * estimate.value - estimate.high, 2 * estimate.value - estimate.low
    return Estimate(estimate.value, max(0.0, min(low, estimate.value)), max(high, estimate.value))
