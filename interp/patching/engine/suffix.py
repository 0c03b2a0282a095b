"""Push changed rows through the rest of the model, many patches together.

Outside attention a row is a row: all patches' rows go through one matrix product, wherever they begin. Attention is
computed lane by lane: the patches of a lane begin at one position of the same prompts, and share everything before it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.models.decoder import Block, Decoder, Prefix, attend
from interp.patching.engine.runs import Run


@dataclass
class Entries:
    """New rows that join a lane at one layer boundary."""

    dense: list[Float[Tensor, "cell batch row d_model"]] = field(default_factory=list)
    """Every row from the first changed position on."""
    one_row: list[Float[Tensor, "cell batch 1 d_model"]] = field(default_factory=list)
    """The first changed row alone: the others are the base run's."""


@dataclass
class Lane:
    """Patches that begin at one position of the same prompts."""

    start: int
    prompts: Int[Tensor, " batch"]
    entries: list[Entries]
    """By boundary: before each block, and last after all of them, there of the last position alone."""
    live: Float[Tensor, "cell batch row d_model"] | None = None


@torch.no_grad()
def suffix(decoder: Decoder, base: Run, lanes: list[Lane]) -> list[Float[Tensor, "cell batch d_model"]]:
    """Compute what the last position's residual stream becomes after the last block.

    Below the boundary where a patch enters and left of where it begins everything is the base run's, so those keys and
    values are shared, and in the last layer only the last position is computed.

    Args:
        decoder: The model.
        base: The run that is patched.
        lanes: The patches.

    Returns:
        By lane, the cells in the order of its entries; at each boundary the dense ones first.
    """
    for layer, block in enumerate(decoder.blocks):
        moving = [_Moving.of(lane, layer) for lane in lanes]
        moving = [each for each in moving if each.parts]
        if moving:
            _block(block, base, layer, moving)
    return [_joined([lane.live, *lane.entries[-1].dense, *lane.entries[-1].one_row])[:, :, -1] for lane in lanes]


@dataclass
class _Moving:
    """What a lane brings into one block."""

    lane: Lane
    whole: Tensor | None
    """Patches of which every row is new."""
    one_row: Tensor | None
    """The first row of those of which it alone is."""

    @classmethod
    def of(cls, lane: Lane, layer: int) -> "_Moving":
        joining = lane.entries[layer]
        whole = [rows for rows in (lane.live, *joining.dense) if rows is not None]
        return cls(lane, _joined(whole) if whole else None, _joined(joining.one_row) if joining.one_row else None)

    @property
    def parts(self) -> list[Tensor]:
        """Its new rows."""
        return [rows for rows in (self.whole, self.one_row) if rows is not None]

    def filled(self, parts: list[Tensor], base: Tensor) -> Tensor:
        """What was computed of its new rows, for all rows: where only the first is new, the rest is the base run's."""
        found = [] if self.whole is None else [parts[0]]
        if self.one_row is not None:
            rest = base[self.lane.prompts, self.lane.start + 1 :]
            found.append(torch.cat([parts[-1], rest.expand(len(parts[-1]), *rest.shape)], 2))
        return _joined(found)


def _block(block: Block, base: Run, layer: int, moving: list[_Moving]) -> None:
    """Take lanes through one block."""
    attention, kept = block.attention, {name: base[name][layer] for name in ("resid", "rot_q", "rot_k", "v")}
    # The metric reads the last position alone, so that is all the last layer needs to give.
    is_last = layer == len(base["rot_q"]) - 1
    asked = slice(-1, None) if is_last else slice(None)
    normed = _by_row(block.norm, [rows for each in moving for rows in each.parts])
    q, k, v = (iter(_by_row(part, normed)) for part in (attention.q, attention.k, attention.v))
    z, rows = [], []
    for each in moving:
        lane, n_parts = each.lane, len(each.parts)
        own_q, own_k, own_v = ([attention.heads(next(part)) for _ in range(n_parts)] for part in (q, k, v))
        own_q = [attention.rotated(part, attention.q_norm, lane.start) for part in own_q]
        own_k = [attention.rotated(part, attention.k_norm, lane.start) for part in own_k]
        prefix = Prefix(*(kept[name][lane.prompts, : lane.start] for name in ("rot_k", "v")))
        queries = each.filled(own_q, kept["rot_q"])[:, :, asked]
        z.append(attend(attention, queries, each.filled(own_k, kept["rot_k"]), each.filled(own_v, kept["v"]), prefix))
        rows.append(each.filled(each.parts, kept["resid"])[:, :, asked])
    written = _by_row(block.attn_out, z, width=2)
    for each, live in zip(moving, _by_row(block.after, rows, written), strict=True):
        each.lane.live = live


def _by_row(function: Callable[..., Tensor], *packs: list[Tensor], width: int = 1) -> list[Tensor]:
    """Apply a function of rows to the rows of many tensors at once.

    Args:
        function: Acts on rows alone.
        packs: For each argument the tensors, of equal leading axes.
        width: How many of a tensor's last axes are one row.
    """
    shapes = [rows.shape[:-width] for rows in packs[0]]
    flat = [_joined([rows.flatten(0, rows.ndim - width - 1) for rows in pack]) for pack in packs]
    made = function(*flat)
    sizes = [shape.numel() for shape in shapes]
    return [part.view(*shape, -1) for shape, part in zip(shapes, made.split(sizes), strict=True)]


def _joined(parts: Sequence[Tensor | None]) -> Tensor:
    given = [part for part in parts if part is not None]
    return given[0] if len(given) == 1 else torch.cat(given)
