"""What a sweep does: which kind of site, which columns, which metric, which way."""

from dataclasses import dataclass
from typing import Literal

from interp.metrics import Metric
from interp.patching.cells import By, Columns
from interp.prompts.prompt_set import Side

Direction = Literal["denoising", "noising"]


@dataclass(frozen=True)
class SweepPlan:
    """The settings of one sweep, checked."""

    kind: str
    columns: Columns
    metric: Metric
    direction: Direction
    seed: int

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
