"""From what tests showed to a table: effect, control and their difference, with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import stats

from interp.attention.sink_tests.run import Outcome
from interp.statistics import bootstrap_interval, sign_flips

MEASURED, ATTENTION_ONLY, NOT_RUN = "measured", "attention only", "not run"
"""What `status` says of a row."""
_COMPARED = ("effect", "control", "above_control")
_TESTED = {"effect": "", "above_control": "above_control_"}
_NUMBERS = (
    *(f"{name}{end}" for name in _COMPARED for end in ("", "_low", "_high")),
    *("sink_before", "sink_after", "control_sink_after", "budget", "control_budget"),
)
_WORDS = ("status", "edit", "control_edit", "reason", "target", "budget_unit", "sample")


@dataclass(frozen=True)
class Row:
    """One row: a test that ran, or the reason why it did not."""

    name: str
    outcome: Outcome | None
    reason: str = ""
    sample: str = "prompts"
    """Which prompts: those of the battery, or a domain's."""


def as_dataset(rows: Sequence[Row], *, signed: bool, seed: int) -> xr.Dataset:
    """Lay rows out as variables over `test`; what a row does not have is NaN, with `ran` False for its change.

    Args:
        rows: The tests, in order.
        signed: Whether a change may be negative; if not, its p-value is left out, being no finding.
        seed: Decides the resamples.
    """
    numbers = [_numbers(row, signed=signed, seed=seed) for row in rows]
    names = [*_NUMBERS, *(f"{prefix}p" for name, prefix in _TESTED.items() if signed or name == "above_control")]
    variables = {name: np.array([found.get(name, np.nan) for found in numbers], dtype=float) for name in names}
    ran = np.array([bool(row.outcome and row.outcome.case.scored) for row in rows])
    for prefix in _TESTED.values():
        if f"{prefix}p" in variables:
            q = np.full(len(rows), np.nan)
            q[ran] = stats.false_discovery_control(variables[f"{prefix}p"][ran]) if ran.any() else q[ran]
            variables[f"{prefix}q_fdr"] = q
    words = [_words(row) for row in rows]
    variables |= {name: np.array([found[name] for found in words], dtype=object) for name in _WORDS}
    variables |= {"ran": ran, "n_prompts": np.array([len(r.outcome.sink_before) if r.outcome else 0 for r in rows])}
    return xr.Dataset(
        {name: ("test", values) for name, values in variables.items()}, {"test": [row.name for row in rows]}
    )


def _numbers(row: Row, *, signed: bool, seed: int) -> dict[str, float]:
    outcome = row.outcome
    if outcome is None:
        return {}
    effect, control = outcome.effect, outcome.control
    numbers = {
        "sink_before": outcome.sink_before.mean(),
        "sink_after": effect.sink.mean(),
        "control_sink_after": control.sink.mean(),
        "budget": effect.budget.mean(),
        "control_budget": control.budget.mean(),
    }
    if effect.change is None or control.change is None:
        return numbers
    changes = dict(zip(_COMPARED, (effect.change, control.change, effect.change - control.change), strict=True))
    for name, values in changes.items():
        low, high = bootstrap_interval(values, seed=seed)
        numbers |= {name: values.mean(), f"{name}_low": float(low), f"{name}_high": float(high)}
    for name, prefix in _TESTED.items():
        if signed or name == "above_control":
            numbers[f"{prefix}p"] = float(sign_flips(changes[name], seed=seed).p)
    return numbers


def _words(row: Row) -> Mapping[str, str]:
    if row.outcome is None:
        return dict.fromkeys(_WORDS, "") | {"status": NOT_RUN, "reason": row.reason, "sample": row.sample}
    case = row.outcome.case
    return {
        "status": MEASURED if case.scored else ATTENTION_ONLY,
        "edit": case.edit,
        "control_edit": case.control,
        "reason": case.note,
        "target": case.target,
        "budget_unit": case.budget_unit,
        "sample": row.sample,
    }
