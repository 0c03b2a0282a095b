"""The parts of a decoder: references to the model's own modules, with what must be known to call them on chosen rows.

Everything outside attention acts on one row (one token's vector) at a time, so it can be called on any rows, in any
shape, and gives what a full forward pass would give there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

Rows = Float[Tensor, "*rows d_model"]
RowFunction = Callable[[Tensor], Tensor]
"""Acts on the last axis alone."""
Rotary = Callable[[int, torch.dtype], tuple[Float[Tensor, "pos d_rotary"], Float[Tensor, "pos d_rotary"]]]
"""Cosine and sine for so many positions, in a dtype."""


@dataclass(frozen=True)
class Attention:
    """One layer's attention."""

    q: RowFunction
    k: RowFunction
    v: RowFunction
    o: RowFunction
    w_o: Callable[[], Float[Tensor, "head d_head d_model"]]
    """W_O by head, read anew on each call: weights may have been edited."""
    n_heads: int
    n_kv_heads: int
    d_head: int
    scale: float
    """What scores are multiplied by."""
    q_norm: RowFunction | None = None
    k_norm: RowFunction | None = None
    rotary: Rotary | None = None
    adjacent_pairs: bool = False
    """Whether rotation pairs neighbouring coordinates, not coordinates half a head apart."""
    softcap: float | None = None
    window: int | None = None
    """Keys a query sees, itself included; None for all before it."""
    softmax_dtype: torch.dtype | None = None
    """Softmax is computed in this dtype, whatever the model's."""
    post_norm: RowFunction | None = None
    """Norm of the output, before it is added to the residual stream."""

    def heads(self, rows: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows head d_head"]:
        """Split the last axis into heads."""
        return rows.unflatten(-1, (-1, self.d_head))

    def rotated(
        self, rows: Float[Tensor, "*batch pos head d_head"], norm: RowFunction | None, first: int
    ) -> Float[Tensor, "*batch pos head d_head"]:
        """Queries or keys as attention uses them: normed, then rotated by their positions from `first` on."""
        rows = norm(rows) if norm is not None else rows
        if self.rotary is None:
            return rows
        cos, sin = self.rotary(first + rows.shape[-3], rows.dtype)
        return self.turned(rows, cos[first:], sin[first:])

    def turned(
        self,
        rows: Float[Tensor, "*batch pos head d_head"],
        cos: Float[Tensor, "pos d_rotary"],
        sin: Float[Tensor, "pos d_rotary"],
    ) -> Float[Tensor, "*batch pos head d_head"]:
        """Turn normed queries or keys by the angles of chosen positions: rows of `rotary`'s table, one for each."""
        cos, sin, width = cos[:, None], sin[:, None], cos.shape[-1]
        turned, rest = rows[..., :width], rows[..., width:]
        turned = turned * cos + self._quarter_turn(turned) * sin
        return torch.cat([turned, rest], -1) if rest.shape[-1] else turned

    def _quarter_turn(self, rows: Tensor) -> Tensor:
        if self.adjacent_pairs:
            return torch.stack([-rows[..., 1::2], rows[..., ::2]], -1).flatten(-2)
        half = rows.shape[-1] // 2
        return torch.cat([-rows[..., half:], rows[..., :half]], -1)


@dataclass(frozen=True)
class Mlp:
    """One layer's MLP, in two steps so that its neurons can be reached."""

    neurons: RowFunction
    """Normed rows to neuron activations (`post`; for a gated MLP the product)."""
    out: RowFunction
    post_norm: RowFunction | None = None

    def __call__(self, rows: Rows) -> Rows:
        """Normed rows to what the layer adds to the residual stream."""
        return self.write(self.neurons(rows))

    def write(self, neurons: Float[Tensor, "*rows d_mlp"]) -> Rows:
        """Neuron activations to what the layer adds to the residual stream."""
        rows = self.out(neurons)
        return rows if self.post_norm is None else self.post_norm(rows)


@dataclass(frozen=True)
class Block:
    """One layer."""

    norm: RowFunction
    attention: Attention
    mlp_norm: RowFunction | None = None
    mlp: Mlp | None = None
    """None in an attention-only model."""
    parallel: bool = False
    """Whether the MLP reads what attention reads, not what attention wrote."""

    def attn_out(self, z: Float[Tensor, "*rows head d_head"]) -> Rows:
        """What attention adds to the residual stream, from all heads' `z`."""
        rows = self.attention.o(z.flatten(-2))
        return rows if self.attention.post_norm is None else self.attention.post_norm(rows)

    def after(self, resid_pre: Rows, attn_out: Rows) -> Rows:
        """The residual stream after the block."""
        if self.mlp is None or self.mlp_norm is None:
            return resid_pre + attn_out
        if self.parallel:
            return self.mlp(self.mlp_norm(resid_pre)) + attn_out + resid_pre
        mid = resid_pre + attn_out
        return mid + self.mlp(self.mlp_norm(mid))


@dataclass(frozen=True)
class Decoder:
    """A decoder-only model as functions of rows."""

    family: str
    embed: Callable[..., Float[Tensor, "batch pos d_model"]]
    """Tokens `[batch, pos]` to the residual stream before the first block; positions count from 0, or are given as a
    second argument `[pos]`, which matters to learned positions only."""
    blocks: tuple[Block, ...]
    final_norm: RowFunction
    w_u: Callable[[], tuple[Float[Tensor, "d_vocab d_model"], Float[Tensor, " d_vocab"] | None]]
    """Unembedding and its bias, read anew on each call."""
    softcap: float | None = None
    """Cap of the logits."""
    learned_positions: bool = False
    """Whether the position of a token is added to its embedding."""
    n_positions: int | None = None
    """Positions that exist, or whose rotation is the same in texts of any length; None for any number."""

    @cached_property
    def n_layers(self) -> int:
        """Number of blocks."""
        return len(self.blocks)

    def logits(self, rows: Rows) -> Float[Tensor, "*rows d_vocab"]:
        """Logits over the whole vocabulary, from rows of the residual stream after the last block."""
        weight, bias = self.w_u()
        return self._capped(torch.nn.functional.linear(self.final_norm(rows), weight, bias))

    def chosen_logits(
        self, rows: Float[Tensor, "*cells batch d_model"], tokens: Int[Tensor, "batch chosen"]
    ) -> Float[Tensor, "*cells batch chosen"]:
        """Logits of a few tokens for each prompt, without those of the rest of the vocabulary."""
        weight, bias = self.w_u()
        found = torch.einsum("...bd,bvd->...bv", self.final_norm(rows), weight[tokens])
        return self._capped(found if bias is None else found + bias[tokens])

    def _capped(self, logits: Tensor) -> Tensor:
        return logits if self.softcap is None else torch.tanh(logits / self.softcap) * self.softcap
