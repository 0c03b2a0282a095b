"""The command `interp sweep`: what it will take, and then the sweep."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from interp.cli.work import Loading, choose_prompts, progress, write_result
from interp.errors import InputError
from interp.metrics import as_metric
from interp.patching import patch_sweep
from interp.patching.allocator import return_memory_at_once
from interp.patching.attribution import Method
from interp.patching.cells import By
from interp.patching.estimate import Estimate, estimate_sweep, in_words, parse_bytes
from interp.patching.plan import Direction
from interp.patching.sweep import Engine, check_ig_steps
from interp.prompts import PromptSet
from interp.results import Result
from interp.sites import Site
from interp.types import Model

CALIBRATION_SECONDS, GLANCE_SECONDS = 2.0, 0.5
"""How long `--estimate` tries a sweep, and how long every sweep is tried before it runs."""
LONG_SECONDS = 60
"""A sweep that takes longer says so first."""


@dataclass(frozen=True)
class Sweep:
    """What `interp sweep` is to do."""

    kind: str
    by: By
    metric: str
    direction: Direction
    engine: Engine = "auto"
    method: Method = "exact"
    ig_steps: int = 0
    control: bool = True

    def check(self) -> None:
        """Refuse settings that no model could run.

        Raises:
            InterpError: an unknown metric or kind of site, or steps for a sweep that takes none.
        """
        check_ig_steps(self.method, self.ig_steps)
        as_metric(self.metric)
        Site(0, self.kind)

    def estimate(self, model: Model, prompts: PromptSet, max_memory: str | None, *, seconds: float) -> Estimate:
        """Say what the sweep will take.

        Raises:
            InputError: more memory than allowed, or a method that patches nothing.
        """
        if self.method != "exact":
            raise InputError(
                f"--estimate and --max-memory are for sweeps that patch every cell; method {self.method!r} takes a few "
                "passes per prompt. Leave them out, or use --method exact."
            )
        asked = {name: value for name, value in asdict(self).items() if name not in ("method", "ig_steps")}
        found = estimate_sweep(model, prompts, calibration_seconds=seconds, **asked)
        if max_memory is not None and found.peak_bytes > parse_bytes(max_memory):
            raise InputError(
                f"The sweep would need about {found.peak_bytes / 10**6:,.0f} MB beside the model, and --max-memory "
                f"allows {max_memory}. Use fewer prompts at a time, or allow more."
            )
        return found


@dataclass(frozen=True)
class Limits:
    """What a sweep may use and replace."""

    max_memory: str | None
    force: bool


def estimate(loading: Loading, prompts: Path | None, settings: Sweep, max_memory: str | None) -> dict[str, Any]:
    """Answer `interp sweep --estimate`."""
    settings.check()
    if max_memory is not None:
        parse_bytes(max_memory)
    model = loading.load()
    asked = choose_prompts(model, loading, prompts)
    progress("trying a few passes")
    found = settings.estimate(model, asked, max_memory, seconds=CALIBRATION_SECONDS)
    # `seconds` is what the command itself took, in every command's answer.
    about = {"estimated_seconds" if name == "seconds" else name: value for name, value in asdict(found).items()}
    return {**about, "text": found.text}


def sweep(loading: Loading, prompts: Path | None, out: Path | None, settings: Sweep, limits: Limits) -> dict[str, Any]:
    """Run `interp sweep`."""
    settings.check()
    if limits.max_memory is not None:
        parse_bytes(limits.max_memory)
        # Else the process could grow by nearly twice what was found to be allowed.
        return_memory_at_once()

    def work(model: Model) -> Result:
        asked = choose_prompts(model, loading, prompts)
        if settings.method == "exact" or limits.max_memory is not None:
            found = settings.estimate(model, asked, limits.max_memory, seconds=GLANCE_SECONDS)
            if found.seconds > LONG_SECONDS:
                progress(f"this takes about {in_words(found.seconds)}: {found.text}")
        progress(f"patching {settings.kind} by {settings.by}")
        return patch_sweep(model, asked, seed=loading.seed, **asdict(settings))

    return write_result("sweep", loading, out, work, force=limits.force)
