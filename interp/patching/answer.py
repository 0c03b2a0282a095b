"""From the numbers of a sweep to its labelled result."""

import numpy as np
import xarray as xr
from jaxtyping import Float

from interp.models import provenance
from interp.patching.engine import CellState
from interp.patching.numbers import SweepNumbers
from interp.patching.plan import SweepPlan
from interp.prompts import PromptSet
from interp.results import RAN, Result
from interp.statistics import bootstrap_interval, sign_flips
from interp.types import Model

METHOD = (
    "Activation patching: one activation of one run is replaced by the other run's, and the metric is read again. "
    "A cell that matters is enough (denoising) or needed (noising) to move the metric between these two prompts; this "
    "is no evidence that other prompts behave alike."
)
CONTROL = (
    "Placebo: the same positions are moved by as much as the patch moves them, in a random direction. "
    "An effect the placebo shares is disturbance, not content."
)


def as_result(model: Model, prompts: PromptSet, plan: SweepPlan, numbers: SweepNumbers, *, path: str) -> Result:
    """Label the numbers of a sweep, with intervals and p-values where there are two prompts or more.

    Variables by cell: `effect` and `recovered` (its share of the difference between the two runs); `control`, the
    placebo's effect; `above_control`, effect minus control, prompt by prompt. For `effect` and `above_control`: a 95 %
    bootstrap interval (`_low`, `_high`) and p-values by sign flips, of the cell alone (`p`), corrected over all cells
    (`p_corrected`) and as false discovery rate (`q_fdr`). By prompt: `values`, `control_values`, `state`, and the
    metric of the two plain runs, `clean_values` and `corrupted_values`.
    """
    metric, by_cell, by_prompt = plan.metric, _by_cell(plan, numbers), _by_prompt(numbers)
    dims, grid = ("layer", *plan.columns.dims), (len(plan.layers), *plan.columns.dims.values())
    n, ran = len(prompts), plan.columns.ran
    data = xr.Dataset(
        {
            **{name: (dims, values.reshape(grid)) for name, values in by_cell.items()},
            **{name: (("prompt", *dims), values.reshape(n, *grid)) for name, values in by_prompt.items()},
            "clean_values": ("prompt", numbers.clean),
            "corrupted_values": ("prompt", numbers.corrupted),
            RAN: (("prompt", *dims[1:]), ran.reshape(n, *grid[1:])),
        },
        {"prompt": np.arange(n), "layer": list(plan.layers)}
        | {dim: np.arange(size) for dim, size in plan.columns.dims.items()},
    )
    tokens = [prompts.batch("clean").tokens, prompts.batch("corrupted").tokens]
    return Result(
        kind="patch_sweep",
        data=data,
        unit=metric.unit,
        sign=f"Effect: metric with the patch minus metric of the {plan.base} run. {metric.sign}",
        method=METHOD,
        provenance=provenance(model, tokens=tokens, call=plan.call, seed=plan.seed),
        baselines={"clean": float(numbers.clean.mean()), "corrupted": float(numbers.corrupted.mean())},
        notes={
            "site": plan.kind,
            "direction": plan.direction,
            "metric": metric.name,
            "labels": plan.columns.labels,
            "labels_are": "the longest prompt's" if n > 1 else "the prompt's",
            "n_prompts": n,
            "control": CONTROL if "control" in by_cell else "",
            "path": path,
            "rows_per_pass": numbers.rows_per_pass,
            "states": [] if numbers.states is None else [state.name.lower() for state in CellState],
        },
    )


def _by_cell(plan: SweepPlan, numbers: SweepNumbers) -> dict[str, np.ndarray]:
    base = numbers.unpatched[:, None]
    effects, control = numbers.patched - base, numbers.placebo - base
    span = float(np.mean(numbers.clean - numbers.corrupted)) * (1 if plan.direction == "denoising" else -1)
    effect = np.nanmean(effects, 0)
    found = {"effect": effect, "recovered": effect / span, **_uncertainty(effects, plan, "effect", "")}
    if np.isfinite(numbers.placebo).any():
        above = effects - control
        found |= {"control": np.nanmean(control, 0), "above_control": np.nanmean(above, 0)}
        found |= _uncertainty(above, plan, "above_control", "above_control_")
    return found


def _by_prompt(numbers: SweepNumbers) -> dict[str, np.ndarray]:
    with_control = bool(np.isfinite(numbers.placebo).any())
    return {
        "values": numbers.patched,
        **({"control_values": numbers.placebo} if with_control else {}),
        **({} if numbers.states is None else {"state": numbers.states}),
    }


def _uncertainty(
    values: Float[np.ndarray, "prompt layer column"], plan: SweepPlan, name: str, prefix: str
) -> dict[str, np.ndarray]:
    """Interval and p-values, where every column has at least two prompts; nothing otherwise, rather than a pretence."""
    ran = plan.columns.ran
    if ran.sum(0).min() < 2:
        return {}
    low, high = np.empty(values.shape[1:]), np.empty(values.shape[1:])
    # Columns that the same prompts have are resampled together.
    for present in np.unique(ran, axis=1).T:
        same = (ran == present[:, None]).all(0)
        low[:, same], high[:, same] = bootstrap_interval(values[present][..., same], seed=plan.seed)
    tested = sign_flips(values, seed=plan.seed)
    p_values = {"p": tested.p, "p_corrected": tested.p_corrected, "q_fdr": tested.q_fdr}
    return {f"{name}_low": low, f"{name}_high": high, **{f"{prefix}{key}": p for key, p in p_values.items()}}
