"""Full hooked forward passes with some activations edited: the slow way on any architecture, and the engine's check."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import ModelError
from interp.metrics import Metric, last_logits
from interp.metrics.metric import reading
from interp.models import facts
from interp.patching.check import COARSE, TOLERANCE
from interp.prompts import PromptSet
from interp.prompts.prompt_set import Side
from interp.run import Intervention, forward, intervene
from interp.sites import Site
from interp.types import Model

_passed: WeakKeyDictionary[Model, set[tuple[str, ...]]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Edited:
    """Runs of one side of some prompts, each with its own edits."""

    model: Model
    prompts: PromptSet
    side: Side
    metric: Metric

    def score(self, plan: Mapping[Site, Intervention]) -> Float[np.ndarray, " prompt"]:
        """The metric of each prompt with these edits; of the plain run where there are none."""
        batch = self.prompts.batch(self.side)
        if plan:
            with intervene(self.model, plan, times=1):
                logits = forward(self.model, batch)
        else:
            logits = forward(self.model, batch)
        return self.metric(reading(logits, self.prompts, self.side, self._reference)).double().cpu().numpy()

    @cached_property
    def _reference(self) -> Float[Tensor, "prompt d_vocab"] | None:
        if not self.metric.needs_reference:
            return None
        return last_logits(forward(self.model, self.prompts.batch("clean")), self.prompts, "clean")


def check_once(
    model: Model,
    key: tuple[str, ...],
    compare: Callable[[], list[tuple[str, Float[np.ndarray, " prompt"], Float[np.ndarray, " prompt"]]]],
) -> None:
    """Compare a few of the engine's numbers with those of hooked runs, once per model, weights and key.

    Args:
        model: The model.
        key: What is checked.
        compare: Gives a name, the engine's numbers and the hooked numbers of each compared cell.

    Raises:
        ModelError: a cell differs; the engine does not know this model, and answers nothing.
    """
    key = (*key, facts(model).fingerprint)
    if key in _passed.setdefault(model, set()):
        return
    allowed = TOLERANCE.get(next(model.parameters()).dtype, COARSE)
    for name, ours, theirs in compare():
        away = np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs))
        if not (away <= allowed).all():
            worst = int(np.nanargmax(np.where(np.isnan(away), np.inf, away)))
            raise ModelError(
                f"The exact engine disagrees with a full hooked forward pass at {name}: {ours[worst]:.6g} against "
                f"{theirs[worst]:.6g}. Do not use it for this model, and please report its architecture and "
                "configuration."
            )
    _passed[model].add(key)


def on_device(mask: np.ndarray, like: Tensor) -> Tensor:
    """A mask of numpy's as a tensor beside another."""
    return torch.from_numpy(mask).to(like.device)
