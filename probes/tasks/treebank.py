"""Sentences with their dependency trees over the words as they are written, from files in CoNLL-U."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from interp.errors import InputError
from probes.samples.trees import ROOT, TreeLabels
from probes.tasks.conllu import Row, TaggedSentence, read_rows, spell, written_rows


@dataclass(frozen=True)
class ParsedSentence(TaggedSentence):
    """A sentence with the parts of speech of its words and their tree.

    Raises:
        InputError: as for `TaggedSentence`, no word, another number of heads than of words, or heads that are no tree.
    """

    heads: tuple[int, ...]
    """Place of each word's head in `words`; `ROOT` (-1) for the root."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.heads) != len(self.words):
            raise InputError(f"{len(self.heads)} heads for {len(self.words)} words. Give one for each word.")
        TreeLabels((np.array(self.heads, np.int64),))


def read_trees(path: str | Path) -> list[ParsedSentence]:
    """Read the words of a treebank with their dependency trees.

    A word of several syntactic parts (`15-16 aux`) is one word, without a tag, because a model reads it as one: it
    hangs on what the part of it that is nearest to the root hangs on, and all that hangs on any of its parts hangs on
    it. Empty nodes are left out.

    Args:
        path: A CoNLL-U file in UTF-8, packed (`.gz`) or not.

    Raises:
        InputError: the file cannot be read, holds no sentence, or has a line that does not fit, by its number: words
            not counted 1, 2, 3, ..., a head that is no word of the sentence, a second root, or heads that lead in a
            circle.
    """
    return [_parsed(Path(path), rows) for rows in read_rows(path)]


def _parsed(path: Path, rows: list[Row]) -> ParsedSentence:
    parts = [row for row in rows if row.ident.isdigit()]
    heads = _heads(path, parts)
    depths = [_depth(path, row, heads) for row in parts]
    home = _homes(path, rows, len(parts))
    # Along heads, the least depth of a word's parts falls by at least one each time: the word above holds the head of
    # the shallowest part, and may hold one shallower yet. So no word is above itself, and one alone reaches depth 0.
    shallowest = [min(of, key=lambda part: depths[part - 1]) for _, of in written_rows(rows)]
    return ParsedSentence(*spell(rows), tuple(home.get(heads[part - 1], ROOT) for part in shallowest))


def _heads(path: Path, parts: Sequence[Row]) -> list[int]:
    """Head of each syntactic word, counted from 1; 0 for the root."""
    heads: list[int] = []
    for place, row in enumerate(parts, 1):
        if int(row.ident) != place:
            raise InputError(f"{path}, line {row.line}: word {row.ident} stands where {place} does. Count from 1 on.")
        if not row.head.isdecimal() or int(row.head) > len(parts):
            raise InputError(
                f"{path}, line {row.line}: the head of {row.form!r} is {row.head!r}. Expected the number of one of "
                f"the sentence's {len(parts)} words, or 0 for the root."
            )
        if int(row.head) == 0 and 0 in heads:
            raise InputError(
                f"{path}, line {row.line}: {row.form!r} is a second root. Expected one word with the head 0."
            )
        heads.append(int(row.head))
    return heads


def _depth(path: Path, row: Row, heads: Sequence[int]) -> int:
    node, depth = int(row.ident), 0
    while (node := heads[node - 1]) and depth <= len(heads):
        depth += 1
    if node:
        raise InputError(
            f"{path}, line {row.line}: from {row.form!r} the heads lead in a circle and never to a root. Expected a "
            "tree: one word with the head 0, to which all others lead."
        )
    return depth


def _homes(path: Path, rows: Sequence[Row], n_parts: int) -> dict[int, int]:
    """Of each syntactic word, the place of the word that it is written in."""
    home: dict[int, int] = {}
    for place, (row, parts) in enumerate(written_rows(rows)):
        if not parts or parts.start != len(home) + 1 or parts.stop > n_parts + 1:
            raise InputError(
                f"{path}, line {row.line}: {row.form!r} is made of the words {row.ident}. Expected a range of words "
                f"that follow it, from {len(home) + 1} to {n_parts} at most."
            )
        home |= dict.fromkeys(parts, place)
    return home
