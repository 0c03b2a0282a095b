"""From numbers by prompt and cell to a labelled result: effect beside control, with interval and corrected p-values."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int

from interp.metrics import Metric
from interp.models import provenance
from interp.prompts import PromptSet
from interp.results import RAN, Result
from interp.statistics import bootstrap_interval, sign_flips
from interp.types import Model


@dataclass(frozen=True)
class Measured:
    """The metric of every prompt and cell; NaN where a prompt has no such cell."""

    dims: dict[str, Sequence[Any]]
    """Axes of the cells and their coordinates."""
    values: Float[np.ndarray, "prompt *grid"]
    base: Float[np.ndarray, " prompt"]
    """The metric of the run that is edited."""
    control: Float[np.ndarray, "prompt *grid"] | None = None
    """The metric under the placebos; None where none were run."""
    states: Int[np.ndarray, "prompt *grid"] | None = None
    """`CellState` of each cell, where the engine ran."""

    @property
    def ran(self) -> Bool[np.ndarray, "prompt *grid"]:
        """Which prompts have which cell."""
        return np.isfinite(self.values)

    def effects(self, values: Float[np.ndarray, "prompt *grid"]) -> Float[np.ndarray, "prompt *grid"]:
        """Metric minus that of the run that is edited."""
        return values - self.base.reshape(-1, *[1] * (values.ndim - 1))


@dataclass(frozen=True)
class About:
    """What a result says of itself."""

    kind: str
    base: str
    """Which run was edited, in a word."""
    method: str
    control: str
    call: str
    metric: Metric
    seed: int
    baselines: dict[str, float]
    tokens: list[np.ndarray]
    """All token ids that went in."""
    notes: dict[str, Any] = field(default_factory=dict)


def as_measured(
    model: Model, prompts: PromptSet, measured: Measured, about: About, *, span: float | None = None
) -> Result:
    """Label numbers.

    Args:
        model: The model that ran.
        prompts: The prompts.
        measured: The numbers.
        about: The words.
        span: What `recovered` is a share of: the metric's way from the edited run to the other; None for no such share.
    """
    effects, grid = measured.effects(measured.values), tuple(measured.dims)
    cells = {"effect": np.nanmean(effects, 0), **_uncertainty(effects, about.seed, "effect", "")}
    if span is not None:
        cells["recovered"] = cells["effect"] / span
    by_prompt: dict[str, np.ndarray] = {"values": measured.values, RAN: measured.ran}
    if measured.control is not None:
        control = measured.effects(measured.control)
        above = effects - control
        cells |= {"control": np.nanmean(control, 0), "above_control": np.nanmean(above, 0)}
        cells |= _uncertainty(above, about.seed, "above_control", "above_control_")
        by_prompt["control_values"] = measured.control
    if measured.states is not None:
        by_prompt["state"] = measured.states
    data = xr.Dataset(
        {name: (grid, values) for name, values in cells.items()}
        | {name: (("prompt", *grid), values) for name, values in by_prompt.items()},
        {"prompt": np.arange(len(prompts))} | {dim: list(labels) for dim, labels in measured.dims.items()},
    )
    return Result(
        kind=about.kind,
        data=data,
        unit=about.metric.unit,
        sign=f"Effect: metric with the edit minus metric of the {about.base} run. {about.metric.sign}",
        method=about.method,
        provenance=provenance(model, tokens=about.tokens, call=about.call, seed=about.seed),
        baselines=about.baselines,
        notes={
            "metric": about.metric.name,
            "n_prompts": len(prompts),
            "control": "" if measured.control is None else about.control,
            **about.notes,
        },
    )


def _uncertainty(values: Float[np.ndarray, "prompt *grid"], seed: int, name: str, prefix: str) -> dict[str, np.ndarray]:
    """Interval and p-values where every cell has two prompts or more; nothing otherwise, rather than a pretence."""
    ran = np.isfinite(values)
    if ran.sum(0).min() < 2:
        return {}
    low, high = np.empty(values.shape[1:]), np.empty(values.shape[1:])
    # Cells that the same prompts have are resampled together.
    for present in np.unique(ran.reshape(len(ran), -1), axis=1).T:
        same = (ran == present.reshape(-1, *[1] * (ran.ndim - 1))).all(0)
        low[same], high[same] = bootstrap_interval(values[present][:, same], seed=seed)
    tested = sign_flips(values, seed=seed)
    p_values = {"p": tested.p, "p_corrected": tested.p_corrected, "q_fdr": tested.q_fdr}
    return {f"{name}_low": low, f"{name}_high": high, **{f"{prefix}{key}": p for key, p in p_values.items()}}
