"""Measures of probes that predict a number, or several labels at once, each with an interval over groups."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Shaped

from interp.errors import InputError
from probes.reading.held_out import check_probabilities
from probes.reading.intervals import Measure, mean_of, measure_over_groups
from probes.reading.measures import SMALLEST, area, as_array
from probes.samples.data import Groups


@dataclass(frozen=True)
class NumberPredictions:
    """A predicted number for each held-out sample, beside the true one.

    Raises:
        InputError: fewer than two samples, lengths that differ, NaN or infinity, or true numbers that are all equal.
    """

    predicted: Shaped[np.ndarray, " _"]
    truth: Shaped[np.ndarray, " _"]

    def __post_init__(self) -> None:
        if len(self.predicted) != len(self.truth) or len(self.truth) < 2:
            raise InputError(
                f"{len(self.predicted)} predictions for {len(self.truth)} numbers. Expected as many, and at least 2."
            )
        for name in ("predicted", "truth"):
            if bad := int((~np.isfinite(getattr(self, name))).sum()):
                raise InputError(f"{bad} numbers of {name!r} are NaN or infinite. Leave those samples out.")
        if np.ptp(self.truth) == 0:
            raise InputError(f"All true numbers are {self.truth[0]}. Expected some that differ.")


def r2(predictions: NumberPredictions) -> Measure:
    """Share of the variance that is predicted: 0 for always the mean of these samples, below 0 for worse."""
    truth = predictions.truth.astype(np.float64)
    residual = (truth - predictions.predicted) ** 2

    def measure(weights: np.ndarray) -> np.ndarray:
        spread, _, _ = _moments(weights, truth, truth)
        return 1 - _ratio(weights @ residual, spread)

    return measure


def pearson(predictions: NumberPredictions) -> Measure:
    """Linear correlation of predicted and true numbers; undefined where either does not vary."""
    return lambda weights: _correlation(weights, predictions.predicted, predictions.truth)


def spearman(predictions: NumberPredictions) -> Measure:
    """Correlation of ranks, ties in the middle of their ranks; undefined where either does not vary."""

    def measure(weights: np.ndarray) -> np.ndarray:
        ranks = [_ranks(weights, values) for values in (predictions.predicted, predictions.truth)]
        return _correlation(weights, *ranks)

    return measure


REGRESSION: Mapping[str, Callable[[NumberPredictions], Measure]] = {"r2": r2, "pearson": pearson, "spearman": spearman}


def regression_measures(runs: list[NumberPredictions], groups: Groups, *, seed: int = 0) -> xr.DataArray:
    """Compute R2, Pearson's and Spearman's correlation, with 95 % bootstrap intervals over groups.

    Args:
        runs: Held-out predictions; of several runs the mean, and the interval of one run.
        groups: Group of each sample.
        seed: Decides the resamples.

    Returns:
        `measure` x `end` (value, low, high). Larger is better.

    Raises:
        InputError: no run, or predictions that are all equal, so that they correlate with nothing.
    """
    return as_array(
        {name: measure_over_groups([make(run) for run in runs], groups, seed=seed) for name, make in REGRESSION.items()}
    )


@dataclass(frozen=True)
class LabelPredictions:
    """The probability of each of several labels, of which a sample may have any number, beside the true ones.

    Raises:
        InputError: shapes that differ, no samples, probabilities that are not such, or a label that all or none have.
    """

    probabilities: Float[np.ndarray, "sample label"]
    truth: Bool[np.ndarray, "_ _"]

    def __post_init__(self) -> None:
        if self.probabilities.shape != self.truth.shape or not self.truth.size:
            raise InputError(
                f"Probabilities of shape {self.probabilities.shape} for labels of shape {self.truth.shape}. "
                "Expected one for each sample and label."
            )
        check_probabilities(self.probabilities)
        shares = self.truth.mean(0)
        if bad := np.flatnonzero((shares == 0) | (shares == 1)).tolist():
            raise InputError(f"Label {bad[0]} is {bool(shares[bad[0]])} for every sample. Leave that label out.")

    @property
    def answers(self) -> Bool[np.ndarray, "sample label"]:
        """Whether each label is answered: where its probability is above a half."""
        return self.probabilities > 0.5

    @property
    def of_truth(self) -> Float[np.ndarray, "sample label"]:
        """Probability given to what is true of each label."""
        return np.where(self.truth, self.probabilities, 1 - self.probabilities)


def label_accuracy(predictions: LabelPredictions) -> Measure:
    """Share of labels that are right, over samples and labels."""
    return mean_of((predictions.answers == predictions.truth).mean(1))


def exact_match(predictions: LabelPredictions) -> Measure:
    """Share of samples with every label right."""
    return mean_of((predictions.answers == predictions.truth).all(1))


def label_f1(predictions: LabelPredictions) -> Measure:
    """Mean over labels of the F1 of having the label."""
    return _macro_f1(predictions.answers, predictions.truth)


def label_auroc(predictions: LabelPredictions) -> Measure:
    """Mean over labels of the area under the ROC curve; undefined where a label holds of all or none."""
    areas = [area(has, scores) for has, scores in zip(predictions.truth.T, predictions.probabilities.T, strict=True)]
    return lambda weights: np.mean([measure(weights) for measure in areas], axis=0)


def label_log_loss(predictions: LabelPredictions) -> Measure:
    """Mean of -log p of what is true, over samples and labels."""
    return mean_of(-np.log(np.clip(predictions.of_truth, SMALLEST, 1 - SMALLEST)).mean(1))


def label_brier(predictions: LabelPredictions) -> Measure:
    """Mean squared distance of a label's probability from the truth, over samples and labels."""
    return mean_of(((1 - predictions.of_truth) ** 2).mean(1))


MULTILABEL: Mapping[str, Callable[[LabelPredictions], Measure]] = {
    "accuracy": label_accuracy,
    "exact_match": exact_match,
    "macro_f1": label_f1,
    "auroc": label_auroc,
    "log_loss_nats": label_log_loss,
    "brier": label_brier,
}


def multilabel_measures(runs: list[LabelPredictions], groups: Groups, *, seed: int = 0) -> xr.DataArray:
    """Compute measures of several labels at once, each the mean over labels, with 95 % bootstrap intervals over groups.

    Args:
        runs: Held-out probabilities; of several runs the mean, and the interval of one run.
        groups: Group of each sample.
        seed: Decides the resamples.

    Returns:
        `measure` x `end` (value, low, high).

    Raises:
        InputError: no run.
    """
    return as_array(
        {name: measure_over_groups([make(run) for run in runs], groups, seed=seed) for name, make in MULTILABEL.items()}
    )


def _macro_f1(answers: np.ndarray, truth: np.ndarray) -> Measure:
    def measure(weights: np.ndarray) -> np.ndarray:
        right, either = weights @ (answers & truth), weights @ (answers.astype(float) + truth)
        return np.divide(2 * right, either, out=np.zeros(either.shape), where=either > 0).mean(1)

    return measure


def _correlation(weights: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    across, spread, other = _moments(weights, left, right)
    return _ratio(across, np.sqrt(spread * other))


def _moments(weights: np.ndarray, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weighted sums of products of two centred variables, and of the squares of each."""
    left, right = (_centred(weights, values.astype(np.float64)) for values in (left, right))
    return (weights * left * right).sum(1), (weights * left**2).sum(1), (weights * right**2).sum(1)


def _centred(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Distance of each sample from its draw's mean; exactly 0 where a draw's samples are all equal."""
    centred = values - ((weights * values).sum(1) / weights.sum(1))[:, None]
    drawn = weights > 0
    equal = np.where(drawn, values, -np.inf).max(1) == np.where(drawn, values, np.inf).min(1)
    return np.where(equal[:, None] & drawn, 0.0, centred)


def _ranks(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Rank of each sample among all in its draw, each counted as often as it was drawn."""
    _, place = np.unique(values, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(place[order]) > 0])
    equal = np.add.reduceat(weights[:, order], starts, axis=1)
    return (equal.cumsum(1) - equal / 2)[:, place]


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
