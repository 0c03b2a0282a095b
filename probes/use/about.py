"""What the results on a task and an answer say of themselves: the call that made them, and what went in."""

from collections.abc import Sequence
from typing import Any

from interp.models import provenance
from interp.results import Provenance
from interp.sites import Site
from interp.types import Model
from probes.tasks.task import ProbeTask
from probes.use.answers import Answer


def call_of(verb: str, task: ProbeTask, answer: Answer, where: Site | Sequence[Site], **settings: object) -> str:
    """Write the call as it was made, with its settings."""
    named = str(where) if isinstance(where, Site) else [str(site) for site in where]
    said = [repr(task.what), repr(answer.name), repr(named), *(f"{name}={value!r}" for name, value in settings.items())]
    return f"{verb}({', '.join(said)})"


def provenance_on(model: Model, task: ProbeTask, call: str, *, seed: int) -> Provenance:
    """Say what a result on a task was made from and by what."""
    tokens = [task.batch.tokens, task.batch.mask, task.prompts, task.positions]
    return provenance(model, tokens=tokens, call=call, seed=seed)


def notes_on(task: ProbeTask, answer: Answer, control: str) -> dict[str, Any]:
    """Say what the label and the answer are, how many prompts there are, and what the control is."""
    return {"what": task.what, "answer": answer.name, "n_prompts": len(task.batch), "control": control}
