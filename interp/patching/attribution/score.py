"""A metric as a function of the last position's residual stream, with a gradient."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.errors import InputError
from interp.metrics import Metric
from interp.metrics.metric import Reading
from interp.models.decoder import Decoder
from interp.prompts import PromptSet
from interp.types import PerPrompt


@dataclass(frozen=True)
class PromptScore:
    """The metric of each of some prompts."""

    decoder: Decoder
    metric: Metric
    prompts: PromptSet
    clean: Float[Tensor, "batch d_model"] | None = None
    """The clean run's last row after the last block, for metrics that compare with it."""

    def __call__(self, rows: Float[Tensor, "batch d_model"]) -> PerPrompt:
        """Score last rows after the last block.

        Raises:
            InputError: the metric has no gradient, and one is wanted.
        """
        logits = self._logits(rows)
        reference = None if self.clean is None else self._logits(self.clean).detach()
        answers, wrong = (self._ids(ids, rows.device) for ids in self._answers)
        values = self.metric(Reading(logits, answers, wrong, reference)).double()
        if torch.is_grad_enabled() and not values.requires_grad:
            raise InputError(
                f"Metric {self.metric.name!r} has no gradient (it counts or compares), so its sweep cannot be "
                "estimated. Use a smooth one, such as 'logit_diff' or 'log_prob', or method='exact'."
            )
        return values

    def _logits(self, rows: Tensor) -> Float[Tensor, "batch d_vocab"]:
        logits = self.decoder.logits(rows)
        return logits if logits.dtype == torch.float64 else logits.float()

    @property
    def _answers(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        return self.prompts.answers("answer"), self.prompts.answers("wrong_answer")

    @staticmethod
    def _ids(ids: np.ndarray | None, device: torch.device) -> Int[Tensor, " batch"] | None:
        return None if ids is None else torch.from_numpy(ids).to(device)
