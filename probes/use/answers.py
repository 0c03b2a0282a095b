"""What a model says about each prompt, as one number: what changes under an erasure where the concept is used."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float

from interp.errors import InputError, ResultError
from interp.metrics import Metric, as_metric, last_logits
from interp.metrics.metric import reading
from interp.prompts import PromptSet, TokenBatch
from interp.run import forward, intervene
from interp.types import Logits, Model, PerPrompt
from probes.tasks.task import ProbeTask
from probes.tasks.wide import wide
from probes.use.labelled import Edits, labelled

PROMPTS_AT_ONCE = 64

Score = Callable[[Logits, Logits, slice], PerPrompt]
"""From the logits of some prompts, the logits of the same prompts with nothing changed, and which prompts they are."""


@dataclass(frozen=True)
class Answer:
    """What a model says about each prompt, in one number."""

    name: str
    unit: str
    sign: str
    """What a larger number means, as a sentence."""
    score: Score = field(repr=False)


def metric_answer(task: ProbeTask, prompts: PromptSet, metric: str | Metric = "logit_diff") -> Answer:
    """Read a metric at the last position of each prompt.

    Args:
        task: Labelled positions in the clean side of the prompts.
        prompts: The same prompts in the same order, with their answers.
        metric: A metric, or its name.

    Raises:
        InputError: prompts that are not those of the task.
        PromptError: the metric needs an answer that the prompts lack.
    """
    chosen = as_metric(metric)
    chosen.require(prompts)
    clean = prompts.batch("clean")
    if not (np.array_equal(clean.tokens, task.batch.tokens) and np.array_equal(clean.mask, task.batch.mask)):
        raise InputError(
            f"The {len(prompts)} clean prompts are not the {len(task.batch)} prompts of the task. "
            'Make the task with prompts.batch("clean"), so that labels and answers belong to the same texts.'
        )

    def score(logits: Logits, plain: Logits, rows: slice) -> PerPrompt:
        part = prompts.take(range(len(prompts))[rows])
        return chosen(reading(logits, part, "clean", last_logits(plain, part, "clean")))

    return Answer(chosen.name, chosen.unit, chosen.sign, score)


def next_token_divergence(task: ProbeTask) -> Answer:
    """Measure how far the next-token distribution is from the one with nothing changed, over the labelled positions."""
    where = labelled(task)

    def score(logits: Logits, plain: Logits, rows: slice) -> PerPrompt:
        before, now = wide(plain).log_softmax(-1), wide(logits).log_softmax(-1)
        divergence = (before.exp() * (before - now)).sum(-1)
        chosen = where[rows].to(divergence.device)
        return torch.where(chosen, divergence, 0).sum(1) / chosen.sum(1)

    unit = "KL divergence of the next token (nats)"
    return Answer("kl", unit, "Larger: further from the model with nothing changed.", score)


def answers(
    model: Model, batch: TokenBatch, answer: Answer, arms: Mapping[str, Edits]
) -> dict[str, Float[np.ndarray, " prompt"]]:
    """Read the answer under each of several sets of edits, and under none (`plain`).

    Args:
        model: A hooked model.
        batch: The prompts.
        answer: What to read.
        arms: Edits by name.

    Raises:
        ResultError: an answer that is NaN or infinite.
        SiteError: a site this model lacks, or whose edit has no effect on this architecture.
    """
    found: dict[str, list[np.ndarray]] = {"plain": [], **{name: [] for name in arms}}
    for rows in slices_of(len(batch)):
        plain = forward(model, batch[rows])
        found["plain"].append(read_answer(answer, plain, plain, rows))
        for name, edits in arms.items():
            plan = edits(rows)
            with intervene(model, plan, times=1) if plan else nullcontext():
                logits = forward(model, batch[rows])
            found[name].append(read_answer(answer, logits, plain, rows))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def slices_of(n: int) -> Iterator[slice]:
    """Cut prompts into parts that run at once."""
    for start in range(0, n, PROMPTS_AT_ONCE):
        yield slice(start, min(start + PROMPTS_AT_ONCE, n))


def read_answer(answer: Answer, logits: Logits, plain: Logits, rows: slice) -> Float[np.ndarray, " row"]:
    """Read the answer off one pass.

    Raises:
        ResultError: an answer that is NaN or infinite.
    """
    values = answer.score(logits, plain, rows).double().cpu().numpy()
    if not np.isfinite(values).all():
        raise ResultError(
            f"The answer {answer.name!r} is NaN or infinite for {int((~np.isfinite(values)).sum())} prompts. "
            "Expected a number for each: give every prompt a labelled position, a dtype such as float32, and where "
            "something is added, smaller alphas."
        )
    return values
