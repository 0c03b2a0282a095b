"""Placebos: for each intervention, a change of the same size that says nothing."""

from dataclasses import dataclass

import torch
from torch import Tensor

from interp.run.interventions import Clamp, Intervention, Where


@dataclass(frozen=True)
class Placebo:
    """Change the activation as much as `of` would, in a random direction.

    Every vector (last axis) that `of` changes is moved by a random vector of the same length; vectors it leaves alone
    stay as they are. A `Clamp` keeps its sparsity: as many other units are changed by the same amounts. An effect
    that its placebo shares is an effect of disturbance, not of content.
    """

    of: Intervention
    seed: int = 0

    def __call__(self, activation: Tensor) -> Tensor:
        change = self.of(activation) - activation
        generator = torch.Generator().manual_seed(self.seed)
        inner = self.of.intervention if isinstance(self.of, Where) else self.of
        if isinstance(inner, Clamp):
            return activation + _other_units(change, inner.units, generator)
        return activation + random_turn(change, generator)


def random_turn(change: Tensor, generator: torch.Generator) -> Tensor:
    """Random vectors (last axis) of the lengths of `change`; zero where it is."""
    noise = torch.randn(change.shape, generator=generator, dtype=torch.float32).to(change)
    # Exact zeros stay zero, so that a causal pattern is not made to look ahead.
    noise = noise * (change != 0)
    length = noise.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(noise.dtype).tiny)
    return noise / length * change.norm(dim=-1, keepdim=True)


def _other_units(change: Tensor, units: tuple[int, ...], generator: torch.Generator) -> Tensor:
    width = change.shape[-1]
    free = torch.tensor([unit for unit in range(width) if unit not in set(units)])
    chosen = free[torch.randperm(len(free), generator=generator)[: len(units)]]
    moved = torch.zeros_like(change)
    moved[..., chosen.to(change.device)] = change[..., list(units[: len(chosen)])]
    return moved
