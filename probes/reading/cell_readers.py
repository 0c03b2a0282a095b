"""How each kind of label is read off activations, scored sample by sample, and measured.

A score is such that its mean over samples is the first measure: whether a class was right, the share of several labels
that were right, or for numbers 1 - error^2 / variance, whose mean is R squared.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float
from scipy.special import expit
from sklearn.base import clone

from interp.errors import InputError
from probes.estimators.large_logistic import LargeLogisticProbe, decide_labellings, fit_labellings
from probes.estimators.large_ridge import LargeRidgeProbe, fit_targets, predict_targets
from probes.estimators.linear import places, probabilities
from probes.reading.controls import majority_accuracy
from probes.reading.held_out import Predictions, predict_prior
from probes.reading.intervals import Measure
from probes.reading.measures import CLASSIFICATION
from probes.reading.more_measures import MULTILABEL, REGRESSION, LabelPredictions, NumberPredictions
from probes.samples.labels import AnyLabels, are_classes
from probes.samples.row_blocks import Samples
from probes.samples.split import Fold

Raw = Float[np.ndarray, "labelling _ column"]
"""What probes say of samples: logits of rows of weights, or numbers; of the true labels, then of the permuted ones."""
Scores = Float[np.ndarray, "labelling _"]
LargeProbe = LargeLogisticProbe | LargeRidgeProbe
MAJORITY, MEAN = "control_majority", "control_mean"
FLOORS = {
    MAJORITY: "majority: always giving the most frequent answer",
    MEAN: "mean: always giving the mean number, whose R squared is 0",
}
_P = TypeVar("_P", LargeLogisticProbe, LargeRidgeProbe)


class CellReader(ABC):
    """Fits true and permuted labels of one cell together, and scores the samples held out."""

    measure: str
    """Name of the mean score in results."""
    unit: str
    sign: str
    floor: str
    """Name of what needs no look at the activations."""
    measures: Mapping[str, Callable[[Any], Measure]]
    """All measures, by name."""
    fits: str
    """What is fitted, to begin a sentence."""

    def __init__(self, probe: LargeProbe) -> None:
        self.probe: Any = probe
        self.method = f"{self.fits} ({probe.penalty_in_words})"

    @abstractmethod
    def predict(self, X: Samples, labellings: Sequence[AnyLabels], fold: Fold) -> Raw:
        """Fit to one side of a split and say something of the other, in the order of `fold.test`."""

    @abstractmethod
    def score_of(self, raw: Raw, labellings: Sequence[AnyLabels], fold: Fold) -> Scores:
        """Score what was said of the samples held out."""

    @abstractmethod
    def predictions(self, raw: Float[np.ndarray, "_ column"], labels: AnyLabels) -> Any:
        """Turn what was said of all samples into what measures take."""

    @abstractmethod
    def known_beforehand(self, labels: AnyLabels) -> Any | None:
        """The best predictions without looking; None where the measures of such are undefined."""

    @abstractmethod
    def score_floor(self, labels: AnyLabels) -> float:
        """Mean score of the best answer without looking, known beforehand."""

    @abstractmethod
    def n_directions(self, labels: AnyLabels) -> int:
        """How many directions the labels need."""

    def score(self, X: Samples, labellings: Sequence[AnyLabels], fold: Fold) -> Scores:
        """Fit to one side of a split and score the other, in the order of `fold.test`."""
        return self.score_of(self.predict(X, labellings, fold), labellings, fold)


class ClassReader(CellReader):
    """Logistic regression; a score is whether the answer is right."""

    measure, unit = "accuracy", "accuracy (share of held-out samples)"
    sign, floor = "A larger number means that more held-out samples are predicted right.", MAJORITY
    measures, fits = CLASSIFICATION, "Multinomial logistic regression"

    def predict(self, X: Samples, labellings: Sequence[AnyLabels], fold: Fold) -> Raw:
        """Logits: one for two classes, else one for each."""
        return decide_labellings(fit_labellings(self.probe, X, labellings, rows=fold.train), X, rows=fold.test)

    def score_of(self, raw: Raw, labellings: Sequence[AnyLabels], fold: Fold) -> Scores:
        """Say which held-out predictions are right."""
        classes = np.unique(labellings[0][np.concatenate([fold.train, fold.test])])
        pairs = zip(raw, labellings, strict=True)
        return np.stack([classes[places(_rows(each))] == labels[fold.test] for each, labels in pairs]).astype(float)

    def predictions(self, raw: Float[np.ndarray, "_ column"], labels: AnyLabels) -> Predictions:
        """Probabilities."""
        return Predictions(probabilities(_rows(raw)), labels, np.unique(labels))

    def known_beforehand(self, labels: AnyLabels) -> Predictions:
        """The share of each class."""
        return predict_prior(labels)

    def score_floor(self, labels: AnyLabels) -> float:
        """The share of the most frequent class."""
        return majority_accuracy(labels)

    def n_directions(self, labels: AnyLabels) -> int:
        """One less than there are classes."""
        return len(np.unique(labels)) - 1


class LabelsReader(CellReader):
    """One logistic regression for each of several labels; a score is the share of a sample's labels that are right."""

    measure, unit = "accuracy", "accuracy (share of the labels of held-out samples)"
    sign, floor = "A larger number means that more labels of held-out samples are predicted right.", MAJORITY
    measures, fits = MULTILABEL, "One logistic regression for each label"

    def predict(self, X: Samples, labellings: Sequence[AnyLabels], fold: Fold) -> Raw:
        """The logit of each label."""
        columns = [column for labels in labellings for column in labels.T]
        logits = decide_labellings(fit_labellings(self.probe, X, columns, rows=fold.train), X, rows=fold.test)
        return logits[:, :, 0].reshape(len(labellings), -1, len(fold.test)).swapaxes(1, 2)

    def score_of(self, raw: Raw, labellings: Sequence[AnyLabels], fold: Fold) -> Scores:
        """Say which share of each held-out sample's labels is right."""
        return ((raw > 0) == np.stack(labellings)[:, fold.test]).mean(2)

    def predictions(self, raw: Float[np.ndarray, "_ column"], labels: AnyLabels) -> LabelPredictions:
        """The probability of each label."""
        return LabelPredictions(expit(raw), labels)

    def known_beforehand(self, labels: AnyLabels) -> LabelPredictions:
        """The share of samples that have each label."""
        return LabelPredictions(np.tile(labels.mean(0), (len(labels), 1)), labels)

    def score_floor(self, labels: AnyLabels) -> float:
        """The mean over labels of the more frequent answer's share."""
        return float(np.mean([majority_accuracy(column) for column in labels.T]))

    def n_directions(self, labels: AnyLabels) -> int:
        """As many as there are labels."""
        return labels.shape[1]


class NumberReader(CellReader):
    """Ridge regression; a score is 1 - squared error / variance of all numbers of the split."""

    measure, unit = "r2", "R squared (share of the variance of held-out samples)"
    sign, floor = "A larger number means that held-out numbers are told better; 0 is always their mean.", MEAN
    measures, fits = REGRESSION, "Ridge regression"

    def predict(self, X: Samples, labellings: Sequence[AnyLabels], fold: Fold) -> Raw:
        """The number of each sample."""
        return predict_targets(fit_targets(self.probe, X, labellings, rows=fold.train), X, rows=fold.test)[:, :, None]

    def score_of(self, raw: Raw, labellings: Sequence[AnyLabels], fold: Fold) -> Scores:
        """Say how much better than their mean each held-out sample's number is told, in variances."""
        truth = np.stack(labellings)
        variances = truth[:, np.concatenate([fold.train, fold.test])].var(1, keepdims=True)
        return 1 - (raw[:, :, 0] - truth[:, fold.test]) ** 2 / variances

    def predictions(self, raw: Float[np.ndarray, "_ column"], labels: AnyLabels) -> NumberPredictions:
        """The numbers themselves."""
        return NumberPredictions(raw[:, 0], labels)

    def known_beforehand(self, labels: AnyLabels) -> None:  # noqa: ARG002 - the mean correlates with nothing
        """Nothing: the mean correlates with nothing, and its R squared is 0."""
        return

    def score_floor(self, labels: AnyLabels) -> float:  # noqa: ARG002 - the same for all numbers
        """Always the mean."""
        return 0.0

    def n_directions(self, labels: AnyLabels) -> int:  # noqa: ARG002 - the same for all numbers
        """One."""
        return 1


def reader_of(labels: AnyLabels, probe: LargeProbe | None, *, max_bytes: int = 2**30, seed: int = 0) -> CellReader:
    """Choose how labels are read by what they are.

    Args:
        labels: Classes, rows of truth values, or numbers.
        probe: Settings: a `LargeLogisticProbe`, or for numbers a `LargeRidgeProbe`; by default those classes' own.
        max_bytes: Memory for the rows of one cell.
        seed: Of the default probe.

    Raises:
        InputError: a probe that does not read such labels, or rows of numbers.
    """
    if labels.dtype.kind == "f":
        if labels.ndim > 1:
            raise InputError(f"Rows of {labels.shape[1]} numbers. Expected one for each sample: probe them one by one.")
        return NumberReader(_copy(probe, LargeRidgeProbe(alpha=None), max_bytes))
    logistic = _copy(probe, LargeLogisticProbe(C=None, seed=seed), max_bytes)
    return ClassReader(logistic) if are_classes(labels) else LabelsReader(logistic)


def _copy(given: LargeProbe | None, default: _P, max_bytes: int) -> _P:
    if given is not None and not isinstance(given, type(default)):
        raise InputError(
            f"A {type(given).__name__} does not read such labels. Expected a {type(default).__name__}, or none."
        )
    return clone(given or default).set_params(max_bytes=max_bytes)


def _rows(logits: Float[np.ndarray, "_ column"]) -> Float[np.ndarray, "_ *column"]:
    """Logits as the probes have them: one number for two classes."""
    return logits[:, 0] if logits.shape[1] == 1 else logits
