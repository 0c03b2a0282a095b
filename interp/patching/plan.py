"""What a sweep does: which kind of site, which columns, which metric, which way."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from interp.errors import PromptError
from interp.metrics import Metric
from interp.patching.cells import By, Columns
from interp.prompts.prompt_set import Side

Direction = Literal["denoising", "noising"]
SCORES_ALIKE = 1e-6
"""A difference of means below this share is float error, and a share of it would mean nothing."""


@dataclass(frozen=True)
class SweepPlan:
    """The settings of one sweep, checked."""

    kind: str
    columns: Columns
    metric: Metric
    direction: Direction
    seed: int
    layers: tuple[int, ...]

    @property
    def by(self) -> By:
        """What the columns are."""
        return self.columns.by

    @property
    def base(self) -> Side:
        """The side that runs; the other side's activations are patched in."""
        return "corrupted" if self.direction == "denoising" else "clean"

    @property
    def source(self) -> Side:
        """The side whose activations are patched in."""
        return "clean" if self.direction == "denoising" else "corrupted"

    @property
    def call(self) -> str:
        """The call that makes the sweep again."""
        return (
            f"patch_sweep({self.kind!r}, by={self.by!r}, metric={self.metric.name!r}, "
            f"direction={self.direction!r}, seed={self.seed})"
        )


def require_apart(metric: Metric, clean: Float[np.ndarray, " prompt"], corrupted: Float[np.ndarray, " prompt"]) -> None:
    """Refuse prompts whose two sides score alike: there would be nothing to recover.

    Raises:
        PromptError: the means differ by no more than float error.
    """
    if abs(clean.mean() - corrupted.mean()) <= SCORES_ALIKE * max(1.0, np.abs(clean).mean()):
        raise PromptError(
            f"Clean and corrupted prompts have the same mean {metric.name}, so there is nothing to recover. "
            "Choose prompts or answers that the metric tells apart."
        )
