"""Measure a shipped model again and compare with its card: do these weights still do what the card says?"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from interp.errors import ModelError
from interp.models import load_model
from interp.models.zoo import corpus as corpora
from interp.models.zoo import induction, measure, model_directory, modular, sink, sink_task
from interp.prompts import TokenBatch
from interp.run import forward
from interp.types import Model
from interp.zoo_figures import (
    held_out_passages,
    loss_figures,
    shipped_figures,
    speak_held_out,
    speak_shipped,
    text_bits,
)

ABSOLUTE, RELATIVE = 2e-3, 2e-3
"""Allowed difference: what another processor's rounding may change, and no more."""
STANDARD_ERRORS = 3.0
"""Allowed difference of a share of samples: rounding can tip a sample, and then everything that is sampled after it."""


@dataclass(frozen=True)
class Check:
    """One figure of the card, and the same measured now."""

    figure: str
    card: float
    measured: float
    n_sampled: int | None = None
    """Samples behind the figure, where it is a share of samples."""

    @property
    def holds(self) -> bool:
        """Whether the two agree within what rounding may change."""
        return abs(self.measured - self.card) <= self.allowed

    @property
    def allowed(self) -> float:
        """The allowed difference: rounding's, or three binomial standard errors of a share of samples.

        The standard error is that of the share with two more samples on either side, so that it is not 0 at 0 and 1.
        """
        if self.n_sampled is None:
            return ABSOLUTE + RELATIVE * abs(self.card)
        share = (self.card * self.n_sampled + 2) / (self.n_sampled + 4)
        return STANDARD_ERRORS * math.sqrt(share * (1 - share) / (self.n_sampled + 4))


def verify(name: str, *, corpus: Path | None = None) -> list[Check]:
    """Measure the figures of a card again.

    Args:
        name: A shipped model, with or without `zoo:`.
        corpus: Directory of texts; with it the figures on held-out text are measured, too.

    Raises:
        ModelError: no such model, or nothing in its card can be measured again.
    """
    name = name.removeprefix("zoo:")
    card = json.loads((model_directory(name) / "card.json").read_text(encoding="utf-8"))
    family = name.split("-")[0]
    if family not in _MEASURED:
        raise ModelError(f"The card of zoo:{name} cannot be measured again yet. Expected one of {sorted(_MEASURED)}.")
    if corpus is not None and not card.get("held_out_figures"):
        raise ModelError(f"The card of zoo:{name} says nothing of held-out text. Leave out the corpus.")
    model = load_model(f"zoo:{name}")
    told = card["figures"] if "figures" in card else {fact["name"]: fact["value"] for fact in card["facts"]}
    checks = _compare(told, _MEASURED[family](model, card), card.get("n_sampled", {}))
    if corpus is not None:
        measured = _measure_held_out(model, card, corpus)
        checks += _compare(card["held_out_figures"], measured, card["n_sampled_held_out"])
    if not checks:
        raise ModelError(f"No figure in the card of zoo:{name} could be measured again. Write the card anew.")
    return checks


def _compare(told: dict[str, float], measured: dict[str, float], n_sampled: dict[str, int]) -> list[Check]:
    return [
        Check(figure, told[figure], value, n_sampled.get(figure))
        for figure, value in measured.items()
        if figure in told
    ]


def _measure_held_out(model: Model, card: dict[str, Any], corpus: Path) -> dict[str, float]:
    novels, aligned = corpora.read_novels(corpus), corpora.read_aligned(corpus)
    losses = {language: text_bits(model, held_out_passages(split)) for language, split in novels.items()}
    spoken = speak_held_out(model, load_model(f"random:{card['model']}"), (novels, aligned))
    return (loss_figures(losses, "held-out novels") | spoken.figures).values


def _measure_polyglot(model: Model, card: dict[str, Any]) -> dict[str, float]:
    control = load_model(f"random:{card['model']}")
    return shipped_figures(model, control, speak_shipped(model, control)).values


def _measure_modular(model: Model, card: dict[str, Any]) -> dict[str, float]:
    recipe = modular.Recipe(**card["recipe"])
    found = {}
    for split, pairs in zip(("trained", "held-out"), modular.split_pairs(recipe), strict=True):
        tokens = modular.prompts(pairs, recipe).numpy()
        logits = forward(model, TokenBatch(tokens, np.ones(tokens.shape, bool)))[:, -1, : recipe.prime]
        score = modular.score(logits, pairs)
        found |= {f"accuracy, {split} pairs": score.accuracy, f"loss in nats, {split} pairs": score.loss_nats}
    return found


def _measure_induction(model: Model, _: dict[str, Any]) -> dict[str, float]:
    losses = measure.repeated_random_loss(model, period=32)
    heads = {
        f"attention of the best {name.replace('_', '-')} head, {head}": weight
        for name, (head, weight) in induction.head_weights(model, period=32).items()
    }
    return heads | {
        "loss of random words, nats per token": losses.first.value,
        "loss of the same words again, nats per token": losses.second.value,
    }


def _measure_sink(_: Model, card: dict[str, Any]) -> dict[str, float]:
    # The plain module: the hooked model takes words, which stand for only 128 of the contents.
    arm, seed = card["recipe"]["arm"], int(card["recipe"]["seed"])
    found = sink_task.measure(sink.load_arm(arm, seed), seed=seed)
    return {
        f"{arm}, seed {seed}: mean attention to BOS at other queries": found.bos_attention_other,
        f"{arm}, seed {seed}: squared error at triggers": found.mse_trigger,
        f"{arm}, seed {seed}: squared error elsewhere": found.mse_other,
    }


_MEASURED: dict[str, Callable[[Model, dict[str, Any]], dict[str, float]]] = {
    "polyglot": _measure_polyglot,
    "modular": _measure_modular,
    "induction": _measure_induction,
    "sink": _measure_sink,
}
