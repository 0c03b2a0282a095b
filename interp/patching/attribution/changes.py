"""What a patch of one activation changes, times the gradient there: one number for each prompt, place and head.

Node attribution patching multiplies the change of the activation itself with the metric's gradient at it. A query or
key acts through a softmax, which is flat where attention is saturated, so AtP* computes the attention pattern with the
patched query or key exactly, and is linear from the head's output (`z`) on.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interp.models.decoder import Attention, Decoder
from interp.models.decoder.attend import hidden, patterns
from interp.patching.attribution.gradients import Gradients, Tap
from interp.patching.engine.entries import HEADS, original

QK = ("q", "k")
"""Kinds that act through a softmax."""
PATTERN_BYTES = 128 * 2**20
"""Patterns made at once stay below this."""
Share = Float[Tensor, "gradient batch place head"]
"""Estimated effect by gradient (plain, then each layer dropped), prompt, place and head; 1 head for whole vectors."""
Scores = Float[Tensor, "batch head pos pos"]


def tap_of(kind: str, *, star: bool, drop: bool) -> Tap:
    """Where gradients are taken for a kind of site, and what the run must keep.

    Args:
        kind: The kind.
        star: Whether attention is computed anew for queries and keys.
        drop: Whether gradients are wanted with each layer dropped, too.
    """
    if kind == "pattern":
        return Tap("z", frozenset({"pattern", "v"}), drop)
    if star and kind in QK:
        return Tap("z", frozenset({kind, "rot_q", "rot_k", "v"}), drop)
    return Tap(kind, frozenset(), drop)


@dataclass(frozen=True)
class Changes:
    """One kind of patch on prompts of one length."""

    decoder: Decoder
    kind: str
    gradients: Gradients
    places: Bool[Tensor, "batch place pos"]
    """Positions that are patched together."""
    star: bool

    @torch.no_grad()
    def shares(self, layer: int, new: Tensor) -> Share:
        """Estimate the effect of putting `new` in place of the run's own activation.

        Args:
            layer: The layer.
            new: The activation that replaces the run's, of the same shape.
        """
        if self.star and self.kind == "k":
            return self._keys(layer, new)
        if self.kind == "pattern":
            return self._together(self._through_pattern(layer, new - self.gradients.base["pattern"][layer]))
        if self.star and self.kind == "q":
            return self._together(self._through_pattern(layer, self._query_change(layer, new)))
        change = new - original(self.gradients.base, self.kind, layer)
        each = torch.stack([(change * grads[layer]).sum(-1) for grads in self.gradients.passes])
        return self._together(each if self.kind in HEADS else each[..., None])

    def _together(self, each: Float[Tensor, "gradient batch pos head"]) -> Share:
        """Sum over the positions of each place: these changes do not depend on each other."""
        return torch.einsum("bsp,gbph->gbsh", self.places.to(each), each)

    def _through_pattern(self, layer: int, change: Scores) -> Float[Tensor, "gradient batch pos head"]:
        return torch.stack([(change * slope).sum(-1).transpose(1, 2) for slope in self._slopes(layer)])

    def _slopes(self, layer: int) -> Iterator[Scores]:
        """The metric's gradients at the attention pattern, which is linear in `z`."""
        v = _by_query_head(self._attention(layer), self.gradients.base["v"][layer])
        for grads in self.gradients.passes:
            yield torch.einsum("bqhe,bkhe->bhqk", grads[layer], v)

    def _query_change(self, layer: int, new: Float[Tensor, "batch pos head d_head"]) -> Scores:
        attention, base = self._attention(layer), self.gradients.base
        k = base["rot_k"][layer]
        patched = attention.rotated(new, attention.q_norm, 0)
        return patterns(attention, patched, k) - patterns(attention, base["rot_q"][layer], k)

    def _keys(self, layer: int, new: Float[Tensor, "batch pos kv_head d_head"]) -> Share:
        """Keys at several positions share one softmax, so each place has patterns of its own."""
        attention, base = self._attention(layer), self.gradients.base
        old_k, new_k = base["rot_k"][layer], attention.rotated(new, attention.k_norm, 0)
        old, patched = (_capped_scores(attention, base["rot_q"][layer], k) for k in (old_k, new_k))
        plain = _softmax(attention, old)
        size = max(1, PATTERN_BYTES // (old.numel() * old.element_size()))
        parts = []
        for chosen in self.places.split(size, dim=1):
            mixed = torch.where(chosen[:, :, None, None, :], patched[:, None], old[:, None])
            change = _softmax(attention, mixed) - plain[:, None]
            parts.append(torch.stack([torch.einsum("bshqk,bhqk->bsh", change, at) for at in self._slopes(layer)]))
        by_head = torch.cat(parts, 2)
        return by_head.unflatten(-1, (attention.n_kv_heads, -1)).sum(-1)

    def _attention(self, layer: int) -> Attention:
        return self.decoder.blocks[layer].attention


def _by_query_head(attention: Attention, rows: Float[Tensor, "batch pos kv_head d_head"]) -> Tensor:
    return rows.repeat_interleave(attention.n_heads // attention.n_kv_heads, 2)


def _capped_scores(attention: Attention, q: Tensor, k: Tensor) -> Scores:
    """What the softmax is taken of: scaled, capped, and minus infinity where a query does not look."""
    scores = torch.einsum("bqhd,bkhd->bhqk", q, _by_query_head(attention, k)) * attention.scale
    if attention.softcap is not None:
        scores = torch.tanh(scores / attention.softcap) * attention.softcap
    n_pos = q.shape[1]
    return scores.masked_fill(hidden(n_pos, n_pos, attention.window, q.device)[:, 0], -torch.inf)


def _softmax(attention: Attention, scores: Float[Tensor, "*rows pos"]) -> Float[Tensor, "*rows pos"]:
    return torch.softmax(scores, -1, dtype=attention.softmax_dtype or scores.dtype).to(scores.dtype)
