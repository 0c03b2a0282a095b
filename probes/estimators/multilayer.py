"""A multilayer perceptron on activations: what can be read off when the reader need not be linear."""

from collections.abc import Sequence
from typing import NoReturn

import numpy as np
from jaxtyping import Float, Shaped
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from interp.errors import InputError
from probes.estimators.linear import Samples, check_classes, check_samples, refuse_without_convergence
from probes.samples.data import Labels


class MultilayerProbe(ClassifierMixin, BaseEstimator):
    """Multilayer perceptron (rectified linear units) on standardised activations.

    What it reads and a linear probe does not may have been computed by the probe itself: compare its selectivity
    (accuracy above a control task), which is lower than a linear probe's. It has no direction.

    Args:
        hidden: Width of each hidden layer.
        alpha: Strength of the squared penalty on the weights.
        max_iter: Passes over the samples within which it has to converge.
        early_stopping: Hold a tenth of the samples out and stop when their accuracy no longer rises. That tenth is
            drawn without regard to groups.
        seed: Decides the initial weights and the order of samples.

    Source: Hewitt & Liang 2019, Designing and Interpreting Probes with Control Tasks (arXiv:1909.03368).
    """

    classes_: Shaped[np.ndarray, " class"]
    """Sorted."""

    def __init__(
        self,
        hidden: Sequence[int] = (64,),
        alpha: float = 1e-2,
        max_iter: int = 2000,
        early_stopping: bool = False,
        seed: int = 0,
    ) -> None:
        self.hidden = hidden
        self.alpha = alpha
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.seed = seed

    def fit(self, X: Samples, y: Labels) -> "MultilayerProbe":
        """Fit to labelled activations.

        Raises:
            InputError: settings out of range, one class, activations that are not finite, or no convergence.
        """
        if not (self.hidden and min(self.hidden) > 0 and self.alpha >= 0 and self.max_iter > 0):
            raise InputError(
                f"Hidden widths {self.hidden}, alpha {self.alpha} and max_iter {self.max_iter}. Expected at least one "
                "hidden layer, all widths and max_iter above zero, and alpha not below."
            )
        X = check_samples(X)
        self.classes_ = check_classes(y, len(X))
        network = MLPClassifier(
            tuple(self.hidden),
            alpha=self.alpha,
            max_iter=self.max_iter,
            early_stopping=self.early_stopping,
            random_state=self.seed,
        )
        with refuse_without_convergence(f"within {self.max_iter} passes. Raise max_iter."):
            self.pipeline_ = make_pipeline(StandardScaler(), network).fit(X, y)
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X: Samples) -> Shaped[np.ndarray, " sample"]:
        """Name the most probable class of each sample."""
        check_is_fitted(self)
        return self.pipeline_.predict(check_samples(X, width=self.n_features_in_))

    def predict_proba(self, X: Samples) -> Float[np.ndarray, "sample class"]:
        """Return the probability that the probe gives each class; it need not be calibrated."""
        check_is_fitted(self)
        return self.pipeline_.predict_proba(check_samples(X, width=self.n_features_in_))

    @property
    def direction_(self) -> NoReturn:
        """Refused: the way in which an activation has to move differs from sample to sample."""
        raise AttributeError(
            "A multilayer probe has no direction_: which way raises a class's logit differs from sample to sample. "
            "Use a linear probe where a direction is needed."
        )
