"""The model card: `README.md` for people and `card.json` for programs, both made from one set of measurements."""

import json
import math
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import jinja2

from interp.errors import InputError, ModelError
from interp.files import write_atomically
from interp.models.zoo.measure import Estimate, RepeatLoss
from interp.models.zoo.train import TRAINING

TEMPLATE = Path(__file__).parent / "text" / "card.md.jinja"
LANGUAGE_NAMES = {"en": "English", "fr": "French", "de": "German", "es": "Spanish"}


@dataclass(frozen=True)
class LanguageScore:
    """Bits per byte on held-out text of one language, beside what needs no training on sequences."""

    language: str
    bits_per_byte: Estimate
    random_weights: float
    """Of the same architecture with random weights."""
    byte_unigram: float
    """Of a code that knows only how often each byte occurs in the training novels."""
    kneser_ney: float
    """Of an interpolated Kneser-Ney 5-gram over the same tokens, counted on the training novels of all languages."""
    n_train: int
    """Novels trained on."""
    train_chars: int
    held_out: tuple[str, ...]
    """How each held-out novel begins, to tell which it is."""
    held_out_bytes: int
    """Bytes measured on."""


@dataclass(frozen=True)
class HeadScore:
    """The best head of one detector."""

    detector: str
    head: str
    """Such as `L2H3`."""
    score: float
    low: float
    high: float
    threshold: float
    """Largest score of any head of any random-weights model."""
    p_corrected: float


@dataclass(frozen=True)
class Agreement:
    """Subject-verb agreement: how much rather the model writes the verb of the clean prompt."""

    n_pairs: int
    clean: Estimate
    """Logit difference on the clean prompts; positive is right."""
    corrupted: Estimate
    """The same difference on the corrupted prompts; negative is right."""
    right: float
    """Share of pairs right on both sides."""
    random_weights: float
    """The same share for random weights."""
    example: dict[str, str]


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
    agreement: Agreement
    command: str
    """The command that made the numbers."""
    figures: dict[str, float] = field(default_factory=dict)
    """Numbers that the shipped text is enough to measure again."""
    versions: dict[str, str] = field(default_factory=dict)
    made: str = ""


def render_card(card: Card) -> str:
    """Write the card as Markdown with Hugging Face front matter; every number in it comes from `card`."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters["interval"] = _interval
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    weak = [found for found in card.heads if found.score <= found.threshold]
    strong = [found for found in card.heads if found not in weak]
    even = math.log(card.facts["d_vocab"])
    return template.render(card=card, names=LANGUAGE_NAMES, weak=weak, strong=strong, even=even)


def write_card_files(card: Card, out: Path) -> list[Path]:
    """Write `README.md` and `card.json` into a directory.

    Raises:
        InputError: there is no such directory, or it is not writable.
    """
    check_out(out)
    contents = {
        "README.md": render_card(card),
        "card.json": json.dumps(asdict(card), indent=1, ensure_ascii=False, allow_nan=False) + "\n",
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
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path} cannot be read: {error}. Expected what the training writes beside the weights: run its command "
            "again with the same --state (a finished run takes no more steps) and copy the whole model directory."
        ) from error


def _interval(found: Estimate) -> str:
    # Adding 0.0 turns the minus zero of rounding into zero.
    value, low, high = (round(number, 2) + 0.0 for number in (found.value, found.low, found.high))
    return f"{value:.2f} ({low:.2f} to {high:.2f})"
