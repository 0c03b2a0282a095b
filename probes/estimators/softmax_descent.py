"""Penalised multinomial regression by preconditioned descent, for several labellings of the same rows at once.

The objective is scikit-learn's: the mean log-loss in nats plus `penalty / 2` times the squared weights on standardised
coordinates, intercepts unpenalised. Where all classes are equally likely its Hessian is the correlation matrix over the
number of classes, so that in coordinates whitened by that matrix the descent needs tens of passes instead of hundreds.
Every pass serves all labellings: reading the rows costs more than the few extra columns.
"""

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.linalg import LinAlgError, cholesky, solve_triangular
from scipy.optimize import OptimizeResult, minimize, root
from scipy.special import expit

from interp.errors import InputError
from probes.samples.row_blocks import RowBlocks

N_CORRECTIONS = 20
"""Pairs that the descent (L-BFGS) remembers."""
MOST_POLISHING = 300
"""Passes led by the gradient alone."""

Codes = Int[np.ndarray, "labelling _"]
"""Place of each sample's class."""
Weights = Float[np.ndarray, "labelling row d_model"]
Intercepts = Float[np.ndarray, "labelling row"]


@dataclass(frozen=True)
class Objective:
    """Mean log-loss of several labellings, with its gradient in standardised coordinates."""

    blocks: RowBlocks
    codes: Codes
    n_classes: int
    penalty: float
    """`1 / (C * samples)`."""

    @property
    def n_rows(self) -> int:
        """Rows of weights for each labelling: one for two classes, else one for each class."""
        return 1 if self.n_classes == 2 else self.n_classes

    @property
    def curvature(self) -> float:
        """Second derivative of a sample's loss in its class's logit, where all classes are equally likely."""
        return 0.25 if self.n_classes == 2 else 1 / self.n_classes

    def __call__(self, weights: Weights, intercepts: Intercepts) -> tuple[float, Weights, Intercepts]:
        """Sum the objective over labellings, with its gradient, in one pass over the rows."""
        blocks, (n_labellings, n_rows, width) = self.blocks, weights.shape
        flat = (weights / blocks.scale).reshape(-1, width)
        offsets = intercepts.reshape(-1) - flat @ blocks.mean
        narrow = flat.astype(blocks.shift.dtype)
        loss, by_weight, by_offset = 0.0, np.zeros((len(flat), width)), np.zeros(len(flat))
        for part, block in blocks:
            logits = (narrow @ block.T).astype(np.float64) + offsets[:, None]
            added, residual = loss_and_residual(logits.reshape(n_labellings, n_rows, -1), self.codes[:, part])
            residual = residual.reshape(len(flat), -1)
            loss += added
            by_offset += residual.sum(1)
            by_weight += residual.astype(block.dtype) @ block
        by_weight = (by_weight - np.outer(by_offset, blocks.mean)) / blocks.scale / len(blocks)
        slope = by_weight.reshape(weights.shape) + self.penalty * weights
        value = loss / len(blocks) + self.penalty / 2 * float((weights**2).sum())
        return value, slope, by_offset.reshape(intercepts.shape) / len(blocks)


def loss_and_residual(
    logits: Float[np.ndarray, "labelling row _"], codes: Codes
) -> tuple[float, Float[np.ndarray, "labelling row _"]]:
    """Sum the log-loss in nats, and give probability minus truth for each row of weights."""
    if logits.shape[1] == 1:
        one = logits[:, 0]
        return float(np.logaddexp(0, one).sum() - (one * codes).sum()), (expit(one) - codes)[:, None]
    place = codes[:, None]
    residual = logits - logits.max(1, keepdims=True)
    loss = -np.take_along_axis(residual, place, 1).sum()
    np.exp(residual, out=residual)
    total = residual.sum(1, keepdims=True)
    residual /= total
    np.put_along_axis(residual, place, np.take_along_axis(residual, place, 1) - 1, 1)
    return float(loss + np.log(total).sum()), residual


def descend(objective: Objective, *, tol: float, max_iter: int) -> tuple[Weights, Intercepts, int]:
    """Minimise from zero until no component of the gradient exceeds `tol`, as scikit-learn's solver does.

    L-BFGS in whitened coordinates; where the value can no longer tell a better point from a worse one, for rounding,
    the gradient alone leads on (the spectral residual method, `df-sane`).

    Returns:
        Weights in standardised coordinates, intercepts, and the passes over the rows that were needed.

    Raises:
        InputError: no convergence within `max_iter` steps, or rounding in the way of so small a `tol`.
    """
    path = _Path(objective, tol)
    start = np.zeros(len(objective.codes) * objective.n_rows * (path.width + 1))
    options = {"maxiter": max_iter, "maxfun": 2 * max_iter + 20, "maxcor": N_CORRECTIONS, "ftol": 0.0, "gtol": 0.0}
    found = minimize(path.value_and_slope, start, jac=True, method="L-BFGS-B", callback=path.stop, options=options)
    if path.largest > tol and found.nit < max_iter:
        with suppress(_ArrivedError):
            root(path.slope, found.x, method="df-sane", options={"maxfev": MOST_POLISHING, "ftol": 0.0, "fatol": 0.0})
    if path.largest > tol:
        raise InputError(
            f"The probe did not converge: after {found.nit} of at most {max_iter} steps a component of the gradient is "
            f"{path.largest:.1e}, and {tol:.1e} was expected. "
            "Raise max_iter or tol, lower C, or give float64 activations."
        )
    return *path.placed(path.point), path.passes


class _ArrivedError(Exception):
    """The gradient is small enough: the only way out of a root finder that has its own idea of when to stop."""


class _Path:
    """The objective in whitened coordinates, and where the descent last was."""

    def __init__(self, objective: Objective, tol: float) -> None:
        self.objective, self.tol = objective, tol
        self.width = objective.blocks.X.shape[1]
        self.whitener, self.root = _whitener(objective), np.sqrt(objective.curvature)
        self.point, self.largest, self.passes = np.zeros(0), np.inf, 0

    def placed(self, point: np.ndarray) -> tuple[Weights, Intercepts]:
        """Weights and intercepts at a point."""
        rows, shape = point.reshape(-1, self.width + 1), (len(self.objective.codes), self.objective.n_rows)
        weights = solve_triangular(self.whitener, rows[:, :-1].T, lower=True, trans="T").T
        return weights.reshape(*shape, self.width), (rows[:, -1] / self.root).reshape(shape)

    def value_and_slope(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        """The objective and its gradient, in one pass."""
        value, by_weight, by_intercept = self.objective(*self.placed(point))
        self.point, self.passes = point.copy(), self.passes + 1
        self.largest = float(max(np.abs(by_weight).max(), np.abs(by_intercept).max()))
        whitened = solve_triangular(self.whitener, by_weight.reshape(-1, self.width).T, lower=True).T
        return value, np.column_stack([whitened, by_intercept.reshape(-1) / self.root]).ravel()

    def slope(self, point: np.ndarray) -> np.ndarray:
        """The gradient alone; says when it is small enough."""
        slope = self.value_and_slope(point)[1]
        if self.largest <= self.tol:
            raise _ArrivedError
        return slope

    def stop(self, intermediate_result: OptimizeResult) -> None:
        """End the descent where the point just taken, the last one evaluated, has a gradient small enough."""
        del intermediate_result  # scipy asks for this name
        if self.largest <= self.tol:
            raise StopIteration


def _whitener(objective: Objective) -> Float[np.ndarray, "d_model d_model"]:
    """Lower Cholesky factor of the penalised Hessian where all classes are equally likely, on one row of weights."""
    gram, eps = objective.curvature * objective.blocks.gram, np.finfo(objective.blocks.shift.dtype).eps
    # Coordinates that depend on each other leave directions of no variance, negative by rounding. What is added for
    # them, more where it does not do, changes the way to the answer and not the answer.
    for more in 10.0 ** np.arange(6):
        try:
            return cholesky(gram + (objective.penalty + more * eps * np.trace(gram)) * np.eye(len(gram)), lower=True)
        except LinAlgError:
            continue
    raise InputError("The correlations of the activations cannot be factorised. Leave out coordinates that repeat.")
