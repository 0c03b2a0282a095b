"""Held-out probabilities: what any scikit-learn classifier says about samples that it was not fitted to."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int, Shaped
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from interp.errors import InputError
from probes.samples.data import LabelledActivations, Labels
from probes.samples.split import Fold


@runtime_checkable
class Classifier(Protocol):
    """A scikit-learn classifier or pipeline that says how probable each class is."""

    def fit(self, X: Any, y: Any, /) -> Any:
        """Fit to samples; after it, `classes_` and `predict_proba` are there."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the settings: what `sklearn.base.clone` copies."""
        ...


def require_classes(data: LabelledActivations) -> None:
    """Refuse labels that are not one class for each sample.

    Raises:
        InputError: numbers, or rows of truth values.
    """
    if data.labels.ndim != 1 or data.labels.dtype.kind == "f":
        raise InputError(
            f"The labels are {data.label_kind}, of type {data.labels.dtype} and shape {data.labels.shape}. Expected "
            "one class for each sample; for others, see probes.reading.more_measures."
        )


@dataclass(frozen=True)
class Predictions:
    """The probability of each class for each held-out sample, beside its true class.

    Raises:
        InputError: shapes that do not fit, no samples, probabilities that are not such, or a label of no class.
    """

    probabilities: Float[np.ndarray, "sample class_"]
    labels: Labels
    classes: Shaped[np.ndarray, " _"]
    """Sorted; the columns of `probabilities` follow this order."""

    def __post_init__(self) -> None:
        shape = (len(self.labels), len(self.classes))
        if self.probabilities.shape != shape or not all(shape):
            raise InputError(
                f"Probabilities of shape {self.probabilities.shape} for {shape[0]} labels and {shape[1]} classes. "
                "Expected one row for each sample and one column for each class."
            )
        check_probabilities(self.probabilities)
        if (off := np.abs(self.probabilities.sum(1) - 1).max()) > 1e-6:
            raise InputError(f"The probabilities of a sample sum to 1 ± {off:.3g}. Expected 1: give predict_proba's.")
        if len(unknown := np.setdiff1d(self.labels, self.classes)):
            raise InputError(f"Label {unknown.tolist()[0]!r} is none of the classes {self.classes.tolist()}.")

    @property
    def truth(self) -> Int[np.ndarray, " sample"]:
        """Column of each sample's true class."""
        return np.searchsorted(self.classes, self.labels)

    @property
    def answers(self) -> Int[np.ndarray, " sample"]:
        """Column of each sample's most probable class; the first where several are."""
        return self.probabilities.argmax(1)

    @property
    def of_truth(self) -> Float[np.ndarray, " sample"]:
        """Probability that each sample's true class was given."""
        return self.probabilities[np.arange(len(self.labels)), self.truth]


def check_probabilities(probabilities: Float[np.ndarray, "..."]) -> None:
    """Refuse numbers that are no probabilities.

    Raises:
        InputError: NaN, or a number outside 0 to 1.
    """
    outside = ~((probabilities >= 0) & (probabilities <= 1))
    if count := int(outside.sum()):
        raise InputError(
            f"{count} of {probabilities.size} probabilities are NaN or outside 0 to 1, such as "
            f"{probabilities[outside][0]}. Give predict_proba's, not logits."
        )


def predict_held_out(
    estimator: Classifier, X: Float[np.ndarray, "sample d_model"], labels: Labels, folds: Sequence[Fold]
) -> Predictions:
    """Predict each sample once, by a copy of the estimator that never saw its fold.

    Args:
        estimator: Settings; it is copied for each fold, never fitted itself.
        X: Activations of one layer.
        labels: Class of each sample.
        folds: As `group_folds` makes them: every sample is tested in exactly one.

    Raises:
        InputError: a sample tested never or twice, an estimator without probabilities, or one that does not converge.
    """
    tested = np.bincount(np.concatenate([fold.test for fold in folds]), minlength=len(labels))
    if (tested != 1).any():
        bad = int(np.argmax(tested != 1))
        raise InputError(f"Sample {bad} is tested in {tested[bad]} folds. Expected one: use group_folds.")
    classes = np.unique(labels)
    probabilities = np.empty((len(labels), len(classes)))
    for fold in folds:
        probabilities[fold.test] = predict_fold(estimator, X, labels, fold, classes)
    return Predictions(probabilities, labels, classes)


def predict_fold(
    estimator: Classifier,
    X: Float[np.ndarray, "sample d_model"],
    labels: Labels,
    fold: Fold,
    classes: Shaped[np.ndarray, " _"],
    *,
    pseudocount: float = 0.0,
) -> Float[np.ndarray, "test class_"]:
    """Fit a copy to one side of a split and return the probabilities on the other.

    Where the side fitted to has one class only, there is nothing to fit, and every class is as probable as any other.

    Args:
        estimator: Settings.
        X: Activations of all samples.
        labels: Class of each sample.
        fold: Which samples to fit to, and which to predict.
        classes: All classes, sorted; those that the fitted side lacks have probability 0 before smoothing.
        pseudocount: Samples of each class that count as seen beside the n fitted to: p becomes
            (n p + pseudocount) / (n + pseudocount K). For class frequencies, 0.5 is the Krichevsky-Trofimov estimator.

    Raises:
        InputError: an estimator without probabilities, or one that does not converge.
    """
    n, n_classes = len(fold.train), len(classes)
    probabilities = np.zeros((len(fold.test), n_classes))
    if len(np.unique(labels[fold.train])) < 2:
        return probabilities + 1 / n_classes
    fitted = fit_anew(estimator, X[fold.train], labels[fold.train])
    probabilities[:, np.searchsorted(classes, fitted.classes_)] = fitted.predict_proba(_wide(X[fold.test]))
    return (n * probabilities + pseudocount) / (n + pseudocount * n_classes)


def fit_anew(estimator: Classifier, X: Float[np.ndarray, "sample d_model"], labels: Labels) -> Any:
    """Fit a copy of an estimator.

    Raises:
        InputError: an estimator without probabilities, or one that does not converge.
    """
    copy: Any = clone(estimator)
    if not hasattr(copy, "predict_proba"):
        raise InputError(
            f"{type(copy).__name__} has no predict_proba, and its quality is measured on probabilities. "
            "Wrap it in sklearn.calibration.CalibratedClassifierCV, or take a LogisticProbe."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        # Words have many classes, and the first portions of a code few samples: both are meant.
        warnings.filterwarnings("ignore", message="The number of unique classes is greater", category=UserWarning)
        try:
            return copy.fit(_wide(X), labels)
        except ConvergenceWarning as warning:
            raise InputError(
                f"{type(copy).__name__} did not converge on {len(X)} samples. Raise its max_iter, or regularise more."
            ) from warning


def predict_prior(labels: Labels) -> Predictions:
    """Answer every sample with the share of each class among all: the best without looking, known beforehand."""
    classes, counts = np.unique(labels, return_counts=True)
    return Predictions(np.tile(counts / counts.sum(), (len(labels), 1)), labels, classes)


def _wide(X: Float[np.ndarray, "sample d_model"]) -> Float[np.ndarray, "sample d_model"]:
    return X.astype(np.float64, copy=False)
