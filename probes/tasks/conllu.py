"""Sentences whose words carry a part of speech, from files in CoNLL-U."""

import gzip
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from interp.errors import InputError

NO_TAG = "_"
"""What stands in CoNLL-U where there is nothing to say."""
_IDENT = re.compile(r"\d+([-.]\d+)?")


class Row(NamedTuple):
    """A line about a word."""

    line: int
    """Its number in the file, from 1."""
    ident: str
    """`3` for a syntactic word, `3-4` for a word that is written as one, `3.1` for an empty node."""
    form: str
    tag: str
    head: str
    misc: str


@dataclass(frozen=True)
class TaggedWord:
    """A word in its sentence."""

    start: int
    """First character in the text."""
    end: int
    """One after its last character."""
    tag: str
    """Universal part of speech, such as `NOUN`; `_` for a word of several parts, such as French `du`."""


@dataclass(frozen=True)
class TaggedSentence:
    """A sentence with the parts of speech of its words."""

    text: str
    words: tuple[TaggedWord, ...]

    def __post_init__(self) -> None:
        before = 0
        for word in self.words:
            if not before <= word.start < word.end <= len(self.text):
                raise InputError(
                    f"The word from {word.start} to {word.end} in {self.text[:60]!r} is empty, out of order or outside "
                    f"the text of {len(self.text)} characters. Give words in order, each inside the text."
                )
            before = word.end


def read_parts_of_speech(path: str | Path) -> list[TaggedSentence]:
    """Read the words of a treebank with their universal parts of speech (UPOS).

    The text is put together from the words. Of a word of several syntactic parts (`15-16 aux`) the whole is read,
    without a tag.

    Args:
        path: A CoNLL-U file in UTF-8, packed (`.gz`) or not.

    Raises:
        InputError: the file cannot be read, holds no sentence, or has a line that does not fit, by its number.
    """
    return [TaggedSentence(*spell(rows)) for rows in read_rows(path)]


def read_rows(path: str | Path) -> list[list[Row]]:
    """Read the lines about words of each sentence of a treebank.

    Args:
        path: A CoNLL-U file in UTF-8, packed (`.gz`) or not.

    Raises:
        InputError: the file cannot be read, holds no sentence, or has a line that does not fit, by its number.
    """
    path = Path(path)
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        # Not splitlines: a line separator inside a word would tear it in two.
        lines = data.decode("utf-8-sig").split("\n")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"Cannot read the treebank {path}: {error}. Expected CoNLL-U in UTF-8.") from error
    sentences = list(_sentences(path, lines))
    if not sentences:
        raise InputError(f"{path} holds no sentence. Expected CoNLL-U: ten columns a word, an empty line after each.")
    return sentences


def written_rows(rows: Sequence[Row]) -> Iterator[tuple[Row, range]]:
    """Go through the words as they are written, each with the numbers of its syntactic parts."""
    inside = 0
    for row in rows:
        if "-" in row.ident:
            first, inside = map(int, row.ident.split("-"))
            yield row, range(first, inside + 1)
        # Not an empty node, nor a part of the word read before.
        elif "." not in row.ident and int(row.ident) > inside:
            yield row, range(int(row.ident), int(row.ident) + 1)


def spell(rows: Sequence[Row]) -> tuple[str, tuple[TaggedWord, ...]]:
    """Put the text of a sentence together from its words."""
    text, words = "", []
    for row, _ in written_rows(rows):
        words.append(TaggedWord(len(text), len(text) + len(row.form), NO_TAG if "-" in row.ident else row.tag))
        text += row.form if "SpaceAfter=No" in row.misc.split("|") else f"{row.form} "
    return text.rstrip(" "), tuple(words)


def _sentences(path: Path, lines: list[str]) -> Iterator[list[Row]]:
    for filled, block in groupby(enumerate(lines, 1), lambda line: bool(line[1].strip())):
        rows = [(number, line.rstrip("\r")) for number, line in block if not line.startswith("#")]
        if filled and rows:
            yield [_row(path, number, line) for number, line in rows]


def _row(path: Path, number: int, line: str) -> Row:
    columns = line.split("\t")
    if len(columns) != 10 or not _IDENT.fullmatch(columns[0]) or not columns[1].strip():
        raise InputError(f"{path}, line {number}: {line[:60]!r} is no word. Expected the 10 columns of CoNLL-U.")
    ident, form, _, tag, _, _, head, _, _, misc = columns
    return Row(number, ident, form, tag, head, misc)
