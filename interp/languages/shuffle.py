"""Controls for order: a text's words in another order, or the letters of each word."""

import re
import unicodedata
from dataclasses import replace
from typing import overload

import numpy as np

from interp.languages.tagged import TaggedText


@overload
def shuffle_words(text: str, rng: np.random.Generator) -> str: ...
@overload
def shuffle_words(text: TaggedText, rng: np.random.Generator) -> TaggedText: ...
def shuffle_words(text: str | TaggedText, rng: np.random.Generator) -> str | TaggedText:
    """Put the words of a text in random order: the same words, the whitespace where it was, no syntax.

    A tag stays with its word, so that the switches of a tagged text fall elsewhere, and are more.

    Args:
        text: A text, or one whose words carry tags.
        rng: Decides the order.

    Example:
        >>> sorted(shuffle_words("le chat dort", np.random.default_rng(0)).split())
        ['chat', 'dort', 'le']
    """
    if isinstance(text, TaggedText):
        order = rng.permutation(len(text.words)).tolist()
        words, tags = (tuple(column[place] for place in order) for column in (text.words, text.languages))
        return replace(text, words=words, languages=tags)
    pieces = re.split(r"(\s+)", text)
    places = [place for place, piece in enumerate(pieces) if piece and not piece.isspace()]
    shuffled = list(pieces)
    for place, source in zip(places, rng.permutation(places).tolist(), strict=True):
        shuffled[place] = pieces[source]
    return "".join(shuffled)


@overload
def shuffle_letters(text: str, rng: np.random.Generator) -> str: ...
@overload
def shuffle_letters(text: TaggedText, rng: np.random.Generator) -> TaggedText: ...
def shuffle_letters(text: str | TaggedText, rng: np.random.Generator) -> str | TaggedText:
    """Put the letters of each word in random order: the same letters and script, no words.

    Letters move among the places of letters: digits, punctuation and whitespace stay where they are, and marks stay on
    their letter. As many words as before; a tokenizer cuts them into more tokens.

    Args:
        text: A text, or one whose words carry tags.
        rng: Decides the order.

    Example:
        >>> shuffle_letters("a-b 12!", np.random.default_rng(1))
        'a-b 12!'
    """
    if isinstance(text, TaggedText):
        return replace(text, words=tuple(_shuffled(word, rng) for word in text.words))
    return re.sub(r"\S+", lambda found: _shuffled(found[0], rng), text)


def _shuffled(word: str, rng: np.random.Generator) -> str:
    clusters = _clusters(word)
    places = [place for place, cluster in enumerate(clusters) if unicodedata.category(cluster[0]).startswith("L")]
    letters = [clusters[place] for place in places]
    for place, source in zip(places, rng.permutation(len(letters)).tolist(), strict=True):
        clusters[place] = letters[source]
    return "".join(clusters)


def _clusters(word: str) -> list[str]:
    """Characters with the marks that stand on them."""
    found: list[str] = []
    for char in word:
        if found and unicodedata.category(char).startswith("M"):
            found[-1] += char
        else:
            found.append(char)
    return found
