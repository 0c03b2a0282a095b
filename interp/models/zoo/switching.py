"""Sentences that change language inside, cut from line-aligned sentences where a phrase may begin. No torch.

A switch takes the beginning of a sentence in one language and goes on with the end of its translation, cut at the
phrase beginning that lies nearest in the sentence. That is the free alternation of bilingual text (Poplack 1980: a
switch falls where neither language's order is broken), made without a parser: now and then a phrase is said twice or
missed.
"""

from dataclasses import dataclass
from itertools import permutations

import numpy as np

PHRASE_OPENERS = {
    "en": "and or but that which who when where while because if with for from in on at to by as of after before about",
    "fr": "et ou mais que qui quand où parce si avec pour dans sur à par comme de après avant sans chez",
    "de": "und oder aber daß dass wenn weil wo mit für von in an auf zu durch als nach vor bei ohne um",
    "es": "y o pero que quien cuando donde porque si con para por en a de como tras antes sin desde",
}
"""Words that a phrase begins with, as a rule."""
FARTHEST = 0.12
"""Largest difference between the relative places of the two cuts."""
RETURNS = 0.2
"""Share of switches after which the sentence comes back to its first language."""
SHORTEST = 2
"""Words of each language, at least."""


@dataclass(frozen=True)
class Switched:
    """A sentence in pieces, each of one language; the pieces joined by spaces are the text."""

    pieces: tuple[tuple[str, str], ...]
    """Language and text of each piece, in order."""

    @property
    def text(self) -> str:
        """The sentence as it is written."""
        return " ".join(text for _, text in self.pieces)


def switched_sentences(
    aligned: dict[str, list[str]], rng: np.random.Generator, *, returns: float = RETURNS
) -> list[Switched]:
    """Switch every aligned sentence once for every ordered pair of languages that can be cut.

    Args:
        aligned: Sentences by language, equal places meaning the same.
        rng: Decides the cuts.
        returns: Share of the sentences that come back to their first language where they can.
    """
    found = []
    for rows in zip(*aligned.values(), strict=True):
        sentence = dict(zip(aligned, rows, strict=True))
        for first, second in permutations(aligned, 2):
            made = switch({first: sentence[first], second: sentence[second]}, rng, returns=returns)
            found += [made] if made else []
    return found


def switch(sentence: dict[str, str], rng: np.random.Generator, *, returns: float = 0.0) -> Switched | None:
    """Begin a sentence in the first of two languages and go on in the second.

    Args:
        sentence: The same sentence in two languages; the first is the one it begins in.
        rng: Decides where it is cut.
        returns: Chance of coming back to the first language where a second cut can be found.

    Returns:
        The switched sentence, or None where no phrase begins at about the same place in both.
    """
    (first, second), (words, others) = sentence, [text.split() for text in sentence.values()]
    cuts = _shared_cuts((first, words), (second, others))
    if not cuts:
        return None
    number = int(rng.integers(len(cuts)))
    here, there = cuts[number]
    later = [cut for cut in cuts[number + 1 :] if cut[1] >= there + SHORTEST]
    if later and rng.random() < returns:
        back, until = later[int(rng.integers(len(later)))]
        pieces = [(first, words[:here]), (second, others[there:until]), (first, words[back:])]
    else:
        pieces = [(first, words[:here]), (second, others[there:])]
    return Switched(tuple((language, " ".join(part)) for language, part in pieces))


def phrase_beginnings(language: str, words: list[str]) -> list[int]:
    """Words that a phrase may begin with: after a comma or the like, or a conjunction or preposition."""
    openers = _OPENERS[language]
    return [
        place
        for place in range(SHORTEST, len(words) - SHORTEST + 1)
        if words[place - 1][-1] in ",;:–—" or words[place].lower() in openers
    ]


def _shared_cuts(one: tuple[str, list[str]], other: tuple[str, list[str]]) -> list[tuple[int, int]]:
    """Places to leave the first sentence and to enter the second, in order."""
    (language, words), (other_language, other_words) = one, other
    there = np.array(phrase_beginnings(other_language, other_words))
    if not len(there):
        return []
    cuts = []
    for place in phrase_beginnings(language, words):
        away = np.abs(there / len(other_words) - place / len(words))
        if away.min() <= FARTHEST:
            cuts.append((place, int(there[away.argmin()])))
    return cuts


_OPENERS = {language: frozenset(words.split()) for language, words in PHRASE_OPENERS.items()}
