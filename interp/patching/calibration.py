"""What a sweep by the engine costs, from a few passes of it: seconds by time, memory by counting tensors."""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from interp.patching.check import N_CHECKED
from interp.patching.engine import Cell, CellState, Group
from interp.patching.exact import LOGIT_BYTES, ExactSweep, Pair
from interp.patching.held import HeldMemory
from interp.patching.predicted import Work, predicted_work, row_blocks

CELL_BYTES = 700
"""Python's own memory for one cell of one prompt."""
CELL_SECONDS = 1e-5
CHECK_FORWARDS = 5 * N_CHECKED
"""Full forward passes of the self-check."""
FORWARD_SLOWER = 1.5
"""A hooked forward pass unembeds, too."""
MOST_ROWS = 1024.0
SHORT_SECONDS = 0.2


@dataclass(frozen=True)
class Cost:
    """What a part of a sweep takes."""

    seconds: float
    peak_bytes: float


class Calibration:
    """A few passes over some prompts of the group that needs the most memory.

    Args:
        sweep: The sweep.
        budget_seconds: About how long to calibrate.
    """

    def __init__(self, sweep: ExactSweep, budget_seconds: float) -> None:
        self.sweep, self.groups, self.n_layers = sweep, sweep.groups, sweep.decoder.n_layers
        self.work = [predicted_work(sweep.prompts, sweep.plan, group, self.n_layers) for group in self.groups]
        self.largest = max(range(len(self.groups)), key=lambda group: len(self.groups[group]) * self._n_pos(group))
        seconds = self._keep_runs(1)
        self.row_seconds = seconds / (2 * self._n_pos(self.largest))
        rows = min(MOST_ROWS, budget_seconds / 2 / self.row_seconds)
        self.n_prompts = int(np.clip(rows // (4 * self._n_pos(self.largest)), 1, len(self.groups[self.largest])))
        if self.n_prompts > 1:
            self._keep_runs(self.n_prompts)
        self.passes = self._passes(rows)

    def _n_pos(self, group: int) -> int:
        return len(getattr(self.sweep.prompts.pairs[self.groups[group][0]], self.sweep.plan.base))

    def _keep_runs(self, n: int) -> float:
        """Make the two runs of a few prompts, count their memory by prompt, and say how long they took."""
        with HeldMemory() as memory:
            seconds = seconds_of(lambda: self._hold_runs(n))
            self.runs_held, self.runs_peak = memory.held / n, memory.peak / n
        # Counting costs microseconds an operation, and the first run of all prepares what later ones find ready.
        return seconds_of(lambda: self._runs(n)) if seconds < SHORT_SECONDS else seconds

    def _hold_runs(self, n: int) -> None:
        self.few, self.pair = self._runs(n)

    def _runs(self, n: int) -> tuple[ExactSweep, Pair]:
        members, plan = self.groups[self.largest][:n], self.sweep.plan
        columns = replace(plan.columns, places=[plan.columns.places[member] for member in members])
        few = ExactSweep(
            self.sweep.model, self.sweep.decoder, self.sweep.prompts.take(members), replace(plan, columns=columns)
        )
        return few, few.pair_of(list(range(n)))

    def _passes(self, rows: float) -> list[tuple[float, float, float, float]]:
        """Rows, rows times blocks, seconds and peak bytes of a small and a larger pass."""
        found, whole = [], self.few.group_of(self.pair, 0)
        for target in (rows / 3, rows):
            # One column may be more than was asked for: the second pass is still to be the larger one.
            group = self._some_cells(whole, max([target, *(2 * done[0] for done in found)]))
            n_rows, blocks = self._size(group)
            with HeldMemory() as memory:
                seconds = seconds_of(lambda group=group: list(group.values(_ignore)))
            if seconds < SHORT_SECONDS:
                seconds = seconds_of(lambda group=group: list(group.values(_ignore)))
            found.append((n_rows, blocks, seconds, float(memory.peak)))
        return found

    def _some_cells(self, whole: Group, rows: float) -> Group:
        """Cells of some columns in as many layers as a pass of the sweep holds, about so many rows."""
        layers, first = self._layers_of_a_pass(), {}
        todo: dict[int, list[tuple[int, Cell]]] = defaultdict(list)
        for prompt, cells in enumerate(whole.cells):
            first[prompt] = whole.first_difference(prompt)
            for cell, state in zip(cells, whole.states(prompt), strict=True):
                if state is CellState.COMPUTED and cell.layer in layers:
                    todo[cell.column].append((prompt, cell))
        kept: list[list[Cell]] = [[] for _ in whole.cells]
        n_rows = 0.0
        for column in np.random.default_rng(0).permutation(sorted(todo)).tolist():
            if n_rows and n_rows >= rows:
                break
            for prompt, cell in todo[column]:
                kept[prompt].append(cell)
                n_rows += whole.n_pos - min(at for at in cell.positions if at >= first[prompt])

        def end(live: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
            return live[..., 0]

        return replace(whole, cells=kept, score=end, rows_per_pass=10**9)

    def _layers_of_a_pass(self) -> set[int]:
        """Patches that begin at one position share their prefix, so cells of few layers cost more each."""
        work, layers = self.work[self.largest], self.sweep.plan.layers
        share = min(1.0, self.sweep.rows_per_pass / max(1, work.rows))
        depth = max(1, round(share * len(layers)))
        start = (len(layers) - depth) // 2
        return set(layers[start : start + depth])

    def _size(self, group: Group) -> tuple[float, float]:
        few, n_rows, blocks = self.few, 0.0, 0.0
        for prompt, cells in enumerate(group.cells):
            first = group.first_difference(prompt)
            for cell in cells:
                at = [position for position in cell.positions if position >= first]
                n_rows += group.n_pos - at[0]
                one_row = len(at) == 1
                blocks += row_blocks(few.plan, self.n_layers, cell.layer, group.n_pos - at[0], one_row=one_row)
        return n_rows, blocks

    def cost(self, *, control: bool) -> Cost:
        """Seconds and bytes of the whole sweep, without its statistics."""
        return Cost(self._seconds(control), self._peak(control))

    def _seconds(self, control: bool) -> float:
        (_, less, shorter, _), (_, more, longer, _) = self.passes
        slope = (longer - shorter) / (more - less) if more > less else 0.0
        if not 0 < slope <= longer / max(more, 1e-9):
            slope = longer / max(more, 1e-9)
        fixed = max(0.0, longer - slope * more)
        n_passes = sum(np.ceil(work.rows / self.sweep.rows_per_pass) for work in self.work)
        sweeps = sum(slope * work.row_blocks for work in self.work) + fixed * n_passes
        # With more than one group the runs are made for the clean scores, the corrupted scores and the cells.
        times = 1 if len(self.groups) == 1 else 3
        per_run = [2 * self._n_pos(number) * len(group) for number, group in enumerate(self.groups)]
        runs = self.row_seconds * sum(per_run) * times
        check = CHECK_FORWARDS * FORWARD_SLOWER * self.row_seconds * min(2, len(self.sweep.prompts)) * self._n_pos(0)
        cells = self.sweep.plan.columns.ran.sum() * len(self.sweep.plan.layers)
        return float((sweeps + CELL_SECONDS * cells) * (1 + control) + runs + check)

    def _peak(self, control: bool) -> float:
        n, work = len(self.groups[self.largest]), self.work[self.largest]
        rows = min(max(self.sweep.rows_per_pass, n * self._n_pos(self.largest)), work.rows)
        (fewer, _, _, low), (more, _, _, high) = self.passes
        per_row = (high - low) / (more - fewer) if more > fewer else high / max(more, 1)
        fixed = max(0.0, high - per_row * more) * n / self.n_prompts
        ends = self._score_bytes(rows, work)
        during = max(fixed + per_row * rows, ends, self._placebo_bytes() * n if control else 0.0)
        held = self.runs_held * (n + (0 if len(self.groups) == 1 else n))
        python = CELL_BYTES * n * len(self.sweep.plan.layers) * len(self.sweep.plan.columns)
        return held + max(during + python, (self.runs_peak - self.runs_held) * n)

    def _score_bytes(self, rows: int, work: Work) -> float:
        """Memory of the metric, for the cells of one start that fit into a pass."""
        n_scored = min(rows, max(work.by_start.values(), default=0))
        ends = self.pair.base["resid"][-1][:, -1]
        with HeldMemory() as memory:
            self.few.score(ends[None], self.pair)
        if self.few.plan.metric.reads != "answers":
            weight, _ = self.few.decoder.w_u()
            n_scored = min(n_scored, max(self.n_prompts, LOGIT_BYTES // (weight.element_size() * len(weight))))
        return memory.peak / self.n_prompts * n_scored

    def _placebo_bytes(self) -> float:
        new = self.few.group_of(self.pair, 1).new
        with HeldMemory() as memory:
            _ = new(self.few.plan.layers[-1])
        return memory.peak / self.n_prompts


def _ignore(_: int) -> None:
    """Progress is nobody's business here."""


def seconds_of(work: Callable[[], object]) -> float:
    """Time one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
