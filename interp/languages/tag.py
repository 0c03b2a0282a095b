"""The language of each word of a text that nobody has tagged, judged word by word and smoothed along the sentence."""

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from interp.errors import InputError
from interp.languages.identify import shares
from interp.languages.tagged import TaggedText

SWITCH_NATS = 2.0
"""What a change of language costs. On switched sentences built from the shipped ones 1 to 3 do equally well."""
UNTAGGED = "other"
"""Tag of a word without a letter."""
_LEAST = 1e-9


def tag_words(texts: Sequence[str], languages: Sequence[str], *, switch_nats: float = SWITCH_NATS) -> list[TaggedText]:
    """Tag each word of some texts with one of a few languages.

    Each word is judged by itself, between spaces, by `identify`'s classifier; the tags of a text are the sequence of
    the largest sum of log probabilities, less a price for each change of language (Viterbi's algorithm). Words that two
    languages share take the language around them. Tags are a guess: where a corpus says them, read them from there.
    Where a switch falls is less certain than how many words each language has.

    Args:
        texts: Texts; words are what whitespace parts. Whitespace other than one space is a word of its own, so that
            each text is kept as it is, but for spaces around it.
        languages: ISO 639-1 codes, at least two.
        switch_nats: Price of a change, in nats; 0 judges each word alone, and infinity the text as one.

    Returns:
        One tagged text for each text; words without a letter have the tag `other`.

    Raises:
        InputError: a text without words, a price below 0, or languages that `identify` refuses.

    Example:
        >>> tag_words(["I told him que no quiero volver nunca"], ["en", "es"])[0].languages[:4]
        ('en', 'en', 'en', 'es')

    Source: Lui & Baldwin 2012 (the classifier); King & Abney 2013, Labeling the Languages of Words in Mixed-Language
    Documents using Weakly Supervised Methods (naive Bayes with a sequence model over words).
    """
    if switch_nats < 0:
        raise InputError(f"A change of language cannot cost {switch_nats} nats. Expected 0 or more.")
    return [_tagged(text, tuple(dict.fromkeys(languages)), switch_nats) for text in texts]


def _tagged(text: str, languages: tuple[str, ...], switch_nats: float) -> TaggedText:
    words, spaced = _words(text.strip(" "))
    if not text.strip():
        raise InputError(f"The text {text[:20]!r} has no words to tag. Expected at least one.")
    spelled = [place for place, word in enumerate(words) if re.search(r"[^\W\d_]", word)]
    tags = [UNTAGGED] * len(words)
    judged = shares([f" {words[place]} " for place in spelled], languages)
    for place, number in zip(spelled, best_path(np.log(judged.clip(_LEAST)), switch_nats), strict=True):
        tags[place] = languages[number]
    return TaggedText(words, tuple(tags), spaced)


def _words(text: str) -> tuple[tuple[str, ...], tuple[bool, ...]]:
    """Words, and whether a space follows each."""
    pieces = re.findall(r"\S+|\s+", text)
    follows = [after == " " for after in pieces[1:]] + [False]
    kept = [(piece, space) for piece, space in zip(pieces, follows, strict=True) if piece != " "]
    return tuple(piece for piece, _ in kept), tuple(space for _, space in kept)


def best_path(scores: Float[np.ndarray, "word language"], switch_nats: float) -> Int[np.ndarray, " word"]:
    """Choose a language for each word so that the sum of scores, less the price of each change, is largest.

    Args:
        scores: Log probabilities.
        switch_nats: Price of a change between neighbours.

    Returns:
        Numbers of languages; of equal paths the one of the first languages.

    Source: Viterbi 1967; here with one price for every change.
    """
    n_words, n_languages = scores.shape
    if not n_words:
        return np.zeros(0, np.int64)
    price = np.where(np.eye(n_languages, dtype=bool), 0.0, switch_nats)
    best, before = scores[0], np.zeros(scores.shape, np.int64)
    for word in range(1, n_words):
        reached = best[:, None] - price
        before[word] = reached.argmax(0)
        best = reached.max(0) + scores[word]
    path = [int(best.argmax())]
    for word in range(n_words - 1, 0, -1):
        path.append(int(before[word, path[-1]]))
    return np.array(path[::-1])
