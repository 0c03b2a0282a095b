"""Cells of a list that are of one kind, run together: by the engine or by hooks."""

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from interp.models import facts
from interp.patching.cells import Columns
from interp.patching.edited import Edited
from interp.patching.engine import Cell, Group
from interp.patching.engine.entries import original
from interp.patching.exact import ExactSweep, Pair
from interp.patching.hooked import ROWS_PER_FORWARD, HookedSweep
from interp.patching.numbers import SweepNumbers
from interp.prompts import PromptSet
from interp.run import Intervention, Patch, Placebo, Where, capture
from interp.sites import Site
from interp.types import Model


@dataclass(frozen=True)
class ListedCell:
    """One cell of the list."""

    site: Site
    unit: int | None

    @property
    def part(self) -> int | None:
        """The head or neuron."""
        return self.site.head if self.unit is None else self.unit

    def __str__(self) -> str:
        return str(self.site) if self.unit is None else f"{self.site} [{self.unit}]"


def columns_of_cells(model: Model, prompts: PromptSet, cells: list[ListedCell]) -> Columns:
    """One column for each cell; the cells are of one kind, and all whole or all of one head or neuron."""
    known, kind = facts(model), cells[0].site.kind
    sizes = {"k": known.n_kv_heads, "v": known.n_kv_heads, "post": known.d_mlp}
    places = [
        [np.arange(n) if cell.site.pos is None else np.arange(n)[cell.site.pos :][:1] for cell in cells]
        for n in (len(pair.aligned_positions) for pair in prompts)
    ]
    labels = [str(cell) for cell in cells]
    parts = tuple(cell.part for cell in cells if cell.part is not None)
    if not parts:
        return Columns(kind, "pos", labels, places)
    return Columns(kind, "head", labels, places, parts, sizes.get(kind, known.n_heads))


@dataclass
class ExactCells(ExactSweep):
    """Cells of one kind by the engine: each column has a layer of its own."""

    layer_of: list[int] = field(default_factory=list)

    def cells_of(self, prompt: int) -> list[Cell]:
        return [cell for cell in super().cells_of(prompt) if cell.layer == self.layer_of[cell.column]]

    def group_of(self, pair: Pair, control: int) -> Group:
        group = super().group_of(pair, control)
        if not control or self.plan.kind != "post" or not self.plan.columns.heads:
            return group

        def moved(layer: int) -> Tensor:
            old, other = original(pair.base, "post", layer), self._other(layer)
            new = torch.empty_like(old)
            new[..., other] = old[..., other] + (pair.patch("post", layer) - old)
            return new

        cells = [
            [replace(cell, unit=int(self._other(cell.layer)[cell.unit])) for cell in cells if cell.unit is not None]
            for cells in group.cells
        ]
        return replace(group, new=moved, cells=cells)

    def _other(self, layer: int) -> Tensor:
        return other_neurons(facts(self.model).d_mlp, self.plan.seed + layer)


@dataclass(frozen=True)
class OtherNeuron:
    """Move another neuron by as much as `of` moves one."""

    of: Intervention
    unit: int
    other: int

    def __call__(self, activation: Tensor) -> Tensor:
        moved = activation.clone()
        moved[..., self.other] += (self.of(activation) - activation)[..., self.unit]
        return moved


def other_neurons(n: int, seed: int) -> Tensor:
    """For each neuron another one, drawn at random: a cycle, so that none is its own."""
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    other = torch.empty_like(order)
    other[order] = order.roll(1)
    return other


@dataclass
class HookedCells(HookedSweep):
    """Cells of one kind by hooks."""

    cells: list[ListedCell] = field(default_factory=list)

    def numbers(self, *, placebo: bool = True) -> SweepNumbers:
        """Run the cells."""
        clean, corrupted = self._baselines()
        plan, ran = self.plan, self.plan.columns.ran
        source = capture(self.model, self.prompts.batch(plan.source), [Site(layer, plan.kind) for layer in plan.layers])
        found = np.full((2, len(self.prompts), len(plan.layers), len(self.cells)), np.nan)
        base = corrupted if plan.base == "corrupted" else clean
        for column, cell in enumerate(self.cells):
            site, number = Site(cell.site.layer, plan.kind), plan.layers.index(cell.site.layer)
            having = np.flatnonzero(ran[:, column])
            for start in range(0, len(having), ROWS_PER_FORWARD):
                members = having[start : start + ROWS_PER_FORWARD].tolist()
                tile = self._tile([(member, column) for member in members])
                patch = Where(Patch(tile.values(source[site])), tile.chosen)
                runs = Edited(self.model, tile.prompts, plan.base, plan.metric)
                found[0, members, number, column] = runs.score({site: patch})
                if placebo:
                    found[1, members, number, column] = runs.score({site: self._placebo(cell, patch)})
        return SweepNumbers(clean, corrupted, found[0], found[1], np.where(ran, base[:, None], np.nan))

    def _placebo(self, cell: ListedCell, patch: Where) -> Intervention:
        seed = self.plan.seed + cell.site.layer
        if cell.unit is None:
            return Placebo(patch, seed)
        return OtherNeuron(patch, cell.unit, int(other_neurons(facts(self.model).d_mlp, seed)[cell.unit]))
