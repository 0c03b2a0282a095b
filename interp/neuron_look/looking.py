"""What every part of a look at a model's languages needs."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from interp.errors import InputError
from interp.languages import TaggedText
from interp.neuron_look.texts import LanguageTexts
from interp.neurons.next_language import LanguageVocabulary
from interp.types import Model

TESTED_CHARS, MOST_TESTED = 600, 16
"""Characters of each document that edits are measured on, and documents of each language: every edit is run beside
twenty others, so a minute becomes twenty."""


@dataclass(frozen=True)
class Looking:
    """What every part needs."""

    model: Model
    control: Model
    texts: LanguageTexts
    vocabulary: LanguageVocabulary
    progress: Callable[[str], None]
    seed: int

    @property
    def tested(self) -> dict[str, list[str]]:
        """The beginnings of documents that were not searched, evenly spread and equal in place for all languages."""
        half = self.texts.half(1)
        chosen = np.linspace(0, min(map(len, half.values())) - 1, MOST_TESTED).round().astype(int)
        return {
            name: [beginning(rows[place], TESTED_CHARS) for place in np.unique(chosen)] for name, rows in half.items()
        }


def beginning(text: str, n_chars: int) -> str:
    """The first so many characters of a text, cut at a space."""
    if len(text) <= n_chars:
        return text
    cut = text[:n_chars].rsplit(None, 1)[0]
    if not cut:
        raise InputError(f"A document begins with {n_chars} characters of space. Leave it out.")
    return cut


def in_one_language(text: str, language: str) -> TaggedText:
    """The words of a text, all of one language."""
    words = tuple(text.split())
    return TaggedText(words, (language,) * len(words), (True,) * len(words))
