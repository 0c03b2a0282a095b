"""What a sweep will cost, said before it runs: cells, seconds and memory."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from interp.errors import InputError
from interp.metrics import Metric
from interp.models import facts
from interp.patching.calibration import Calibration, Cost, seconds_of
from interp.patching.cells import By, columns_of
from interp.patching.exact import ExactSweep
from interp.patching.held import HeldMemory
from interp.patching.hooked import LOGIT_BYTES, ROWS_PER_FORWARD
from interp.patching.plan import Direction, SweepPlan
from interp.patching.sweep import Engine, check_prompts, engine_for
from interp.prompts import PromptSet
from interp.run import capture, forward
from interp.run.places import check_places
from interp.sites import Site
from interp.statistics import CELLS_AT_ONCE, N_FLIPS, N_RESAMPLES, bootstrap_interval, sign_flips
from interp.types import Model, PerPrompt

CALIBRATION_SECONDS = 2.0
_TIMED_CELLS = 64
_ARRAYS = 14
"""Arrays of one number per prompt and cell that labelling holds at once."""


@dataclass(frozen=True)
class Estimate:
    """What a sweep will take."""

    cells: int
    """Cells of the grid, summed over prompts, placebos not counted."""
    computed_cells: int
    """Cells that need work: not those whose two runs must agree, nor those that the metric cannot see."""
    seconds: float
    peak_bytes: int
    """The most memory that the sweep's tensors will take at once, beside the model."""
    path: str
    """`exact` or `hooks`."""

    @property
    def text(self) -> str:
        """The estimate in one sentence."""
        by = {"exact": "by the exact engine", "hooks": "by hooks"}[self.path]
        return (
            f"{self.computed_cells:,} of {self.cells:,} cells to compute {by}: about {in_words(self.seconds)} and "
            f"{self.peak_bytes / 2**20:,.0f} MiB of memory beside the model."
        )


def in_words(seconds: float) -> str:
    """A duration as people say it."""
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def estimate_sweep(  # noqa: PLR0913 -- the settings of patch_sweep; all but the first three are keywords
    model: Model,
    prompts: PromptSet,
    kind: str,
    *,
    by: By = "pos",
    metric: str | Metric | Callable[..., PerPrompt] = "logit_diff",
    direction: Direction = "denoising",
    control: bool = True,
    engine: Engine = "auto",
    calibration_seconds: float = CALIBRATION_SECONDS,
) -> Estimate:
    """Say what `patch_sweep` with these settings will take, from a few of its passes.

    Seconds are for this machine as busy as it is now, and rather too many: small passes are slower than large ones.
    Memory is counted tensor by tensor on a few prompts and scaled. A process on the CPU grows by within a fifth of it
    where its allocator returns memory at once, and by more where it keeps holes: see
    `interp.patching.allocator.return_memory_at_once`.
    Cells that turn out equal although their tokens do not tell (a head that writes nothing, say) are counted as if they
    needed work.

    Args:
        model: A hooked model.
        prompts: Clean and corrupted prompts.
        kind: Site kind, as for `patch_sweep`; so are the other settings.
        by: Columns.
        metric: What is measured.
        direction: `denoising` or `noising`.
        control: Whether every cell has its placebo.
        engine: How cells are patched.
        calibration_seconds: About how long to try.

    Raises:
        PromptError: as `patch_sweep`, for prompts it would refuse before any pass.
        SiteError: as `patch_sweep`.
    """
    known = facts(model)
    scored = check_prompts(model, prompts, metric)
    check_places(model, [Site(layer, kind) for layer in range(known.n_layers)])
    columns = columns_of(prompts, kind, by, known.n_kv_heads if kind in ("k", "v") else known.n_heads)
    plan = SweepPlan(kind, columns, scored, direction, 0, tuple(range(known.n_layers)))
    decoder = None if engine == "hooks" else engine_for(model, plan, asked=engine == "exact")
    cells = int(columns.ran.sum()) * known.n_layers
    labels = _labelling(len(prompts), known.n_layers * len(columns), 1 + control)
    if decoder is None:
        cost, computed, path = _by_hooks(model, prompts, plan, control=control), cells, "hooks"
    else:
        calibration = Calibration(ExactSweep(model, decoder, prompts, plan), calibration_seconds)
        cost, path = calibration.cost(control=control), "exact"
        computed = sum(work.cells for work in calibration.work)
        # The runs are still there while the numbers are labelled.
        labels = Cost(labels.seconds, labels.peak_bytes + calibration.runs_held * min(len(prompts), 64))
    return Estimate(cells, computed, cost.seconds + labels.seconds, int(max(cost.peak_bytes, labels.peak_bytes)), path)


def _labelling(n_prompts: int, n_cells: int, times: int) -> Cost:
    """Statistics and labels."""
    arrays = 8.0 * _ARRAYS * n_prompts * n_cells
    if n_prompts < 2:
        return Cost(0.0, arrays)
    some = np.random.default_rng(0).normal(size=(n_prompts, min(n_cells, _TIMED_CELLS)))
    seconds = seconds_of(lambda: (sign_flips(some), bootstrap_interval(some)))
    at_once = 8.0 * min(n_cells, CELLS_AT_ONCE)
    resampled = max(2.2 * min(N_FLIPS, 2**n_prompts), 3 * N_RESAMPLES) * at_once
    return Cost(seconds * times * n_cells / some.shape[1], arrays + resampled)


def _by_hooks(model: Model, prompts: PromptSet, plan: SweepPlan, *, control: bool) -> Cost:
    """Every cell is a row of a full forward pass, and so is every prompt once for each layer's unpatched value."""
    batch, known = prompts.batch(plan.base), facts(model)
    longest = int(np.argmax(batch.lengths))
    some = prompts.take([longest] * min(4, len(prompts))).batch(plan.base)
    with HeldMemory() as memory:
        forward(model, some)
    per_row = memory.peak / len(some)
    row_seconds = seconds_of(lambda: forward(model, some)) / len(some)
    with HeldMemory() as memory:
        kept = capture(model, batch[longest : longest + 1], [Site(layer, plan.kind) for layer in plan.layers])
        source = memory.held * len(prompts)
    del kept
    logits = 4 * known.d_vocab * batch.tokens.shape[1]
    n_rows = int(plan.columns.ran.sum())
    at_once = min(max(1, min(ROWS_PER_FORWARD, LOGIT_BYTES // logits)), n_rows)
    # The clean run's logits are there while the corrupted prompts run.
    plain = (per_row + logits) * len(prompts)
    reference = 4.0 * known.d_vocab * len(prompts)
    patched = source + reference + at_once * (per_row + source / len(prompts) / len(plan.layers))
    runs = n_rows * (1 + len(plan.layers) * (1 + control)) + 3 * len(prompts)
    return Cost(runs * row_seconds, max(plain, patched))


def parse_bytes(text: str) -> int:
    """Read an amount of memory such as `2GB`, `500MB` or `1.5GiB`.

    Raises:
        InputError: anything else.
    """
    units = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "B": 1}
    number = text.strip().upper()
    unit = next((unit for unit in units if number.endswith(unit)), None)
    try:
        amount = float(number.removesuffix(unit or "")) * units[unit or ""]
    except (KeyError, ValueError):
        amount = -1.0
    if not 0 < amount < float("inf"):
        raise InputError(f"{text!r} is no amount of memory. Expected a number with a unit, such as 500MB or 2GB.")
    return int(amount)
