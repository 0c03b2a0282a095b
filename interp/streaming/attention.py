"""One layer's attention over groups of keys that stand at positions of their own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.models.decoder import Attention, Decoder
from interp.models.decoder.attend import softmaxed

Heads = Float[Tensor, "stream pos head d_head"]
KeyHeads = Float[Tensor, "stream key kv_head d_head"]
Rows = Float[Tensor, "stream pos d_model"]
AttendLayer = Callable[[int, Attention, Heads, KeyHeads, KeyHeads], Heads]
"""Layer, its attention, normed and unrotated queries and keys, values -> z."""


@dataclass(frozen=True)
class Span:
    """Keys with the positions that they and the queries have towards each other."""

    queries: Int[Tensor, " query"]
    keys: Int[Tensor, " key"]
    hidden: Bool[Tensor, "query key"]
    """What a query does not see of them."""

    def masked(self, window: int | None) -> Bool[Tensor, "query 1 key"]:
        """What a query does not see in a layer that has a window of its own."""
        if window is None:
            return self.hidden[:, None]
        far = self.queries[:, None] - self.keys[None] >= window
        return (self.hidden | far)[:, None]


@dataclass(frozen=True)
class Held:
    """Keys, unrotated, and values of some positions."""

    k: KeyHeads
    v: KeyHeads

    @classmethod
    def nothing(cls, like: KeyHeads) -> "Held":
        """No position yet."""
        return cls(like[:, :0], like[:, :0])

    def then(self, later: "Held") -> "Held":
        """These and later ones."""
        return Held(torch.cat([self.k, later.k], 1), torch.cat([self.v, later.v], 1))

    def part(self, start: int, stop: int) -> "Held":
        """Some of them, as a copy, so that the rest can be forgotten."""
        return Held(self.k[:, start:stop].clone(), self.v[:, start:stop].clone())


def advance_layers(decoder: Decoder, rows: Rows, attend_layer: AttendLayer) -> Rows:
    """Run all blocks on new rows, with attention to whatever `attend_layer` remembers."""
    for layer, block in enumerate(decoder.blocks):
        attention, normed = block.attention, block.norm(rows)
        q, k, v = (attention.heads(part(normed)) for part in (attention.q, attention.k, attention.v))
        q = q if attention.q_norm is None else attention.q_norm(q)
        k = k if attention.k_norm is None else attention.k_norm(k)
        rows = block.after(rows, block.attn_out(attend_layer(layer, attention, q, k, v)))
    return rows


def attend_spans(attention: Attention, q: Heads, spans: Sequence[tuple[Span, Held]], n_positions: int) -> Heads:
    """Let queries look at several groups of keys in one softmax.

    Args:
        attention: The layer.
        q: Queries, normed and unrotated.
        spans: Each group's positions, keys and values.
        n_positions: Length of the rotation table; the same for every call, so that one table is made.
    """
    streams, n_query, groups = q.shape[0], q.shape[1], attention.n_kv_heads
    scores = [_products(attention, q, span, held.k, n_positions) for span, held in spans]
    masked = torch.cat([span.masked(attention.window) for span, _ in spans], -1)
    pattern = softmaxed(attention, torch.cat(scores, -1), masked)
    values = torch.cat([held.v for _, held in spans], 1).transpose(1, 2).flatten(0, 1)
    z = torch.bmm(pattern.flatten(1, 2), values)
    return z.view(streams, groups, n_query, -1, z.shape[-1]).transpose(1, 2).flatten(2, 3)


def _products(
    attention: Attention, q: Heads, span: Span, k: KeyHeads, n_positions: int
) -> Float[Tensor, "stream_kv_head query per_kv_head key"]:
    q, k = _turn(attention, q, span.queries, n_positions), _turn(attention, k, span.keys, n_positions)
    # [stream, kv_head, query, head of the group, d_head]
    by_group = q.unflatten(2, (attention.n_kv_heads, -1)).transpose(1, 2)
    per_group = by_group.shape[3]
    products = torch.bmm(by_group.flatten(0, 1).flatten(1, 2), k.permute(0, 2, 3, 1).flatten(0, 1))
    return products.unflatten(1, (-1, per_group))


def _turn(attention: Attention, rows: Tensor, positions: Int[Tensor, " _"], n_positions: int) -> Tensor:
    if attention.rotary is None:
        return rows
    cos, sin = attention.rotary(n_positions, rows.dtype)
    return attention.turned(rows, cos[positions], sin[positions])
