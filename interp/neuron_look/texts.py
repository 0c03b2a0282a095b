"""What a look at a model's languages reads: documents by language in two halves, and sentences that switch."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np

from interp.errors import InputError
from interp.languages import TaggedText
from interp.models import encode, facts
from interp.models.zoo import texts
from interp.models.zoo.switching import PHRASE_OPENERS
from interp.types import Model

N_DOCUMENTS = 32
"""Blocks that a text is cut into: the units of shuffles, halves and intervals."""
MOST_CHARS = 4000
"""Characters of each block that are read: a few rows of tokens."""
FEWEST_DOCUMENTS = 8
"""Four of each half: what splitting and testing need."""
_SENTENCE = re.compile(r"(?<=[.!?…。！？])\s+")
MOST_TAGGED = 1500
"""Tagged texts that are read, evenly spread."""


@dataclass(frozen=True)
class LanguageTexts:
    """Documents by language; every other one is kept from the search, for testing what it found.

    Raises:
        InputError: fewer than two languages, or a language of fewer than eight documents.
    """

    documents: Mapping[str, tuple[str, ...]]
    aligned: bool = False
    """Whether equal places mean the same in every language."""
    tagged: tuple[TaggedText, ...] = field(default=(), repr=False)
    """Texts that switch, and texts that do not, with the language of every word."""

    def __post_init__(self) -> None:
        if len(self.documents) < 2:
            raise InputError(
                f"{list(self.documents)} leaves nothing to compare. Expected text in two languages or more."
            )
        for name, found in self.documents.items():
            if len(found) < FEWEST_DOCUMENTS:
                raise InputError(
                    f"The text in {name!r} has {len(found)} lines or sentences. Expected {FEWEST_DOCUMENTS} or more: "
                    "half of them are searched, the others test what was found."
                )

    @property
    def languages(self) -> tuple[str, ...]:
        """In the order given."""
        return tuple(self.documents)

    def half(self, which: int, *, most: int | None = None) -> dict[str, list[str]]:
        """Every other document: 0 for the search, 1 for testing; the first so many of each language."""
        return {name: list(found[which::2])[:most] for name, found in self.documents.items()}

    @property
    def can_be_switched(self) -> bool:
        """Whether switches can be built from the sentences."""
        return self.aligned and set(self.languages) <= set(PHRASE_OPENERS)


def cut_documents(text: str, *, n: int = N_DOCUMENTS) -> tuple[str, ...]:
    """Cut a text into blocks of whole lines, or of whole sentences where it has too few lines, all about as long.

    Args:
        text: A text in one language.
        n: Blocks; fewer where there are fewer sentences.
    """
    units = [line.strip() for line in text.splitlines() if line.strip()]
    if len(units) < n:
        units = [unit for line in units for unit in _SENTENCE.split(line) if unit.strip()]
    if len(units) <= n:
        return tuple(_shortened(unit) for unit in units)
    lengths = np.array([len(unit) for unit in units], np.int64)
    middle = np.cumsum(lengths) - lengths / 2
    block = (middle * n / lengths.sum()).astype(int)
    blocks = (
        "\n".join(unit for _, unit in group) for _, group in groupby(zip(block.tolist(), units, strict=True), _first)
    )
    return tuple(_shortened(written) for written in blocks)


def aligned_documents(corpora: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Take each line for a document; lines that are empty in one language are left out in all.

    Raises:
        InputError: texts of unequal numbers of lines.
    """
    lines = {name: text.removesuffix("\n").split("\n") for name, text in corpora.items()}
    counts = {name: len(rows) for name, rows in lines.items()}
    if len(set(counts.values())) > 1:
        raise InputError(f"The texts have {counts} lines. Expected as many in each, equal lines meaning the same.")
    kept = [row for row in zip(*lines.values(), strict=True) if all(part.strip() for part in row)]
    columns = zip(*kept, strict=True) if kept else [()] * len(lines)
    return {name: tuple(part.strip() for part in column) for name, column in zip(lines, columns, strict=True)}


def shipped_texts() -> LanguageTexts:
    """The shipped sentences, which are aligned."""
    sentences = texts.read_sentences()
    return LanguageTexts({name: tuple(rows) for name, rows in sentences.items()}, aligned=True)


def fitting(model: Model, tagged: Sequence[TaggedText], languages: Sequence[str]) -> list[TaggedText]:
    """Tagged texts that fit the model's context, their tags written as the corpora's languages where they only differ
    in case; evenly spread where there are many.

    Args:
        model: A hooked model with a tokenizer.
        tagged: A tagged corpus.
        languages: Names of the corpora's languages.

    Raises:
        InputError: none of the corpora's languages is among the tags.
    """
    known = {name.lower(): name for name in languages}
    tags = {tag for text in tagged for tag in text.languages}
    if not any(tag.lower() in known for tag in tags):
        raise InputError(
            f"The tagged texts have the tags {sorted(tags)[:12]}, and the corpora {list(languages)}. Expected the same "
            "names, as --corpus en=FILE for the tag EN."
        )
    n_ctx = facts(model).n_ctx
    kept = [_renamed(text, known) for text in tagged]
    kept = [text for text in kept if len(encode(model, text.text)) <= n_ctx]
    chosen = np.unique(np.linspace(0, len(kept) - 1, min(MOST_TAGGED, len(kept))).round().astype(int)) if kept else []
    return [kept[place] for place in chosen]


def _renamed(text: TaggedText, known: Mapping[str, str]) -> TaggedText:
    tags = tuple(known.get(tag.lower(), tag) for tag in text.languages)
    return TaggedText(text.words, tags, text.spaced, text.name)


def _first(pair: tuple[int, str]) -> int:
    return pair[0]


def _shortened(text: str) -> str:
    """The beginning, up to a space where there is one."""
    return text if len(text) <= MOST_CHARS else text[:MOST_CHARS].rsplit(None, 1)[0]
