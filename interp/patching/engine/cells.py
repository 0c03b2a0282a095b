"""Cells of a sweep, as the engine sees them."""

from dataclasses import dataclass
from enum import IntEnum


class CellState(IntEnum):
    """Why a cell has the value it has."""

    COMPUTED = 0
    EQUAL = 1
    """The patch equals what it replaces, bit for bit: the value is the unpatched one."""
    UNREACHABLE = 2
    """Nothing the metric reads comes after the patch: the value is the unpatched one."""
    NOT_RUN = 3
    """The prompt has no such column."""


@dataclass(frozen=True)
class Cell:
    """One patch: some positions of one layer, of all heads or neurons or of one."""

    layer: int
    column: int
    positions: tuple[int, ...]
    unit: int | None = None
    """Head (of `k` and `v`: key/value head) or neuron; None for the whole vector."""
