"""Texts with a language for every word, from the files that corpora of code-switching come in."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate, groupby
from pathlib import Path
from typing import Literal

from interp.errors import InputError

Layout = Literal["conllu", "columns", "slash"]


@dataclass(frozen=True)
class TaggedText:
    """One sentence or message."""

    words: tuple[str, ...]
    languages: tuple[str, ...]
    """Language of each word, as the corpus tags it."""
    spaced: tuple[bool, ...]
    """Whether a space follows the word."""
    name: str = ""
    """What the corpus calls it."""

    @property
    def text(self) -> str:
        """The text as it was written; where the corpus does not say, with a space between words."""
        pieces = (word + " " * spaced for word, spaced in zip(self.words, self.spaced, strict=True))
        return "".join(pieces).rstrip(" ")

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Where each word stands in `text`: its first character and the one after its last."""
        widths = [len(word) + spaced for word, spaced in zip(self.words, self.spaced, strict=True)]
        starts = [0, *accumulate(widths)][:-1]
        return [(start, start + len(word)) for start, word in zip(starts, self.words, strict=True)]


def read_tagged(path: str | Path, layout: Layout | None = None) -> list[TaggedText]:
    """Read a tagged corpus.

    `conllu`: CoNLL-U with `CSID=` or `Lang=` in the last column; of a word of several syntactic parts the whole is
    read. `columns`: a word and its tag on a line, parted by a tab, an empty line between texts (LinCE). `slash`: a text
    on a line, each word followed by a slash and its tag.

    Args:
        path: A UTF-8 file.
        layout: How it is laid out; None to tell by its name and first lines.

    Raises:
        InputError: no such file, no text in it, or a line that does not fit the layout, by its number.
    """
    path = Path(path)
    try:
        # Not splitlines: a line separator or a form feed inside a word would tear it in two.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Cannot read the tagged corpus {path}: {error}. Expected a file of UTF-8 text.") from error
    chosen = layout or _guess(path, lines)
    found = list(_READERS[chosen](path, lines))
    if not found:
        raise InputError(f"{path} holds no text. Expected words with their languages, laid out as {chosen!r}.")
    return found


def _guess(path: Path, lines: list[str]) -> Layout:
    first = next((line for line in lines if line.strip() and not line.startswith("#")), "")
    if path.suffix in (".conllu", ".conll-u") or first.count("\t") == 9:
        return "conllu"
    return "columns" if "\t" in first else "slash"


def _blocks(lines: list[str]) -> Iterator[list[tuple[int, str]]]:
    """Lines between empty lines, with their numbers from 1 on."""
    for filled, block in groupby(enumerate(lines, start=1), lambda line: bool(line[1].strip())):
        if filled:
            yield list(block)


def _read_conllu(path: Path, lines: list[str]) -> Iterator[TaggedText]:
    for block in _blocks(lines):
        name, words, inside = "", [], 0
        for number, line in block:
            if line.startswith("#"):
                key, _, value = line[1:].partition("=")
                name = value.strip() if key.strip() == "sent_id" else name
                continue
            fields = line.split("\t")
            if len(fields) != 10:
                raise _misfit(path, number, f"{len(fields)} columns", "the 10 of CoNLL-U")
            ident = fields[0]
            if "-" in ident:
                inside = int(ident.split("-")[1])
            elif "." in ident or int(ident) <= inside:
                continue  # an empty node, or a part of the word read before
            words.append((fields[1], *_misc(path, number, fields[9])))
        if words:
            yield TaggedText(*(tuple(column) for column in zip(*words, strict=True)), name)


def _misc(path: Path, number: int, misc: str) -> tuple[str, bool]:
    """The language tag of CoNLL-U's last column, and whether a space follows."""
    told = dict(part.partition("=")[::2] for part in misc.split("|"))
    tag = told.get("CSID") or told.get("Lang")
    if tag is None:
        raise _misfit(path, number, f"the last column {misc!r}", "CSID= or Lang= in it")
    return tag, told.get("SpaceAfter") != "No"


def _read_columns(path: Path, lines: list[str]) -> Iterator[TaggedText]:
    for block in _blocks(lines):
        words, name = [], ""
        for number, line in block:
            fields = line.split("\t")
            if len(fields) < 2 and line.startswith("#"):
                name = line.partition("=")[2].strip() or name
                continue
            if len(fields) < 2 or not fields[0].strip() or not fields[-1].strip():
                raise _misfit(path, number, repr(line), "a word, a tab and its tag")
            words.append((fields[0], fields[-1].strip()))
        if words:
            yield _written(words, name)


def _read_slash(path: Path, lines: list[str]) -> Iterator[TaggedText]:
    for number, line in enumerate(lines, start=1):
        words = []
        for piece in line.split():
            word, slash, tag = piece.rpartition("/")
            if not (slash and word and tag):
                raise _misfit(path, number, repr(piece), "a word, a slash and its tag, as in mundo/ES")
            words.append((word, tag))
        if words:
            yield _written(words, "")


def _written(words: list[tuple[str, str]], name: str) -> TaggedText:
    texts, tags = zip(*words, strict=True)
    return TaggedText(texts, tags, (True,) * len(texts), name)


def _misfit(path: Path, number: int, found: str, expected: str) -> InputError:
    return InputError(f"{path}, line {number}: {found} does not fit. Expected {expected}.")


_READERS: dict[str, Callable[[Path, list[str]], Iterator[TaggedText]]] = {
    "conllu": _read_conllu,
    "columns": _read_columns,
    "slash": _read_slash,
}
