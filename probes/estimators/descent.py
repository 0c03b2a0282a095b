"""Minimise a smooth loss from a given start, to convergence and the same way each time."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.optimize
import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Minimum:
    """Where a descent ended."""

    parameters: Float[np.ndarray, " parameter"]
    loss: float
    converged: bool
    """Whether it ended by itself, and not because its iterations were used up."""


def minimise(
    loss: Callable[[Float[Tensor, " parameter"]], Float[Tensor, ""]],
    start: Float[np.ndarray, " parameter"],
    *,
    max_iter: int,
) -> Minimum:
    """Descend by L-BFGS in float64, with slopes by autograd.

    Args:
        loss: Of all parameters in one vector.
        start: Initial parameters.
        max_iter: Iterations after which to give up; twice as many evaluations count as much.
    """

    def value_and_slope(flat: np.ndarray) -> tuple[float, np.ndarray]:
        with torch.enable_grad():
            at = torch.tensor(flat, dtype=torch.float64, requires_grad=True)
            value = loss(at)
        (slope,) = torch.autograd.grad(value, at)
        return value.item(), slope.numpy()

    limits = {"maxiter": max_iter, "maxfun": 2 * max_iter, "gtol": 1e-7, "ftol": 1e-12}
    found = scipy.optimize.minimize(value_and_slope, start, jac=True, method="L-BFGS-B", options=limits)
    # Status 1 is a limit reached; 2 is a line search that finds nothing lower, as at a kink.
    return Minimum(found.x, float(found.fun), found.status != 1)
