"""The residual stream at one layer boundary, reduced to what tells of a sink: norms, spikes, spread."""

import torch
from jaxtyping import Float
from torch import Tensor

from interp.attention.sinks.measures import entropies_around_first

N_LARGEST = 3
"""Activations listed at every boundary, as in the source."""
MASSIVE, MASSIVE_RATIO = 100.0, 1000.0
"""An activation is massive above both: in magnitude, and in multiples of the median magnitude."""
LIKE_FIRST = 0.9
"""Cosine with the first token's residual stream, in magnitude, from which a later token counts as a sink like it."""
MAP_TOKENS, MAP_DIMENSIONS = 40, 24
"""Tokens and dimensions kept for the picture of the spikes."""


def reduce_residual(rows: Float[Tensor, "pos d_model"], n_pos: int) -> dict[str, Tensor]:
    """Reduce the residual stream of one prompt, without its padding.

    Args:
        rows: The stream at one layer boundary.
        n_pos: Positions of the longest prompt, to which values by position are filled up with zeros.

    Returns:
        `norm_first` and `norm_others` (the median of the others). `matrix_entropy` and `matrix_entropy_rest`: with
        and without the first row, as shares of the largest possible. `median`: of all magnitudes but zeros. `top`,
        `top_*`: the largest magnitudes, their values, positions and dimensions. `massive`: 1 if the largest is.
        `like_first`: 1 at later tokens whose direction is the first's or its opposite. `map` and `map_dimension`:
        magnitudes of the first tokens in the dimensions with the largest ones.

    Source: Sun et al. 2024, Massive Activations in Large Language Models (arXiv:2402.17762).
    """
    rows = rows.float()
    size = rows.abs()
    norms = rows.norm(dim=-1)
    top, place = size.flatten().topk(N_LARGEST)
    median = _median(size)
    whole, rest = entropies_around_first(rows)
    cosine = rows @ rows[0] / (norms * norms[0]).clamp(min=torch.finfo(norms.dtype).tiny)
    like_first = torch.zeros(n_pos)
    like_first[1 : len(rows)] = (cosine[1:].abs() > LIKE_FIRST).float()
    return {
        "norm_first": norms[0],
        "norm_others": norms[1:].median(),
        "matrix_entropy": torch.tensor(whole),
        "matrix_entropy_rest": torch.tensor(rest),
        "median": median,
        "top": top,
        "top_value": rows.flatten()[place],
        "top_pos": place // rows.shape[1],
        "top_dimension": place % rows.shape[1],
        "massive": ((top[0] > MASSIVE) & (top[0] >= MASSIVE_RATIO * median)).float(),
        "like_first": like_first,
        **_map(size),
    }


def _median(size: Float[Tensor, "pos d_model"]) -> Float[Tensor, ""]:
    """Median of the magnitudes; zeros, which only models set by hand have, are left out."""
    used = size if size.all() else size[size > 0]
    return used.median() if len(used) else size.new_tensor(1.0)


def _map(size: Float[Tensor, "pos d_model"]) -> dict[str, Tensor]:
    shown = size[:MAP_TOKENS]
    dimensions = shown.amax(0).topk(min(MAP_DIMENSIONS, size.shape[1])).indices
    picture = size.new_zeros(MAP_TOKENS, len(dimensions))
    picture[: len(shown)] = shown[:, dimensions]
    return {"map": picture, "map_dimension": dimensions}
