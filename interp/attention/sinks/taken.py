"""What a census read of a model and of its control, and how its results say so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float

from interp.attention.sinks.measures import LAST_KEYS
from interp.attention.sinks.patterns import PatternSettings
from interp.attention.sinks.stream import Numbers
from interp.attention.sinks.token_classes import TokenClasses
from interp.prompts import TokenBatch
from interp.results import Provenance, Result
from interp.statistics import bootstrap_interval

CONTROL = "the same architecture with random weights, on {n} of the sequences, evenly spaced in the corpus"
Variable = tuple[Any, Any]
"""Dimensions and values."""


@dataclass(frozen=True)
class Taken:
    """Numbers of every sequence, of the model and of the control."""

    ours: Numbers
    """Of the residual stream, queries, keys, values and neurons only for the first `n_detailed` sequences."""
    control: Numbers
    settings: PatternSettings
    batch: TokenBatch
    """The corpus; the sequences for the control come first."""
    classes: TokenClasses
    facts: Mapping[str, Any]
    """What `describe` found: learned sinks, windows, BOS."""
    made_by: Provenance
    seed: int

    @property
    def n_detailed(self) -> int:
        """Sequences that the control, and the readings behind attention, were taken on."""
        return len(self.control["first"])

    @property
    def n_layers(self) -> int:
        """Layers of the model."""
        return self.ours["first"].shape[1]

    @property
    def head_coords(self) -> dict[str, Any]:
        """Coordinates of layers and heads."""
        return {"layer": np.arange(self.n_layers), "head": np.arange(self.ours["first"].shape[2])}

    @property
    def boundaries(self) -> np.ndarray:
        """Layers after which the residual stream was read; -1 before the first."""
        return np.arange(-1, self.n_layers)

    def policy(self) -> str:
        """Say in words what every number depends on: T, BOS, epsilon, keys left out."""
        settings, lengths = self.settings, self.batch.lengths
        first = np.unique(self.classes.numbers[:, 0], return_counts=True)
        kinds = [f"{self.classes.names[kind]} in {count} of {len(lengths)}" for kind, count in zip(*first, strict=True)]
        whole = (
            f"T = {settings.n_tokens}" if settings.causal else f"T = whole sequences (no shorter than {min(lengths)})"
        )
        left_out = f", the last {LAST_KEYS} keys left out" if settings.causal else ""
        return (
            f"Alpha and Sink^epsilon at {whole}, epsilon = {settings.epsilon:g}{left_out}; sequences of {min(lengths)} "
            f"to {max(lengths)} tokens; BOS policy: {'BOS' if self.facts['bos'] else 'nothing'} is put before a text; "
            f"first token: {', '.join(kinds)}."
        )


@dataclass(frozen=True)
class Words:
    """What a kind of result says of itself."""

    kind: str
    unit: str
    sign: str
    method: str
    detailed: bool = False
    """Whether it was read on the sequences of the control only."""


def spread(
    values: Float[np.ndarray, "prompt ..."], control: Float[np.ndarray, "other ..."], name: str, taken: Taken
) -> dict[str, np.ndarray]:
    """Mean over sequences with its bootstrap interval, and the mean of the control."""
    low, high = bootstrap_interval(values, seed=taken.seed)
    mean = values.mean(0, dtype=np.float64)
    return {name: mean, f"{name}_low": low, f"{name}_high": high, f"control_{name}": control.mean(0, dtype=np.float64)}


def spreads(taken: Taken, names: Sequence[str], dims: tuple[str, ...]) -> dict[str, Variable]:
    """The same for readings as they were taken, as variables of a data set."""
    found = {}
    for name in names:
        for variable, values in spread(taken.ours[name], taken.control[name], name, taken).items():
            found[variable] = (dims, values)
    return found


def as_result(
    taken: Taken,
    words: Words,
    data: xr.Dataset,
    *,
    baselines: dict[str, float] | None = None,
    notes: dict[str, Any] | None = None,
) -> Result:
    """Put words, policy and provenance to numbers."""
    known = {
        "n_prompts": taken.n_detailed if words.detailed else len(taken.batch),
        "n_control_prompts": taken.n_detailed,
        "policy": taken.policy(),
        "n_tokens": taken.settings.n_tokens,
        "epsilon": taken.settings.epsilon,
        "bos": taken.facts["bos"],
        "causal": taken.settings.causal,
        "learned_sinks": taken.facts["learned_sinks"],
        "sliding_windows": taken.facts["sliding_windows"],
        "control": CONTROL.format(n=taken.n_detailed),
    }
    return Result(
        kind=words.kind,
        data=data,
        unit=words.unit,
        sign=words.sign,
        method=f"{words.method} {taken.policy()} Intervals: 95 % bootstrap of the mean over sequences.",
        provenance=taken.made_by,
        baselines=baselines or {},
        notes=known | (notes or {}),
    )
