"""One edited run of some prompts, and what it shows: the score and where attention went."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.attention.sink_tests.edits import PatternEdit, Where
from interp.attention.sink_tests.places import attention_to
from interp.attention.sink_tests.route import Route, route_plan
from interp.attention.sink_tests.scores import Score
from interp.models import facts
from interp.prompts import TokenBatch
from interp.run import Intervention, capture_batches, intervene
from interp.sites import Site
from interp.types import Mask, Model, Pattern


@dataclass(frozen=True)
class Replaced:
    """Other tokens in place of the prompts'."""

    batch: TokenBatch
    origin: Int[np.ndarray, "prompt pos"]
    """Position in the prompt that each of them stands for; -1 where none."""


@dataclass(frozen=True, eq=False)
class Arm:
    """What one run changes; nothing by default."""

    edit: PatternEdit | None = None
    sites: Mapping[Site, Intervention] = field(default_factory=dict)
    replaced: Replaced | None = None
    target: Int[np.ndarray, " prompt"] | None = None
    """The position that attention is measured to; the first one by default."""
    budget: float = float("nan")
    """How much is edited, where it is not counted from the pattern."""


PLAIN = Arm()


@dataclass(frozen=True)
class Subject:
    """A model, prompts and how they are measured."""

    model: Model
    batch: TokenBatch
    score: Score
    route: Route
    causal: bool
    learned_sinks: bool


@dataclass(frozen=True)
class Ran:
    """What one run showed, prompt by prompt."""

    reading: Tensor | None
    """The score's reading at the prompts' own positions, NaN where a position has none; None if not asked for."""
    by_head: Float[Tensor, "batch layer head"]
    """Mean attention to the target."""
    budget: Float[Tensor, " batch"]
    """Weight taken per row that was edited, mean over layers and heads; or the arm's own number."""


@dataclass
class _Watch:
    """Edits every pattern that passes by and notes attention; a second forward pass overwrites the first."""

    subject: Subject
    arm: Arm
    rows: slice
    mask: Mask
    attention: dict[int, Tensor] = field(default_factory=dict)
    taken: dict[int, Tensor] = field(default_factory=dict)

    def __call__(self, layer: int, pattern: Pattern) -> Pattern:
        """Return the edited pattern."""
        shown = edited = pattern
        if self.arm.edit is not None:
            edited, moved = self.arm.edit(pattern, Where(layer, self.rows, self.mask, self.subject.learned_sinks))
            n_rows = (moved > 0).sum((1, 2)).clamp(min=1)
            self.taken[layer] = moved.sum((1, 2)) / n_rows
            shown = pattern if self.arm.edit.keeps_attention else edited
        wide = shown if shown.dtype == torch.float64 else shown.float()
        self.attention[layer] = attention_to(wide, self.mask, self._target(), causal=self.subject.causal)
        return edited

    def _target(self) -> Int[Tensor, " batch"]:
        if self.arm.target is None:
            return torch.zeros(len(self.mask), dtype=torch.long, device=self.mask.device)
        return torch.from_numpy(self.arm.target[self.rows]).to(self.mask.device)


def run_arm(subject: Subject, arm: Arm, rows: slice, *, scored: bool = True) -> Ran:
    """Run some prompts with an arm's edits, measuring attention as it is after them.

    Args:
        subject: Model and prompts.
        arm: The edits.
        rows: Which prompts.
        scored: Whether to read the score, too.

    Raises:
        RefusedError: the edit cannot be made on these patterns.
    """
    model, part = subject.model, (arm.replaced.batch if arm.replaced else subject.batch)[rows]
    mask = torch.from_numpy(part.mask).to(facts(model).device)
    watch = _Watch(subject, arm, rows, mask)
    plan = {**route_plan(subject.route, model, mask, watch), **arm.sites}
    with intervene(model, plan) if plan else nullcontext():
        reading = subject.score.read(model, part) if scored else None
        if subject.route.kind == "none":
            _watch_only(subject, part, watch)
        elif not scored:
            _attention_only(model, part)
    if reading is not None and arm.replaced is not None and subject.score.by_position:
        reading = _put_back(reading, arm.replaced.origin[rows], subject.batch.tokens.shape[1])
    by_head = torch.stack([watch.attention[layer] for layer in sorted(watch.attention)], 1)
    taken = [watch.taken[layer] for layer in sorted(watch.taken)]
    budget = torch.stack(taken).mean(0) if taken else by_head.new_full((len(part),), arm.budget)
    return Ran(reading, by_head, budget)


def _attention_only(model: Model, batch: TokenBatch) -> None:
    """Run no further than the last block."""
    site = Site(facts(model).n_layers - 1, "resid_post")
    for _ in capture_batches(model, batch, [site], rows_per_batch=len(batch)):
        pass


def _watch_only(subject: Subject, batch: TokenBatch, watch: _Watch) -> None:
    """Where patterns can only be looked at, look at them in a run of its own, under the same edits."""
    sites = [Site(layer, "pattern") for layer in range(facts(subject.model).n_layers)]
    for _, seen in capture_batches(subject.model, batch, sites, rows_per_batch=len(batch)):
        for site in sites:
            watch(site.layer, seen[site])


def _put_back(reading: Tensor, origin: Int[np.ndarray, "prompt pos"], n_pos: int) -> Tensor:
    """Lay a reading of other tokens out by the positions of the prompts."""
    placed = reading.new_full((len(reading), n_pos, *reading.shape[2:]), torch.nan)
    prompts, places = np.nonzero(origin >= 0)
    where = torch.from_numpy(origin[prompts, places])
    placed[torch.from_numpy(prompts), where] = reading[torch.from_numpy(prompts), torch.from_numpy(places)]
    return placed
