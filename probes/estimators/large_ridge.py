"""Ridge regression on activations that may be larger than memory: scikit-learn's answer in two passes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.linalg import solve
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils.validation import check_is_fitted

from interp.errors import InputError
from probes.estimators.linear import unit
from probes.estimators.ridge import check_numbers
from probes.samples.data import Rows
from probes.samples.row_blocks import RowBlocks, Samples, blocks_of

PENALTIES = 10.0 ** np.arange(-4, 3)
"""For each sample, to choose among."""
Numbers = Float[np.ndarray, " _"]


class LargeRidgeProbe(RegressorMixin, BaseEstimator):
    """Read a number off standardised activations by ridge regression, from memory or from a memory map.

    The answer of `make_pipeline(StandardScaler(), Ridge(alpha=alpha))`, by the normal equations: products are taken in
    float32 (float64 where the activations are) and added up in float64. A high R squared on held-out samples shows that
    the number can be read off linearly; it is not evidence that the model uses it.

    Args:
        alpha: Strength of the squared penalty on standardised coordinates, as in scikit-learn; above 0. None: chosen
            for each list of numbers by generalised cross-validation on the samples fitted to, which knows no groups,
            among powers of ten from 0.0001 to 100 for each sample.
        max_bytes: Hold the rows in memory where they take no more than this; else each pass reads them anew.

    Source: Hoerl & Kennard 1970, Ridge regression (Technometrics 12); Golub, Heath & Wahba 1979, Generalized
    Cross-Validation (Technometrics 21).
    """

    coef_: Float[np.ndarray, " d_model"]
    """Number per unit of activation."""
    intercept_: float
    alpha_: float
    """The penalty fitted with."""
    n_features_in_: int

    def __init__(self, alpha: float | None = 100.0, *, max_bytes: int = 2**30) -> None:
        self.alpha = alpha
        self.max_bytes = max_bytes

    def fit(self, X: Samples, y: Numbers, *, rows: Rows | None = None) -> "LargeRidgeProbe":
        """Fit to activations with a number each.

        Args:
            X: Activations, one row for each sample, in memory or memory-mapped.
            y: Number of each sample.
            rows: Which samples to fit to; by default all.

        Raises:
            InputError: an `alpha` that is not above zero, activations or numbers that are not finite, lengths that do
                not fit, or numbers that are all the same.
        """
        fitted = fit_targets(self, X, [y], rows=rows)[0]
        self.__dict__.update({name: value for name, value in vars(fitted).items() if name.endswith("_")})
        return self

    def predict(self, X: Samples, *, rows: Rows | None = None) -> Float[np.ndarray, " _"]:
        """Read off the number of each sample."""
        check_is_fitted(self)
        return predict_targets([self], X, rows=rows)[0]

    @property
    def penalty_in_words(self) -> str:
        """How strong the penalty is."""
        return f"alpha={self.alpha:g}" if self.alpha is not None else "alpha by generalised cross-validation"

    @property
    def direction_(self) -> Float[np.ndarray, " d_model"]:
        """Unit vector along which activations read as larger numbers."""
        check_is_fitted(self)
        return unit(self.coef_)


def fit_targets(
    probe: LargeRidgeProbe, X: Samples, targets: Sequence[Numbers], *, rows: Rows | None = None
) -> list[LargeRidgeProbe]:
    """Fit one probe for each list of numbers of the same samples, for little more than the price of one.

    Args:
        probe: The settings; it is left as it is.
        X: Activations, one row for each sample, in memory or memory-mapped.
        targets: Numbers of each sample.
        rows: Which samples to fit to; by default all.

    Raises:
        InputError: as `LargeRidgeProbe.fit`.
    """
    if probe.alpha is not None and not probe.alpha > 0:
        raise InputError(f"alpha is {probe.alpha}. Expected above zero.")
    for each in targets:
        check_numbers(each, len(X))
    y = np.stack([each if rows is None else each[rows] for each in targets], 1).astype(np.float64)
    if (np.ptp(y, axis=0) == 0).any():
        raise InputError("The samples fitted to all have the same number. Expected numbers that vary.")
    blocks, means = RowBlocks.of(X, rows, max_bytes=probe.max_bytes), y.mean(0)
    weights, alphas = _Equations.of(blocks, y - means).solve(probe.alpha)
    return [_fitted(probe, blocks, *each) for each in zip(weights.T, means.tolist(), alphas, strict=True)]


def predict_targets(
    probes: Sequence[LargeRidgeProbe], X: Samples, *, rows: Rows | None = None
) -> Float[np.ndarray, "target _"]:
    """Read off the number of each sample by each probe, in one pass over the rows."""
    coef, n = np.stack([each.coef_ for each in probes], 1), len(X) if rows is None else len(rows)
    found = np.empty((n, len(probes)))
    for part in blocks_of(n):
        found[part] = np.asarray(X[part] if rows is None else X[rows[part]], dtype=np.float64) @ coef
    if not np.isfinite(found).all():
        raise InputError("The activations hold NaN or infinity. Capture in a wider dtype, such as float32.")
    return (found + np.array([each.intercept_ for each in probes])).T


@dataclass(frozen=True)
class _Equations:
    """Normal equations on standardised coordinates."""

    gram: Float[np.ndarray, "d_model d_model"]
    across: Float[np.ndarray, "d_model target"]
    squares: Float[np.ndarray, " target"]
    n: int

    @classmethod
    def of(cls, blocks: RowBlocks, centred: Float[np.ndarray, "_ target"]) -> "_Equations":
        width = len(blocks.scale)
        gram, across = np.zeros((width, width)), np.zeros((width, centred.shape[1]))
        for part, block in blocks:
            gram += block.T @ block
            across += block.T.astype(np.float64) @ centred[part]
        gram -= len(blocks) * np.outer(blocks.mean, blocks.mean)
        # Numbers have mean 0, so that the mean of the activations drops out of the products with them.
        return cls(
            gram / np.outer(blocks.scale, blocks.scale),
            across / blocks.scale[:, None],
            (centred**2).sum(0),
            len(blocks),
        )

    def solve(self, alpha: float | None) -> tuple[Float[np.ndarray, "d_model target"], list[float]]:
        """Weights, and the penalty of each target."""
        if alpha is not None:
            weights = solve(self.gram + alpha * np.eye(len(self.gram)), self.across, assume_a="pos")
            return weights, [alpha] * weights.shape[1]
        values, vectors = np.linalg.eigh(self.gram)
        values, turned = np.maximum(values, 0)[:, None], vectors.T @ self.across
        errors, fits = [], []
        for penalty in PENALTIES * self.n:
            fits.append(turned / (values + penalty))
            left = self.squares - 2 * (turned * fits[-1]).sum(0) + (values * fits[-1] ** 2).sum(0)
            errors.append(left / (1 - (1 + (values / (values + penalty)).sum()) / self.n) ** 2)
        best, targets = np.argmin(errors, axis=0), np.arange(len(self.squares))
        return vectors @ np.stack(fits)[best, :, targets].T, (PENALTIES * self.n)[best].tolist()


def _fitted(
    probe: LargeRidgeProbe, blocks: RowBlocks, weights: Float[np.ndarray, " d_model"], mean: float, alpha: float
) -> LargeRidgeProbe:
    made = clone(probe)
    made.alpha_ = alpha
    made.coef_ = weights / blocks.scale
    made.intercept_ = float(mean - made.coef_ @ blocks.centre)
    made.n_features_in_ = len(weights)
    return made
