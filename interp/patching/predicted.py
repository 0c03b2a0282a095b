"""How much work a sweep by the engine will be, read off the tokens before anything runs."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Int

from interp.patching.engine.entries import LOOKED_AT
from interp.patching.plan import SweepPlan
from interp.prompts import PromptSet

OWN_ROW = ("resid_pre", "q", "k", "v")
"""Kinds that in the first layer depend on their own position's token alone."""
STREAM = ("resid_pre", "resid_post")
LAST_BLOCK, ENTRY, FIXED = 0.2, 0.7, 0.05
"""Work of a row in the last block, and where it enters, as a share of a whole block's."""


@dataclass
class Work:
    """Cells to compute and how far their rows go. Equal values beyond what tokens tell are not foreseen."""

    cells: int = 0
    rows: int = 0
    row_blocks: float = 0.0
    """Rows times the blocks they pass through."""
    by_start: Counter[int] = field(default_factory=Counter)
    """Cells by where their patches begin, summed over prompts."""


def row_blocks(plan: SweepPlan, n_layers: int, layer: int, n_rows: int, *, one_row: bool) -> float:
    """Blocks times rows of one cell of one prompt."""
    left = n_layers - layer - (plan.kind != "resid_pre")
    through = left - 1 + LAST_BLOCK if left else 0.0
    return n_rows * (through + (0.0 if one_row or plan.kind in STREAM else ENTRY) + FIXED)


def predicted_work(prompts: PromptSet, plan: SweepPlan, members: list[int], n_layers: int) -> Work:
    """Add up the work of some prompts."""
    work, aligned = Work(), prompts.aligned()
    for prompt in members:
        own, positions, n_pos = _differs(prompts, plan, prompt, aligned[prompt])
        if not own.any():
            continue
        first, seen = int(np.argmax(own)), {}
        for place in plan.columns.places[prompt]:
            if len(place) and id(place) not in seen:
                at = np.sort(positions[place])
                seen[id(place)] = (at[at >= first], bool(own[at].any()), int(at[-1]) == n_pos - 1)
            if len(place):
                _add(work, plan, n_layers, n_pos, *seen[id(place)])
    return work


def _differs(
    prompts: PromptSet, plan: SweepPlan, prompt: int, aligned: Int[np.ndarray, "column 2"]
) -> tuple[Bool[np.ndarray, " pos"], Int[np.ndarray, " column"], int]:
    """By position of the run that is patched, whether the other run's token or place is another."""
    pair, side = prompts.pairs[prompt], 0 if plan.base == "clean" else 1
    base, source = (pair.clean, pair.corrupted)[side], (pair.clean, pair.corrupted)[1 - side]
    to, frm = (part[aligned[:, 0] >= 0] for part in (aligned[:, side], aligned[:, 1 - side]))
    own = np.ones(len(base), bool)
    own[to] = (base[to] != source[frm]) | (to != frm)
    return own, aligned[:, side], len(base)


def _add(work: Work, plan: SweepPlan, n_layers: int, n_pos: int, at: np.ndarray, own: bool, reaches_end: bool) -> None:
    if not len(at):
        return
    n_rows, one_row = n_pos - int(at[0]), len(at) == 1 and plan.kind not in LOOKED_AT
    for layer in plan.layers:
        equal = layer == 0 and plan.kind in OWN_ROW and not own
        last = layer == n_layers - 1 and plan.kind not in ("resid_pre", *LOOKED_AT)
        if not equal and (reaches_end or not last):
            work.cells += 1
            work.rows += n_rows
            work.by_start[int(at[0])] += 1
            work.row_blocks += row_blocks(plan, n_layers, layer, n_rows, one_row=one_row)
