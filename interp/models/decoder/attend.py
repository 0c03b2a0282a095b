"""Attention of some rows over a shared, unchanged prefix and over themselves."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interp.models.decoder.parts import Attention


@dataclass(frozen=True)
class Prefix:
    """Keys and values of the positions before the first changed one; the same for every variant of a prompt."""

    k: Float[Tensor, "batch pos kv_head d_head"]
    v: Float[Tensor, "batch pos kv_head d_head"]

    @property
    def length(self) -> int:
        """Positions in it."""
        return self.k.shape[1]


def attend(
    attention: Attention,
    q: Float[Tensor, "variant batch query head d_head"],
    k: Float[Tensor, "variant batch key kv_head d_head"],
    v: Float[Tensor, "variant batch key kv_head d_head"],
    prefix: Prefix,
) -> Float[Tensor, "variant batch query head d_head"]:
    """Let the last `query` positions look at the prefix and at the rows after it.

    The prefix is never copied: every variant's queries on one prompt meet its keys in one matrix product.

    Args:
        attention: The layer.
        q: Queries of the last positions, rotated.
        k: Keys of every position from the prefix's end on, rotated.
        v: Their values.
        prefix: Keys and values before them.
    """
    variants, batch, n_query = q.shape[:3]
    groups, n_key, before = attention.n_kv_heads, k.shape[2], prefix.length
    # [batch, kv_head, variant, query, head of the group, d_head]
    q = q.unflatten(3, (groups, -1)).permute(1, 3, 0, 2, 4, 5)
    per_group = q.shape[4]
    flat = q.reshape(batch * groups, variants * n_query * per_group, -1)
    own = q.reshape(batch * groups * variants, n_query * per_group, -1)
    k, v = (rows.permute(1, 3, 0, 2, 4).reshape(batch * groups * variants, n_key, -1) for rows in (k, v))
    scores = torch.empty(batch * groups, variants, n_query, per_group, before + n_key, dtype=q.dtype, device=q.device)
    if before:
        keys = prefix.k.permute(0, 2, 3, 1).reshape(batch * groups, -1, before)
        scores[..., :before] = torch.bmm(flat, keys).view(*scores.shape[:-1], before)
    scores[..., before:] = torch.bmm(own, k.transpose(1, 2)).view(*scores.shape[:-1], n_key)
    pattern = softmaxed(attention, scores, hidden(n_query, before + n_key, attention.window, q.device))
    z = torch.bmm(pattern[..., before:].reshape(len(own), -1, n_key), v).view(len(flat), -1, v.shape[-1])
    if before:
        values = prefix.v.permute(0, 2, 1, 3).reshape(batch * groups, before, -1)
        z = z + torch.bmm(pattern[..., :before].reshape(len(flat), -1, before), values)
    z = z.view(batch, groups, variants, n_query, per_group, -1)
    return z.permute(2, 0, 3, 1, 4, 5).flatten(3, 4)


def patterns(
    attention: Attention,
    q: Float[Tensor, "batch pos head d_head"],
    k: Float[Tensor, "batch pos kv_head d_head"],
) -> Float[Tensor, "batch head pos pos"]:
    """Attention pattern of whole sequences, from rotated queries and keys."""
    k = k.repeat_interleave(attention.n_heads // attention.n_kv_heads, 2)
    scores = torch.einsum("bqhd,bkhd->bhqk", q, k)
    masked = hidden(q.shape[1], k.shape[1], attention.window, q.device)
    return softmaxed(attention, scores[..., None, :], masked)[..., 0, :]


def hidden(n_query: int, n_key: int, window: int | None, device: torch.device) -> Bool[Tensor, "query 1 key"]:
    """What the last `n_query` of `n_key` positions do not see."""
    queries = torch.arange(n_key - n_query, n_key, device=device)[:, None, None]
    keys = torch.arange(n_key, device=device)
    later = keys > queries
    return later if window is None else later | (keys <= queries - window)


def softmaxed(attention: Attention, scores: Float[Tensor, "*rows key"], masked: Bool[Tensor, "..."]) -> Tensor:
    """Raw products of queries and keys to a pattern: scaled, capped, masked, in the model's own precision."""
    scores = scores * attention.scale
    if attention.softcap is not None:
        scores = torch.tanh(scores / attention.softcap) * attention.softcap
    scores = scores.masked_fill_(masked, -torch.inf)
    return torch.softmax(scores, -1, dtype=attention.softmax_dtype or scores.dtype).to(scores.dtype)
