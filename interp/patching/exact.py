"""A sweep by the engine: the same numbers as by hooks, for a fraction of the arithmetic."""

from collections import defaultdict
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm.auto import tqdm

from interp.metrics.metric import Reading
from interp.models import facts
from interp.models.decoder import Decoder
from interp.patching.budget import rows_per_pass
from interp.patching.cells import aligned_order
from interp.patching.engine import Cell, CellState, Group, Run
from interp.patching.engine.entries import NEEDS, original
from interp.patching.engine.runs import BASE, no_grad_run
from interp.patching.numbers import SweepNumbers
from interp.patching.plan import SweepPlan, require_apart
from interp.prompts import PromptSet
from interp.prompts.prompt_set import Side
from interp.run.placebo import random_turn
from interp.types import Model

LOGIT_BYTES = 256 * 2**20
"""Logits computed at once stay below this, however large the vocabulary."""
PROMPTS_AT_ONCE = 64
"""Prompts whose runs are kept at once."""
New = Callable[[int], Tensor]
"""Layer to the activation that replaces the base run's."""


@dataclass(frozen=True)
class Pair:
    """The two runs of a group of prompts, of one length each."""

    members: list[int]
    base: Run
    source: Run
    order: Int[Tensor, "batch pos"] | None
    """Source position of each base position, -1 for none; None where the positions are the same."""

    def patch(self, kind: str, layer: int) -> Tensor:
        """The source run's activation at the base run's positions; the base run's own where there is none."""
        new = original(self.source, kind, layer)
        if self.order is None:
            return new
        old, rows = original(self.base, kind, layer), torch.arange(len(new), device=new.device)[:, None]
        moved = new[rows, self.order.clamp_min(0)]
        return torch.where((self.order >= 0).view(*self.order.shape, *[1] * (moved.ndim - 2)), moved, old)


@dataclass
class ExactSweep:
    """One sweep over one kind of site, by the engine."""

    model: Model
    decoder: Decoder
    prompts: PromptSet
    plan: SweepPlan
    _newest: list[Pair] = field(default_factory=list)
    verb: ClassVar[str] = "patch"
    """What the progress bar says is done."""

    def numbers(self, *, placebo: bool = True) -> SweepNumbers:
        """Run the sweep.

        Args:
            placebo: Whether to run the placebo of every cell, too.

        Raises:
            PromptError: clean and corrupted prompts score alike.
        """
        plain = {side: self.plain(side) for side in ("clean", "corrupted")}
        require_apart(self.plan.metric, plain["clean"], plain["corrupted"])
        return self.sweep(plain["clean"], plain["corrupted"], placebo=placebo)

    def sweep(
        self, clean: Float[np.ndarray, " prompt"], corrupted: Float[np.ndarray, " prompt"], *, placebo: bool
    ) -> SweepNumbers:
        """Run every cell, given the metric of the two plain runs."""
        plan, base = self.plan, clean if self.plan.base == "clean" else corrupted
        shape = (len(self.prompts), len(plan.layers), len(plan.columns))
        found, states = np.full((2, *shape), np.nan), np.full(shape, CellState.NOT_RUN, np.int8)
        n_cells = int(plan.columns.ran.sum()) * shape[1] * (1 + placebo)
        with tqdm(total=n_cells, desc=f"{self.verb} {plan.kind}", leave=False, delay=2) as bar:
            for members in self.groups:
                pair = self.pair_of(members)
                for control in range(1 + placebo):
                    for prompt, cell, value, state in self.group_of(pair, control).values(bar.update):
                        place = members[prompt], plan.layers.index(cell.layer), cell.column
                        found[(control, *place)] = value if state is CellState.COMPUTED else base[members[prompt]]
                        if not control:
                            states[place] = state
        unpatched = np.where(plan.columns.ran, base[:, None], np.nan)
        return SweepNumbers(clean, corrupted, found[0], found[1], unpatched, states, self.rows_per_pass)

    @property
    def kept(self) -> tuple[Set[str], Set[str]]:
        """What the patched run and the other run keep."""
        return BASE | NEEDS[self.plan.kind], {"resid", *NEEDS[self.plan.kind]}

    @cached_property
    def rows_per_pass(self) -> int:
        """Rows that go through the layers together, chosen from the free memory."""
        lengths = self.prompts.batch(self.plan.base).lengths
        return rows_per_pass(self.model, int(lengths.max()))

    @cached_property
    def groups(self) -> list[list[int]]:
        """Prompts by the lengths of their two sides: each group runs without padding."""
        lengths = zip(*(self.prompts.batch(side).lengths.tolist() for side in ("clean", "corrupted")), strict=True)
        groups: dict[tuple[int, int], list[int]] = defaultdict(list)
        for prompt, both in enumerate(lengths):
            groups[both].append(prompt)
        return [
            rows[start : start + PROMPTS_AT_ONCE]
            for rows in groups.values()
            for start in range(0, len(rows), PROMPTS_AT_ONCE)
        ]

    def group_of(self, pair: Pair, control: int) -> Group:
        kind, cells = self.plan.kind, [self.cells_of(prompt) for prompt in pair.members]

        def placebo(layer: int) -> Tensor:
            old = original(pair.base, kind, layer)
            generator = torch.Generator().manual_seed(self.plan.seed + layer)
            return old + random_turn(pair.patch(kind, layer) - old, generator)

        def patch(layer: int) -> Tensor:
            return pair.patch(kind, layer)

        new = lru_cache(maxsize=1)(placebo) if control else patch

        def score(rows: Tensor, index: Tensor) -> Tensor:
            return self.score(rows, pair, index)

        return Group(self.decoder, pair.base, kind, new, score, cells, self.rows_per_pass)

    def pair_of(self, members: list[int]) -> Pair:
        if not self._newest or self._newest[0].members != members:
            prompts, (of_base, of_source) = self.prompts.take(members), self.kept
            base = no_grad_run(self.decoder, self._tokens(prompts, self.plan.base), of_base)
            source = no_grad_run(self.decoder, self._tokens(prompts, self.plan.source), of_source)
            order = aligned_order(prompts, self.plan.base)
            self._newest = [Pair(members, base, source, None if order is None else order.to(facts(self.model).device))]
        return self._newest[0]

    def cells_of(self, prompt: int) -> list[Cell]:
        columns = self.plan.columns
        positions = self.prompts.aligned()[prompt, :, 0 if self.plan.base == "clean" else 1]
        heads = columns.heads or [None] * len(columns)
        places = [tuple(sorted(positions[place].tolist())) for place in columns.places[prompt]]
        return [
            Cell(layer, number, place, heads[number])
            for layer in self.plan.layers
            for number, place in enumerate(places)
            if place
        ]

    def _tokens(self, prompts: PromptSet, side: Side) -> Int[Tensor, "batch pos"]:
        return torch.from_numpy(prompts.batch(side).tokens).to(facts(self.model).device)

    def plain(self, side: Side) -> Float[np.ndarray, " prompt"]:
        values = np.empty(len(self.prompts))
        for members in self.groups:
            pair = self.pair_of(members)
            end = (pair.base if side == self.plan.base else pair.source)["resid"][-1][:, -1]
            values[members] = self.score(end[None], pair)[0].cpu().numpy()
        return values

    @torch.no_grad()
    def score(
        self,
        rows: Float[Tensor, "cell batch d_model"],
        pair: Pair,
        index: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "cell batch"]:
        """The metric of the prompts `index` of a pair, from the last position's residual stream."""
        members = pair.members if index is None else [pair.members[prompt] for prompt in index.tolist()]
        asked = [self.prompts.answers(name) for name in ("answer", "wrong_answer")]
        answers = [None if ids is None else torch.from_numpy(ids[members]).to(rows.device) for ids in asked]
        metric = self.plan.metric
        if metric.reads == "answers":
            given = torch.stack([ids for ids in answers if ids is not None], 1)
            logits = self.decoder.chosen_logits(rows, given)
            # Among the chosen logits the answer is the first, and the wrong answer the second.
            answers = [None if ids is None else torch.full_like(ids, place) for place, ids in enumerate(answers)]
            return self._read(logits, answers, None)
        reference = None
        if metric.needs_reference:
            clean = (pair.base if self.plan.base == "clean" else pair.source)["resid"][-1][:, -1]
            reference = self._wide(self.decoder.logits(clean if index is None else clean[index]))
        weight, _ = self.decoder.w_u()
        size = max(1, LOGIT_BYTES // (weight.element_size() * len(weight) * len(members)))
        parts = [self._read(self.decoder.logits(part), answers, reference) for part in rows.split(size)]
        return torch.cat(parts)

    def _read(
        self, logits: Float[Tensor, "cell batch chosen"], answers: list[Tensor | None], reference: Tensor | None
    ) -> Float[Tensor, "cell batch"]:
        n_cells, batch = logits.shape[:2]
        answer, wrong = (None if ids is None else ids.repeat(n_cells) for ids in answers)
        reference = None if reference is None else reference.repeat(n_cells, 1)
        reading = Reading(self._wide(logits.flatten(0, 1)), answer, wrong, reference)
        return self.plan.metric(reading).view(n_cells, batch).double()

    @staticmethod
    def _wide(logits: Tensor) -> Tensor:
        return logits if logits.dtype == torch.float64 else logits.float()
