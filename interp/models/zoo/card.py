"""The model card: `README.md` for people and `card.json` for programs, both made from one set of measurements."""

import json
import math
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from interp.errors import InputError, ModelError
from interp.files import write_atomically
from interp.models.zoo.emergence import Emergence, chosen_rows
from interp.models.zoo.measure import Estimate, RepeatLoss, share
from interp.models.zoo.scores import Agreement, Fidelity, HeadScore, LanguageScore, Sinks, SwitchFollowing
from interp.models.zoo.state import TRAINING

TEMPLATE = Path(__file__).parent / "text" / "card.md.jinja"
LANGUAGE_NAMES = {"en": "English", "fr": "French", "de": "German", "es": "Spanish"}
KINDS = {
    "natural": "running text of one language",
    "repeated_passage": "a passage said again and again",
    "repeated_random": "random tokens said again and again, with the loss on the repetitions only",
    "language_change": "novels that change language between sentences",
    "clause_change": "novels that change language inside a sentence, at a comma or the like, without keeping the sense",
    "switched": "aligned sentences that change language inside and keep the sense",
}
"""The kinds of training sequence, in words."""
EMERGENCE_ROWS = 8
"""Snapshots in the card's table."""
SHOWN = (
    "bits per byte, held-out novels, en",
    "bits per byte, held-out novels, fr",
    "bits per byte, held-out novels, de",
    "bits per byte, held-out novels, es",
    "previous token",
    "induction",
    "random tokens said again",
    "heads on the first token",
    "following a switch",
    "same language",
)
"""Measures in it."""


@dataclass(frozen=True)
class Card:
    """Everything the model card says in numbers."""

    model: str
    facts: dict[str, Any]
    """What `interp.models.facts` says of the model."""
    size_mb: float
    """Of the weights file, in megabytes of 10^6 bytes."""
    training: dict[str, Any]
    """What the training wrote beside the weights."""
    languages: list[LanguageScore]
    repeated: RepeatLoss
    repeated_random_weights: RepeatLoss
    heads: list[HeadScore]
    n_controls: int
    settings: dict[str, int | float]
    """How the language and sink measurements were made: lengths and thresholds, by name."""
    aligned_train: int
    """Aligned sentences trained on, in each language; 0 where the training read none."""
    aligned_held_out: int
    sinks: list[Sinks]
    agreement: list[Agreement]
    fidelity: list[Fidelity]
    """On held-out text."""
    switching: list[SwitchFollowing]
    """On held-out aligned sentences."""
    command: str
    """The command that made the numbers."""
    figures: dict[str, float] = field(default_factory=dict)
    """Numbers that the shipped text is enough to measure again."""
    n_sampled: dict[str, int] = field(default_factory=dict)
    """Samples behind those of `figures` that are shares of samples: rounding can tip a sample."""
    held_out_figures: dict[str, float] = field(default_factory=dict)
    """Numbers that need the corpus to be measured again."""
    n_sampled_held_out: dict[str, int] = field(default_factory=dict)
    emergence: Emergence | None = None
    versions: dict[str, str] = field(default_factory=dict)
    made: str = ""


def render_card(card: Card) -> str:
    """Write the card as Markdown with Hugging Face front matter; every number in it comes from `card`."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {"interval": _interval, "percent": _percent, "hyphens": _hyphens, "two": _two}
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    weak = [found for found in card.heads if found.score <= found.threshold]
    return template.render(
        card=card,
        names=LANGUAGE_NAMES,
        kinds=KINDS,
        weak=weak,
        strong=[found for found in card.heads if found not in weak],
        even=math.log(card.facts["d_vocab"]),
        words=card.settings,
        together=_together(card.fidelity),
        failing=[LANGUAGE_NAMES[one.language] for one in card.agreement if one.right.low <= one.random_weights.value],
        shown=[name for name in SHOWN if card.emergence and name in card.emergence.measures],
        rows=chosen_rows(card.emergence, EMERGENCE_ROWS) if card.emergence else [],
    )


def write_card_files(card: Card, out: Path) -> list[Path]:
    """Write `README.md` and `card.json` into a directory.

    Raises:
        InputError: there is no such directory, or it is not writable.
    """
    check_out(out)
    told = asdict(card)
    # It has a file of its own.
    del told["emergence"]
    contents = {
        "README.md": render_card(card),
        "card.json": json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
    }
    return [
        write_atomically(out / name, lambda part, text=text: part.write_text(text, encoding="utf-8"))
        for name, text in contents.items()
    ]


def check_out(out: Path) -> Path:
    """Refuse a directory that the card cannot be written into, before anything is measured.

    Raises:
        InputError: there is no such directory, or it is not writable.
    """
    if not out.is_dir() or not os.access(out, os.W_OK):
        raise InputError(
            f"{out} is not a directory that can be written into. Expected a model's directory, or a new one."
        )
    return out


def read_training(directory: Path) -> dict[str, Any]:
    """Read how a shipped model was trained, as the training wrote it beside the weights.

    Raises:
        ModelError: the file is missing or damaged.
    """
    path = directory / TRAINING
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return _with_mixture(told)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path} cannot be read: {error}. Expected what the training writes beside the weights: run its command "
            "again with the same --state (a finished run takes no more steps) and copy the whole model directory."
        ) from error


def _with_mixture(told: dict[str, Any]) -> dict[str, Any]:
    """Put the mixture into the recipe, beside which older trainings wrote it."""
    mixture = told["recipe"].get("mixture") or told["mixture"]
    kept = {name: value for name, value in told.items() if name != "mixture"}
    return kept | {"recipe": told["recipe"] | {"mixture": mixture}}


def _together(fidelity: list[Fidelity]) -> Estimate:
    asked = sum(one.same.n for one in fidelity)
    same = round(sum(one.same.value * one.same.n for one in fidelity))
    return share(np.arange(asked) < same)


def _interval(found: Estimate) -> str:
    return f"{_two(found.value)} ({_two(found.low)} to {_two(found.high)})"


def _two(number: float) -> str:
    # Adding 0.0 turns the minus zero of rounding into zero.
    return f"{round(number, 2) + 0.0:.2f}"


def _percent(found: Estimate | float, *, interval: bool = True) -> str:
    if not isinstance(found, Estimate):
        return f"{100 * found:.0f} %"
    value, low, high = (f"{100 * number:.0f}" for number in (found.value, found.low, found.high))
    return f"{value} % ({low} to {high})" if interval else f"{value} %"


def _hyphens(name: str) -> str:
    return name.replace("_", "-")
