"""Mean-difference (mass-mean) probes, plain and whitened."""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float
from scipy.linalg import pinvh

from interp.errors import InputError
from probes.estimators.linear import LogitClassifier, Samples, check_classes, check_samples
from probes.samples.data import Labels

SMALLEST_VARIANCE = 1e-3
"""Pooled variance along an axis, in squared units of activation, up to which whitening leaves the axis out."""


class MeanDifferenceProbe(LogitClassifier):
    """Read along the line between the means of two classes: theta = mean of `classes_[1]` - mean of `classes_[0]`.

    Nothing is optimised, so the direction holds no more than the means do, and where it reads is where the classes
    differ most on average. Whitened, theta is multiplied by the inverse of the pooled within-class covariance: the
    direction of linear discriminant analysis, best for Gaussian classes that share a covariance; plain is best only
    where noise is alike in all directions. Activations are centred first at the midpoint of the two means, which
    plays the bias: logit = theta (x - midpoint). The logits are not calibrated, and plain ones grow with the scale of
    the activations squared. `direction_` points to `classes_[1]`.

    Args:
        whiten: Whether to divide by the within-class covariance (divisor n).
        threshold: Where the decision turns. "midpoint": halfway between the means. "fitted": where most samples fitted
            to are told apart, the nearest such place to the midpoint; for classes of unequal spread or number.
        smallest_variance: Axes of the within-class covariance with at most this variance are left out of whitening
            (the `atol` of the pseudo-inverse). It is in squared units of activation: lower it for activations of
            small scale.

    Source: Marks & Tegmark 2023, The Geometry of Truth, sec. 5 (arXiv:2310.06824).
    """

    def __init__(
        self,
        whiten: bool = False,
        threshold: Literal["midpoint", "fitted"] = "midpoint",
        smallest_variance: float = SMALLEST_VARIANCE,
    ) -> None:
        self.whiten = whiten
        self.threshold = threshold
        self.smallest_variance = smallest_variance

    def fit(self, X: Samples, y: Labels) -> "MeanDifferenceProbe":
        """Fit to labelled activations.

        Raises:
            InputError: an unknown threshold, not two classes, activations that are not finite, or a whitening that
                leaves nothing of the difference.
        """
        if self.threshold not in ("midpoint", "fitted"):
            raise InputError(f"The threshold is {self.threshold!r}. Expected 'midpoint' or 'fitted'.")
        X = check_samples(X)
        classes = check_classes(y, len(X))
        if len(classes) > 2:
            raise InputError(
                f"{len(classes)} classes {classes.tolist()}, and a difference of means is of two. "
                "Choose two of them, or use NearestCentroidProbe."
            )
        second = y == classes[1]
        low, high = X[~second].mean(0), X[second].mean(0)
        theta = high - low
        if self.whiten:
            theta = self._whitened(theta, X - np.where(second[:, None], high, low))
        cut = theta @ (low + high) / 2
        if self.threshold == "fitted":
            cut = best_cut(X @ theta, second, near=cut)
        self._keep(classes, theta[None], np.array([-cut]))
        return self

    def _whitened(self, theta: Float[np.ndarray, " d_model"], noise: Samples) -> Float[np.ndarray, " d_model"]:
        covariance = noise.T @ noise / len(noise)
        whitened = pinvh(covariance, atol=self.smallest_variance, rtol=0.0)
        if not (whitened @ theta).any():
            raise InputError(
                f"No axis has a within-class variance above {self.smallest_variance} (the largest coordinate has "
                f"{covariance.diagonal().max():.2e}). Lower smallest_variance, or do not whiten."
            )
        return whitened @ theta


def best_cut(heights: Float[np.ndarray, " sample"], second: Bool[np.ndarray, " sample"], *, near: float) -> float:
    """Find the height above which calling samples the second class is right most often.

    Args:
        heights: Samples along the direction.
        second: Which are of the second class.
        near: Of equally good cuts, the one nearest to this is taken.
    """
    order = np.argsort(heights, kind="stable")
    sorted_heights, of_second = heights[order], second[order]
    cuts = np.concatenate(
        [[sorted_heights[0] - 1], (sorted_heights[1:] + sorted_heights[:-1]) / 2, [sorted_heights[-1] + 1]]
    )
    right = np.concatenate([[0], np.cumsum(~of_second)]) + of_second.sum() - np.concatenate([[0], np.cumsum(of_second)])
    # No cut can part samples of one height.
    right[1:-1][sorted_heights[1:] == sorted_heights[:-1]] = -1
    best = right == right.max()
    return float(cuts[best][np.abs(cuts[best] - near).argmin()])
