"""One plain run of a decoder, with everything kept that patches of a kind of site need."""

from collections.abc import Set
from dataclasses import dataclass, field

import torch
from jaxtyping import Int
from torch import Tensor

from interp.models.decoder import Block, Decoder, Prefix, attend
from interp.models.decoder.attend import patterns

BASE = frozenset({"resid", "rot_q", "rot_k", "v"})
"""What every run that is patched must keep."""


@dataclass(frozen=True)
class Run:
    """Activations of one run by name, one tensor per layer (`resid` has one more: after the last block).

    Names and shapes are those of sites; besides, `resid` `[batch, pos, d_model]` is the stream between blocks, `rot_q`
    and `rot_k` are queries and keys as attention uses them, `attn_raw` is what attention writes before its own norm.
    """

    kept: dict[str, list[Tensor]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> list[Tensor]:
        return self.kept[name]

    def take(self, prompts: Int[Tensor, " chosen"]) -> "Run":
        """The same for some of the prompts."""
        return Run({name: [rows[prompts] for rows in layers] for name, layers in self.kept.items()})

    @property
    def n_bytes(self) -> int:
        """Memory held."""
        return sum(rows.numel() * rows.element_size() for layers in self.kept.values() for rows in layers)


def run(decoder: Decoder, tokens: Int[Tensor, "batch pos"], keep: Set[str]) -> Run:
    """Run whole sequences, without padding and without unembedding.

    Args:
        decoder: The model, taken apart.
        tokens: Sequences of one length.
        keep: Names of what to keep.
    """
    rows, kept = decoder.embed(tokens), Run({name: [] for name in keep})
    for block in decoder.blocks:
        _keep(kept, resid=rows)
        rows = _block(block, rows, kept)
    _keep(kept, resid=rows)
    return kept


def _block(block: Block, rows: Tensor, kept: Run) -> Tensor:
    attention = block.attention
    normed = block.norm(rows)
    q, k, v = (attention.heads(part(normed)) for part in (attention.q, attention.k, attention.v))
    rot_q, rot_k = attention.rotated(q, attention.q_norm, 0), attention.rotated(k, attention.k_norm, 0)
    nothing = Prefix(rot_k[:, :0], v[:, :0])
    z = attend(attention, rot_q[None], rot_k[None], v[None], nothing)[0]
    attn_raw = attention.o(z.flatten(-2))
    attn_out = attn_raw if attention.post_norm is None else attention.post_norm(attn_raw)
    _keep(kept, q=q, k=k, v=v, rot_q=rot_q, rot_k=rot_k, z=z, attn_raw=attn_raw, attn_out=attn_out)
    if "pattern" in kept.kept:
        _keep(kept, pattern=patterns(attention, rot_q, rot_k))
    mid = rows + attn_out
    if block.mlp is None or block.mlp_norm is None:
        return mid
    neurons = block.mlp.neurons(block.mlp_norm(rows if block.parallel else mid))
    mlp_out = block.mlp.write(neurons)
    _keep(kept, resid_mid=mid, post=neurons, mlp_out=mlp_out)
    return mlp_out + attn_out + rows if block.parallel else mid + mlp_out


def _keep(kept: Run, **found: Tensor) -> None:
    for name, rows in found.items():
        if name in kept.kept:
            kept.kept[name].append(rows)


def no_grad_run(decoder: Decoder, tokens: Int[Tensor, "batch pos"], keep: Set[str]) -> Run:
    """`run` without gradients."""
    with torch.no_grad():
        return run(decoder, tokens, keep)
