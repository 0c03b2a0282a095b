"""From the numbers of a sweep to its labelled result."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float

from interp.models import provenance
from interp.patching.plan import SweepPlan
from interp.prompts import PromptSet
from interp.results import RAN, Result
from interp.statistics import bootstrap_interval, sign_flip_p
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


@dataclass(frozen=True)
class SweepNumbers:
    """Metric values; NaN where a prompt has no such column."""

    clean: Float[np.ndarray, " prompt"]
    corrupted: Float[np.ndarray, " prompt"]
    patched: Float[np.ndarray, "prompt layer column"]
    placebo: Float[np.ndarray, "prompt layer column"]
    unpatched: Float[np.ndarray, "prompt column"]


def as_result(model: Model, prompts: PromptSet, plan: SweepPlan, numbers: SweepNumbers) -> Result:
    """Label the numbers of a sweep, with interval and corrected p-values where there are two prompts or more."""
    columns, metric = plan.columns, plan.metric
    base = numbers.unpatched[:, None]
    effects, control = numbers.patched - base, numbers.placebo - base
    span = float(np.mean(numbers.clean - numbers.corrupted)) * (1 if plan.direction == "denoising" else -1)
    dims = ("layer", columns.by)
    data = xr.Dataset(
        {
            "effect": (dims, np.nanmean(effects, 0)),
            "control": (dims, np.nanmean(control, 0)),
            "recovered": (dims, np.nanmean(effects, 0) / span),
            "values": (("prompt", *dims), numbers.patched),
            "control_values": (("prompt", *dims), numbers.placebo),
            RAN: (("prompt", columns.by), columns.ran),
            **_uncertainty(effects, columns.ran, dims, plan.seed),
        },
        {"prompt": np.arange(len(prompts)), "layer": np.arange(effects.shape[1]), columns.by: np.arange(len(columns))},
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
            "labels": columns.labels,
            "labels_are": "the longest prompt's" if len(prompts) > 1 else "the prompt's",
            "n_prompts": len(prompts),
            "control": CONTROL,
        },
    )


def _uncertainty(
    effects: Float[np.ndarray, "prompt layer column"], ran: np.ndarray, dims: tuple[str, str], seed: int
) -> dict[str, tuple[tuple[str, str], np.ndarray]]:
    """Interval and p-values, where every column has at least two prompts; nothing otherwise, rather than a pretence."""
    if ran.sum(0).min() < 2:
        return {}
    low, high = np.empty(effects.shape[1:]), np.empty(effects.shape[1:])
    # Columns that the same prompts have are resampled together.
    for present in np.unique(ran, axis=1).T:
        same = (ran == present[:, None]).all(0)
        low[:, same], high[:, same] = bootstrap_interval(effects[present][..., same], seed=seed)
    p = sign_flip_p(effects, seed=seed)
    return {"effect_low": (dims, low), "effect_high": (dims, high), "p_corrected": (dims, p)}
