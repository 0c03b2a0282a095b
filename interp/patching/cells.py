"""The cells of a patching sweep: which positions and heads each column patches, in which prompt."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from interp.errors import PromptError, SiteError
from interp.prompts import PromptSet
from interp.prompts.prompt_set import Side
from interp.sites import SQUARE_HEAD_KINDS, VECTOR_HEAD_KINDS

By = Literal["pos", "word", "head", "pos_head"]


@dataclass(frozen=True)
class Columns:
    """What the columns of a sweep patch.

    `places[p][c]` are the aligned columns (see `PromptSet.aligned`) that column c patches in prompt p; empty where the
    prompt has no such column, which is then not run.
    """

    kind: str
    by: By
    labels: list[str]
    places: list[list[np.ndarray]]
    heads: tuple[int, ...] = ()
    """The head of each column, where columns have one; otherwise empty."""
    n_heads: int = 0
    """Heads of the kind, where columns have one."""

    def __len__(self) -> int:
        return len(self.places[0])

    @property
    def dims(self) -> dict[str, int]:
        """Axes of the columns: one, or position and head."""
        if self.by == "pos_head":
            return {"pos": len(self.labels), "head": len(self) // len(self.labels)}
        return {self.by: len(self.labels)}

    @property
    def ran(self) -> Bool[np.ndarray, "prompt column"]:
        """Where there is something to patch."""
        return np.array([[len(place) > 0 for place in row] for row in self.places])


def columns_of(prompts: PromptSet, kind: str, by: By, n_heads: int) -> Columns:
    """Lay out the columns of a sweep.

    Raises:
        SiteError: columns by head for a kind that has no heads.
        PromptError: columns by word where prompts have no word spans.
    """
    positions = [np.arange(len(pair.aligned_positions)) for pair in prompts]
    if by in ("head", "pos_head"):
        if kind not in (*VECTOR_HEAD_KINDS, *SQUARE_HEAD_KINDS):
            raise SiteError(
                f"{kind!r} has no heads to sweep over. Expected one of {list(VECTOR_HEAD_KINDS)}, or by='pos'."
            )
        heads = [f"H{head}" for head in range(n_heads)]
        if by == "head":
            return Columns(kind, by, heads, [[every] * n_heads for every in positions], tuple(range(n_heads)), n_heads)
    rows = prompts.word_columns() if by == "word" else [list(every[:, None]) for every in positions]
    longest = max(rows, key=len)
    nothing = np.array([], int)
    places = [row + [nothing] * (len(longest) - len(row)) for row in rows]
    labels = _labels(prompts, by, rows.index(longest), len(longest))
    if by == "pos_head":
        places = [[place for place in row for _ in range(n_heads)] for row in places]
        return Columns(kind, by, labels, places, tuple(range(n_heads)) * len(labels), n_heads)
    return Columns(kind, by, labels, places)


def _labels(prompts: PromptSet, by: By, row: int, n: int) -> list[str]:
    pair = prompts.pairs[row]
    if by == "word":
        return [word.text for word in pair.words]
    texts = pair.str_tokens or tuple(f"#{token}" for token in pair.clean)
    return [texts[clean] for clean, _ in pair.aligned_positions[:n]]


def chosen_positions(
    prompts: PromptSet, columns: Columns, rows: list[tuple[int, int]], side: Side, n_pos: int
) -> Bool[Tensor, "row pos ..."]:
    """Mark what each row of a tiled batch patches.

    Args:
        prompts: The prompts.
        columns: The columns of the sweep.
        rows: (prompt, column) of each row.
        side: The side that runs, whose positions are marked.
        n_pos: Positions of the tiled batch.

    Returns:
        `[row, pos]`, or `[row, pos, head]` for columns by head; for patterns `[row, 1, dest_pos]` or
        `[row, head, dest_pos]`.
    """
    of_side = prompts.aligned()[..., 0 if side == "clean" else 1]
    shape = (len(rows), n_pos) + ((columns.n_heads,) if columns.heads else ())
    chosen = torch.zeros(shape, dtype=torch.bool)
    for number, (prompt, column) in enumerate(rows):
        positions = torch.from_numpy(of_side[prompt][columns.places[prompt][column]])
        if columns.heads:
            chosen[number, positions, columns.heads[column]] = True
        else:
            chosen[number, positions] = True
    if columns.kind in SQUARE_HEAD_KINDS:
        return chosen.transpose(1, 2) if columns.heads else chosen[:, None]
    return chosen


def aligned_order(prompts: PromptSet, base: Side) -> Int[Tensor, "prompt pos"] | None:
    """Source position that stands for each position of the run that is patched.

    Args:
        prompts: Prompts of one length on the patched side.
        base: The side that runs.

    Returns:
        -1 where a position stands for nothing; None where every position stands for itself.
    """
    to, frm = (0, 1) if base == "clean" else (1, 0)
    aligned, n_pos = torch.from_numpy(prompts.aligned()), int(prompts.batch(base).lengths.max())
    order = torch.full((len(prompts), n_pos), -1, dtype=torch.long)
    row, column = (aligned[..., to] >= 0).nonzero(as_tuple=True)
    order[row, aligned[row, column, to]] = aligned[row, column, frm]
    return None if torch.equal(order, torch.arange(n_pos).expand_as(order)) else order


def require_straight(prompts: PromptSet, what: str) -> None:
    """Refuse prompts in which some position of one side stands for another of the other side.

    Raises:
        PromptError: naming what relates positions to each other.
    """
    straight = all(
        np.array_equal(pair.aligned_positions, np.arange(len(side))[:, None].repeat(2, 1))
        for pair in prompts
        for side in (pair.clean, pair.corrupted)
    )
    if not straight:
        raise PromptError(
            f"{what} relates positions to each other, so it can only be patched where every position stands for "
            "itself. Use prompts of equal length, aligned position by position."
        )
