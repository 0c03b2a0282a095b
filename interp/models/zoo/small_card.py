"""The cards of the small zoo models: `card.json` with what was measured, and `README.md` made from it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interp.files import write_atomically


@dataclass(frozen=True)
class Fact:
    """One measured number, beside what it is compared with."""

    name: str
    """What was measured, with its unit."""
    value: float
    control: float
    compared_with: str
    """What the control is."""
    n: int
    """How many cases were measured."""


@dataclass(frozen=True)
class SmallCard:
    """What a small model is and what was measured on it."""

    model: str
    about: str
    """One paragraph: task, architecture, what it is for."""
    limits: str
    """What it cannot do or be used for."""
    recipe: Mapping[str, Any]
    facts: Sequence[Fact]
    command: str
    """The command that trains it and measures the numbers."""
    origins: str
    """Where task and recipe come from."""


def write_small_card(card: SmallCard, out: Path) -> None:
    """Write `card.json` and `README.md` into a model's directory."""
    told = {**vars(card), "facts": [vars(fact) for fact in card.facts]}
    text = json.dumps(told, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    write_atomically(out / "card.json", lambda part: part.write_text(text, encoding="utf-8"))
    write_atomically(out / "README.md", lambda part: part.write_text(render_small_card(card), encoding="utf-8"))


def render_small_card(card: SmallCard) -> str:
    """Write the card as Markdown; every number in its tables comes from the measurements."""
    rows = [
        f"| {fact.name} | {fact.value:.4g} | {fact.control:.4g} ({fact.compared_with}) | {fact.n} |"
        for fact in card.facts
    ]
    recipe = ", ".join(f"{name} {value}" for name, value in card.recipe.items())
    parts = [
        f"---\nlicense: mit\ntags:\n- interpretability\n- toy-model\n---\n\n# {card.model}",
        card.about,
        "## Measured",
        "\n".join(["| what | value | control | cases |", "|---|---|---|---|", *rows]),
        f"The numbers are in `card.json` too. They and the weights were made by\n\n    {card.command}",
        f"Recipe: {recipe}.",
        f"## Limits\n\n{card.limits}",
        f"## Sources\n\n{card.origins}",
    ]
    return "\n\n".join(parts) + "\n"
