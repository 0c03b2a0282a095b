"""What a metric is: a function of the logits at each prompt's last position, which says what it needs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.errors import ResultError
from interp.prompts import PromptSet
from interp.prompts.prompt_set import Side
from interp.types import Logits, PerPrompt


@dataclass(frozen=True)
class Reading:
    """What a metric reads."""

    logits: Float[Tensor, "batch d_vocab"]
    """Logits at each prompt's own last position, in float32 or wider."""
    answers: Int[Tensor, " batch"] | None = None
    wrong_answers: Int[Tensor, " batch"] | None = None
    reference: Float[Tensor, "batch d_vocab"] | None = None
    """The same row of the clean run, for metrics that compare distributions."""


@dataclass(frozen=True)
class Metric:
    """A named function of a `Reading`, with its unit and what it needs.

    Raises:
        ResultError: on calling, when the function returns the wrong shape, NaN or infinity.
        PromptError: from `require`, when the prompts lack an answer it needs.
    """

    name: str
    unit: str
    sign: str
    """What a larger number means, as a sentence."""
    score: Callable[[Reading], PerPrompt]
    needs: tuple[str, ...] = ()
    """Which of `answer`, `wrong_answer` each prompt must have."""
    needs_reference: bool = False
    reads: Literal["all", "answers"] = "all"
    """`answers` where no logit but those of the answer and the wrong answer matters: the rest need not be computed."""

    def require(self, prompts: PromptSet) -> None:
        """Refuse prompts that lack what the metric needs."""
        prompts.require_answers(self.name, *self.needs)

    def __call__(self, reading: Reading) -> PerPrompt:
        values = self.score(reading)
        if values.shape != reading.logits.shape[:1]:
            raise ResultError(
                f"Metric {self.name!r} returned shape {tuple(values.shape)}. "
                f"Expected one number per prompt: {tuple(reading.logits.shape[:1])}."
            )
        if not torch.isfinite(values).all():
            raise ResultError(
                f"Metric {self.name!r} is NaN or infinite for {int((~torch.isfinite(values)).sum())} of {len(values)} "
                "prompts. Look for overflow: try dtype float32."
            )
        return values


def last_logits(logits: Logits, prompts: PromptSet, side: Side) -> Float[Tensor, "batch d_vocab"]:
    """Logits at each prompt's own last position, widened to at least float32."""
    last = torch.from_numpy(prompts.batch(side).lengths - 1).to(logits.device)
    rows = logits[torch.arange(len(last), device=logits.device), last]
    return rows if rows.dtype == torch.float64 else rows.float()


def reading(
    logits: Logits, prompts: PromptSet, side: Side, reference: Float[Tensor, "batch d_vocab"] | None = None
) -> Reading:
    """Collect what a metric may read from one forward pass over `side` of the prompts."""
    answers, wrong = (prompts.answers(name) for name in ("answer", "wrong_answer"))
    return Reading(
        logits=last_logits(logits, prompts, side),
        answers=None if answers is None else torch.from_numpy(answers).to(logits.device),
        wrong_answers=None if wrong is None else torch.from_numpy(wrong).to(logits.device),
        reference=reference,
    )
