"""K-sparse probes: how few coordinates (neurons, features) suffice to read a label off."""

from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from sklearn.feature_selection import SelectKBest, f_classif

from interp.errors import InputError
from probes.estimators.linear import LogisticProbe, LogitClassifier, Samples, check_classes, check_samples
from probes.samples.data import Labels


class KSparseProbe(LogitClassifier):
    """Choose k coordinates on the samples fitted to, then fit a logistic regression on those alone.

    Meaningful where coordinates have a meaning of their own: neurons, or features of a sparse autoencoder. Accuracy
    that is high at a small k shows that few coordinates suffice, not that they are the only ones, nor that the model
    reads them: set it beside as many random coordinates. Each coordinate is ranked by itself, so that coordinates which
    only together tell classes apart are missed. `coef_` is 0 outside `chosen_`; `direction_` points to `classes_[1]`.

    Args:
        k: Number of coordinates.
        ranking: What coordinates are chosen by. "mean_difference": the largest difference between the means of two
            classes, in units of activation (the "max mean activation difference" of Gurnee et al.). "f": the F
            statistic of a one-way analysis of variance, which knows no units.
        C: Inverse strength of the squared penalty on standardised coordinates.
        max_iter: Iterations within which the logistic regression has to converge.

    Source: Gurnee et al. 2023, Finding Neurons in a Haystack, sec. 3 (arXiv:2305.01610).
    """

    chosen_: Int[np.ndarray, " k"]
    """Places of the chosen coordinates, in rising order."""

    def __init__(
        self,
        k: int = 1,
        ranking: Literal["mean_difference", "f"] = "mean_difference",
        C: float = 1.0,
        max_iter: int = 1000,
    ) -> None:
        self.k = k
        self.ranking = ranking
        self.C = C
        self.max_iter = max_iter

    def fit(self, X: Samples, y: Labels) -> "KSparseProbe":
        """Fit to labelled activations.

        Raises:
            InputError: an unknown ranking, a `k` that is not between 1 and the width, one class, activations that are
                not finite, or no convergence.
        """
        rankings = {"mean_difference": mean_gaps, "f": _f_statistics}
        if self.ranking not in rankings:
            raise InputError(f"The ranking is {self.ranking!r}. Expected one of {sorted(rankings)}.")
        X = check_samples(X)
        check_classes(y, len(X))
        if not 1 <= self.k <= X.shape[1]:
            raise InputError(f"k is {self.k}. Expected 1 to {X.shape[1]}, the width of the activations.")
        self.chosen_ = SelectKBest(rankings[self.ranking], k=self.k).fit(X, y).get_support(indices=True)
        inner = LogisticProbe(self.C, self.max_iter).fit(X[:, self.chosen_], y)
        coef = np.zeros((len(inner.coef_), X.shape[1]))
        coef[:, self.chosen_] = inner.coef_
        self._keep(inner.classes_, coef, inner.intercept_)
        return self


def mean_gaps(X: Samples, y: Labels) -> Float[np.ndarray, " d_model"]:
    """Compute how far apart the means of the two most distant classes lie, coordinate by coordinate."""
    means = np.stack([X[y == label].mean(0) for label in np.unique(y)])
    return np.ptp(means, axis=0)


def _f_statistics(X: Samples, y: Labels) -> Float[np.ndarray, " d_model"]:
    scores = np.zeros(X.shape[1])
    # A constant coordinate has no F statistic, and tells nothing.
    varying = np.ptp(X, axis=0) > 0
    with np.errstate(divide="ignore"):
        scores[varying] = f_classif(X[:, varying], y)[0]
    return scores
