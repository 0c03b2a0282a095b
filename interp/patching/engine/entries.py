"""Where a patch enters the residual stream, and with what: each kind of site becomes new rows at a layer boundary."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.models.decoder import Attention, Block, Decoder, Mlp
from interp.models.decoder.attend import hidden, softmaxed
from interp.patching.engine.cells import Cell
from interp.patching.engine.runs import Run

VECTORS = ("resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out", "post")
"""Kinds with one vector per position."""
HEADS = ("z", "q", "k", "v", "pattern")
"""Kinds with one vector per position and head."""
LOOKED_AT = ("k", "v")
"""Kinds that later positions look at: a change at one position changes every later row of the layer's output."""
NEEDS = {
    "resid_pre": {"resid"},
    "resid_post": {"resid"},
    "resid_mid": {"resid_mid"},
    "attn_out": {"attn_out"},
    "mlp_out": {"resid_mid", "mlp_out"},
    "post": {"resid_mid", "post"},
    "z": {"z", "attn_raw"},
    "q": {"q", "z", "attn_raw"},
    "k": {"k", "z", "attn_raw"},
    "v": {"v", "z", "attn_raw"},
    "pattern": {"pattern", "z", "attn_raw"},
}
"""What the patched run must keep for each kind, besides what every such run keeps."""


def original(run: Run, kind: str, layer: int) -> Tensor:
    """The activation of a kind in a run."""
    if kind == "resid_pre":
        return run["resid"][layer]
    return run["resid"][layer + 1] if kind == "resid_post" else run[kind][layer]


@dataclass(frozen=True)
class Builder:
    """Makes the new rows of cells of one kind."""

    decoder: Decoder
    base: Run
    kind: str
    new: Callable[[int], Tensor]
    """Layer to the activation that replaces the base run's, of the same shape."""

    @property
    def after_block(self) -> int:
        """1 where the rows are those after the cell's block, 0 where they are those before it."""
        return int(self.kind != "resid_pre")

    def is_one_row(self, cell: Cell) -> bool:
        """Whether only the row of the cell's one position differs where it enters."""
        return len(cell.positions) == 1 and self.kind not in LOOKED_AT

    @torch.no_grad()
    def rows(
        self, layer: int, cells: list[Cell], prompts: Int[Tensor, " batch"], at: Int[Tensor, "cell row"]
    ) -> Float[Tensor, "cell batch row d_model"]:
        """New rows of the residual stream at the boundary where these cells of one layer enter.

        Args:
            layer: Their layer.
            cells: The cells.
            prompts: The prompts they all patch.
            at: The positions wanted of each cell.
        """
        block = self.decoder.blocks[layer]
        if self.kind in HEADS:
            return self._from_attention(block, layer, cells, prompts, at)
        rows = self._mixed(layer, cells, prompts, at)
        if self.kind in ("resid_pre", "resid_post"):
            return rows
        if self.kind == "resid_mid":
            return _after_mid(block, rows)
        if self.kind == "attn_out":
            return block.after(self._base("resid", layer, prompts, at), rows)
        added = rows if self.kind == "mlp_out" else _mlp(block).write(rows)
        return self._base("resid_mid", layer, prompts, at) + added

    def _base(self, name: str, layer: int, prompts: Tensor, at: Tensor) -> Tensor:
        return _rows_at(self.base[name][layer][prompts], at)

    def _mixed(self, layer: int, cells: list[Cell], prompts: Tensor, at: Tensor) -> Tensor:
        """The kind's own vectors, new ones at the cells' positions (and units) and the base run's elsewhere."""
        sides = self.new(layer), original(self.base, self.kind, layer)
        new, old = (_rows_at(rows[prompts], at) for rows in sides)
        chosen = _chosen(cells, sides[0].shape[1], new.device).gather(1, at)[:, None, :, None]
        if cells[0].unit is not None:
            units = torch.tensor([cell.unit for cell in cells], device=new.device)
            chosen = chosen & (torch.arange(new.shape[-1], device=new.device) == units[:, None])[:, None, None]
        return torch.where(chosen, new, old)

    def _from_attention(
        self, block: Block, layer: int, cells: list[Cell], prompts: Tensor, at: Tensor
    ) -> Float[Tensor, "cell batch row d_model"]:
        parts = _Parts.of(block.attention, self.kind, cells, at)
        change = self._z_change(block, layer, parts, prompts)
        n_parts, batch, rows = change.shape[:3]
        # [part, batch * row, head of the group * d_head] by [part, head of the group * d_head, d_model]
        written = torch.bmm(change.flatten(1, 2).flatten(2), block.attention.w_o()[parts.heads].flatten(1, 2))
        written = written.view(len(cells), n_parts // len(cells), batch, rows, -1).sum(1)
        if block.parallel:
            # The MLP reads what attention reads, and so says what it said.
            return self._base("resid", layer + 1, prompts, at) + written
        attn = self._base("attn_raw", layer, prompts, at) + written
        attn = attn if block.attention.post_norm is None else block.attention.post_norm(attn)
        return block.after(self._base("resid", layer, prompts, at), attn)

    def _z_change(
        self, block: Block, layer: int, parts: "_Parts", prompts: Tensor
    ) -> Float[Tensor, "part batch row head d_head"]:
        """How the parts' heads change their `z`."""
        attention, heads, groups = block.attention, parts.heads, parts.groups
        old_z = parts.rows(_by_part(self.base["z"][layer][prompts], heads))
        new, every = self.new(layer)[prompts], parts.chosen(self.base["v"][layer].shape[1])
        here = every.gather(1, parts.at)[:, None, :, None, None]
        if self.kind == "z":
            return (parts.rows(_by_part(new, heads)) - old_z) * here
        v = _by_part(self.base["v"][layer][prompts], groups)
        if self.kind == "pattern":
            # [batch, head, dest_pos, src_pos] to [part, batch, dest_pos, head, src_pos]
            rows = parts.rows(_by_part(new.transpose(1, 2), heads))
            return (torch.einsum("cbrhp,cbpe->cbrhe", rows, v) - old_z) * here
        q, k = (self.base[name][layer][prompts] for name in ("rot_q", "rot_k"))
        q, k = parts.rows(_by_part(q, heads)), _by_part(k, groups)
        if self.kind == "q":
            turned = parts.rows(_by_part(attention.rotated(new, attention.q_norm, 0), heads))
            q = torch.where(here, turned, q)
        elif self.kind == "k":
            turned = _by_part(attention.rotated(new, attention.k_norm, 0), groups)
            k = torch.where(every[:, None, :, None], turned, k)
        else:
            v = torch.where(every[:, None, :, None], _by_part(new, groups), v)
        return _single_heads(attention, q, k, v, parts.at) - old_z


@dataclass(frozen=True)
class _Parts:
    """Cells of an attention kind, cut into heads that share one key/value head; a cell of one head is one part."""

    cells: list[Cell]
    heads: Int[Tensor, "part head"]
    """Query heads of each part."""
    groups: Int[Tensor, " part"]
    """Key/value head of each part."""
    at: Int[Tensor, "part row"]
    """Positions wanted of each part."""

    @classmethod
    def of(cls, attention: Attention, kind: str, cells: list[Cell], at: Int[Tensor, "cell row"]) -> "_Parts":
        per_group = attention.n_heads // attention.n_kv_heads
        within = torch.arange(per_group, device=at.device)
        if cells[0].unit is None:
            groups = torch.arange(attention.n_kv_heads, device=at.device).repeat(len(cells))
            at = at.repeat_interleave(attention.n_kv_heads, 0)
            return cls(cells, groups[:, None] * per_group + within, groups, at)
        units = torch.tensor([cell.unit for cell in cells], device=at.device)
        if kind in LOOKED_AT:
            return cls(cells, units[:, None] * per_group + within, units, at)
        return cls(cells, units[:, None], units // per_group, at)

    def chosen(self, n_pos: int) -> Bool[Tensor, "part pos"]:
        """The positions each part changes."""
        return _chosen(self.cells, n_pos, self.at.device).repeat_interleave(len(self.at) // len(self.cells), 0)

    def rows(self, every: Float[Tensor, "part batch pos ..."]) -> Float[Tensor, "part batch row ..."]:
        """The wanted positions of each part."""
        return every[torch.arange(len(self.at), device=self.at.device)[:, None], :, self.at].transpose(1, 2)


def _rows_at(rows: Float[Tensor, "batch pos ..."], at: Int[Tensor, "cell row"]) -> Float[Tensor, "cell batch row ..."]:
    return rows[:, at].transpose(0, 1).contiguous()


def _by_part(rows: Tensor, index: Tensor) -> Tensor:
    """Pick heads (third axis) for each part: `[batch, pos, head, ...]` to `[part, batch, pos, ...]`."""
    return rows[:, :, index].movedim(2, 0)


def _single_heads(
    attention: Attention,
    q: Float[Tensor, "part batch row head d_head"],
    k: Float[Tensor, "part batch pos d_head"],
    v: Float[Tensor, "part batch pos d_head"],
    at: Int[Tensor, "part row"],
) -> Float[Tensor, "part batch row head d_head"]:
    """`z` of a few query heads that share one key/value head in each part."""
    n_pos = k.shape[2]
    scores = torch.einsum("cbrhe,cbpe->cbrhp", q, k)
    masked = hidden(n_pos, n_pos, attention.window, q.device)[at]
    return torch.einsum("cbrhp,cbpe->cbrhe", softmaxed(attention, scores, masked[:, None]), v)


def _chosen(cells: list[Cell], n_pos: int, device: torch.device) -> Bool[Tensor, "cell pos"]:
    chosen = torch.zeros(len(cells), n_pos, dtype=torch.bool, device=device)
    for number, cell in enumerate(cells):
        chosen[number, list(cell.positions)] = True
    return chosen


def _after_mid(block: Block, mid: Tensor) -> Tensor:
    return mid if block.mlp is None or block.mlp_norm is None else mid + block.mlp(block.mlp_norm(mid))


def _mlp(block: Block) -> Mlp:
    assert block.mlp is not None
    return block.mlp
