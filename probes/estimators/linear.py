"""Probes that are linear in the activations: what all of them can say, and logistic regression among them."""

import warnings
from collections.abc import Generator
from contextlib import contextmanager

import numpy as np
from jaxtyping import Float, Shaped
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from interp.errors import InputError
from probes.samples.data import Labels

Samples = Float[np.ndarray, "sample d_model"]


class LinearClassifier(ClassifierMixin, BaseEstimator):
    """A probe whose decision is linear in the activations, told in their own coordinates.

    Whatever a probe does to activations before it decides (centring, standardising, choosing coordinates) is folded
    into `coef_` and `intercept_`. With two classes there is one row, and a positive decision means `classes_[1]`; with
    more there is one row for each class, and the largest wins. Where a probe reads need not be where the model reads.
    """

    classes_: Shaped[np.ndarray, " class"]
    """Sorted; the rows of `coef_` follow this order."""
    coef_: Float[np.ndarray, "row d_model"]
    """Decision per unit of activation."""
    intercept_: Float[np.ndarray, " row"]

    def decision_function(self, X: Samples) -> Float[np.ndarray, "sample *row"]:
        """Tell two classes apart by sign (positive: `classes_[1]`), more by the largest of a row."""
        check_is_fitted(self)
        decision = check_samples(X, width=self.coef_.shape[1]) @ self.coef_.T + self.intercept_
        return decision[:, 0] if len(self.coef_) == 1 else decision

    def predict(self, X: Samples) -> Shaped[np.ndarray, " sample"]:
        """Name the class that the decision speaks for."""
        decision = self.decision_function(X)
        return self.classes_[places(decision)]

    @property
    def direction_(self) -> Float[np.ndarray, "*class d_model"]:
        """Unit vector along which activations speak more for `classes_[1]`; with more than two classes, one for each.

        Moving an activation along it raises that class's decision.
        """
        check_is_fitted(self)
        return unit(self.coef_[0] if len(self.coef_) == 1 else self.coef_)

    def direction(self, label: object = None) -> Float[np.ndarray, " d_model"]:
        """Return the unit vector along which activations speak more for a class.

        Args:
            label: The class; by default the second of two.

        Raises:
            InputError: an unknown class, or none given where there are more than two.
        """
        directions = self.direction_
        if label is None and len(self.classes_) > 2:
            raise InputError(f"This probe has {len(self.classes_)} classes {self.classes_.tolist()}. Say which one.")
        if label is not None and label not in self.classes_.tolist():
            raise InputError(f"The probe has no class {label!r}. Expected one of {self.classes_.tolist()}.")
        place = 1 if label is None else self.classes_.tolist().index(label)
        if len(self.classes_) > 2:
            return directions[place]
        return directions if place else -directions

    def _keep(self, classes: np.ndarray, coef: np.ndarray, intercept: np.ndarray) -> None:
        self.classes_, self.coef_, self.intercept_ = classes, coef, intercept
        self.n_features_in_ = coef.shape[1]


class LogitClassifier(LinearClassifier):
    """A linear probe whose decisions are logits."""

    def predict_proba(self, X: Samples) -> Float[np.ndarray, "sample class"]:
        """Turn logits into the probability that the probe gives each class; it need not be calibrated."""
        return probabilities(self.decision_function(X))


class LogisticProbe(LogitClassifier):
    """Multinomial logistic regression on standardised activations.

    Each coordinate is standardised with the mean and deviation of the samples fitted to, never of those tested.

    Args:
        C: Inverse strength of the squared penalty on standardised coordinates, as in scikit-learn.
        max_iter: Iterations within which it has to converge.
    """

    def __init__(self, C: float = 0.01, max_iter: int = 1000) -> None:
        self.C = C
        self.max_iter = max_iter

    def pipeline(self) -> Pipeline:
        """The unfitted plain scikit-learn estimator with these settings."""
        return make_pipeline(StandardScaler(), LogisticRegression(C=self.C, max_iter=self.max_iter))

    def fit(self, X: Samples, y: Labels) -> "LogisticProbe":
        """Fit to labelled activations.

        Args:
            X: Activations; computed on in float64.
            y: Class of each sample.

        Raises:
            InputError: settings not above zero, one class, activations that are not finite, or no convergence within
                `max_iter`.
        """
        if not (self.C > 0 and self.max_iter > 0):
            raise InputError(f"C is {self.C} and max_iter {self.max_iter}. Expected both above zero.")
        X = check_samples(X)
        check_classes(y, len(X))
        hint = f"within {self.max_iter} iterations at C={self.C}. Raise max_iter, or lower C."
        with refuse_without_convergence(hint):
            scaler, regression = (step for _, step in self.pipeline().fit(X, y).steps)
        coef = regression.coef_ / scaler.scale_
        self._keep(regression.classes_, coef, regression.intercept_ - coef @ scaler.mean_)
        return self


@contextmanager
def refuse_without_convergence(hint: str) -> Generator[None]:
    """Turn scikit-learn's warning that a fit did not converge into an error.

    Args:
        hint: How far it got and what to do, after "The probe did not converge".

    Raises:
        InputError: no convergence.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        # Words have many classes, and the first portions of a code few samples: both are meant.
        warnings.filterwarnings("ignore", message="The number of unique classes is greater", category=UserWarning)
        try:
            yield
        except ConvergenceWarning as warning:
            raise InputError(f"The probe did not converge {hint}") from warning


def check_samples(
    X: Float[np.ndarray, "*sample d_model"], *, width: int | None = None, axes: int = 2
) -> Float[np.ndarray, "*sample d_model"]:
    """Return activations in float64.

    Args:
        X: Activations, the last axis of which is their width.
        width: What the probe was fitted to; any, by default.
        axes: Number of axes expected.

    Raises:
        InputError: no activations, another number of axes, NaN or infinity, or another width than the probe's.
    """
    if X.size == 0 or X.ndim != axes:
        raise InputError(f"Activations of shape {X.shape}. Expected {axes} axes, and at least one sample.")
    if width is not None and X.shape[-1] != width:
        raise InputError(
            f"The activations are {X.shape[-1]} wide and the probe was fitted to a width of {width}. "
            "Give it activations of the site it was fitted to."
        )
    if bad := int((~np.isfinite(X)).sum()):
        raise InputError(
            f"{bad} of {X.size} activations are NaN or infinite. Capture in a wider dtype, such as float32."
        )
    return X.astype(np.float64)


def check_classes(y: Labels, n_samples: int) -> Shaped[np.ndarray, " class"]:
    """Return the classes, sorted.

    Raises:
        InputError: a number of labels other than that of samples, fractions instead of classes, or one class.
    """
    if len(y) != n_samples:
        raise InputError(f"{len(y)} labels for {n_samples} samples. Give one for each.")
    if y.dtype.kind == "f" and not (y == np.round(y)).all():
        raise InputError(
            f"The labels hold fractions or NaN. Expected classes; for numbers use a ridge probe. First: {y[:3]}."
        )
    classes = np.unique(y)
    if len(classes) < 2:
        raise InputError(f"All samples have the label {classes.tolist()[0]!r}. Expected at least two classes.")
    return classes


def places(decision: Float[np.ndarray, "sample *row"]) -> Shaped[np.ndarray, " sample"]:
    """Say which class each decision speaks for, by its place."""
    return decision.argmax(1) if decision.ndim == 2 else (decision > 0).astype(int)


def probabilities(logits: Float[np.ndarray, "sample *row"]) -> Float[np.ndarray, "sample class"]:
    """Turn logits into probabilities: one logit by sigmoid, several by softmax."""
    if logits.ndim == 2:
        return softmax(logits, axis=1)
    return np.stack([expit(-logits), expit(logits)], axis=1)


def unit(vectors: Float[np.ndarray, "*class d_model"]) -> Float[np.ndarray, "*class d_model"]:
    """Scale each vector to length 1.

    Raises:
        InputError: a vector of zeros.
    """
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if not lengths.all():
        raise InputError("The probe's weights are all zero, so it has no direction. Fit it to data that differ.")
    return vectors / lengths
