"""Ridge regression on activations: a number read off linearly."""

import numpy as np
from jaxtyping import Float, Shaped
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from interp.errors import InputError
from probes.estimators.linear import Samples, check_samples, unit


class RidgeProbe(RegressorMixin, BaseEstimator):
    """Read a number off activations by ridge regression on standardised coordinates.

    Each coordinate is standardised with the mean and deviation of the samples fitted to. A high R squared on held-out
    samples shows that the number can be read off linearly; it is not evidence that the model uses it. Positive
    `coef_`: a larger activation reads as a larger number. The standardisation is folded into `coef_`.

    Args:
        alpha: Strength of the squared penalty on standardised coordinates, as in scikit-learn.

    Source: Hoerl & Kennard 1970, Ridge regression (Technometrics 12).
    """

    coef_: Float[np.ndarray, " d_model"]
    """Number per unit of activation."""
    intercept_: float

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def fit(self, X: Samples, y: Shaped[np.ndarray, " _"]) -> "RidgeProbe":
        """Fit to activations with a number each.

        Raises:
            InputError: a negative `alpha`, activations or numbers that are not finite, as many numbers as there are
                not samples, or numbers that are all the same.
        """
        if not self.alpha >= 0:
            raise InputError(f"alpha is {self.alpha}. Expected zero or more.")
        X, y = check_samples(X), check_numbers(y, len(X))
        scaler, ridge = (step for _, step in make_pipeline(StandardScaler(), Ridge(alpha=self.alpha)).fit(X, y).steps)
        self.coef_ = ridge.coef_ / scaler.scale_
        self.intercept_ = float(ridge.intercept_ - self.coef_ @ scaler.mean_)
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X: Samples) -> Float[np.ndarray, " sample"]:
        """Read off the number of each sample."""
        check_is_fitted(self)
        return check_samples(X, width=len(self.coef_)) @ self.coef_ + self.intercept_

    @property
    def direction_(self) -> Float[np.ndarray, " d_model"]:
        """Unit vector along which activations read as larger numbers."""
        check_is_fitted(self)
        return unit(self.coef_)


def check_numbers(y: Shaped[np.ndarray, " _"], n_samples: int) -> Float[np.ndarray, " _"]:
    """Return numbers to read off, in float64.

    Raises:
        InputError: not one finite number for each sample, or all the same.
    """
    if len(y) != n_samples:
        raise InputError(f"{len(y)} numbers for {n_samples} samples. Give one for each.")
    if y.dtype.kind not in "fiub" or not np.isfinite(y).all():
        raise InputError(f"Expected a finite number for each sample, and the first are {y[:3].tolist()}.")
    if np.ptp(y.astype(np.float64)) == 0:
        raise InputError(f"All samples have the number {y[0]}. Expected numbers that vary.")
    return y.astype(np.float64)
