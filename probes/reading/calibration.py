"""Calibration: whether a probe is right as often as it says, and one number that mends it."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from jaxtyping import Float
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from interp.errors import InputError
from interp.results import Provenance, Result
from probes.reading.held_out import Classifier, Predictions, predict_held_out
from probes.reading.intervals import CONFIDENCE, mean_of, measure_over_groups
from probes.reading.measures import N_BINS, SMALLEST, Binning, bins, calibration_error
from probes.samples.data import Groups, Labels
from probes.samples.split import Fold, group_folds

N_DRAWS = 500
"""Sets of labels drawn from the probabilities, for what a calibrated probe would score."""
_STREAM = 3
COLDEST, HOTTEST = 0.01, 100.0

_METHOD = (
    "Held-out predictions in {n_bins} bins of confidence, the probability of the answer ({binning}); empty bins are "
    "left out. Accuracy has a 95 % bootstrap interval over groups, too narrow for a bin of few groups. A curve on the "
    "diagonal says that the probe is right as often as it says, not that it is often right."
)
_CONTROL = (
    "calibrated: the accuracy of each bin where labels are drawn from the predicted probabilities ({n_draws} draws; "
    "mean and 95 % of them, samples independent)"
)


def reliability(
    predictions: Predictions,
    groups: Groups,
    provenance: Provenance,
    *,
    n_bins: int = N_BINS,
    binning: Binning = "equal_width",
    seed: int = 0,
) -> Result:
    """Compute how often a probe is right in each bin of confidence.

    Args:
        predictions: Held-out probabilities.
        groups: Group of each sample.
        provenance: Where the activations come from.
        n_bins: Number of bins, of which empty ones are left out.
        binning: Bins of equal width in confidence, or of equally many samples.
        seed: Decides resamples and draws.

    Returns:
        By bin: `accuracy` (interval over groups; positive: more samples right), mean `confidence`, `count`, and
        `control_calibrated`, the accuracy if the probabilities were true.

    Raises:
        InputError: no bin.

    Source: Guo et al. 2017, sec. 2 (arXiv:1706.04599); the control is the consistency resampling of Bröcker & Smith
    2007 (doi:10.1175/WAF993.1).
    """
    member = bins(predictions, n_bins, binning)
    filled, count = np.unique(member, return_counts=True)
    confidence = predictions.probabilities.max(1)
    right = predictions.answers == predictions.truth
    estimates = [measure_over_groups([mean_of(right, member == place)], groups, seed=seed) for place in filled]
    drawn = _drawn_right(predictions, seed)
    calibrated = np.stack([drawn[:, member == place].mean(1) for place in filled], 1)
    low, high = np.quantile(calibrated, _tails(), axis=0)
    by_bin = {
        "accuracy": [each.value for each in estimates],
        "accuracy_low": [each.low for each in estimates],
        "accuracy_high": [each.high for each in estimates],
        "confidence": [confidence[member == place].mean() for place in filled],
        "count": count,
        "control_calibrated": calibrated.mean(0),
        "control_calibrated_low": low,
        "control_calibrated_high": high,
    }
    return Result(
        kind="reliability",
        data=xr.Dataset({name: ("bin", np.array(values)) for name, values in by_bin.items()}, {"bin": filled}),
        unit="accuracy (share of held-out samples)",
        sign="Accuracy above confidence: the probe is right more often than it says.",
        method=_METHOD.format(n_bins=n_bins, binning=binning.replace("_", " ")),
        provenance=provenance,
        baselines={"ece": float(calibration_error(predictions, n_bins=n_bins, binning=binning)(_once(right))[0])},
        notes={"control": _CONTROL.format(n_draws=N_DRAWS), "n_samples": len(right), "n_bins": n_bins},
    )


def calibrated_error(
    predictions: Predictions, *, n_bins: int = N_BINS, binning: Binning = "equal_width", seed: int = 0
) -> tuple[float, float]:
    """Compute the calibration error that these probabilities would have if they were true.

    Labels are drawn from the probabilities themselves. An error above the upper end says that the probe is not
    calibrated; samples count as independent, so where groups are alike within, the end is too low.

    Args:
        predictions: Held-out probabilities; their labels are not read.
        n_bins: Number of bins.
        binning: Bins of equal width, or of equally many samples.
        seed: Decides the draws.

    Returns:
        Mean error over draws, and the end below which 95 % of them are.

    Source: Bröcker & Smith 2007, Increasing the Reliability of Reliability Diagrams (doi:10.1175/WAF993.1).
    """
    member, confidence = bins(predictions, n_bins, binning), predictions.probabilities.max(1)
    in_bin = np.eye(n_bins)[member]
    errors = np.abs((_drawn_right(predictions, seed) - confidence) @ in_bin).sum(1) / len(member)
    return float(errors.mean()), float(np.quantile(errors, CONFIDENCE))


def fit_temperature(predictions: Predictions) -> float:
    """Find the temperature that makes held-out probabilities most likely: above 1, the probe was too sure.

    Minimises the log-loss of softmax(log p / T) over one number, between 0.01 and 100. No answer changes.

    Args:
        predictions: Predictions held out from the probe, and not those that the result is tested on.

    Source: Guo et al. 2017, sec. 4.2 (arXiv:1706.04599).
    """
    rows, logits = np.arange(len(predictions.labels)), _logits(predictions.probabilities)

    def loss(log_temperature: float) -> float:
        scaled = softmax(logits / np.exp(log_temperature), axis=1)
        return float(-np.log(np.clip(scaled[rows, predictions.truth], SMALLEST, None)).mean())

    bounds = (np.log(COLDEST), np.log(HOTTEST))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6}).x))


def at_temperature(
    probabilities: Float[np.ndarray, "sample class_"], temperature: float
) -> Float[np.ndarray, "sample class_"]:
    """Soften (above 1) or sharpen (below 1) probabilities.

    Raises:
        InputError: a temperature that is not above 0.
    """
    if not temperature > 0:
        raise InputError(f"The temperature is {temperature}. Expected a number above 0.")
    return softmax(_logits(probabilities) / temperature, axis=1)


def predict_calibrated(
    estimator: Classifier,
    X: Float[np.ndarray, "sample d_model"],
    labels: Labels,
    groups: Groups,
    folds: Sequence[Fold],
    *,
    n_splits: int = 3,
    seed: int = 0,
) -> tuple[Predictions, Float[np.ndarray, " fold"]]:
    """Predict each sample once, at a temperature found inside the samples that its probe was fitted to.

    Within each fold's fitted side, groups are split once more; the temperature is fitted to predictions held out there,
    so that neither probe nor temperature has seen the fold that is tested.

    Args:
        estimator: Settings of the probe.
        X: Activations of one layer.
        labels: Class of each sample.
        groups: Group of each sample.
        folds: As `group_folds` makes them.
        n_splits: Inner folds.
        seed: Decides the inner folds.

    Returns:
        The predictions, and the temperature of each fold.

    Raises:
        InputError: too few groups for the inner folds, or a probe that does not converge.
    """
    plain = predict_held_out(estimator, X, labels, folds)
    probabilities, temperatures = plain.probabilities.copy(), []
    for fold in folds:
        rows = fold.train
        inner = group_folds(labels[rows], groups[rows], n_splits=n_splits, seed=seed)
        temperatures.append(fit_temperature(predict_held_out(estimator, X[rows], labels[rows], inner)))
        probabilities[fold.test] = at_temperature(probabilities[fold.test], temperatures[-1])
    return Predictions(probabilities, labels, plain.classes), np.array(temperatures)


def _logits(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.clip(probabilities, SMALLEST, None))


def _drawn_right(predictions: Predictions, seed: int) -> np.ndarray:
    """Whether each answer is right where the truth is drawn from the probabilities, for each draw."""
    confidence = predictions.probabilities.max(1)
    return np.random.default_rng([seed, _STREAM]).random((N_DRAWS, len(confidence))) < confidence


def _once(right: np.ndarray) -> np.ndarray:
    return np.ones((1, len(right)))


def _tails() -> list[float]:
    return [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
