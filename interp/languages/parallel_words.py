"""Words that mean the same in several languages, and few-shot prompts that ask for one of them.

The shipped tables are our own: 64 concrete nouns in English, French, German and Spanish, most of which begin with
another letter in each, and clues for 24 of them. A table of other languages is read from a file of the same form.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np

from interp.errors import InputError

TEXT = Path(__file__).parent / "text"
Task = Literal["translation", "repetition", "cloze"]
ParallelWords = Mapping[str, Sequence[str]]
"""Words by language; equal places mean the same thing."""
N_SHOTS = 4
"""Solved examples before the question."""
BLANK = "___"
"""Where the word is missing in a clue."""
LANGUAGE_NAMES = {
    "en": "English",
    "fr": "Français",
    "de": "Deutsch",
    "es": "Español",
    "it": "Italiano",
    "pt": "Português",
    "ru": "Русский",
    "tr": "Türkçe",
    "fi": "Suomi",
    "ar": "العربية",
    "hi": "हिन्दी",
    "zh": "中文",
    "ja": "日本語",
    "ko": "한국어",
}
"""What a language calls itself; other languages are written as the table spells them."""
_ANSWER = {"en": "Answer:", "fr": "Réponse :", "de": "Antwort:", "es": "Respuesta:"}


@dataclass(frozen=True)
class WordPrompt:
    """One question whose answer is a word of a known language."""

    text: str
    """Ends with the quotation mark before the answer."""
    source: str
    """Language of the question."""
    target: str
    """Language of the answer."""
    concept: int
    """Place of the word in the table."""
    words: dict[str, str]
    """The word in every language."""


def read_parallel_words(path: str | Path | None = None) -> dict[str, list[str]]:
    """Read words by language; equal places mean the same.

    Args:
        path: Tab-separated: the first line names the languages, each other line is one word in all of them. The
            shipped table by default.

    Raises:
        InputError: the file cannot be read, or a line has too many or too few words.
    """
    header, rows = _table(TEXT / "parallel_words.tsv" if path is None else Path(path))
    return {language: [row[place] for row in rows] for place, language in enumerate(header)}


def read_clues(path: str | Path | None = None) -> dict[str, dict[str, str]]:
    """Read clues: by the word in the first language of the table of words, by language.

    Args:
        path: Tab-separated: `word` and the languages, then one line for each word. The shipped clues by default.

    Raises:
        InputError: the file cannot be read, or a clue has not exactly one blank.
    """
    header, rows = _table(TEXT / "cloze.tsv" if path is None else Path(path))
    clues = {row[0]: dict(zip(header[1:], row[1:], strict=True)) for row in rows}
    for word, by_language in clues.items():
        if bad := [clue for clue in by_language.values() if clue.count(BLANK) != 1]:
            raise InputError(f"The clue {bad[0]!r} of {word!r} has {bad[0].count(BLANK)} blanks. Expected one {BLANK}.")
    return clues


def word_prompts(
    words: ParallelWords,
    task: Task = "translation",
    *,
    sources: Sequence[str] | None = None,
    clues: Mapping[str, Mapping[str, str]] | None = None,
    n_shots: int = N_SHOTS,
    seed: int = 0,
) -> list[WordPrompt]:
    """Ask for every word in every language, after a few solved examples with other words.

    Args:
        words: Words by language.
        task: `translation` from each other language, `repetition` in the same, or `cloze`: from a clue in the same.
        sources: Languages to translate from; all by default.
        clues: What `read_clues` returns, for cloze; the shipped ones by default. Words without a clue are left out.
        n_shots: Solved examples before the question.
        seed: Decides the examples.

    Returns:
        One prompt for each word and pair of languages.

    Raises:
        InputError: fewer than two languages, columns of unequal length, too few words, an unknown task or language.

    Source: Wendler et al. 2024, sec. 3.2 (arXiv:2402.10588): `Français: "fleur" - 中文: "`, four examples before it.
    """
    _check_words(words, sources)
    if task == "translation":
        pairs = [(a, b) for a, b in product(sources or words, words) if a != b]
        line, concepts = _translated, list(range(len(next(iter(words.values())))))
    elif task == "repetition":
        pairs, line, concepts = [(a, a) for a in words], _translated, list(range(len(next(iter(words.values())))))
    elif task == "cloze":
        known, first = clues if clues is not None else read_clues(), next(iter(words.values()))
        pairs, line = [(a, a) for a in words], _Cloze(known, first)
        concepts = [place for place, word in enumerate(first) if set(words) <= set(known.get(word, ()))]
    else:
        raise InputError(f"No task {task!r}. Expected 'translation', 'repetition' or 'cloze'.")
    if not 0 <= n_shots < len(concepts):
        raise InputError(f"{n_shots} examples from {len(concepts)} words. Expected fewer examples than words.")
    rng, prompts = np.random.default_rng(seed), []
    for (source, target), concept in product(pairs, concepts):
        others = [other for other in concepts if other != concept]
        shots = rng.choice(others, n_shots, replace=False).tolist()
        lines = [f'{line(words, source, target, place)}"{words[target][place]}"\n' for place in shots]
        asked = f'{"".join(lines)}{line(words, source, target, concept)}"'
        same = {language: column[concept] for language, column in words.items()}
        prompts.append(WordPrompt(asked, source, target, concept, same))
    return prompts


def _translated(words: ParallelWords, source: str, target: str, place: int) -> str:
    names = [LANGUAGE_NAMES.get(language, language) for language in (source, target)]
    return f'{names[0]}: "{words[source][place]}" - {names[1]}: '


@dataclass(frozen=True)
class _Cloze:
    """Writes the clue of a word, up to its answer."""

    clues: Mapping[str, Mapping[str, str]]
    first: Sequence[str]

    def __call__(self, words: ParallelWords, source: str, target: str, place: int) -> str:  # noqa: ARG002
        clue = self.clues[self.first[place]][target].replace(BLANK, f'"{BLANK}"')
        return f"{clue} {_ANSWER.get(target, _ANSWER['en'])} "


def _check_words(words: ParallelWords, sources: Sequence[str] | None) -> None:
    lengths = {language: len(column) for language, column in words.items()}
    if len(lengths) < 2 or len(set(lengths.values())) > 1:
        raise InputError(f"Words by language: {lengths}. Expected two or more languages with equally many words.")
    if unknown := [language for language in sources or () if language not in words]:
        raise InputError(f"No words in {unknown} to ask from. Expected some of {list(words)}.")


def _table(path: Path) -> tuple[list[str], list[list[str]]]:
    # Not the csv module: quotation marks are text here, and every line is one row.
    try:
        header, *rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if line]
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a table of words: {error}. Expected tab-separated text.") from error
    for row in rows:
        if len(row) != len(header) or not all(cell.strip() for cell in row):
            raise InputError(f"{path}: the row {row} does not fit the columns {header}. Expected one word in each.")
    return header, rows
