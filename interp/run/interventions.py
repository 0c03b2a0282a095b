"""Interventions as values: each takes an activation at a site and returns the edited one, of the same shape."""

from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interp.errors import InputError
from interp.prompts import TokenBatch


@runtime_checkable
class Intervention(Protocol):
    """What `intervene` applies: a frozen function of the activation at its site."""

    def __call__(self, activation: Tensor) -> Tensor:
        """Return the edited activation, of the same shape; never change the argument in place."""
        ...


@dataclass(frozen=True)
class Patch:
    """Replace the activation by `value`, usually the same site's activation in another run."""

    value: Tensor = field(repr=False)

    def __call__(self, activation: Tensor) -> Tensor:
        return self.value.to(activation).expand_as(activation)


@dataclass(frozen=True)
class Ablate:
    """Remove what the activation says: make it zero, its mean, or another prompt's.

    Make one with `Ablate.zero()`, `Ablate.mean(...)` or `Ablate.resample(...)`. Zero-ablation depends on how value
    biases are folded and pushes the model off its usual inputs; mean- and resample-ablation do not.
    """

    mode: Literal["zero", "mean", "resample"]
    value: Tensor | None = field(default=None, repr=False)

    @classmethod
    def zero(cls) -> "Ablate":
        """Replace by zero."""
        return cls("zero")

    @classmethod
    def mean(cls, reference: Float[Tensor, "prompt pos ..."], batch: TokenBatch) -> "Ablate":
        """Replace by the mean over every real position of reference prompts.

        Args:
            reference: The site's activation on the reference prompts.
            batch: Those prompts, whose mask says which positions are real.
        """
        return cls("mean", reference[torch.from_numpy(batch.mask).to(reference.device)].mean(0))

    @classmethod
    def resample(cls, reference: Float[Tensor, "prompt pos ..."], *, seed: int = 0) -> "Ablate":
        """Replace each prompt's activation by that of another prompt, position by position.

        Args:
            reference: The site's activation on the very prompts that will run.
            seed: Decides which prompt stands in for which; no prompt stands in for itself.

        Raises:
            InputError: fewer than two prompts.
        """
        if len(reference) < 2:
            raise InputError("Resample-ablation needs at least two prompts, one to stand in for the other. Got 1.")
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(reference), generator=generator)
        donor = torch.empty_like(order)
        donor[order] = order.roll(1)  # a cycle: nobody is his own donor
        return cls("resample", reference[donor.to(reference.device)])

    def __call__(self, activation: Tensor) -> Tensor:
        if self.value is None:
            return torch.zeros_like(activation)
        return self.value.to(activation).expand_as(activation)


@dataclass(frozen=True)
class Steer:
    """Add `scale * direction` at every position."""

    direction: Float[Tensor, " width"] = field(repr=False)
    scale: float = 1.0

    def __call__(self, activation: Tensor) -> Tensor:
        return activation + self.scale * self.direction.to(activation)


@dataclass(frozen=True)
class Project:
    """Remove the component along `direction`, so that a linear reader of that direction sees nothing."""

    direction: Float[Tensor, " width"] = field(repr=False)

    def __call__(self, activation: Tensor) -> Tensor:
        unit = self.direction.to(activation)
        unit = unit / unit.norm()
        return activation - (activation @ unit)[..., None] * unit


@dataclass(frozen=True)
class Clamp:
    """Set chosen coordinates, usually neurons, to fixed values."""

    units: tuple[int, ...]
    value: float | Tensor = 0.0
    """One value for all, or one for each unit."""

    def __call__(self, activation: Tensor) -> Tensor:
        edited = activation.clone()
        edited[..., list(self.units)] = torch.as_tensor(self.value).to(activation)
        return edited


@dataclass(frozen=True)
class Where:
    """Apply another intervention at chosen prompts and positions only, and leave the rest as it is."""

    intervention: Intervention
    chosen: Bool[Tensor, "batch ..."] = field(repr=False)
    """True where it applies. Its axes are the activation's first ones (`[batch, pos]`, `[batch, pos, head]`, for
    patterns `[batch, 1, dest_pos]`); an axis of length 1 stands for every index."""

    def __call__(self, activation: Tensor) -> Tensor:
        chosen = self.chosen.to(activation.device)
        fits = all(mine in (1, its) for mine, its in zip(chosen.shape, activation.shape, strict=False))
        if not fits or chosen.ndim > activation.ndim:
            raise InputError(
                f"A choice of shape {tuple(chosen.shape)} does not fit an activation {tuple(activation.shape)}. "
                "Give one row for each prompt of the run, and axes in the activation's order."
            )
        chosen = chosen.view(*chosen.shape, *[1] * (activation.ndim - chosen.ndim))
        return torch.where(chosen, self.intervention(activation), activation)
