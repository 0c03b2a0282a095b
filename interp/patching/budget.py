"""How many rows go through the layers in one pass of the engine."""

import psutil
import torch

from interp.models import facts
from interp.types import Model

FREE_SHARE = 0.25
"""Share of the free memory that one pass may take; the runs, and whatever else is done, need the rest."""
MOST_ROWS = 2048
"""Past it, larger matrix products gain nothing on a processor, and memory grows."""
MOST_ROWS_ELSEWHERE = 16384
"""The same for other devices, which compute more at once."""


def rows_per_pass(model: Model, n_pos: int) -> int:
    """Choose the rows of one pass from the memory that is free now.

    Args:
        model: A hooked model.
        n_pos: Positions of the longest prompt: what one row's attention looks at.

    Returns:
        At least 1; a pass takes one cell whatever its rows.
    """
    device = torch.device(facts(model).device)
    most = MOST_ROWS if device.type == "cpu" else MOST_ROWS_ELSEWHERE
    return int(min(most, max(1, FREE_SHARE * free_bytes(device) // row_bytes(model, n_pos))))


def row_bytes(model: Model, n_pos: int) -> int:
    """What one row needs where a block is widest: the stream twice, and attention or the MLP."""
    known, size = facts(model), next(model.parameters()).element_size()
    attention = known.n_heads * (4 * known.d_head + 2 * n_pos)
    return size * (2 * known.d_model + max(attention, 3 * (known.d_mlp)))


def free_bytes(device: torch.device) -> int:
    """Memory of a device that nobody uses."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
