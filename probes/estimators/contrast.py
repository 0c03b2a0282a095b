"""Contrast-consistent search: a direction found without labels, from statements and their negations."""

import numpy as np
import torch
from jaxtyping import Float, Shaped
from scipy.special import expit
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from tqdm.auto import tqdm

from interp.errors import InputError
from probes.estimators.descent import Minimum, minimise
from probes.estimators.linear import LinearClassifier, check_samples, places

# The number of halves is left open: where it is not 2, our refusal is to say so, not the type checker.
Pairs = Float[np.ndarray, "sample half d_model"]
UNLABELLED = -1
UNINFORMED = 0.2
"""Contrast loss where nothing tells the halves apart: p = 0.4 on both, by the bias alone, is the best of a constant."""
_ROUNDING = 1e-6
"""Deviations that are smaller than this share of the largest activation are rounding, not contrast."""


class ContrastConsistentProbe(LinearClassifier):
    """Find the direction along which the two halves of contrast pairs are told apart consistently and with confidence.

    `X[:, 0]` is the activation of a question answered one way ("... yes", or the statement), `X[:, 1]` the other way
    ("... no", or its negation). With p = sigmoid(theta x + b), the loss is the mean of (p0 - (1 - p1))^2 + min(p0,
    p1)^2, of several random starts the lowest. No label enters it, so it finds whatever separates the pairs most
    cleanly, be it truth or another feature: check it against labels, beside random directions with their sign aligned.

    The mean of each half is taken off first, which removes what the answer word itself does; deviations are not evened
    out, so that the decision is linear: half the difference of the two logits,
    theta (x0 - x1) / 2 + const. Positive speaks for `classes_[1]`, and `direction_` is where the first half lies from
    the second in pairs of that class.

    Nothing in the loss says which of the two answers is the true one: without labels the sign is arbitrary, and
    `classes_` is [0, 1] with whichever came out. Labels given to `fit` decide that sign and nothing else.

    Args:
        n_starts: Random starts.
        alpha: Strength of the squared penalty on theta.
        max_iter: Iterations of each descent.
        seed: Decides the starts.

    Source: Burns, Ye, Klein & Steinhardt 2022, Discovering Latent Knowledge, sec. 2 (arXiv:2212.03827).
    """

    loss_: float
    """Lowest loss reached, without the penalty and before labels turn the sign; 0 is perfect.

    0.25 is p = 0.5 on every half, and `UNINFORMED`, 0.2, the least that is reached without looking at the activations.
    """

    def __init__(self, n_starts: int = 10, alpha: float = 1e-2, max_iter: int = 1000, seed: int = 0) -> None:
        self.n_starts = n_starts
        self.alpha = alpha
        self.max_iter = max_iter
        self.seed = seed

    def fit(self, X: Pairs, y: Shaped[np.ndarray, " _"] | None = None) -> "ContrastConsistentProbe":
        """Fit to contrast pairs.

        Args:
            X: Activations of both halves of each pair.
            y: One of two classes for each pair; whole numbers may be -1 for a pair without a label. Used to align the
                sign, so that more of the labelled pairs than not are predicted right.

        Raises:
            InputError: settings out of range, another shape, fewer than two pairs, activations that are not finite,
                halves that are the same, labels of other than two classes, or no convergence of the best start.
        """
        self.check_settings()
        X = _check_pairs(X)
        classes, signs = _signs(y, len(X))
        means = X.mean(0)
        seen, scale = _scaled(X - means, np.abs(X).max())
        best = self._best(torch.from_numpy(seen))
        theta = best.parameters[:-1]
        self.loss_ = float(contrast_loss(torch.from_numpy(best.parameters), torch.from_numpy(seen)))
        if signs @ np.sign((seen[:, 0] - seen[:, 1]) @ theta) < 0:
            theta, self.bias_ = -theta, -best.parameters[-1]
        else:
            self.bias_ = best.parameters[-1]
        coef = theta / scale
        self.means_ = means
        self._keep(classes, coef[None], -(coef @ (means[:1] - means[1:]).T) / 2)
        return self

    def check_settings(self) -> None:
        """Refuse settings that no fit can be made with.

        Raises:
            InputError: a setting that is not above zero.
        """
        if not (self.n_starts > 0 and self.alpha > 0 and self.max_iter > 0):
            raise InputError(
                f"n_starts is {self.n_starts}, alpha {self.alpha}, max_iter {self.max_iter}. Expected all above zero."
            )

    def _best(self, pairs: Float[Tensor, "sample 2 d_model"]) -> Minimum:
        rng = np.random.default_rng(self.seed)
        width = pairs.shape[2]
        found = []
        with tqdm(total=self.n_starts, desc="fit", unit="start", leave=False, delay=2) as bar:
            for _ in range(self.n_starts):
                start = np.append(rng.normal(size=width) / np.sqrt(width), 0.0)
                found.append(
                    minimise(
                        lambda at: contrast_loss(at, pairs) + self.alpha * (at[:-1] ** 2).sum(),
                        start,
                        max_iter=self.max_iter,
                    )
                )
                bar.update()
        best = min(found, key=lambda one: one.loss)
        if not best.converged:
            raise InputError(
                f"The probe did not converge within {self.max_iter} iterations at alpha={self.alpha}. Raise either."
            )
        return best

    def decision_function(self, X: Pairs) -> Float[np.ndarray, " sample"]:
        """Half the difference of the logits of the two halves; positive: `classes_[1]`."""
        check_is_fitted(self)
        X = _check_pairs(X, width=self.coef_.shape[1])
        return (X[:, 0] - X[:, 1]) @ self.coef_[0] / 2 + self.intercept_[0]

    def pair_losses(self, X: Pairs) -> Float[np.ndarray, " sample"]:
        """Compute the contrast loss of each pair: 0 is perfect, and `UNINFORMED` what a constant reaches on average.

        Where the halves contradict each other, it depends on the sign: fit without labels to have it as it was fitted.
        """
        check_is_fitted(self)
        pairs = torch.from_numpy(_check_pairs(X, width=self.coef_.shape[1]) - self.means_)
        return _pair_losses(torch.from_numpy(np.append(self.coef_[0], self.bias_)), pairs).numpy()

    def predict(self, X: Pairs) -> Shaped[np.ndarray, " sample"]:
        """Name the class that the decision speaks for."""
        decision = self.decision_function(X)
        return self.classes_[places(decision)]

    def predict_proba(self, X: Pairs) -> Float[np.ndarray, "sample class"]:
        """Return the mean of p0 and 1 - p1 for `classes_[1]`, and the rest for `classes_[0]`; not calibrated."""
        check_is_fitted(self)
        logits = (_check_pairs(X, width=self.coef_.shape[1]) - self.means_) @ self.coef_[0] + self.bias_
        second = (expit(logits[:, 0]) + expit(-logits[:, 1])) / 2
        return np.stack([1 - second, second], axis=1)


def contrast_loss(
    parameters: Float[Tensor, " parameter"], pairs: Float[Tensor, "sample 2 d_model"]
) -> Float[Tensor, ""]:
    """Compute how inconsistent and how undecided a direction is on contrast pairs.

    Args:
        parameters: theta, and the bias last.
        pairs: Centred activations.

    Returns:
        Mean of (p0 - (1 - p1))^2 + min(p0, p1)^2; 0 is perfect.
    """
    return _pair_losses(parameters, pairs).mean()


def _pair_losses(
    parameters: Float[Tensor, " parameter"], pairs: Float[Tensor, "sample 2 d_model"]
) -> Float[Tensor, " sample"]:
    p = torch.sigmoid(pairs @ parameters[:-1] + parameters[-1])
    return (p.sum(1) - 1) ** 2 + p.amin(1) ** 2


def _scaled(deviations: Pairs, largest: float) -> tuple[Pairs, float]:
    """Deviations in units of their size, and that size; none where they are rounding, which would be blown up."""
    # One scale for all coordinates, so that alpha means the same for every model and the axes stay as they are.
    scale = float(np.sqrt((deviations**2).mean()))
    if scale <= _ROUNDING * largest:
        return np.zeros_like(deviations), 1.0
    return deviations / scale, scale


def _check_pairs(X: Pairs, *, width: int | None = None) -> np.ndarray:
    X = check_samples(X, width=width, axes=3)
    if X.shape[1] != 2:
        raise InputError(f"Activations of shape {X.shape}. Expected [sample, 2, d_model]: the two halves of each pair.")
    if width is None and (len(X) < 2 or np.array_equal(X[:, 0], X[:, 1])):
        raise InputError(f"{len(X)} pairs, or halves that are all the same. Expected at least two pairs that differ.")
    return X


def _signs(
    y: Shaped[np.ndarray, " _"] | None, n_samples: int
) -> tuple[Shaped[np.ndarray, " class"], Float[np.ndarray, " sample"]]:
    """The classes; and for each pair 1 for the second, -1 for the first, 0 for none."""
    if y is None:
        return np.array([0, 1]), np.zeros(n_samples)
    if len(y) != n_samples:
        raise InputError(f"{len(y)} labels for {n_samples} pairs. Give one for each, -1 where there is none.")
    labelled = y != UNLABELLED if y.dtype.kind in "if" else np.ones(n_samples, bool)
    classes = np.unique(y[labelled])
    if len(classes) != 2:
        raise InputError(f"The labels are {classes.tolist()}. Expected two classes, such as 0 and 1 (-1 is no label).")
    return classes, np.where(y == classes[1], 1.0, -1.0) * labelled
