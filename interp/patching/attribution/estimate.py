"""Estimate every cell of a sweep from two runs of each prompt and the gradient of one of them.

Sign and direction are those of the exact sweep: base value plus (source activation minus base activation) times the
metric's gradient at the base run.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from tqdm.auto import tqdm

from interp.errors import InputError
from interp.models import facts
from interp.models.decoder import Decoder
from interp.patching.attribution.changes import Changes, Share, tap_of
from interp.patching.attribution.gradients import Gradients
from interp.patching.attribution.score import PromptScore
from interp.patching.cells import aligned_order
from interp.patching.engine.entries import NEEDS, original
from interp.patching.engine.runs import Run, no_grad_run
from interp.patching.exact import PROMPTS_AT_ONCE, Pair
from interp.patching.numbers import SweepNumbers
from interp.patching.plan import SweepPlan, require_apart
from interp.prompts import PromptSet
from interp.prompts.prompt_set import Side
from interp.run.placebo import random_turn
from interp.types import Model

Method = Literal["exact", "atp", "atp*"]
Drops = Float[np.ndarray, "prompt layer column"]


@dataclass(frozen=True)
class Estimates:
    """The numbers of a sweep as it would be, estimated; NaN where a prompt has no such column."""

    numbers: SweepNumbers
    graddrop: Drops | None = None
    """AtP* scores: what is left of the estimate when each layer is dropped, as a magnitude; None where not asked."""
    control_graddrop: Drops | None = None


@dataclass
class AttributionSweep:
    """One sweep over one kind of site, estimated."""

    model: Model
    decoder: Decoder
    prompts: PromptSet
    plan: SweepPlan
    star: bool
    """Whether attention is recomputed for queries and keys, and layers are dropped (AtP*)."""
    ig_steps: int = 0
    """Runs between the two prompts whose gradients are averaged; 0 for the gradient at the run that is patched."""

    def estimates(self, *, placebo: bool = True) -> Estimates:
        """Run it.

        Args:
            placebo: Whether to estimate the placebo of every cell, too.

        Raises:
            InputError: a metric that has no gradient, or none at the run that is patched.
            PromptError: clean and corrupted prompts score alike.
        """
        self._require_slope()
        shape = (len(self.prompts), len(self.plan.layers), len(self.plan.columns))
        values = {side: np.empty(shape[0]) for side in ("clean", "corrupted")}
        effects, drops = np.full((2, *shape), np.nan), np.full((2, *shape), np.nan)
        with tqdm(total=shape[0], desc=f"attribute {self.plan.kind}", leave=False, delay=2) as bar:
            for members in self.groups:
                values[self.plan.source][members], found = self._group(members, placebo)
                values[self.plan.base][members] = found.base
                for control in range(1 + placebo):
                    effects[control, members] = found.effects[control]
                    drops[control, members] = found.drops[control]
                bar.update(len(members))
        require_apart(self.plan.metric, values["clean"], values["corrupted"])
        unpatched = np.where(self.plan.columns.ran, values[self.plan.base][:, None], np.nan)
        effects, drops = (np.where(self.plan.columns.ran[:, None], found, np.nan) for found in (effects, drops))
        patched, turned = effects + unpatched[:, None]
        numbers = SweepNumbers(values["clean"], values["corrupted"], patched, turned, unpatched)
        if not self.drops_layers:
            return Estimates(numbers)
        return Estimates(numbers, drops[0], drops[1] if placebo else None)

    @property
    def drops_layers(self) -> bool:
        """Whether layers are dropped: there must be another one to stay."""
        return self.star and self.decoder.n_layers > 1

    def _require_slope(self) -> None:
        metric = self.plan.metric
        if metric.needs_reference and self.plan.base == "clean":
            raise InputError(
                f"{metric.name!r} compares with the clean run, so at the clean run itself its gradient is zero. "
                "Use direction='denoising', another metric, or method='exact'."
            )

    @cached_property
    def groups(self) -> list[list[int]]:
        """Prompts by the lengths of their two sides, as in the exact engine: so placebos are the same ones."""
        lengths = zip(*(self.prompts.batch(side).lengths.tolist() for side in ("clean", "corrupted")), strict=True)
        groups: dict[tuple[int, int], list[int]] = defaultdict(list)
        for prompt, both in enumerate(lengths):
            groups[both].append(prompt)
        return [
            rows[start : start + PROMPTS_AT_ONCE]
            for rows in groups.values()
            for start in range(0, len(rows), PROMPTS_AT_ONCE)
        ]

    def _group(self, members: list[int], placebo: bool) -> tuple[np.ndarray, "_Found"]:
        prompts, kind = self.prompts.take(members), self.plan.kind
        tokens = {side: self._tokens(prompts, side) for side in (self.plan.base, self.plan.source)}
        source = no_grad_run(self.decoder, tokens[self.plan.source], {"resid", *NEEDS[kind]})
        end = source["resid"][-1][:, -1]
        # Compared with the clean run only where that is the source: see `_require_slope`.
        score = PromptScore(self.decoder, self.plan.metric, prompts, end if self.plan.source == "clean" else None)
        with torch.no_grad():
            other = score(end).cpu().numpy()
        order = aligned_order(prompts, self.plan.base)
        order = None if order is None else order.to(facts(self.model).device)
        gradients = self._gradients(tokens[self.plan.base], source, order, score)
        pair = Pair(members, gradients.base, source, order)
        changes = Changes(self.decoder, kind, gradients, self._places(members, gradients), self.star)
        shape = (len(members), len(self.plan.layers), len(self.plan.columns))
        found = _Found(gradients.values.cpu().numpy(), np.empty((2, *shape)), np.full((2, *shape), np.nan))
        for number, layer in enumerate(self.plan.layers):
            for control, new in enumerate(self._patches(pair, layer, placebo)):
                cells = self._cells(changes.shares(layer, new)).cpu().numpy()
                found.effects[control][:, number] = cells[0]
                if self.drops_layers:
                    found.drops[control][:, number] = np.abs(cells[1:]).sum(0) / (self.decoder.n_layers - 1)
        return other, found

    def _gradients(self, tokens: Tensor, source: Run, order: Tensor | None, score: PromptScore) -> Gradients:
        tap = tap_of(self.plan.kind, star=self.star, drop=self.drops_layers)
        if not self.ig_steps:
            return tap.read(self.decoder, tokens, score)
        with torch.no_grad():
            start = Run({"resid": [self.decoder.embed(tokens)]})
        # A position that stands for nothing in the other prompt stays where it is.
        toward = Pair([], start, source, order).patch("resid_pre", 0)
        return tap.read_toward(self.decoder, tokens, toward, score, self.ig_steps)

    def _patches(self, pair: Pair, layer: int, placebo: bool) -> Iterator[Tensor]:
        new = pair.patch(self.plan.kind, layer)
        yield new
        if placebo:
            old = original(pair.base, self.plan.kind, layer)
            yield old + random_turn(new - old, torch.Generator().manual_seed(self.plan.seed + layer))

    def _places(self, members: list[int], gradients: Gradients) -> Bool[Tensor, "batch place pos"]:
        columns, resid = self.plan.columns, gradients.base["resid"][0]
        # Columns with heads come head by head, each run of them in one place.
        firsts = range(0, len(columns), columns.n_heads or 1)
        chosen = torch.zeros(len(members), len(firsts), resid.shape[1], dtype=torch.bool)
        aligned = self.prompts.aligned()[..., 0 if self.plan.base == "clean" else 1]
        for row, prompt in enumerate(members):
            for place, column in enumerate(firsts):
                chosen[row, place, torch.from_numpy(aligned[prompt][columns.places[prompt][column]])] = True
        return chosen.to(resid.device)

    def _cells(self, shares: Share) -> Float[Tensor, "gradient batch column"]:
        return shares.flatten(2).double() if self.plan.columns.heads else shares.sum(-1).double()

    def _tokens(self, prompts: PromptSet, side: Side) -> Int[Tensor, "batch pos"]:
        return torch.from_numpy(prompts.batch(side).tokens).to(facts(self.model).device)


@dataclass(frozen=True)
class _Found:
    """Numbers of one group of prompts: the patch first, then its placebo."""

    base: Float[np.ndarray, " prompt"]
    effects: Float[np.ndarray, "control prompt layer column"]
    drops: Float[np.ndarray, "control prompt layer column"]
