"""Exact patching without hooks: only what a patch can change is computed again, many patches in one matrix product."""

from interp.patching.engine.cells import Cell as Cell
from interp.patching.engine.cells import CellState as CellState
from interp.patching.engine.group import Group as Group
from interp.patching.engine.runs import Run as Run
from interp.patching.engine.runs import run as run
