"""Remove or steer every cell of a grid, one at a time: what a run loses, or becomes, without one of its parts."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError, PromptError, SiteError
from interp.metrics import Metric
from interp.models import facts
from interp.patching.cells import By, columns_of
from interp.patching.edit_sweep import EditSweep, HookedEdits, labelled
from interp.patching.plan import SweepPlan
from interp.patching.sweep import Engine, check_prompts, engine_for
from interp.prompts import PromptSet
from interp.results import Result
from interp.run import Ablate, Intervention, Steer, capture_batches
from interp.run.intervene import check_plan
from interp.sites import SQUARE_HEAD_KINDS, Site
from interp.types import Model, PerPrompt

METHODS = {
    "zero": "set to zero, which also takes the model off its usual inputs",
    "mean": "replaced by its mean over prompts, position by position",
    "resample": "replaced by the same activation of another prompt of the set",
    "steer": "moved by a fixed vector",
}


def ablate_sweep(  # noqa: PLR0913 -- one call; all but the first four are keywords
    model: Model,
    prompts: PromptSet,
    kind: str,
    mode: str,
    *,
    by: By = "pos",
    reference: PromptSet | None = None,
    metric: str | Metric | Callable[..., PerPrompt] = "logit_diff",
    control: bool = True,
    seed: int = 0,
    engine: Engine = "auto",
) -> Result:
    """Measure, for every layer and column, what the clean run loses when that one activation is removed.

    Args:
        model: A hooked model.
        prompts: Prompts, whose clean side runs; the corrupted side is not read.
        kind: Site kind, such as `z` with `by="head"`.
        mode: `zero`; `mean` over prompts, position by position; or `resample`, another prompt's of equal length.
        by: Columns: positions, words, heads, or positions and heads.
        reference: Prompts whose clean sides give the mean; by default the prompts themselves.
        metric: A metric's name, a `Metric`, or a function of a `Reading`.
        control: Whether to run placebos: as large a change in a random direction.
        seed: Decides placebos and stand-ins.
        engine: `auto`, `exact` or `hooks`.

    Returns:
        An `ablate_sweep` result on `patch_sweep`'s grid. A negative effect: the metric falls without the activation.

    Raises:
        PromptError: prompts the model cannot read, or that lack what the metric needs; too few for a mean or for
            stand-ins.
        SiteError: a kind this model lacks, or that the exact engine was asked for and cannot edit.
        InputError: an unknown mode, or a reference that the mode does not read.

    Source: Wang et al. 2022 (arXiv:2211.00593), mean ablation; Chan et al. 2022, Causal Scrubbing, resampling.
    """
    if mode not in ("zero", "mean", "resample"):
        raise InputError(f"No ablation mode {mode!r}. Expected 'zero', 'mean' or 'resample'.")
    if reference is not None and mode != "mean":
        raise InputError(f"A reference gives means, and mode={mode!r} reads none. Use mode='mean' or leave it out.")
    plan, view = _plan(model, prompts, kind, by, metric, seed)
    at: Callable[[int], Intervention] | None = None
    if mode == "resample":
        view = _with_stand_ins(view, seed)
    elif mode == "zero":

        def at(layer: int) -> Intervention:
            del layer  # zero everywhere
            return Ablate.zero()
    else:
        at = _means(model, prompts, reference, kind).__getitem__
    return _measure(model, view, plan, at, mode, engine=engine, control=control)


def steer_sweep(  # noqa: PLR0913 -- one call; all but the first four are keywords
    model: Model,
    prompts: PromptSet,
    kind: str,
    direction: Float[Tensor, " width"],
    *,
    scale: float = 1.0,
    by: By = "pos",
    metric: str | Metric | Callable[..., PerPrompt] = "logit_diff",
    control: bool = True,
    seed: int = 0,
    engine: Engine = "auto",
) -> Result:
    """Measure, for every layer and column, what adding one vector to that activation of the clean run does.

    Args:
        model: A hooked model.
        prompts: Prompts, whose clean side runs; the corrupted side is not read.
        kind: Site kind whose vectors (last axis) have the direction's width.
        direction: What is added.
        scale: How many times.
        by: Columns: positions, words, heads, or positions and heads.
        metric: A metric's name, a `Metric`, or a function of a `Reading`.
        control: Whether to run placebos: as large a change in a random direction.
        seed: Decides placebos.
        engine: `auto`, `exact` or `hooks`.

    Returns:
        A `steer_sweep` result on `patch_sweep`'s grid.

    Raises:
        PromptError: prompts the model cannot read, or that lack what the metric needs.
        SiteError: a kind this model lacks, or patterns, which no vector is added to.
        InputError: a direction of another width than the kind's, not finite, or zero.
    """
    plan, view = _plan(model, prompts, kind, by, metric, seed)
    known = facts(model)
    widths = {"q": known.d_head, "k": known.d_head, "v": known.d_head, "z": known.d_head, "post": known.d_mlp}
    if kind in SQUARE_HEAD_KINDS:
        raise SiteError(f"{kind!r} has no direction to steer along. Choose a kind with vectors, such as 'resid_pre'.")
    if len(direction) != (width := widths.get(kind, known.d_model)):
        raise InputError(f"The direction has {len(direction)} numbers and {kind!r} has {width}. Give one for each.")
    if not torch.isfinite(direction).all() or not (direction != 0).any() or scale == 0:
        raise InputError("The direction (times its scale) is zero or not finite, so it cannot steer. Give another.")
    steer = Steer(direction, scale)
    return _measure(model, view, plan, lambda layer: steer, "steer", engine=engine, control=control)  # noqa: ARG005


def _plan(
    model: Model, prompts: PromptSet, kind: str, by: By, metric: str | Metric | Callable[..., PerPrompt], seed: int
) -> tuple[SweepPlan, PromptSet]:
    """The sweep of the clean side, and the prompts as if that side were all there is."""
    scored, known = check_prompts(model, prompts, metric), facts(model)
    check_plan(model, {Site(layer, kind): Ablate.zero() for layer in range(known.n_layers)})
    # A pair must have two sides that differ. The other one, made here, is never read where nothing stands in.
    view = PromptSet.of([replace(pair, corrupted=(pair.clean + 1) % known.d_vocab, alignment=()) for pair in prompts])
    columns = columns_of(view, kind, by, known.n_kv_heads if kind in ("k", "v") else known.n_heads)
    return SweepPlan(kind, columns, scored, "noising", seed, tuple(range(known.n_layers))), view


def _measure(
    model: Model,
    prompts: PromptSet,
    plan: SweepPlan,
    at: Callable[[int], Intervention] | None,
    mode: str,
    *,
    engine: Engine,
    control: bool,
) -> Result:
    decoder = None if engine == "hooks" else engine_for(model, plan, asked=engine == "exact")
    hooks = HookedEdits(model, prompts, plan, at)
    if decoder is None:
        numbers = hooks.numbers(placebo=control)
    else:
        sweep = EditSweep(model=model, decoder=decoder, prompts=prompts, plan=plan, at=at)
        numbers = sweep.numbers(placebo=control)
        hooks.check(numbers, mode)
    return labelled(hooks, numbers, mode, METHODS[mode], path="hooks" if decoder is None else "exact", control=control)


def _with_stand_ins(prompts: PromptSet, seed: int) -> PromptSet:
    """Put another prompt of equal length in each prompt's place: no prompt stands in for itself."""
    groups: dict[int, list[int]] = defaultdict(list)
    for number, pair in enumerate(prompts):
        groups[len(pair.clean)].append(number)
    rng, donors = np.random.default_rng(seed), np.empty(len(prompts), int)
    for length, members in groups.items():
        if len(members) < 2:
            raise PromptError(
                f"Prompt {members[0]} is the only one of {length} tokens, so no other can stand in for it. "
                "Give at least two prompts of each length, or use mode='mean'."
            )
        shuffled = rng.permutation(members)
        donors[shuffled] = np.roll(shuffled, 1)
    made = []
    for number, (pair, donor) in enumerate(zip(prompts, donors.tolist(), strict=True)):
        if np.array_equal(pair.clean, prompts.pairs[donor].clean):
            raise PromptError(
                f"Prompt {donor} would stand in for prompt {number}, and they are equal. Give each prompt once."
            )
        made.append(replace(pair, corrupted=prompts.pairs[donor].clean))
    return PromptSet.of(made)


@dataclass(frozen=True)
class PositionMean:
    """Replace an activation by a mean of its own for each position."""

    value: Float[Tensor, "..."]
    square: bool
    """Whether the last two axes are positions; otherwise the first is."""

    def __call__(self, activation: Tensor) -> Tensor:
        n_pos = activation.shape[2 if self.square else 1]
        value = self.value[..., :n_pos, :n_pos] if self.square else self.value[:n_pos]
        return value.to(activation).expand_as(activation)


def _means(model: Model, prompts: PromptSet, reference: PromptSet | None, kind: str) -> list[PositionMean]:
    """The means of every layer, over the reference or else over the prompts themselves."""
    batch, square = (prompts if reference is None else reference).batch("clean"), kind in SQUARE_HEAD_KINDS
    counts, least = batch.mask.sum(0), 2 if reference is None else 1
    n_pos = int(prompts.batch("clean").lengths.max())
    if len(counts) < n_pos or counts[:n_pos].min() < least:
        short, whose = int(np.argmax(np.append(counts[:n_pos], 0) < least)), "prompts" if least == 2 else "reference"
        raise PromptError(
            f"Fewer than {least} of the {whose} have a position {short}, so a mean there would say nothing. "
            "Give more prompts of that length, or a reference that reaches as far."
        )
    sums: dict[Site, Tensor] = {}
    sites = [Site(layer, kind) for layer in range(facts(model).n_layers)]
    for rows, captured in capture_batches(model, batch, sites):
        real = torch.from_numpy(batch.mask[rows])
        for site, values in captured.items():
            shape = (len(real), 1, -1, 1) if square else (len(real), -1, *[1] * (values.ndim - 2))
            part = (values * real.to(values.device).view(shape)).sum(0, dtype=torch.float64)
            sums[site] = sums[site] + part if site in sums else part
    found = []
    for site in sites:
        total = sums[site]
        number = torch.from_numpy(counts).to(total).view((1, -1, 1) if square else (-1, *[1] * (total.ndim - 1)))
        found.append(PositionMean(total / number, square))
    return found
