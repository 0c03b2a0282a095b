"""Texts of several languages as rows of tokens, each token with its language, in passes of bounded size."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int

from interp.errors import InputError
from interp.models.tokenizers import frame
from interp.prompts import TokenBatch
from interp.types import Model

TOKENS_AT_ONCE = 4096
"""Tokens of one forward pass, padding included."""
NO_LANGUAGE = -1


@runtime_checkable
class LabelledRows(Protocol):
    """Tokens with labels, as `label_tokens` and `label_passages` make them: see `LabelledTokens`."""

    @property
    def batch(self) -> TokenBatch: ...

    @property
    def languages(self) -> tuple[str, ...]: ...

    @property
    def language(self) -> np.ndarray: ...

    @property
    def text(self) -> np.ndarray: ...


Rows = Mapping[str, Iterable[Int[np.ndarray, " _"]]] | LabelledRows
"""Token ids by language, every row framed as the model expects; or rows whose tokens carry their language."""


@dataclass(frozen=True)
class Row:
    """One row: ids, the language of each token (-1: none), and the document it was cut from."""

    ids: Int[np.ndarray, " pos"]
    language: Int[np.ndarray, " pos"]
    document: int

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def hash(self) -> int:
        """64 bits that ids and languages decide."""
        content = self.ids.astype("<i8").tobytes() + self.language.astype("<i8").tobytes()
        return int.from_bytes(hashlib.sha256(content).digest()[:8], "little")


@dataclass(frozen=True)
class Part:
    """The rows of one forward pass."""

    rows: tuple[Row, ...]

    @property
    def batch(self) -> TokenBatch:
        """Their tokens, padded to the longest."""
        return TokenBatch.of([row.ids for row in self.rows])

    @property
    def language(self) -> Int[np.ndarray, "row pos"]:
        """The language of each token; -1 where there is none, as at padding."""
        longest = max(map(len, self.rows))
        return np.stack(
            [np.pad(row.language, (0, longest - len(row)), constant_values=NO_LANGUAGE) for row in self.rows]
        )


def languages_of(rows: Rows) -> tuple[str, ...]:
    """The languages, in the order in which results have them.

    Raises:
        InputError: fewer than two.
    """
    languages = tuple(rows) if isinstance(rows, Mapping) else tuple(rows.languages)
    if len(set(languages)) < 2:
        raise InputError(f"{list(languages)} leaves nothing to compare. Expected text in two or more languages.")
    return languages


def stream_rows(model: Model, rows: Rows) -> Iterator[Row]:
    """Yield row by row, the tokens that frame a text without language.

    A row of a mapping is a document of its own; its tokens have the language it stands under.
    """
    if not isinstance(rows, Mapping):
        return (_labelled(rows, place) for place in range(len(rows.batch)))
    pairs = chain.from_iterable(((number, ids) for ids in rows[name]) for number, name in enumerate(rows))
    return (Row(ids, _unframed(model, ids, number), place) for place, (number, ids) in enumerate(pairs))


def parts(rows: Iterable[Row]) -> Iterator[Part]:
    """Group rows, in order, into passes; a row longer than a pass has one to itself."""
    held: list[Row] = []
    longest = 0
    for row in rows:
        longest = max(longest, len(row))
        if held and longest * (len(held) + 1) > TOKENS_AT_ONCE:
            yield Part(tuple(held))
            held, longest = [], len(row)
        held.append(row)
    if held:
        yield Part(tuple(held))


def _labelled(rows: LabelledRows, place: int) -> Row:
    length = int(rows.batch.lengths[place])
    return Row(rows.batch.tokens[place, :length], rows.language[place, :length], int(rows.text[place]))


def _unframed(model: Model, ids: np.ndarray, number: int) -> np.ndarray:
    language = np.full(len(ids), number)
    if model.tokenizer is None:
        return language
    framed = frame(model)
    n_before, n_after = len(framed.before), len(framed.after)
    if n_before and tuple(ids[:n_before].tolist()) == framed.before:
        language[:n_before] = NO_LANGUAGE
    if n_after and tuple(ids[-n_after:].tolist()) == framed.after:
        language[-n_after:] = NO_LANGUAGE
    return language
