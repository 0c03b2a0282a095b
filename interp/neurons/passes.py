"""Rows of a corpus in forward passes of like lengths, and what units do at chosen tokens."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.errors import InputError, ModelError
from interp.models import facts
from interp.prompts import TokenBatch
from interp.run import forward, observe
from interp.sites import Site
from interp.types import Logits, Model

ROWS = 32
"""Rows of a forward pass."""
UnitKind = Literal["neurons", "heads", "residual"]
_SITES = {"neurons": "post", "heads": "z", "residual": "resid_post"}


@dataclass(frozen=True)
class Places:
    """Tokens of a batch, by row and position."""

    row: Int[np.ndarray, " place"]
    pos: Int[np.ndarray, " place"]

    def __post_init__(self) -> None:
        if self.row.shape != self.pos.shape or not len(self.row):
            raise InputError(f"{len(self.row)} rows and {len(self.pos)} positions. Expected as many, and at least one.")

    def __len__(self) -> int:
        return len(self.row)

    def __getitem__(self, chosen: np.ndarray) -> "Places":
        return Places(self.row[chosen], self.pos[chosen])


def passes(batch: TokenBatch, rows: np.ndarray | None = None) -> Iterator[tuple[np.ndarray, TokenBatch]]:
    """Cut rows into forward passes of like lengths, without the padding that no row of a pass needs.

    Args:
        batch: The corpus.
        rows: Which rows; all by default.

    Yields:
        Numbers of the rows, and their tokens.
    """
    rows = np.arange(len(batch)) if rows is None else rows
    ordered = rows[np.argsort(batch.lengths[rows], kind="stable")]
    for start in range(0, len(ordered), ROWS):
        chosen = ordered[start : start + ROWS]
        longest = int(batch.lengths[chosen].max())
        yield chosen, TokenBatch(batch.tokens[chosen, :longest], batch.mask[chosen, :longest])


def read_units(
    model: Model, batch: TokenBatch, places: Places, kind: UnitKind = "neurons"
) -> Float[np.ndarray, "place layer unit"]:
    """Read what every unit does at some tokens.

    Args:
        model: A hooked model whose layers are equally wide.
        batch: The corpus.
        places: At which tokens.
        kind: `neurons`: activation after the nonlinearity (the site `post`; for a gated MLP gate times value).
            `heads`: length of what the head writes, z W_O. `residual`: coordinates of the stream after the block.

    Raises:
        SiteError: the model shows no such site, as with experts that share one hook.
    """
    n_layers = facts(model).n_layers
    found: list[np.ndarray | None] = [None] * n_layers
    for rows, part in passes(batch, np.unique(places.row)):
        chosen = np.flatnonzero(np.isin(places.row, rows))
        local = np.empty(rows.max() + 1, np.int64)
        local[rows] = np.arange(len(rows))
        at = torch.from_numpy(local[places.row[chosen]]), torch.from_numpy(places.pos[chosen])

        def reading(layer: int, chosen: np.ndarray = chosen, at: tuple[Tensor, Tensor] = at) -> Callable:
            def read(activation: Tensor) -> None:
                values = _units(model, layer, activation[at], kind)
                if (kept := found[layer]) is None:
                    kept = found[layer] = np.empty((len(places), values.shape[1]), np.float32)
                kept[chosen] = values

            return read

        observe(model, part, {Site(layer, _SITES[kind]): reading(layer) for layer in range(n_layers)})
    return np.stack([values for values in found if values is not None], 1)


def token_losses(
    model: Model, batch: TokenBatch, rows: Int[np.ndarray, " row"] | None = None
) -> Float[np.ndarray, "text pos"]:
    """Loss of every token given those before it, in nats; NaN for the first, for padding, and for rows not asked for.

    Args:
        model: A hooked decoder, edited or not.
        batch: The corpus.
        rows: Which rows to run; all by default.
    """
    found = np.full(batch.tokens.shape, np.nan)
    for chosen, part in passes(batch, rows):
        write_losses(found, chosen, part, forward(model, part))
    return found


def write_losses(
    into: Float[np.ndarray, "row longest"], rows: Int[np.ndarray, " chosen"], part: TokenBatch, logits: Logits
) -> None:
    """Put the losses of one pass where they belong.

    Raises:
        ModelError: a loss is NaN or infinite.
    """
    wide = logits if logits.dtype == torch.float64 else logits.float()
    tokens = torch.from_numpy(part.tokens).to(wide.device)
    losses = torch.nn.functional.cross_entropy(wide[:, :-1].transpose(1, 2), tokens[:, 1:], reduction="none")
    values = losses.double().cpu().numpy()
    if not np.isfinite(values[part.mask[:, 1:]]).all():
        raise ModelError("The model's loss is NaN or infinite. Load it in a wider dtype, such as float32.")
    into[rows, 1 : part.tokens.shape[1]] = np.where(part.mask[:, 1:], values, np.nan)


def _units(model: Model, layer: int, values: Tensor, kind: UnitKind) -> np.ndarray:
    values = values.float()
    if kind == "heads":
        written = torch.einsum("phd,hdm->phm", values, model.blocks[layer].attn.W_O.detach().float())
        values = written.norm(dim=-1)
    return values.cpu().numpy()
