"""The training text of `zoo:polyglot`: novels and line-aligned sentences in four languages.

Layout of the corpus directory: `novels/` with one file per language, one paragraph a line and an empty line between
novels; `parallel/` with one file per language, line i of every file the same sentence. Whole novels and every tenth
aligned sentence are held out, so that a measurement never meets text that the model has read.
"""

from dataclasses import dataclass
from pathlib import Path

from interp.errors import InputError

LANGUAGE_FILES = {
    "en": "eng.train.txt",
    "fr": "fra.train.txt",
    "de": "deu.train.txt",
    "es": "spa.train.txt",
}
HELD_OUT_NOVELS = 2
"""Whole novels per language kept for measuring: the last ones of each file."""
HELD_OUT_SENTENCES = 10
"""One aligned sentence in so many is kept for measuring: the last of every ten."""


@dataclass(frozen=True)
class Novels:
    """The novels of one language, split into training text and whole held-out novels."""

    train: list[str]
    held_out: list[str]


@dataclass(frozen=True)
class Aligned:
    """Sentences by language, equal places in the lists meaning the same; split into training and held out."""

    train: dict[str, list[str]]
    held_out: dict[str, list[str]]


def read_novels(corpus: Path) -> dict[str, Novels]:
    """Read the novels of every language and split whole novels into training and held out.

    Raises:
        InputError: a language file is missing or no UTF-8, or holds too few novels to keep two back.
    """
    novels = {}
    for language, name in LANGUAGE_FILES.items():
        path = corpus / "novels" / name
        texts = [text.strip() for text in _read(path).split("\n\n") if text.strip()]
        if len(texts) <= HELD_OUT_NOVELS:
            raise InputError(f"{path} holds {len(texts)} novels; at least {HELD_OUT_NOVELS + 1} are needed.")
        novels[language] = Novels(texts[:-HELD_OUT_NOVELS], texts[-HELD_OUT_NOVELS:])
    return novels


def read_aligned(corpus: Path) -> Aligned:
    """Read the line-aligned sentences and split off every tenth.

    Raises:
        InputError: a language file is missing or no UTF-8, the files differ in length, or hold fewer than ten lines.
    """
    lines = {
        # Only the last line's end goes: an empty line is the translation of something, too.
        language: _read(corpus / "parallel" / f"{language}.txt").removesuffix("\n").split("\n")
        for language in LANGUAGE_FILES
    }
    counts = {language: len(rows) for language, rows in lines.items()}
    if len(set(counts.values())) > 1 or min(counts.values()) < HELD_OUT_SENTENCES:
        raise InputError(
            f"The files of {corpus / 'parallel'} have {counts} lines. Expected as many in every one, line i of each "
            f"the same sentence, and at least {HELD_OUT_SENTENCES}."
        )
    last = HELD_OUT_SENTENCES - 1
    kept = {language: rows[last::HELD_OUT_SENTENCES] for language, rows in lines.items()}
    train = {
        language: [row for place, row in enumerate(rows) if place % HELD_OUT_SENTENCES != last]
        for language, rows in lines.items()
    }
    return Aligned(train, kept)


def _read(path: Path) -> str:
    if not path.is_file():
        raise InputError(
            f"No file {path.name} in {path.parent}. Expected novels/ with {list(LANGUAGE_FILES.values())} and "
            f"parallel/ with {[f'{language}.txt' for language in LANGUAGE_FILES]} in the corpus directory."
        )
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} cannot be read: {error}. Expected UTF-8; convert the file.") from error
