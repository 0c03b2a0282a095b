"""Tokens that carry the language and the word they belong to, row by row."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from interp.errors import InputError
from interp.languages import TaggedText
from interp.languages.code_mix import LANGUAGE_LESS
from interp.models import encode, word_spans
from interp.models.tokenizers import frame
from interp.prompts import TokenBatch
from interp.types import Model


@dataclass(frozen=True)
class LabelledTokens:
    """Texts as a model reads them, with labels for every token."""

    batch: TokenBatch
    """Framed as the model expects."""
    languages: tuple[str, ...]
    language: Int[np.ndarray, "text pos"]
    """Index into `languages`; -1 for framing, padding and words without a language."""
    word: Int[np.ndarray, "text pos"]
    """Number of the token's word in its text; -1 for framing and padding."""
    place_in_word: Int[np.ndarray, "text pos"]
    """0 for the first token of a word; -1 for framing and padding."""
    switch: Bool[np.ndarray, "text pos"]
    """First token of a word whose language is not that of the last word before it that has one."""
    text: Int[np.ndarray, " text"]
    """Document a row was cut from: the unit of splits and intervals."""

    def __len__(self) -> int:
        return len(self.batch)

    def __getitem__(self, rows: slice | Int[np.ndarray, " row"]) -> "LabelledTokens":
        arrays = (self.language, self.word, self.place_in_word, self.switch, self.text)
        return LabelledTokens(self.batch[rows], self.languages, *(array[rows] for array in arrays))


def label_tokens(
    model: Model, texts: Sequence[TaggedText], *, languages: Sequence[str] | None = None
) -> LabelledTokens:
    """Carry the languages of words to the tokens of a model: a word of many tokens is one word.

    Args:
        model: A hooked model with a tokenizer.
        texts: Words that whitespace parts, with their languages; each text is a document of its own.
        languages: Which tags are languages; None for all but those of `LANGUAGE_LESS`.

    Raises:
        InputError: no text, or the tokenizer's words are not the text's.
    """
    if not texts:
        raise InputError("No texts were given. Expected at least one, with a language for every word.")
    known = tuple(languages or _languages(texts))
    rows = [_row(model, text, known) for text in texts]
    batch = TokenBatch.of([ids for ids, _ in rows])
    filled = np.full((3, *batch.tokens.shape), -1, np.int64)
    for row, (_, labels) in enumerate(rows):
        filled[:, row, : labels.shape[1]] = labels
    language, word, place = filled
    return LabelledTokens(batch, known, language, word, place, _switches(language, place), np.arange(len(texts)))


def _languages(texts: Sequence[TaggedText]) -> list[str]:
    tags = dict.fromkeys(tag for text in texts for tag in text.languages)
    return [tag for tag in tags if tag.lower() not in LANGUAGE_LESS]


def _row(model: Model, text: TaggedText, languages: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    ids, framed = encode(model, text.text), frame(model)
    spans = word_spans(model, ids)[len(framed.before) :]
    spans = spans[: len(spans) - len(framed.after)]
    if [written for written, _, _ in spans] != list(text.words):
        raise InputError(
            f"The tokenizer finds {len(spans)} words in {text.text[:60]!r}, which has {len(text.words)}, or others. "
            "Expected words without whitespace in them, a space after each, and a tokenizer that keeps spaces."
        )
    labels = np.full((3, len(ids)), -1, np.int64)
    for number, ((_, start, stop), tag) in enumerate(zip(spans, text.languages, strict=True)):
        labels[0, start:stop] = languages.index(tag) if tag in languages else -1
        labels[1, start:stop] = number
        labels[2, start:stop] = np.arange(stop - start)
    return ids, labels


def _switches(language: np.ndarray, place: np.ndarray) -> np.ndarray:
    found = np.zeros(language.shape, bool)
    for row in range(len(language)):
        first = np.flatnonzero((place[row] == 0) & (language[row] >= 0))
        spoken = language[row, first]
        found[row, first[1:]] = spoken[1:] != spoken[:-1]
    return found
