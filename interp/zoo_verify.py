"""Measure a shipped model again and compare with its card: do these weights still do what the card says?"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from interp.errors import ModelError
from interp.models import load_model
from interp.models.zoo import corpus as novels_of
from interp.models.zoo import induction, measure, model_directory, modular, sink, sink_task
from interp.prompts import TokenBatch
from interp.run import forward
from interp.types import Model
from interp.zoo_card import held_out_passages, shipped_figures

ABSOLUTE, RELATIVE = 2e-3, 2e-3
"""Allowed difference: what another processor's rounding may change, and no more."""


@dataclass(frozen=True)
class Check:
    """One figure of the card, and the same measured now."""

    figure: str
    card: float
    measured: float

    @property
    def holds(self) -> bool:
        """Whether the two agree within rounding."""
        return abs(self.measured - self.card) <= ABSOLUTE + RELATIVE * abs(self.card)


def verify(name: str, *, corpus: Path | None = None) -> list[Check]:
    """Measure the figures of a card again.

    Args:
        name: A shipped model, with or without `zoo:`.
        corpus: Directory of novels; with it the figures on held-out novels are measured, too.

    Raises:
        ModelError: no such model, or nothing in its card can be measured again.
    """
    name = name.removeprefix("zoo:")
    card = json.loads((model_directory(name) / "card.json").read_text(encoding="utf-8"))
    family = name.split("-")[0]
    if family not in _MEASURED:
        raise ModelError(f"The card of zoo:{name} cannot be measured again yet. Expected one of {sorted(_MEASURED)}.")
    model = load_model(f"zoo:{name}")
    told = card["figures"] if "figures" in card else {fact["name"]: fact["value"] for fact in card["facts"]}
    measured = _MEASURED[family](model, card)
    checks = [Check(figure, told[figure], value) for figure, value in measured.items() if figure in told]
    if corpus is not None and "languages" in card:
        checks += _held_out(model, card, corpus)
    if not checks:
        raise ModelError(f"No figure in the card of zoo:{name} could be measured again. Write the card anew.")
    return checks


def _held_out(model: Model, card: dict[str, Any], corpus: Path) -> list[Check]:
    novels, checks = novels_of.read_novels(corpus), []
    for language in card["languages"]:
        passages = held_out_passages(novels[language["language"]])
        bits = measure.text_loss(model, passages).bits_per_byte().value
        figure = f"bits per byte, held-out novels, {language['language']}"
        checks.append(Check(figure, language["bits_per_byte"]["value"], bits))
    return checks


def _measure_polyglot(model: Model, card: dict[str, Any]) -> dict[str, float]:
    return shipped_figures(model, load_model(f"random:{card['model']}"))


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
