"""The engine checks itself: before it answers for a model and kind of site, a few cells are run by hooks, too."""

from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np
import torch

from interp.errors import ModelError
from interp.models import facts
from interp.models.decoder import Decoder
from interp.patching.cells import Columns
from interp.patching.exact import ExactSweep
from interp.patching.hooked import HookedSweep
from interp.patching.plan import SweepPlan
from interp.prompts import PromptSet
from interp.types import Model

N_CHECKED = 3
"""Cells compared."""
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}
"""Largest difference allowed, as a share of the metric's size where that is above 1; coarser dtypes get 0.05."""
COARSE = 0.05
_passed: WeakKeyDictionary[Model, set[tuple[str, str, str]]] = WeakKeyDictionary()


def check_engine(model: Model, decoder: Decoder, prompts: PromptSet, plan: SweepPlan) -> None:
    """Compare random cells of a sweep with full hooked forward passes, once per model, weights and kind of site.

    Raises:
        ModelError: a cell differs; the engine does not know this model, and answers nothing.
    """
    key = (plan.kind, plan.by, facts(model).fingerprint)
    if key in _passed.setdefault(model, set()):
        return
    rng = np.random.default_rng(plan.seed)
    columns, subset = plan.columns, _a_few_prompts(plan, rng)
    some = prompts.take(subset)
    for _ in range(N_CHECKED):
        cells = np.flatnonzero(columns.ran[subset].all(0))
        column, layer = int(rng.choice(cells)), int(rng.choice(plan.layers))
        one = replace(plan, columns=_only(columns, subset, column), layers=(layer,))
        ours = ExactSweep(model, decoder, some, one).numbers(placebo=False).patched[:, 0, 0]
        theirs = HookedSweep(model, some, one).numbers(placebo=False).patched[:, 0, 0]
        away = np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs))
        if not (away <= TOLERANCE.get(next(model.parameters()).dtype, COARSE)).all():
            worst = int(np.nanargmax(np.where(np.isnan(away), np.inf, away)))
            raise ModelError(
                f"The exact engine disagrees with a full hooked forward pass at {plan.kind} of layer {layer}, column "
                f"{column}: {ours[worst]:.6g} against {theirs[worst]:.6g}. Use engine='hooks' for this model, and "
                "please report its architecture and configuration."
            )
    _passed[model].add(key)


def _a_few_prompts(plan: SweepPlan, rng: np.random.Generator) -> list[int]:
    """At most two prompts that share a column."""
    ran = plan.columns.ran
    column = int(rng.choice(np.flatnonzero(ran.any(0))))
    return np.flatnonzero(ran[:, column])[:2].tolist()


def _only(columns: Columns, prompts: list[int], column: int) -> Columns:
    """One column of a few prompts."""
    heads = (columns.heads[column],) if columns.heads else ()
    return replace(
        columns,
        by="head" if heads else columns.by,
        labels=["checked"],
        places=[[columns.places[prompt][column]] for prompt in prompts],
        heads=heads,
    )
