"""Texts of several languages, document by document: what an edit changes is measured on them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from interp.errors import InputError
from interp.models import facts
from interp.models.tokenizers import body_ids, frame
from interp.neurons.rows import NO_LANGUAGE, Row, Rows, languages_of, stream_rows
from interp.prompts import TokenBatch
from interp.types import Model

LONGEST = 256
"""Texts are cut into rows of at most so many tokens, or of the model's context where that is shorter."""

Texts = Mapping[str, Iterable[str]]
"""Texts by language, each a document of its own."""


@dataclass(frozen=True)
class Corpus:
    """Rows of tokens, each of one document, each document in one language.

    Raises:
        InputError: a language of fewer than two documents.
    """

    languages: tuple[str, ...]
    batch: TokenBatch
    spoken: Bool[np.ndarray, "row pos"]
    """Tokens that have a language: not those that frame a text, nor padding."""
    document: Int[np.ndarray, " row"]
    """Number of the row's document, counted from 0."""
    language: Int[np.ndarray, " document"]
    """Index of each document's language."""

    def __post_init__(self) -> None:
        for number, name in enumerate(self.languages):
            if (n := int((self.language == number).sum())) < 2:
                raise InputError(f"{name!r} has {n} documents. Expected two or more: intervals are over documents.")

    @cached_property
    def documents(self) -> list[Int[np.ndarray, " document"]]:
        """Numbers of the documents of each language."""
        return [np.flatnonzero(self.language == number) for number in range(len(self.languages))]

    def rows(self, language: int) -> Int[np.ndarray, " row"]:
        """Numbers of the rows of a language."""
        return np.flatnonzero(self.language[self.document] == language)

    def document_means(self, values: Float[np.ndarray, "row pos"]) -> Float[np.ndarray, " document"]:
        """Mean of each document over all places that have a value.

        Raises:
            InputError: a document without one.
        """
        there = np.isfinite(values)
        n, n_documents = there.sum(1), len(self.language)
        count = np.bincount(self.document, n, n_documents)
        if not count.all():
            raise InputError(
                f"Document {int(np.argmin(count))} has one token, of which no loss is known. Leave it out."
            )
        return np.bincount(self.document, np.where(there, values, 0.0).sum(1), n_documents) / count


def corpus_of(model: Model, rows: Texts | Rows | Corpus) -> Corpus:
    """Cut texts into rows, or take rows that are cut already.

    Args:
        model: A hooked model; texts need its tokenizer.
        rows: Texts by language; token ids by language, each row a document; or rows whose tokens carry a language, the
            same in the whole document.

    Raises:
        InputError: fewer than two languages, a document in two of them, or a language of fewer than two documents.
    """
    if isinstance(rows, Corpus):
        return rows
    if not isinstance(rows, Mapping):
        return _corpus(languages_of(rows), stream_rows(model, rows))
    if any(isinstance(each, str) for each in rows.values()):
        raise InputError("A language has one text where a list of them was expected. Give a list: each is a document.")
    held = {name: list(each) for name, each in rows.items()}
    texts = {name: [one for one in each if isinstance(one, str)] for name, each in held.items()}
    ids = {name: [one for one in each if not isinstance(one, str)] for name, each in held.items()}
    if any(texts.values()) and any(ids.values()):
        raise InputError("Some rows are texts and some token ids. Expected all of one kind.")
    return _corpus(languages_of(ids), _rows_of_texts(model, texts) if any(texts.values()) else stream_rows(model, ids))


def _rows_of_texts(model: Model, texts: Mapping[str, list[str]]) -> Iterator[Row]:
    framed, n_ctx = frame(model), facts(model).n_ctx
    n_framed = len(framed.before) + len(framed.after)
    room = min(LONGEST, n_ctx or LONGEST) - n_framed
    pairs = [(number, text) for number, name in enumerate(texts) for text in texts[name]]
    for document, (number, text) in enumerate(pairs):
        body = body_ids(model.tokenizer, text)
        for start in range(0, len(body), room):
            piece = body[start : start + room]
            ids = np.array([*framed.before, *piece, *framed.after])
            language = np.full(len(ids), NO_LANGUAGE)
            language[len(framed.before) : len(framed.before) + len(piece)] = number
            yield Row(ids, language, document)


def _corpus(languages: tuple[str, ...], rows: Iterable[Row]) -> Corpus:
    held = list(rows)
    if not held:
        raise InputError("There are no rows. Expected text in two or more languages.")
    _, first, document = np.unique([row.document for row in held], return_index=True, return_inverse=True)
    of_row = np.array([_one_language(row) for row in held])
    if (of_row != of_row[first][document]).any():
        raise InputError("A document is in two languages. Expected each in one.")
    batch = TokenBatch.of([row.ids for row in held])
    spoken = np.zeros(batch.tokens.shape, bool)
    for target, row in zip(spoken, held, strict=True):
        target[: len(row)] = row.language >= 0
    return Corpus(languages, batch, spoken, document, of_row[first])


def _one_language(row: Row) -> int:
    spoken = np.unique(row.language[row.language >= 0])
    if len(spoken) != 1:
        raise InputError(f"A row of document {row.document} is in {len(spoken)} languages. Expected every row in one.")
    return int(spoken[0])
