"""Sweeps whose edit is a function of the activation itself, not another run's activation: ablation and steering."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from interp.patching.cells import chosen_positions
from interp.patching.edited import Edited, check_once
from interp.patching.engine import Group
from interp.patching.engine.entries import original
from interp.patching.exact import PROMPTS_AT_ONCE, ExactSweep, Pair
from interp.patching.measured import About, Measured, as_measured
from interp.patching.numbers import SweepNumbers
from interp.patching.plan import SweepPlan
from interp.prompts import PromptSet
from interp.results import Result
from interp.run import Intervention, Patch, Placebo, Where, capture
from interp.run.placebo import random_turn
from interp.sites import Site
from interp.types import Model

At = Callable[[int], Intervention]
"""Layer to what is done there."""
N_CHECKED = 3
"""Cells compared with hooked runs on first use."""
CONTROL = (
    "Placebo: the same positions are moved by as much, in a random direction. "
    "An effect the placebo shares is disturbance, not content."
)


@dataclass
class EditSweep(ExactSweep):
    """One sweep by the engine; the clean side runs."""

    at: At | None = None
    """What is done in each layer; None to put in the other side's activation."""
    verb: ClassVar[str] = "edit"

    def numbers(self, *, placebo: bool = True) -> SweepNumbers:
        """Run the sweep; unlike patching, it does not need two sides that score apart."""
        base = self.plain("clean")
        return self.sweep(base, base, placebo=placebo)

    def group_of(self, pair: Pair, control: int) -> Group:
        group = super().group_of(pair, control)
        if self.at is None:
            return group
        at, kind, seed = self.at, self.plan.kind, self.plan.seed

        @lru_cache(maxsize=1)
        def new(layer: int) -> Tensor:
            old = original(pair.base, kind, layer)
            edited = at(layer)(old)
            if not control:
                return edited
            return old + random_turn(edited - old, torch.Generator().manual_seed(seed + layer))

        return replace(group, new=new)


@dataclass(frozen=True)
class HookedEdits:
    """The same sweep by hooks, one forward pass per cell over all prompts."""

    model: Model
    prompts: PromptSet
    plan: SweepPlan
    at: At | None

    def numbers(self, *, placebo: bool = True) -> SweepNumbers:
        """Run the sweep."""
        columns, layers = self.plan.columns, self.plan.layers
        found = np.full((2, len(self.prompts), len(layers), len(columns)), np.nan)
        base = np.empty(len(self.prompts))
        for start in range(0, len(self.prompts), PROMPTS_AT_ONCE):
            members = list(range(start, min(start + PROMPTS_AT_ONCE, len(self.prompts))))
            runs = self._runs(members)
            base[members] = runs.score({})
            for number, layer in enumerate(layers):
                edit = self._edit(runs, layer)
                for column in range(len(columns)):
                    for control in range(1 + placebo):
                        found[control, members, number, column] = self._score(
                            runs, members, edit, (layer, column, control)
                        )
        found[:, ~np.broadcast_to(columns.ran[:, None], found.shape[1:])] = np.nan
        return SweepNumbers(base, base, found[0], found[1], np.where(columns.ran, base[:, None], np.nan))

    def check(self, numbers: SweepNumbers, mode: str) -> None:
        """Compare a few of the engine's numbers with hooked runs, once per model, kind and mode.

        Raises:
            ModelError: a cell differs.
        """
        check_once(self.model, (mode, self.plan.kind, self.plan.by), lambda: self._compared(numbers))

    def _compared(self, numbers: SweepNumbers) -> list[tuple[str, np.ndarray, np.ndarray]]:
        rng, columns, found = np.random.default_rng(self.plan.seed), self.plan.columns, []
        for _ in range(N_CHECKED):
            column, number = int(rng.integers(len(columns))), int(rng.integers(len(self.plan.layers)))
            layer, members = self.plan.layers[number], np.flatnonzero(columns.ran[:, column])[:2].tolist()
            runs = self._runs(members)
            theirs = self._score(runs, members, self._edit(runs, layer), (layer, column, 0))
            name = f"{self.plan.kind} of layer {layer}, column {column}"
            found.append((name, numbers.patched[members, number, column], theirs))
        return found

    def _runs(self, members: list[int]) -> Edited:
        return Edited(self.model, self.prompts.take(members), "clean", self.plan.metric)

    def _edit(self, runs: Edited, layer: int) -> Intervention:
        if self.at is not None:
            return self.at(layer)
        site = Site(layer, self.plan.kind)
        return Patch(capture(self.model, runs.prompts.batch("corrupted"), [site])[site])

    def _score(self, runs: Edited, members: list[int], edit: Intervention, cell: tuple[int, int, int]) -> np.ndarray:
        layer, column, control = cell
        n_pos = runs.prompts.batch("clean").tokens.shape[1]
        rows = [(member, column) for member in members]
        chosen = chosen_positions(self.prompts, self.plan.columns, rows, "clean", n_pos)
        where = Where(edit, chosen)
        return runs.score({Site(layer, self.plan.kind): Placebo(where, self.plan.seed + layer) if control else where})


def labelled(sweep: HookedEdits, numbers: SweepNumbers, mode: str, words: str, *, path: str, control: bool) -> Result:
    """Label the numbers of a sweep, on `patch_sweep`'s grid."""
    plan, prompts, columns = sweep.plan, sweep.prompts, sweep.plan.columns
    dims: dict[str, Sequence[Any]] = {"layer": list(plan.layers)} | {
        dim: list(range(size)) for dim, size in columns.dims.items()
    }
    shape = (len(prompts), *(len(labels) for labels in dims.values()))
    states = None if numbers.states is None else numbers.states.reshape(shape)
    placebo = numbers.placebo.reshape(shape) if control else None
    measured = Measured(dims, numbers.patched.reshape(shape), numbers.clean, placebo, states)
    kind = "steer_sweep" if mode == "steer" else "ablate_sweep"
    about = About(
        kind=kind,
        base="clean",
        method=f"Each cell by itself is {words}, and the metric is read again. An effect says that the run depends on "
        "the cell as it was; it does not say what the cell computes.",
        control=CONTROL,
        call=f"{kind}({plan.kind!r}, {mode!r}, by={plan.by!r}, metric={plan.metric.name!r}, seed={plan.seed})",
        metric=plan.metric,
        seed=plan.seed,
        baselines={"clean": float(numbers.clean.mean())},
        tokens=[prompts.batch("clean").tokens],
        notes={
            "site": plan.kind,
            "mode": mode,
            "labels": columns.labels,
            "labels_are": "the longest prompt's" if len(prompts) > 1 else "the prompt's",
            "path": path,
            "rows_per_pass": numbers.rows_per_pass,
        },
    )
    return as_measured(sweep.model, prompts, measured, about)
