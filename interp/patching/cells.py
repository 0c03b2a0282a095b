"""The cells of a patching sweep: which positions and heads each column patches, in which prompt."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from interp.errors import SiteError
from interp.prompts import PromptSet
from interp.prompts.prompt_set import Side
from interp.sites import VECTOR_HEAD_KINDS

By = Literal["pos", "word", "head"]


@dataclass(frozen=True)
class Columns:
    """What the columns of a sweep patch.

    `places[p][c]` are the aligned columns (see `PromptSet.aligned`) that column c patches in prompt p; empty where the
    prompt has no such column, which is then not run.
    """

    by: By
    labels: list[str]
    places: list[list[np.ndarray]]
    heads: tuple[int, ...] = ()
    """With `by="head"`: the head of each column; otherwise empty."""

    def __len__(self) -> int:
        return len(self.labels)

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
    if by == "head":
        if kind not in VECTOR_HEAD_KINDS:
            raise SiteError(
                f"{kind!r} has no heads to sweep over. Expected one of {list(VECTOR_HEAD_KINDS)}, or by='pos'."
            )
        labels = [f"H{head}" for head in range(n_heads)]
        return Columns(by, labels, [[every] * n_heads for every in positions], tuple(range(n_heads)))
    rows = prompts.word_columns() if by == "word" else [list(every[:, None]) for every in positions]
    longest = max(rows, key=len)
    nothing = np.array([], int)
    places = [row + [nothing] * (len(longest) - len(row)) for row in rows]
    return Columns(by, _labels(prompts, by, rows.index(longest), len(longest)), places)


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
        `[row, pos]`, or `[row, pos, head]` for columns by head.
    """
    of_side = prompts.aligned()[..., 0 if side == "clean" else 1]
    shape = (len(rows), n_pos) + ((len(columns.heads),) if columns.heads else ())
    chosen = torch.zeros(shape, dtype=torch.bool)
    for number, (prompt, column) in enumerate(rows):
        positions = torch.from_numpy(of_side[prompt][columns.places[prompt][column]])
        if columns.heads:
            chosen[number, positions, columns.heads[column]] = True
        else:
            chosen[number, positions] = True
    return chosen
