"""Erase a concept from activations, so that no linear reader finds it (LEACE), beside erasures that say nothing.

An eraser is an intervention: `intervene(model, {Site(3, "resid_post"): leace(X, labels)})` erases at every position,
and within `Where(...)` at chosen ones only.
"""

import warnings
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from interp.errors import InputError
from probes.samples.data import check_labels
from probes.tasks.wide import wide

SMALLEST_SINGULAR_VALUE = 1e-8
"""Of the whitened cross-covariance with standardised labels, where 1 is a perfect correlation: what is below is
rounding. The package's own 0.01 would leave weak concepts in."""
SMALLEST_VARIANCE = 1e-10
"""Share of the largest variance below which a direction counts as one in which the activations do not vary."""
LARGEST_REMAINDER = 1e-6
"""Share of the largest covariance with the labels that may be left after an erasure on what it was fitted to."""

Concept = Shaped[np.ndarray, "_ *value"]
"""What to erase: a class for each sample, or a number, or a row of numbers (several labels at once)."""
# The length is left open: where lengths differ, our refusal is to say so, not the type checker.
Samples = Float[np.ndarray, "_ d_model"]


@dataclass(frozen=True)
class Eraser:
    """An affine map that takes a concept out of an activation: `x - left @ right @ (x - mean)`.

    As an intervention it maps every vector (last axis) of the activation at its site. It computes in float32 or wider
    and returns the activation's own dtype.

    Raises:
        InputError: on calling, when the activation's vectors are of another width than those it was fitted to.
    """

    left: Float[Tensor, "d_model rank"] = field(repr=False)
    right: Float[Tensor, "rank d_model"] = field(repr=False)
    mean: Float[Tensor, " d_model"] = field(repr=False)
    """Mean of the samples; the erasure leaves it where it is."""
    how: str
    """How it was fitted."""

    @property
    def rank(self) -> int:
        """Number of directions erased."""
        return self.left.shape[1]

    @property
    def matrix(self) -> Float[Tensor, "d_model d_model"]:
        """The linear part, `I - left @ right`; it is idempotent."""
        return torch.eye(len(self.mean), dtype=self.left.dtype, device=self.left.device) - self.left @ self.right

    def removed(self, activation: Float[Tensor, "*place d_model"]) -> Float[Tensor, "*place d_model"]:
        """What the eraser takes away from each vector, in float32 or wider."""
        if activation.shape[-1] != len(self.mean):
            raise InputError(
                f"This eraser ({self.how}) was fitted to vectors of width {len(self.mean)}, and the activation has "
                f"{activation.shape[-1]}. Use it at the site whose activations it was fitted to."
            )
        here = wide(activation)
        left, right, mean = (part.to(here) for part in (self.left, self.right, self.mean))
        return (here - mean) @ right.T @ left.T

    def __call__(self, activation: Float[Tensor, "*place d_model"]) -> Float[Tensor, "*place d_model"]:
        return (activation - self.removed(activation)).to(activation.dtype)

    def erase(self, X: Samples) -> Samples:
        """Erase from samples held in numpy, in float64."""
        return self(torch.from_numpy(X.astype(np.float64))).numpy()


def leace(X: Samples, labels: Concept) -> Eraser:
    """Fit the least change of activations after which no linear reader can tell the labels apart.

    On the samples it was fitted to, the covariance of every coordinate with every label is 0 and all class means are
    equal, so that the best linear probe says the majority class. On others that holds approximately, the better the
    more samples there are for each coordinate, and readers that are not linear may still succeed. That a concept is
    erased says nothing about whether the model uses it: run the model on, beside `random_eraser`. Fitted by the
    `concept-erasure` package, without its trace constraint, which cannot bind (erased activations never vary more) and
    whose branch scales the wrong axis in version 0.2.4.

    Args:
        X: Activations, one row for each sample.
        labels: Class of each sample (text, whole numbers or truth values), or a number, or a row of numbers for each.

    Raises:
        InputError: lengths that do not fit, values that are not finite, labels that do not vary or do not vary with
            the activations, or so few samples that any labels at all could be told apart.

    Example:
        >>> eraser = leace(X[train], labels[train])
        >>> with intervene(model, {Site(3, "resid_post"): eraser}):
        ...     logits = model(tokens)

    Source: Belrose, Schneider-Joseph, Ravfogel, Cotterell, Raff & Biderman 2023, LEACE (arXiv:2306.03819), theorem 4.3.
    """
    _check_samples(X)
    values = as_numbers(labels, len(X))
    wide = X.astype(np.float64)
    with warnings.catch_warnings():
        # concept-erasure 0.2.4 compiles a function with torch.jit when it is imported.
        warnings.filterwarnings("ignore", message="`torch.jit.script` is deprecated", category=DeprecationWarning)
        from concept_erasure import LeaceFitter
    fitted = LeaceFitter.fit(
        torch.from_numpy(wide),
        torch.from_numpy(values),
        constrain_cov_trace=False,
        shrinkage=False,
        svd_tol=SMALLEST_SINGULAR_VALUE,
    )
    kept = fitted.eraser.proj_right.norm(dim=1) > 0
    if not kept.any():
        raise InputError("No linear reader can tell these labels apart as it is, so there is nothing to erase.")
    eraser = Eraser(fitted.eraser.proj_left[:, kept], fitted.eraser.proj_right[kept], fitted.mean_x, "LEACE")
    _check_erased(eraser, wide, values)
    return eraser


def project_out(directions: Float[np.ndarray, "row d_model"]) -> Eraser:
    """Remove the span of some directions, so that whoever reads along them sees zero.

    This is not an erasure of what a probe found: correlated directions still tell it. Use `leace` for that.

    Args:
        directions: Of any length, in the coordinates of the activations, such as a probe's `direction`.

    Raises:
        InputError: no direction, or one that is zero or not finite.
    """
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    if not (len(lengths) and np.isfinite(lengths).all() and (lengths > 0).all()):
        raise InputError("A direction is zero or not finite, or there is none. Give directions of some length.")
    basis = _orthonormal((directions / lengths).T.astype(np.float64))
    left, mean = torch.from_numpy(basis), torch.zeros(len(basis), dtype=torch.float64)
    return Eraser(left, left.T.contiguous(), mean, "projected out")


def random_eraser(X: Samples, rank: int, *, seed: int = 0) -> Eraser:
    """Erase as many random directions, blind to any label: the control of an erasure.

    The directions are random where all that the activations vary in weighs alike (whitened), and are removed by the
    least change, as LEACE would remove a concept that means nothing.

    Args:
        X: Activations, those the erasure was fitted to.
        rank: Directions to erase: the eraser's `rank`.
        seed: Decides the directions.

    Raises:
        InputError: values that are not finite, or more than half of the directions there are, so that most of what is
            compared with would be gone.
    """
    _check_samples(X)
    variances, vectors = _spectrum(X)
    if not 0 < 2 * rank <= len(variances):
        raise InputError(
            f"{rank} random directions of the {len(variances)} in which the activations vary are no control: expected "
            "at least one and at most half of them, or most of everything would be erased. "
            "Erase a concept of fewer classes, or look where the activations hold more than the concept."
        )
    drawn = _orthonormal(np.random.default_rng(seed).normal(size=(len(variances), rank)))
    left, right = vectors * np.sqrt(variances) @ drawn, drawn.T @ (vectors / np.sqrt(variances)).T
    mean = X.mean(0, dtype=np.float64)
    return Eraser(*map(torch.from_numpy, (left, right, mean)), f"random, rank {rank}")


def as_numbers(labels: Concept, n_samples: int) -> Float[np.ndarray, "_ value"]:
    """Turn labels into standardised numbers, classes one column each; what does not vary is left out.

    Raises:
        InputError: lengths that do not fit, values that are not finite, classes too few to be told apart, or labels
            that do not vary.
    """
    if len(labels) != n_samples:
        raise InputError(f"{len(labels)} labels for {n_samples} samples. Give one for each.")
    if labels.ndim == 1 and labels.dtype.kind != "f":
        check_labels(labels)
        values = (labels[:, None] == np.unique(labels)).astype(np.float64)
    elif labels.dtype.kind in "fiub":
        values = labels.reshape(n_samples, -1).astype(np.float64)
    else:
        raise InputError(f"Rows of labels of type {labels.dtype}. Expected numbers, or one class for each sample.")
    if not np.isfinite(values).all():
        raise InputError("The labels hold NaN or infinity. Leave out the samples that have no label.")
    values = values[:, np.ptp(values, axis=0) > 0]
    if not values.shape[1]:
        raise InputError(f"All {n_samples} samples have the same label. Expected labels that vary.")
    return (values - values.mean(0)) / values.std(0)


def _check_samples(X: Samples) -> None:
    if bad := int((~np.isfinite(X)).sum()):
        raise InputError(
            f"{bad} of {X.size} activations are NaN or infinite. Capture in a wider dtype, such as float32."
        )
    if X.size == 0 or len(X) < 2 or not (n_varying := len(_spectrum(X)[0])):
        raise InputError(f"{len(X)} activations of width {X.shape[1]} that do not vary. Expected samples that differ.")
    if n_varying >= len(X) - 1:
        raise InputError(
            f"{len(X)} samples are too few for activations that vary in {n_varying} directions: any labels at all "
            f"could be told apart, so what would be erased is chance. Give more than {X.shape[1] + 1} samples, many "
            "more if you can."
        )


def _check_erased(eraser: Eraser, X: Float[np.ndarray, "_ d_model"], values: Float[np.ndarray, "_ value"]) -> None:
    before, after = (np.abs(each.T @ values).max() for each in (X - X.mean(0), eraser.erase(X) - X.mean(0)))
    if after > LARGEST_REMAINDER * before:
        raise InputError(
            f"After the erasure {after / before:.1e} of the covariance with the labels is left, where at most "
            f"{LARGEST_REMAINDER} was expected. The coordinates differ too much in scale: leave out those that are "
            "constant but for rounding."
        )


def _spectrum(X: Samples) -> tuple[Float[np.ndarray, " rank"], Float[np.ndarray, "d_model rank"]]:
    """Variances above rounding, and their directions."""
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(X.astype(np.float64), rowvar=False)))
    rounding = (np.finfo(np.float64).eps * np.abs(X).max() * len(X)) ** 2
    kept = values > max(SMALLEST_VARIANCE * values[-1], rounding)
    return values[kept], vectors[:, kept]


def _orthonormal(columns: Float[np.ndarray, "d_model column"]) -> Float[np.ndarray, "d_model rank"]:
    vectors, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    return vectors[:, sizes > SMALLEST_SINGULAR_VALUE]
