"""The metrics the field uses, by name, and any callable as a metric."""

from collections.abc import Callable
from typing import cast

from torch import Tensor

from interp.errors import InputError
from interp.metrics.metric import Metric, Reading
from interp.types import PerPrompt


def _take(values: Tensor, ids: Tensor | None) -> PerPrompt:
    return values.gather(1, cast(Tensor, ids)[:, None])[:, 0]


def _logit_diff(reading: Reading) -> PerPrompt:
    return _take(reading.logits, reading.answers) - _take(reading.logits, reading.wrong_answers)


def _log_prob(reading: Reading) -> PerPrompt:
    return _take(reading.logits.log_softmax(-1), reading.answers)


def _prob(reading: Reading) -> PerPrompt:
    return _take(reading.logits.softmax(-1), reading.answers)


def _rank(reading: Reading) -> PerPrompt:
    answer = _take(reading.logits, reading.answers)
    return (reading.logits > answer[:, None]).sum(-1).to(reading.logits.dtype)


def _accuracy(reading: Reading) -> PerPrompt:
    return (reading.logits.argmax(-1) == cast(Tensor, reading.answers)).to(reading.logits.dtype)


def _kl(reading: Reading) -> PerPrompt:
    clean = cast(Tensor, reading.reference).log_softmax(-1)
    return (clean.exp() * (clean - reading.logits.log_softmax(-1))).sum(-1)


_BUILT_IN = [
    Metric(
        "logit_diff",
        "logit difference (nats)",
        "Positive: the answer is preferred to the wrong answer.",
        _logit_diff,
        needs=("answer", "wrong_answer"),
        reads="answers",
    ),
    Metric("log_prob", "log-probability (nats)", "Larger: the answer is more probable.", _log_prob, needs=("answer",)),
    Metric("prob", "probability", "Larger: the answer is more probable.", _prob, needs=("answer",)),
    Metric("rank", "rank (0 = first)", "Larger: more tokens are preferred to the answer.", _rank, needs=("answer",)),
    Metric(
        "accuracy", "share of prompts", "1 where the answer is the most probable token.", _accuracy, needs=("answer",)
    ),
    Metric(
        "kl",
        "KL divergence from the clean run (nats)",
        "Larger: further from the clean run's distribution.",
        _kl,
        needs_reference=True,
    ),
]
METRICS = {metric.name: metric for metric in _BUILT_IN}
"""Metrics by name."""


def as_metric(metric: str | Metric | Callable[[Reading], PerPrompt]) -> Metric:
    """Turn a name or any callable into a `Metric`.

    Args:
        metric: One of `METRICS`, a `Metric`, or a function of a `Reading` that returns one number per prompt.

    Raises:
        InputError: an unknown name.
    """
    if isinstance(metric, Metric):
        return metric
    if isinstance(metric, str):
        if metric not in METRICS:
            raise InputError(f"No metric {metric!r}. Expected one of {list(METRICS)}, or a function of a Reading.")
        return METRICS[metric]
    name = getattr(metric, "__name__", type(metric).__name__)
    return Metric(name, name, f"Larger: {name} is larger.", metric)
