"""Edits of attention patterns: weights taken from some keys, and rows that are pinned to one key.

Rows are a softmax over the visible keys and, with learned sinks, one more place that no pattern shows. Masking a key is
the softmax without it: what is left of the row, that place included, is scaled to sum to one.
"""

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.errors import InputError
from interp.types import Mask, Pattern

Moved = Float[Tensor, "batch head dest_pos"]


class RefusedError(InputError):
    """A test that cannot be run on this model or these prompts; its row says why."""


@dataclass(frozen=True)
class Where:
    """Which pattern is edited."""

    layer: int
    rows: slice
    """Prompts of the whole batch that are in this pattern."""
    mask: Mask
    """True at real tokens."""
    learned_sinks: bool
    """Whether rows may sum to less than one, the rest being on a learned sink."""


@runtime_checkable
class PatternEdit(Protocol):
    """A frozen function of one layer's pattern."""

    @property
    def keeps_attention(self) -> bool:
        """Whether the edit is one of values alone, attention being what it was."""
        ...

    def __call__(self, pattern: Pattern, where: Where) -> tuple[Pattern, Moved]:
        """Return the edited pattern, and how much weight was taken from each row."""
        ...


@dataclass(frozen=True)
class Take:
    """Take weight from the first key, or as much from other keys, drawn at random.

    The first query keeps its row: it has no other key under a causal mask. Other keys are taken whole, in random order,
    until every query and head has lost as much as the first key has there; the last of them in part. The order is one
    for each prompt, so that the queries of all heads and layers lose the same tokens, as they do with the first key:
    keys drawn anew for every query would disturb less, because what they take away differs.
    """

    source: Literal["first", "others"]
    all_of_it: bool = True
    """From the first key all its weight; otherwise no more than the other keys together have to give."""
    renormalise: bool = True
    """True masks keys; False leaves the other weights as they are, which is to make the taken keys' values zero."""
    seed: int = 0

    @property
    def keeps_attention(self) -> bool:
        """Whether only values are edited."""
        return not self.renormalise

    def __call__(self, pattern: Pattern, where: Where) -> tuple[Pattern, Moved]:
        weights = _wide(pattern)
        queries = where.mask[:, None, :, None].clone()
        queries[:, :, 0] = False
        others = weights * where.mask[:, None, None, :]
        others[..., 0] = 0.0
        budget = weights[..., :1] * queries
        taken = torch.zeros_like(weights)
        if self.source == "first":
            taken[..., :1] = budget if self.all_of_it else torch.minimum(budget, others.sum(-1, keepdim=True))
        else:
            taken = _drawn(others, budget, _random_order(weights, where, self.seed))
        edited = _without(weights, taken, where) if self.renormalise else weights - taken
        return edited.to(pattern.dtype), taken.sum(-1)


@dataclass(frozen=True)
class PinRow:
    """Let one query of each prompt attend to one key only, from some layer on: all its other keys are masked."""

    query: Int[np.ndarray, " prompt"]
    key: Int[np.ndarray, " prompt"]
    from_layer: int = 0
    keeps_attention: bool = False

    def __call__(self, pattern: Pattern, where: Where) -> tuple[Pattern, Moved]:
        moved = torch.zeros(pattern.shape[:3], dtype=_wide(pattern[:0]).dtype, device=pattern.device)
        if where.layer < self.from_layer:
            return pattern, moved
        edited, prompts = pattern.clone(), torch.arange(len(pattern), device=pattern.device)
        query, key = (torch.from_numpy(at[where.rows]).to(pattern.device) for at in (self.query, self.key))
        row = _wide(pattern[prompts, :, query])
        kept = row.gather(-1, key[:, None, None].expand(*row.shape[:2], 1))
        missing = (1 - row.sum(-1, keepdim=True)).clamp(min=0.0) if where.learned_sinks else torch.zeros_like(kept)
        # Where both are zero the key was invisible or its weight too small to be held: it is the only one left.
        alone = torch.where(kept + missing > 0, kept / (kept + missing).clamp(min=1e-30), torch.ones_like(kept))
        pinned = torch.zeros_like(row).scatter(-1, key[:, None, None].expand_as(kept), alone)
        edited[prompts, :, query] = pinned.to(pattern.dtype)
        moved[prompts, :, query] = (row - pinned).clamp(min=0.0).sum(-1)
        return edited, moved


def _wide(pattern: Tensor) -> Tensor:
    return pattern if pattern.dtype == torch.float64 else pattern.float()


def _without(weights: Tensor, taken: Tensor, where: Where) -> Tensor:
    """The softmax over what is left of each row."""
    left, whole = weights - taken, weights.sum(-1, keepdim=True)
    rest = left.sum(-1, keepdim=True)
    if where.learned_sinks:
        rest = rest + (1 - whole).clamp(min=0.0)
    touched = taken.sum(-1, keepdim=True) > 0
    if (touched & (rest <= 0)).any():
        raise RefusedError(
            f"In layer {where.layer} a query has all its weight on the first key, and what is left is too small for "
            "the model's dtype to hold, so the row without it is not known. Load the model in a wider dtype."
        )
    return torch.where(touched, left / rest.clamp(min=torch.finfo(rest.dtype).tiny), weights)


def _drawn(others: Tensor, budget: Tensor, order: Tensor) -> Tensor:
    """Take `budget` from keys in this order."""
    order = order.expand_as(others)
    weights = others.gather(-1, order)
    before = weights.cumsum(-1) - weights
    taken = torch.minimum((budget - before).clamp(min=0.0), weights)
    return torch.zeros_like(others).scatter(-1, order, taken)


def _random_order(weights: Tensor, where: Where, seed: int) -> Int[Tensor, "batch 1 1 src_pos"]:
    """A random order of keys that depends on the prompt alone, not on how prompts are batched."""
    first, n_keys = where.rows.start or 0, weights.shape[-1]
    parts = [np.random.default_rng([seed, prompt]).permutation(n_keys) for prompt in range(first, first + len(weights))]
    return torch.from_numpy(np.stack(parts)).to(weights.device)[:, None, None]
