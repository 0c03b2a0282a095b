"""When did it emerge? What was measured on a model's snapshots along its training, as a table and as a result."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from interp.errors import ModelError
from interp.models.zoo import model_directory
from interp.models.zoo.measure import Estimate
from interp.results import Provenance, Result

EMERGENCE = "emergence.json"
"""File in a trained model's directory."""


@dataclass(frozen=True)
class Measure:
    """What one number along the training is."""

    panel: str
    """Numbers of one panel are drawn on one axis."""
    unit: str
    meaning: str


@dataclass(frozen=True)
class Snapshot:
    """The measurements of one snapshot."""

    step: int
    tokens_seen: int
    measured: dict[str, Estimate]


@dataclass(frozen=True)
class Emergence:
    """All snapshots of one training, with what is needed to measure them again."""

    model: str
    command: str
    text: str
    """What the losses and the sinks were measured on, in words."""
    measures: dict[str, Measure]
    snapshots: list[Snapshot]
    provenance: Provenance
    """Of the last snapshot."""


def write_emergence(found: Emergence, path: Path) -> None:
    """Write measurements as JSON."""
    path.write_text(json.dumps(asdict(found), indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_emergence(name: str = "polyglot") -> Result:
    """Read what was measured along the training of a shipped model; `plot` draws it.

    Args:
        name: A shipped model, with or without `zoo:`.

    Returns:
        `value` of every measure at every step with its 95 % interval, and `control`: the same of the untrained model,
        at step 0. The coordinates `panel`, `unit` and `meaning` say what each measure is.

    Raises:
        ModelError: no such model, or nothing was measured along its training.

    Example:
        >>> read_emergence("polyglot").to_dataframe()
    """
    return as_result(load_emergence(model_directory(name.removeprefix("zoo:"))))


def load_emergence(directory: Path) -> Emergence:
    """Read the measurements of a model's directory.

    Raises:
        ModelError: the file is missing or damaged.
    """
    path = directory / EMERGENCE
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return Emergence(
            **{name: told[name] for name in ("model", "command", "text")},
            measures={name: Measure(**each) for name, each in told["measures"].items()},
            snapshots=[_snapshot(row) for row in told["snapshots"]],
            provenance=Provenance(**told["provenance"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path} cannot be read: {error}. Expected what python -m interp.zoo_emergence writes: measure the "
            "snapshots of the training again."
        ) from error


def as_result(found: Emergence) -> Result:
    """Lay measurements out by step and measure.

    Raises:
        ModelError: no snapshot of the untrained model, which is the control.
    """
    steps = [snapshot.step for snapshot in found.snapshots]
    if 0 not in steps:
        raise ModelError(
            f"The snapshots are of steps {steps}. Expected one of step 0: the untrained model is the control."
        )
    rows = [[snapshot.measured[name] for name in found.measures] for snapshot in found.snapshots]
    value, low, high = (
        np.array([[getattr(each, part) for each in row] for row in rows]) for part in ("value", "low", "high")
    )
    dims = ("step", "measure")
    return Result(
        kind="emergence",
        data=xr.Dataset(
            {
                "value": (dims, value),
                "value_low": (dims, low),
                "value_high": (dims, high),
                "control": ("measure", value[steps.index(0)]),
            },
            {
                "step": np.array(steps),
                "measure": np.array(list(found.measures), object),
                "tokens_seen": ("step", np.array([snapshot.tokens_seen for snapshot in found.snapshots])),
                **{
                    part: ("measure", np.array([getattr(each, part) for each in found.measures.values()], object))
                    for part in ("panel", "unit", "meaning")
                },
            },
        ),
        unit="each measure has its own",
        sign="What a larger number means depends on the measure: its coordinate meaning says it.",
        method=(
            f"Every snapshot measured alike, by {found.command}. Losses and sinks: {found.text}. Intervals are over "
            "texts or prompts, by bootstrap or Wilson's, and say nothing of another training. One training with one "
            "seed: it shows when a behaviour came in this run, not what caused it."
        ),
        provenance=found.provenance,
        notes={"control": "the untrained model, at step 0", "n_snapshots": len(steps), "text": found.text},
    )


def chosen_rows(found: Emergence, n: int) -> list[Snapshot]:
    """Some of the snapshots, evenly from the first to the last, for a table."""
    places = np.unique(np.linspace(0, len(found.snapshots) - 1, n).round().astype(int))
    return [found.snapshots[place] for place in places]


def _snapshot(row: dict[str, Any]) -> Snapshot:
    measured = {name: Estimate(**each) for name, each in row["measured"].items()}
    return Snapshot(int(row["step"]), int(row["tokens_seen"]), measured)
