"""The causal test battery of attention sinks: every test beside its control, in one table."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tqdm.auto import tqdm

from interp.attention.sink_tests.arms import PLAIN, run_arm
from interp.attention.sink_tests.cases import ALL
from interp.attention.sink_tests.prepare import Options, Sample, prepare
from interp.attention.sink_tests.run import n_runs, run_cases
from interp.attention.sink_tests.scores import Loss
from interp.attention.sink_tests.table import Row, as_dataset
from interp.models import facts, provenance
from interp.prompts import TokenBatch
from interp.results import Result
from interp.types import Model

_METHOD = (
    "Each test edits a part of what an attention sink is made of and takes the change against the plain run, beside "
    "a control that edits as much of something else; draws of a control are averaged. Intervals: 95 % bootstrap of the "
    "mean over prompts; p: sign flips over prompts, q over the tests. Attention: mean weight on the target over "
    "layers, heads, and the other queries that may see it. {route} An effect no larger than its control's speaks for "
    "the disturbance, not for the sink; budgets that differ are shown, and where they do the difference is no proof."
)
_CONTROL = "the same test with as large an edit of something else: other keys, tokens, dimensions, neurons or heads"


@dataclass(frozen=True)
class Estimate:
    """What a battery will take."""

    runs: int
    """Forward passes over some prompts."""
    seconds: float

    @property
    def text(self) -> str:
        """The estimate in one sentence."""
        return f"{self.runs:,} forward passes: about {self.seconds:.0f} s on this machine as busy as it is now."


def sink_tests(  # noqa: PLR0913 -- one call; all but the first two are keywords
    model: Model,
    batch: TokenBatch,
    *,
    tests: Sequence[str] = ALL,
    domains: Mapping[str, TokenBatch] | None = None,
    loss: Loss | None = None,
    n_draws: int = 3,
    n_heads: int = 3,
    move_from_layer: int = 0,
    seed: int = 0,
    rows_per_batch: int | None = None,
) -> Result:
    """Test what an attention sink does: what is lost without it, or without a part of it, beside a control.

    Args:
        model: A hooked model. On encoders, which have no next-token loss, the change of the hidden states is measured.
        batch: At least two prompts of at least four tokens; attention depends on their length and on BOS.
        tests: Which of `ALL`, in the order of the table.
        domains: Prompts by domain; each of the strongest sink heads is zeroed in each, beside heads of its layer.
        loss: One number per prompt to measure instead, as a function of model and prompts.
        n_draws: Draws of every control; their mean is taken.
        n_heads: Sink heads to be zeroed in the domains.
        move_from_layer: First layer in which the moved sink's token attends to itself alone.
        seed: Decides draws and resamples.
        rows_per_batch: Prompts per forward pass; numbers do not depend on it.

    Returns:
        A `sink_tests` result, one row per `test`: `effect`, `control` and `above_control` (their difference) with
        intervals and p; attention to the first token before and after; the budgets. A row that was not run, or whose
        loss cannot be compared, has NaN there, `ran` False, and says why in `reason`.

    Raises:
        InputError: an unknown test, settings out of range, or a model whose outputs are no logits without `loss`.
        PromptError: prompts that do not fit, or too few or too short ones.
        ResultError: a run gave NaN or infinity.

    Example:
        >>> sink_tests(model, batch, domains={"en": english, "fr": french}).to_dataframe()

    Source: Xiao et al. 2023 (arXiv:2309.17453); Sun et al. 2024 (arXiv:2402.17762); Guo et al. 2024
    (arXiv:2410.13835); Gu et al. 2025 (arXiv:2410.10781).
    """
    options = Options(
        tests=tuple(tests),
        domains=domains or {},
        loss=loss,
        n_draws=n_draws,
        n_heads=n_heads,
        move_from_layer=move_from_layer,
        seed=seed,
        rows_per_batch=rows_per_batch,
    )
    samples = prepare(model, batch, options)
    with tqdm(total=sum(map(_runs, samples)), desc="sink tests", unit="run", leave=False, delay=2) as bar:
        rows = [row for sample in samples for row in _rows(sample, bar)]
    subject = samples[0].setting.subject
    used = [sample.setting.subject.batch for sample in samples]
    return Result(
        kind="sink_tests",
        data=as_dataset(rows, signed=subject.score.signed, seed=seed),
        unit=subject.score.unit,
        sign=subject.score.sign,
        method=_METHOD.format(route=subject.route.words),
        provenance=provenance(
            model,
            tokens=[array for part in used for array in (part.tokens, part.mask)],
            call=f"sink_tests({len(batch)} prompts, {options.words})",
            seed=seed,
        ),
        notes=_notes(samples, rows, options),
    )


def estimate_sink_tests(model: Model, batch: TokenBatch, **settings: Any) -> Estimate:
    """Say what `sink_tests` with the same arguments will take, from one of its passes.

    Args:
        model: A hooked model.
        batch: The prompts.
        **settings: As for `sink_tests`.
    """
    settings["domains"] = settings.get("domains") or {}
    seconds, samples = 0.0, prepare(model, batch, Options(**settings))
    for sample in samples:
        run_arm(sample.setting.subject, PLAIN, sample.setting.chunks[0])  # the first pass is slower than the rest
        start = time.perf_counter()
        run_arm(sample.setting.subject, PLAIN, sample.setting.chunks[0])
        seconds += _runs(sample) * (time.perf_counter() - start)
    return Estimate(sum(map(_runs, samples)), seconds)


def _runs(sample: Sample) -> int:
    return n_runs(sample.cases) * len(sample.setting.chunks)


def _rows(sample: Sample, bar: tqdm) -> list[Row]:
    outcomes, late = run_cases(sample.setting, sample.cases, bar)
    found, reasons = {outcome.case.name: outcome for outcome in outcomes}, {**sample.refused, **late}
    return [Row(name, found.get(name), reasons.get(name, ""), sample.name) for name in sample.order]


def _notes(samples: list[Sample], rows: list[Row], options: Options) -> dict[str, Any]:
    setting = samples[0].setting
    lengths = setting.subject.batch.lengths
    return {
        "control": _CONTROL,
        "n_prompts": len(lengths),
        "tokens_per_prompt": [int(lengths.min()), int(lengths.max())],
        "bos": facts(setting.subject.model).bos,
        "route": setting.subject.route.kind,
        "measure": type(setting.subject.score).__name__.lower(),
        "learned_sinks": setting.subject.learned_sinks,
        "not_run": {row.name: row.reason for row in rows if row.outcome is None},
        "n_draws": options.n_draws,
        "move_from_layer": options.move_from_layer,
    }
