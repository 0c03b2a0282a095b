"""The way by which an edited attention pattern reaches the output of this architecture."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interp.errors import SiteError
from interp.models import describe, facts, require_causal
from interp.prompts import TokenBatch
from interp.run import Intervention, capture
from interp.sites import Site
from interp.types import Mask, Model, Pattern

Edit = Callable[[int, Pattern], Pattern]
"""Layer and pattern to the edited pattern."""
REBUILT_TOLERANCE = 1e-3
"""A pattern rebuilt from queries and keys must be that close to the one shown, or this way is not taken."""
_OF_ROUTE = {
    "pattern": "Patterns were edited where the model computes with them.",
    "z": "This architecture only shows a copy of its patterns, so edited ones were multiplied with the values by hand "
    "and put in as z; the patterns were rebuilt from queries and keys and agree with those shown.",
    "none": "No edited pattern reaches this model's output.",
}


@dataclass(frozen=True)
class Route:
    """How edited patterns take effect: at `pattern`; by z = A' v from rebuilt patterns; or not at all."""

    kind: Literal["pattern", "z", "none"]
    reason: str = ""
    """Why patterns cannot be edited, for `none`."""

    @property
    def words(self) -> str:
        """The way in a sentence."""
        return _OF_ROUTE[self.kind]


def find_route(model: Model, batch: TokenBatch) -> Route:
    """Find the way that is causal on this model, trying a rebuilt pattern on the first prompts.

    Args:
        model: A hooked model.
        batch: Prompts to try on.
    """
    if describe(model).row("pattern").causal:
        return Route("pattern")
    try:
        for kind in "qkvz":
            require_causal(model, kind)
    except SiteError as error:
        return Route("none", str(error))
    error = _rebuilding_error(model, batch[:2])
    if error > REBUILT_TOLERANCE:
        return Route(
            "none",
            f"{describe(model).architecture} only shows a copy of its patterns, and those rebuilt from its queries and "
            f"keys differ from them by {error:.2g}, so no edited pattern can be put in their place.",
        )
    return Route("z")


def route_plan(route: Route, model: Model, mask: Mask, edit: Edit) -> dict[Site, Intervention]:
    """Plan the interventions that pass every layer's pattern through `edit`."""
    plan: dict[Site, Intervention] = {}
    for layer in range(facts(model).n_layers):
        if route.kind == "pattern":
            plan[Site(layer, "pattern")] = _AtPattern(edit, layer)
        elif route.kind == "z":
            seen: dict[str, Tensor] = {}
            plan |= {Site(layer, kind): _Keep(kind, seen) for kind in "qkv"}
            plan[Site(layer, "z")] = _Rebuild(edit, layer, mask, seen)
    return plan


def rebuilt_pattern(
    q: Float[Tensor, "batch pos head d_head"],
    k: Float[Tensor, "batch pos kv_head d_head"],
    mask: Bool[Tensor, "batch pos"],
) -> Pattern:
    """The pattern of a plain bidirectional attention: softmax of q k / sqrt(d_head) over real keys."""
    k = k.repeat_interleave(q.shape[2] // k.shape[2], 2)
    scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / q.shape[-1] ** 0.5
    return scores.masked_fill(~mask[:, None, None, :], -torch.inf).softmax(-1)


@dataclass(frozen=True)
class _AtPattern:
    edit: Edit
    layer: int

    def __call__(self, activation: Tensor) -> Tensor:
        return self.edit(self.layer, activation)


@dataclass(frozen=True)
class _Keep:
    """Look at an activation, for the rebuilding of its layer."""

    kind: str
    seen: dict[str, Tensor] = field(repr=False)

    def __call__(self, activation: Tensor) -> Tensor:
        self.seen[self.kind] = activation.clone()
        return activation


@dataclass(frozen=True)
class _Rebuild:
    """Put in z = A' v, with the edited pattern A'; z stays to the last bit where nothing was edited."""

    edit: Edit
    layer: int
    mask: Mask
    seen: dict[str, Tensor] = field(repr=False)

    def __call__(self, activation: Tensor) -> Tensor:
        pattern = rebuilt_pattern(self.seen["q"], self.seen["k"], self.mask)
        change = self.edit(self.layer, pattern) - pattern
        v = self.seen["v"].repeat_interleave(pattern.shape[1] // self.seen["v"].shape[2], 2)
        return activation + torch.einsum("bhqk,bkhd->bqhd", change, v)


def _rebuilding_error(model: Model, batch: TokenBatch) -> float:
    layers = range(facts(model).n_layers)
    sites = [Site(layer, kind) for layer in layers for kind in ("q", "k", "pattern")]
    seen, mask = capture(model, batch, sites), torch.from_numpy(batch.mask)
    real = mask[:, None, :, None]
    errors = []
    for layer in layers:
        q, k, shown = (seen[Site(layer, kind)].float().cpu() for kind in ("q", "k", "pattern"))
        if q.shape[2] != shown.shape[1]:
            return float("inf")
        errors.append(((rebuilt_pattern(q, k, mask) - shown) * real).abs().max().item())
    return max(errors)
