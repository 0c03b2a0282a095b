"""Text that ships with the toolkit, written for it: sentences in four languages, word alignments, switches, symbols.

Everything here is plain text with labels made by hand; nothing is taken from a corpus. No torch.
"""

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

TEXT = Path(__file__).parent / "text"
N_FIRST_LOOK = 36
"""Sentences per language that a first look reads: enough for head scores, and quick."""
AGREEMENT = TEXT / "agreement_fr.jsonl"
"""French subject-verb agreement across a clitic: `il y` against `ils y`, so ` était` against ` étaient`.

Prompts of equal length that differ in one token, chosen with the answers of a checkpoint of `zoo:polyglot` in view: for
trying methods on, not for saying how well a model knows French.
"""
AGREEMENT_IN = {language: TEXT / "agreement" / f"{language}.jsonl" for language in ("en", "fr", "de", "es")}
"""Subject-verb agreement across a few words in four languages, written without looking at any model's answers."""
NO_LANGUAGE = "x"
"""The language of a word that belongs to none, such as a name or a figure."""


@dataclass(frozen=True)
class Alignment:
    """Which words of one shipped sentence stand for which words of its translation.

    Words are what whitespace parts, punctuation included, counted from 0. One word may stand for several; a word that
    stands for none is in no link.
    """

    row: int
    """Place of the sentence in the lists of `read_sentences`, counted from 0."""
    languages: tuple[str, str]
    links: tuple[tuple[int, int], ...]
    """Word of the first language, word of the second."""


@dataclass(frozen=True)
class SwitchedSentence:
    """A sentence that changes language, with the language of every word."""

    words: tuple[str, ...]
    languages: tuple[str, ...]
    """Language of each word; `NO_LANGUAGE` where it has none."""
    kind: str
    """`between-sentence`, `between-clause` or `single-word`."""
    fit: bool
    """Whether the other language has the fitting word, as with *dépaysement* in an English sentence."""

    @property
    def text(self) -> str:
        """The sentence as it is written."""
        return " ".join(self.words)

    @property
    def switch_points(self) -> tuple[int, ...]:
        """Words whose language is not that of the last word before them that has one."""
        tagged = [(place, tag) for place, tag in enumerate(self.languages) if tag != NO_LANGUAGE]
        return tuple(place for (_, before), (place, tag) in pairwise(tagged) if tag != before)


@dataclass(frozen=True)
class Symbol:
    """One concrete thing: its emoji and its name in each language."""

    emoji: str
    words: dict[str, str]


def read_sentences(n: int | None = None) -> dict[str, list[str]]:
    """The shipped sentences by language; equal places in the lists mean the same thing.

    Args:
        n: Only the first so many of each language.
    """
    header, rows = _table("sentences.tsv")
    return {language: list(column)[:n] for language, column in zip(header, zip(*rows, strict=True), strict=True)}


def read_alignments() -> list[Alignment]:
    """Word alignments of a third of the shipped sentences, each with one of its translations."""
    _, rows = _table("alignments.tsv")
    return [_alignment(*row) for row in rows]


def read_switched() -> list[SwitchedSentence]:
    """The shipped sentences that change language."""
    _, rows = _table("switched.tsv")
    return [_switched(*row) for row in rows]


def read_symbols() -> list[Symbol]:
    """The shipped names of things, with their emojis."""
    header, rows = _table("symbols.tsv")
    return [Symbol(emoji, dict(zip(header[:-1], words, strict=True))) for *words, emoji in rows]


def read_agreement(language: str) -> list[dict[str, str]]:
    """The agreement prompts of one language: `clean` (singular), `corrupted` (plural), `answer`, `wrong_answer`.

    Args:
        language: One of `AGREEMENT_IN`.
    """
    return [json.loads(line) for line in AGREEMENT_IN[language].read_text(encoding="utf-8").splitlines()]


def _alignment(row: str, languages: str, links: str) -> Alignment:
    first, second = languages.split("-")
    places = [link.split("-") for link in links.split(" ")]
    return Alignment(int(row), (first, second), tuple((int(left), int(right)) for left, right in places))


def _switched(kind: str, fit: str, tagged: str) -> SwitchedSentence:
    words, languages = zip(*(word.split("/") for word in tagged.split(" ")), strict=True)
    return SwitchedSentence(words, languages, kind, {"yes": True, "no": False}[fit])


def _table(name: str) -> tuple[list[str], list[list[str]]]:
    # Not the csv module: quotation marks are text here, and every line is one row.
    header, *rows = (TEXT / name).read_text(encoding="utf-8").splitlines()
    return header.split("\t"), [row.split("\t") for row in rows]
