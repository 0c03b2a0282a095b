"""Attention-pooled probes: a label read off one token of a text, wherever in the text it stands."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from scipy.special import softmax
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from tqdm.auto import tqdm

from interp.errors import InputError
from probes.estimators.descent import minimise
from probes.estimators.linear import LogitClassifier, check_classes, check_samples, places, probabilities
from probes.samples.data import Labels

Texts = Float[np.ndarray, "sample pos d_model"] | Sequence[Float[np.ndarray, "_ d_model"]]
"""Padded activations, with a mask beside them; or those of each text by itself, which cross-validation can split."""
Mask = Bool[np.ndarray, "sample pos"]


class AttentionPooledProbe(LogitClassifier):
    """Learn together which positions to look at and what to read there.

    Each position is weighed by the softmax, over the text's own positions, of its product with one learnt query; the
    weighted mean of the activations is read by logistic regression. Coordinates are standardised on the true positions
    fitted to, and folded back into `query_`, `coef_` and `intercept_`. The loss has several minima: of a descent from
    nothing and several from random starts the lowest is kept. Where the probe looks shows where the label can be read
    off, not where the model looks. `direction_` is the readout's and points to `classes_[1]`.

    Args:
        C: Inverse strength of the squared penalty on the readout and on the query, both on standardised coordinates.
        n_starts: Descents: one from nothing, the others from random starts.
        max_iter: Iterations of each descent.
        seed: Decides the random starts.

    Source: the pooling of Yang et al. 2016, Hierarchical Attention Networks (NAACL), with one query and no layer.
    """

    query_: Float[np.ndarray, " d_model"]
    """Attention score per unit of activation; higher is looked at more."""
    loss_: float
    """Cross-entropy with its penalties, in nats per sample."""

    def __init__(self, C: float = 0.1, n_starts: int = 4, max_iter: int = 1000, seed: int = 0) -> None:
        self.C = C
        self.n_starts = n_starts
        self.max_iter = max_iter
        self.seed = seed

    def fit(self, X: Texts, y: Labels, mask: Mask | None = None) -> "AttentionPooledProbe":
        """Fit to labelled texts.

        Args:
            X: Activations of each text, padded or not.
            y: Class of each text.
            mask: Which positions are true; all, by default. What stands at the others must be finite, and is not read.

        Raises:
            InputError: settings out of range, a mask of another shape, a text without positions, activations that are
                not finite, one class, or no convergence of the best start.
        """
        if not (self.C > 0 and self.n_starts > 0 and self.max_iter > 0):
            raise InputError(
                f"C is {self.C}, n_starts {self.n_starts}, max_iter {self.max_iter}. Expected all above zero."
            )
        X, mask = padded(X, mask)
        classes = check_classes(y, len(X))
        mean, scale = _standards(X[mask])
        seen = torch.from_numpy(np.where(mask[:, :, None], (X - mean) / scale, 0.0))
        loss = _Loss(seen, torch.from_numpy(mask), torch.from_numpy(np.searchsorted(classes, y)), self.C)
        query, readout, bias = loss.parts(torch.from_numpy(self._best(loss)))
        self.query_ = query.numpy() / scale
        coef = readout.numpy() / scale
        self._keep(classes, coef, bias.numpy() - coef @ mean)
        return self

    def _best(self, loss: "_Loss") -> Float[np.ndarray, " parameter"]:
        rng = np.random.default_rng(self.seed)
        # From nothing the lowest minimum is nearly always reached; from random starts in about half of the trials.
        others = rng.normal(scale=loss.width**-0.5, size=(self.n_starts - 1, loss.size))
        starts = [np.zeros(loss.size), *others]
        found = []
        with tqdm(total=self.n_starts, desc="fit", unit="start", leave=False, delay=2) as bar:
            for start in starts:
                found.append(minimise(loss, start, max_iter=self.max_iter))
                bar.update()
        best = min(found, key=lambda one: one.loss)
        if not best.converged:
            raise InputError(
                f"The probe did not converge within {self.max_iter} iterations at C={self.C}. "
                "Raise max_iter, or lower C."
            )
        self.loss_ = best.loss
        return best.parameters

    def attention(self, X: Texts, mask: Mask | None = None) -> Float[np.ndarray, "sample pos"]:
        """Return the weight of each position of each text: not negative, 0 where the mask is, 1 in sum."""
        check_is_fitted(self)
        X, mask = padded(X, mask, width=len(self.query_))
        return softmax(np.where(mask, X @ self.query_, -np.inf), axis=1)

    def decision_function(self, X: Texts, mask: Mask | None = None) -> Float[np.ndarray, "sample *row"]:
        """Tell two classes apart by sign (positive: `classes_[1]`), more by the largest of a row."""
        weights = self.attention(X, mask)
        pooled = np.einsum("sp,spd->sd", weights, padded(X, mask)[0])
        return super().decision_function(pooled)

    def predict(self, X: Texts, mask: Mask | None = None) -> Shaped[np.ndarray, " sample"]:
        """Name the class that the decision speaks for."""
        decision = self.decision_function(X, mask)
        return self.classes_[places(decision)]

    def predict_proba(self, X: Texts, mask: Mask | None = None) -> Float[np.ndarray, "sample class"]:
        """Turn logits into the probability that the probe gives each class; it need not be calibrated."""
        return probabilities(self.decision_function(X, mask))


class _Loss:
    """Penalised cross-entropy of a query and a readout, as a function of all of their numbers in one vector."""

    def __init__(
        self,
        seen: Float[Tensor, "sample pos d_model"],
        mask: Bool[Tensor, "sample pos"],
        labels: Int[Tensor, " sample"],
        C: float,
    ) -> None:
        self.seen, self.mask, self.labels, self.C = seen, mask, labels, C
        n_classes = int(labels.max()) + 1
        self.rows, self.width = (1 if n_classes == 2 else n_classes), seen.shape[2]
        self.size = self.width + self.rows * (self.width + 1)

    def parts(self, at: Float[Tensor, " parameter"]) -> tuple[Tensor, Tensor, Tensor]:
        """The query, the readout and its bias."""
        query, readout, bias = at.split([self.width, self.rows * self.width, self.rows])
        return query, readout.reshape(self.rows, self.width), bias

    def __call__(self, at: Float[Tensor, " parameter"]) -> Float[Tensor, ""]:
        query, readout, bias = self.parts(at)
        scores = (self.seen @ query).masked_fill(~self.mask, -torch.inf)
        logits = torch.einsum("sp,spd->sd", scores.softmax(1), self.seen) @ readout.T + bias
        if self.rows == 1:
            logits = torch.cat([torch.zeros_like(logits), logits], dim=1)
        penalty = (query.square().sum() + readout.square().sum()) / (2 * self.C * len(self.labels))
        return torch.nn.functional.cross_entropy(logits, self.labels) + penalty


def padded(
    X: Texts, mask: Mask | None = None, *, width: int | None = None
) -> tuple[Float[np.ndarray, "sample pos d_model"], Mask]:
    """Bring texts to one length, in float64, beside a mask of their true positions.

    Raises:
        InputError: a mask of another shape or beside texts of their own length, a text without positions, activations
            that are not finite, or another width than expected.
    """
    if isinstance(X, np.ndarray):
        X = check_samples(X, width=width, axes=3)
        mask = np.ones(X.shape[:2], bool) if mask is None else mask
    elif mask is not None:
        raise InputError("A mask beside a list of texts, each of its own length. Give a mask with padded rows only.")
    else:
        rows = [check_samples(text, width=width) for text in X]
        mask = np.arange(max(map(len, rows)))[None] < np.array([[len(row)] for row in rows])
        X = np.zeros((*mask.shape, rows[0].shape[1]))
        X[mask] = np.concatenate(rows)
    if mask.shape != X.shape[:2] or not mask.any(1).all():
        raise InputError(
            f"A mask of shape {mask.shape} for activations of shape {X.shape}. Expected one truth value for each "
            "position, and at least one true position in each text."
        )
    return X, mask


def _standards(tokens: Float[np.ndarray, "token d_model"]) -> tuple[np.ndarray, np.ndarray]:
    scale = tokens.std(0)
    return tokens.mean(0), np.where(scale > 0, scale, 1.0)
