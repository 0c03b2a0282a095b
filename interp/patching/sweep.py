"""Patch every cell of a grid: every layer, and every position, word or head."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from interp.errors import InputError, SiteError
from interp.metrics import Metric, as_metric
from interp.models import facts
from interp.models.decoder import Decoder, as_decoder
from interp.patching.answer import as_result
from interp.patching.attribution import AttributionSweep, Method, as_attribution, with_exact
from interp.patching.cells import By, columns_of, require_straight
from interp.patching.check import check_engine
from interp.patching.engine.entries import HEADS, VECTORS
from interp.patching.exact import ExactSweep
from interp.patching.hooked import HookedSweep
from interp.patching.numbers import SweepNumbers
from interp.patching.plan import Direction, SweepPlan
from interp.prompts import PromptSet
from interp.results import Result
from interp.run.places import check_places
from interp.sites import SQUARE_HEAD_KINDS, Site
from interp.types import Model, PerPrompt

Engine = Literal["auto", "exact", "hooks"]


def patch_sweep(  # noqa: PLR0913 -- one call for every way to sweep; all but the first three are keywords
    model: Model,
    prompts: PromptSet,
    kind: str,
    *,
    by: By = "pos",
    metric: str | Metric | Callable[..., PerPrompt] = "logit_diff",
    direction: Direction = "denoising",
    seed: int = 0,
    control: bool = True,
    engine: Engine = "auto",
    method: Method = "exact",
    ig_steps: int = 0,
    verify_top: int = 0,
) -> Result:
    """Measure, for every layer and column, what patching that one activation does to the metric.

    Each cell equals a full forward pass with that one patch, beside a placebo of the same size in a random direction.
    Where the engine knows the model it computes only what the patch can change, after comparing a few cells with full
    hooked passes; `notes["path"]` of the result says which way was taken. An effect says that this activation is enough
    (denoising) or needed (noising) to move the metric between these two prompts; it does not say that the model
    computes anything there, nor that other prompts would agree.

    Args:
        model: A hooked model.
        prompts: Clean and corrupted prompts.
        kind: Site kind, such as `resid_pre`, `attn_out`, `mlp_out`, or `z` with `by="head"`.
        by: Columns: aligned positions, words, or heads (over all aligned positions).
        metric: A metric's name, a `Metric`, or a function of a `Reading`.
        direction: `denoising` (clean into corrupted) or `noising` (corrupted into clean).
        seed: Decides placebos and resamples.
        control: Whether every cell has its placebo.
        engine: How cells are patched: the exact engine, hooks, or the engine wherever it knows the model (`auto`).
        method: `exact` patches every cell. `atp` (attribution patching) estimates all of them from the gradient of one
            run; `atp*` sees through saturated attention, too, and adds `graddrop`, a score for effects that cancel.
        ig_steps: With an estimate, average the gradient over so many runs between the two prompts (integrated gradients
            over the embeddings), which sees effects that saturation further down hides; 0 for the gradient of one run.
            It helped residual streams and MLPs where we measured it, and hurt the ranks of single heads.
        verify_top: With an estimate, how many of its largest cells to patch for real.

    Returns:
        A `patch_sweep` result: `effect`, `control`, `recovered`, per-prompt `values`; with two or more prompts also a
        95 % bootstrap interval and p-values corrected over all cells. For an estimate, the same as an `attribution`
        result, with `exact` for the cells that were verified.

    Raises:
        InputError: a metric without gradient for an estimate, steps for a sweep that takes none, or more cells to
            verify than there are.
        PromptError: prompts the model cannot read, or that lack what the metric needs, or score alike.
        SiteError: a kind this model lacks, or whose edit changes nothing.

    Example:
        >>> patch_sweep(model, prompts, "resid_pre").to_dataframe().nlargest(5, "effect")

    Source: Zhang & Nanda 2024, Towards Best Practices of Activation Patching (arXiv:2309.16042); Nanda 2023,
    Attribution Patching; for `atp*` Kramar, Lieberum, Shah & Nanda 2024, AtP* (arXiv:2403.00745); for `ig_steps` Hanna,
    Pezzelle & Belinkov 2024, Have Faith in Faithfulness (arXiv:2403.17806), after Sundararajan et al. 2017.
    """
    check_ig_steps(method, ig_steps)
    scored = check_prompts(model, prompts, metric)
    known = facts(model)
    check_places(model, [Site(layer, kind) for layer in range(known.n_layers)])
    if kind in SQUARE_HEAD_KINDS:
        require_straight(prompts, kind)
    n_heads = known.n_kv_heads if kind in ("k", "v") else known.n_heads
    columns = columns_of(prompts, kind, by, n_heads)
    plan = SweepPlan(kind, columns, scored, direction, seed, tuple(range(known.n_layers)))
    if method != "exact":
        return _estimate(model, prompts, plan, _Estimate(method, ig_steps, verify_top, engine), control=control)
    if verify_top:
        raise InputError(f"verify_top={verify_top} is for estimates; method='exact' patches every cell. Leave it out.")
    sweep = _exact_sweep(model, prompts, plan, engine)
    numbers = sweep.numbers(placebo=control)
    return as_result(model, prompts, plan, numbers, path="hooks" if isinstance(sweep, HookedSweep) else "exact")


def check_ig_steps(method: Method, ig_steps: int) -> None:
    """Refuse steps of integrated gradients where no gradient is taken.

    Raises:
        InputError: a negative number, or one for `method="exact"`.
    """
    if ig_steps < 0 or (ig_steps and method == "exact"):
        raise InputError(
            f"ig_steps={ig_steps} with method={method!r}. Expected 0 or more, and 0 where no gradient is taken (exact)."
        )


@dataclass(frozen=True)
class _Estimate:
    """How a sweep is estimated, and how much of it is patched after all."""

    method: Method
    ig_steps: int
    verify_top: int
    engine: Engine


def _estimate(model: Model, prompts: PromptSet, plan: SweepPlan, how: _Estimate, *, control: bool) -> Result:
    decoder = engine_for(model, plan, asked=False)
    if decoder is None:
        raise SiteError(
            f"{plan.kind!r} of a {facts(model).architecture} has no gradient here, so method={how.method!r} cannot "
            "estimate it. Use method='exact'."
        )
    check_engine(model, decoder, prompts, plan)
    sweep = AttributionSweep(model, decoder, prompts, plan, star=how.method == "atp*", ig_steps=how.ig_steps)
    result = as_attribution(model, prompts, plan, sweep.estimates(placebo=control), how.method, ig_steps=how.ig_steps)
    if not how.verify_top:
        return result

    def measure(part: SweepPlan) -> SweepNumbers:
        return _exact_sweep(model, prompts, part, how.engine).numbers(placebo=False)

    return with_exact(result, plan, how.verify_top, measure)


def _exact_sweep(model: Model, prompts: PromptSet, plan: SweepPlan, engine: Engine) -> HookedSweep | ExactSweep:
    decoder = None if engine == "hooks" else engine_for(model, plan, asked=engine == "exact")
    if decoder is None:
        return HookedSweep(model, prompts, plan)
    check_engine(model, decoder, prompts, plan)
    return ExactSweep(model, decoder, prompts, plan)


def check_prompts(model: Model, prompts: PromptSet, metric: str | Metric | Callable[..., PerPrompt]) -> Metric:
    """Refuse prompts that the model cannot read or the metric cannot score, before anything runs.

    Returns:
        The metric.

    Raises:
        InputError: an unknown metric.
        PromptError: ids out of range, prompts past the context, or answers missing.
    """
    scored, known = as_metric(metric), facts(model)
    scored.require(prompts)
    prompts.check_fits(d_vocab=known.d_vocab, n_ctx=known.n_ctx)
    return scored


def engine_for(model: Model, plan: SweepPlan, *, asked: bool) -> Decoder | None:
    """The model taken apart where the engine can run the plan; None where hooks must.

    Raises:
        SiteError: the engine was asked for and cannot run the plan.
    """
    decoder = as_decoder(model) if plan.kind in (*VECTORS, *HEADS) else None
    lacking = decoder is None or (plan.kind == "resid_mid" and decoder.blocks[0].parallel)
    if lacking and asked:
        raise SiteError(
            f"The exact engine cannot patch {plan.kind!r} of a {facts(model).architecture}. "
            "Use engine='auto' or engine='hooks'."
        )
    return None if lacking else decoder
