"""Run tests over prompts, some prompts at a time: the plain run once, then every arm of every test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm.auto import tqdm

from interp.attention.sink_tests.arms import PLAIN, Arm, Ran, Subject, run_arm
from interp.attention.sink_tests.edits import RefusedError
from interp.attention.sink_tests.setting import Case, Setting

PerPrompt = Float[np.ndarray, " prompt"]


@dataclass(frozen=True)
class Measured:
    """One side of a test: the effect, or the mean of its control's draws."""

    change: PerPrompt | None
    """Of the score; None where it cannot be compared."""
    sink: PerPrompt
    """Mean attention to the target, over layers and heads."""
    budget: PerPrompt


@dataclass(frozen=True)
class Outcome:
    """A test that was run."""

    case: Case
    sink_before: PerPrompt
    effect: Measured
    control: Measured


@dataclass
class _Chunks:
    """What a test has shown so far."""

    sink_before: list[Tensor] = field(default_factory=list)
    sides: tuple[list[tuple[Tensor | None, Tensor, Tensor]], ...] = field(default_factory=lambda: ([], []))


def n_runs(cases: Sequence[Case]) -> int:
    """Different runs that the tests ask for on each chunk of prompts, the plain one included."""
    return len(_runs(cases))


def run_cases(setting: Setting, cases: Sequence[Case], bar: tqdm) -> tuple[list[Outcome], dict[str, str]]:
    """Run tests on all prompts.

    Returns:
        What they showed, in order, and the reasons of those that turned out not to be possible, by name.
    """
    found = {case.name: _Chunks() for case in cases}
    refused: dict[str, str] = {}
    for rows in setting.chunks:
        ran: dict[Arm, Ran] = {}
        for case in cases:
            if case.name in refused:
                continue
            try:
                _run_chunk(setting.subject, case, rows, ran, found[case.name], bar)
            except RefusedError as error:
                refused[case.name] = str(error)
    return [_outcome(case, found[case.name]) for case in cases if case.name not in refused], refused


def _runs(cases: Sequence[Case]) -> dict[Arm, bool]:
    """Every run, and whether it is scored."""
    runs = {PLAIN: True}
    for case in cases:
        runs |= dict.fromkeys((case.effect, *case.controls), case.scored)
        runs |= {case.plain: case.plain is PLAIN}
    return runs


def _run_chunk(subject: Subject, case: Case, rows: slice, ran: dict[Arm, Ran], found: _Chunks, bar: tqdm) -> None:
    for arm, scored in _runs([case]).items():
        if arm not in ran:
            ran[arm] = run_arm(subject, arm, rows, scored=scored)
            bar.update()
    found.sink_before.append(_share(ran[case.plain]))
    changes: Mapping[Arm, Tensor | None] = _changes(subject, case, rows, ran)
    for side, arms in zip(found.sides, ((case.effect,), case.controls), strict=True):
        scores = [change for arm in arms if (change := changes[arm]) is not None]
        side.append(
            (
                torch.stack(scores).mean(0) if scores else None,
                torch.stack([_share(ran[arm]) for arm in arms]).mean(0),
                torch.stack([ran[arm].budget for arm in arms]).mean(0),
            )
        )


def _changes(subject: Subject, case: Case, rows: slice, ran: dict[Arm, Ran]) -> dict[Arm, Tensor | None]:
    """Change of the score in every arm, over the positions that all arms of the test have."""
    arms = (case.effect, *case.controls)
    plain = ran[PLAIN].reading
    if not case.scored or plain is None:
        return dict.fromkeys(arms)
    readings = {arm: reading for arm in arms if (reading := ran[arm].reading) is not None}
    counted = torch.from_numpy(subject.batch.mask[rows].copy()).to(plain.device)
    counted[:, 0] = False
    if subject.score.by_position:
        for reading in (plain, *readings.values()):
            counted &= torch.isfinite(reading.reshape(*counted.shape, -1)).all(-1)
    return {arm: subject.score.change(plain, reading, counted) for arm, reading in readings.items()}


def _share(ran: Ran) -> Float[Tensor, " batch"]:
    return ran.by_head.mean((1, 2))


def _outcome(case: Case, found: _Chunks) -> Outcome:
    effect, control = (_measured(side) for side in found.sides)
    return Outcome(case, _joined(found.sink_before), effect, control)


def _measured(side: list[tuple[Tensor | None, Tensor, Tensor]]) -> Measured:
    changes = [change for change, _, _ in side if change is not None]
    sink, budget = (_joined([part[place] for part in side]) for place in (1, 2))  # type: ignore[misc]
    return Measured(_joined(changes) if changes else None, sink, budget)


def _joined(parts: Sequence[Tensor]) -> PerPrompt:
    return torch.cat(list(parts)).double().cpu().numpy()
