"""Subspaces of activations as orthonormal bases, in float64: given, drawn, or between the means of classes."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.errors import InputError

Basis = Float[np.ndarray, "d_model rank"]


def span_of(vectors: Float[np.ndarray, "_ d_model"], *, rank: int | None = None) -> Basis:
    """Return an orthonormal basis of what some row vectors span, their largest directions first.

    Args:
        vectors: Rows, such as the weights of a probe.
        rank: At most so many directions.

    Raises:
        InputError: nothing to span, or values that are not finite.
    """
    from transformer_lens.tools.analysis.projection_kernel import orthonormal_subspace

    if not (vectors.size and np.isfinite(vectors).all() and np.abs(vectors).max() > 0):
        raise InputError("The vectors are zero or not finite, or there are none, so they span nothing.")
    found = orthonormal_subspace(torch.from_numpy(vectors.T.astype(np.float64)))
    return found.basis.numpy()[:, :rank]


def mean_difference(
    activations: Float[Tensor, "sample d_model"], labels: Int[np.ndarray, " sample"], *, rank: int
) -> Basis:
    """Return the largest directions in which the means of classes differ; for two classes, the difference itself."""
    wide = activations.double().cpu().numpy()
    means = np.stack([wide[labels == label].mean(0) for label in np.unique(labels)])
    return span_of(means - means.mean(0), rank=rank)


def random_subspace(d_model: int, rank: int, *, seed: int) -> Basis:
    """Draw a subspace, all directions alike."""
    from transformer_lens.tools.analysis.interchange import random_basis

    return orthonormal(random_basis(d_model, rank, seed).double().numpy())


def orthonormal(columns: Basis) -> Basis:
    """Make float32 columns orthonormal in float64."""
    return np.linalg.qr(columns)[0]
