"""Prompts of one length, patched cell by cell: which cells need work, in which passes, and what the metric becomes."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.models.decoder import Decoder
from interp.patching.engine.cells import Cell, CellState
from interp.patching.engine.entries import HEADS, LOOKED_AT, Builder, original
from interp.patching.engine.runs import Run
from interp.patching.engine.suffix import Entries, Lane, suffix

Key = tuple[int, tuple[int, ...]]
"""A lane: where its patches begin, and in which prompts."""
Work = dict[tuple[int, tuple[Cell, ...]], list[int]]
"""Cells that begin at one position, and the prompts that have just those."""
Share = dict[Key, list[Cell]]
"""Cells of one pass by lane."""


@dataclass(frozen=True)
class Group:
    """One kind of patch on prompts of one length."""

    decoder: Decoder
    base: Run
    kind: str
    new: Callable[[int], Tensor]
    """Layer to the activation that replaces the base run's, in the base run's positions."""
    score: Callable[[Float[Tensor, "cell batch d_model"], Int[Tensor, " batch"]], Float[Tensor, "cell batch"]]
    """Last position's residual stream after the last block, and which prompts, to the metric."""
    cells: list[list[Cell]]
    """By prompt."""
    rows_per_pass: int
    """A pass takes as many cells as have so many rows together, and at least one."""

    @property
    def n_pos(self) -> int:
        """Positions of every prompt."""
        return self.base["resid"][0].shape[1]

    def values(self, report: Callable[[int], object]) -> Iterator[tuple[int, Cell, float, CellState]]:
        """The metric of every prompt and cell, in no order; NaN where the unpatched value holds.

        Args:
            report: Called with the number of cells done.
        """
        work: dict[tuple[int, tuple[Cell, ...]], list[int]] = defaultdict(list)
        for prompt, cells in enumerate(self.cells):
            by_start: dict[int, list[Cell]] = defaultdict(list)
            first = self.first_difference(prompt)
            for cell, state in zip(cells, self.states(prompt), strict=True):
                if state is CellState.COMPUTED:
                    # What lies before the first difference is equal, and would only make the pass longer.
                    places = tuple(position for position in cell.positions if position >= first)
                    by_start[places[0]].append(replace(cell, positions=places))
                else:
                    yield prompt, cell, float("nan"), state
            for start, found in by_start.items():
                work[start, tuple(found)].append(prompt)
        builder = Builder(self.decoder, self.base, self.kind, self.new)
        for share in self._passes(work):
            yield from self._pass(builder, share)
            report(sum(len(cells) * len(prompts) for (_, prompts), cells in share.items()))

    def states(self, prompt: int) -> list[CellState]:
        """Which cells of a prompt need work."""
        return [self._state(prompt, cell) for cell in self.cells[prompt]]

    def _state(self, prompt: int, cell: Cell) -> CellState:
        differs = self._differs[cell.layer][prompt]
        unit = () if cell.unit is None else (cell.unit,)
        if not any(differs[(position, *unit)] for position in cell.positions):
            return CellState.EQUAL
        enters_after_last = cell.layer == self.decoder.n_layers - 1 and self.kind != "resid_pre"
        if enters_after_last and self.kind not in LOOKED_AT and cell.positions[-1] != self.n_pos - 1:
            return CellState.UNREACHABLE
        return CellState.COMPUTED

    def first_difference(self, prompt: int) -> int:
        differs = [layer[prompt].reshape(self.n_pos, -1).any(1) for layer in self._differs]
        return int(np.argmax(np.any(differs, 0)))

    @cached_property
    def _differs(self) -> list[np.ndarray]:
        """By layer: `[batch, pos]`, or `[batch, pos, unit]` where cells have units."""
        with_units = any(cell.unit is not None for cells in self.cells for cell in cells)
        return [self._differs_at(layer, with_units) for layer in range(self.decoder.n_layers)]

    def _differs_at(self, layer: int, with_units: bool) -> np.ndarray:
        unequal = self.new(layer) != original(self.base, self.kind, layer)
        if self.kind == "pattern":
            unequal = unequal.transpose(1, 2)
        if self.kind in HEADS:
            unequal = unequal.any(-1)
        return (unequal if with_units else unequal.any(-1)).cpu().numpy()

    def _passes(self, work: Work) -> Iterator[Share]:
        """Cells of each pass, the last layers' first: those need the fewest layers."""
        every = [(start, tuple(prompts), cell) for (start, cells), prompts in work.items() for cell in cells]
        share: Share = defaultdict(list)
        n_rows = 0
        for start, prompts, cell in sorted(every, key=lambda each: -each[2].layer):
            rows = len(prompts) * (self.n_pos - start)
            if share and n_rows + rows > self.rows_per_pass:
                yield share
                share, n_rows = defaultdict(list), 0
            share[start, prompts].append(cell)
            n_rows += rows
        if share:
            yield share

    def _pass(self, builder: Builder, share: Share) -> Iterator[tuple[int, Cell, float, CellState]]:
        device, n_layers = self.base["resid"][0].device, self.decoder.n_layers
        lanes = {
            key: Lane(key[0], torch.tensor(key[1], device=device), [Entries() for _ in range(n_layers + 1)])
            for key in share
        }
        order: dict[tuple[int, tuple[int, ...]], list[Cell]] = defaultdict(list)
        for boundary in range(n_layers + 1):
            self._enter(builder, share, lanes, boundary, order)
        ends = suffix(self.decoder, self.base, list(lanes.values()))
        for (key, lane), end in zip(lanes.items(), ends, strict=True):
            values = self.score(end, lane.prompts).cpu().numpy()
            for cell, row in zip(order[key], values, strict=True):
                for prompt, value in zip(key[1], row, strict=True):
                    yield prompt, cell, float(value), CellState.COMPUTED

    def _enter(
        self,
        builder: Builder,
        share: Share,
        lanes: dict[Key, Lane],
        boundary: int,
        order: dict[Key, list[Cell]],
    ) -> None:
        """Make the rows that enter at one boundary: dense ones lane by lane, single rows of all lanes together."""
        layer, is_end = boundary - builder.after_block, boundary == self.decoder.n_layers
        single: dict[tuple[int, ...], list[tuple[Key, Cell]]] = defaultdict(list)
        for key, cells in share.items():
            here = [cell for cell in cells if cell.layer == layer]
            alone = [cell for cell in here if builder.is_one_row(cell)]
            single[key[1]] += [(key, cell) for cell in alone]
            if dense := [cell for cell in here if not builder.is_one_row(cell)]:
                first = self.n_pos - 1 if is_end else key[0]
                at = torch.arange(first, self.n_pos, device=lanes[key].prompts.device).expand(len(dense), -1)
                lanes[key].entries[boundary].dense.append(builder.rows(layer, dense, lanes[key].prompts, at))
            order[key] += dense + alone
        for together in single.values():
            if not together:
                continue
            index = lanes[together[0][0]].prompts
            cells = [cell for _, cell in together]
            at = torch.tensor([cell.positions for cell in cells], device=index.device)
            rows = builder.rows(layer, cells, index, at)
            for number, (key, _) in enumerate(together):
                lanes[key].entries[boundary].one_row.append(rows[number : number + 1])
