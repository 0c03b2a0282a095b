"""Logistic regression on activations: settings that fit into a frozen answer."""

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from interp.errors import InputError
from probes.data import Labels


@dataclass(frozen=True)
class FittedProbe:
    """A fitted linear probe, in the coordinates of the activations themselves.

    With two classes there is one row, and a positive logit means the second class of `classes`; with more there is one
    row per class, and the largest logit wins.
    """

    classes: Shaped[np.ndarray, " class"]
    """Sorted; the rows of `weights` follow this order."""
    weights: Float[np.ndarray, "row d_model"]
    """Logits per unit of activation: the standardisation that the probe was fitted under is folded in."""
    intercept: Float[np.ndarray, " row"]

    def logits(self, X: Float[np.ndarray, "sample d_model"]) -> Float[np.ndarray, "sample row"]:
        """Logits of each sample."""
        return X @ self.weights.T + self.intercept

    def predict(self, X: Float[np.ndarray, "sample d_model"]) -> Shaped[np.ndarray, " sample"]:
        """Most probable class of each sample."""
        logits = self.logits(X)
        if len(self.weights) == 1:
            return self.classes[(logits[:, 0] > 0).astype(int)]
        return self.classes[logits.argmax(1)]

    def accuracy(self, X: Float[np.ndarray, "sample d_model"], labels: Labels) -> float:
        """Share of samples whose class is predicted right."""
        return float((self.predict(X) == labels).mean())

    def direction(self, label: object = None) -> Float[np.ndarray, " d_model"]:
        """Return the unit vector along which activations speak more for a class.

        Moving an activation along it raises that class's logit. It is where this probe reads, which need not be where
        the model reads.

        Args:
            label: The class; by default the second of two.

        Raises:
            InputError: an unknown class, or none given where there are more than two.
        """
        if label is None and len(self.classes) > 2:
            raise InputError(f"This probe has {len(self.classes)} classes {self.classes.tolist()}. Say which one.")
        place = 1 if label is None else self._place(label)
        row = self.weights[place] if len(self.weights) > 1 else self.weights[0] * (1 if place else -1)
        length = np.linalg.norm(row)
        if length == 0:
            raise InputError("The probe's weights are all zero, so it has no direction. Fit it to data that differ.")
        return row / length

    def _place(self, label: object) -> int:
        if label not in self.classes.tolist():
            raise InputError(f"The probe has no class {label!r}. Expected one of {self.classes.tolist()}.")
        return self.classes.tolist().index(label)


@dataclass(frozen=True)
class LogisticProbe:
    """Settings of a multinomial logistic regression on standardised activations.

    Each coordinate is standardised with the mean and deviation of the samples fitted to, never of those tested.
    """

    C: float = 0.01
    """Inverse strength of the squared penalty on standardised coordinates, as in scikit-learn."""
    max_iter: int = 1000

    def __post_init__(self) -> None:
        if not (self.C > 0 and self.max_iter > 0):
            raise InputError(f"C is {self.C} and max_iter {self.max_iter}. Expected both above zero.")

    def pipeline(self) -> Pipeline:
        """The unfitted scikit-learn estimator with these settings."""
        return make_pipeline(StandardScaler(), LogisticRegression(C=self.C, max_iter=self.max_iter))

    def fit(self, X: Float[np.ndarray, "sample d_model"], labels: Labels) -> FittedProbe:
        """Fit to labelled activations.

        Args:
            X: Activations; float64 is advised.
            labels: Class of each sample.

        Raises:
            InputError: one class, or no convergence within `max_iter`.
        """
        if len(np.unique(labels)) < 2:
            raise InputError(f"All samples have the label {labels.tolist()[0]!r}. Expected at least two classes.")
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            try:
                scaler, regression = (step for _, step in self.pipeline().fit(X, labels).steps)
            except ConvergenceWarning as warning:
                raise InputError(
                    f"The probe did not converge within {self.max_iter} iterations at C={self.C}. "
                    "Raise max_iter, or lower C."
                ) from warning
        weights = regression.coef_ / scaler.scale_
        return FittedProbe(regression.classes_, weights, regression.intercept_ - weights @ scaler.mean_)
