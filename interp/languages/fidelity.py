"""Does text stay in the language it should be in? Line and word pass rates of the Language Confusion Benchmark.

Two rules are the published ones; the judge is not: the source asks fastText's lid.176, this asks py3langid, which needs
no download. Pass rates of true text in the language, by the same judge, say how far 1 is out of reach.
"""

import string
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from interp.errors import InputError
from interp.languages.identify import identify

FEWEST_TOKENS = 5
"""A line of fewer is too short to be judged."""
LEAST_SCORE = 0.3
"""The identifier's score must be above; otherwise the line is in no known language, which counts as a wrong one."""
WORD_LANGUAGES = ("ar", "hi", "ja", "ko", "ru", "zh")
"""Languages of other scripts, where an English word tells; in Latin script too many words are of both languages."""
_UNSPACED = ("ja", "zh")
_LONGEST_COMMON = 3
"""English words must be longer."""
_STRIPPED = str.maketrans({**dict.fromkeys(string.punctuation, ""), "—": " ", "،": ""})

Tokenize = Callable[[str], list[str]]
Interval = tuple[float, float]


@dataclass(frozen=True)
class LanguageFidelity:
    """What of each text is in the language asked for.

    Rates are None, not 1 as in the source, where no text has a line that can be judged: nothing was measured then.
    """

    language: str
    judged: Bool[np.ndarray, " text"]
    """Texts with a line of at least five tokens; the others count nowhere."""
    line_accuracy: Float[np.ndarray, " text"]
    """Share of the text's lines that are in the language; NaN where none can be judged."""
    foreign_word: Bool[np.ndarray, " text"] | None
    """Texts without a wrong line that hold an English word; None where words are not judged."""

    @property
    def line_pass(self) -> Bool[np.ndarray, " text"]:
        """Judged texts without a line in another language."""
        return self.line_accuracy == 1

    @property
    def lpr(self) -> float | None:
        """Line pass rate: share of judged texts without a wrong line."""
        return _share(self.line_pass[self.judged])

    @property
    def lpr_interval(self) -> Interval | None:
        """Its 95 % Wilson interval."""
        return _wilson(self.line_pass[self.judged])

    @property
    def wpr(self) -> float | None:
        """Word pass rate: of the texts that pass by line, the share without an English word."""
        return None if self.foreign_word is None else _share(~self.foreign_word[self.line_pass])

    @property
    def wpr_interval(self) -> Interval | None:
        """Its 95 % Wilson interval."""
        return None if self.foreign_word is None else _wilson(~self.foreign_word[self.line_pass])

    @property
    def accuracy(self) -> float | None:
        """Mean over judged texts of the share of lines in the language."""
        return float(self.line_accuracy[self.judged].mean()) if self.judged.any() else None

    @property
    def lcpr(self) -> float | None:
        """Harmonic mean of line and word pass rate; None where either is."""
        if self.lpr is None or self.wpr is None:
            return None
        total = self.lpr + self.wpr
        return 2 * self.lpr * self.wpr / total if total else 0.0


def language_fidelity(
    texts: Sequence[str],
    language: str,
    *,
    among: Sequence[str] | None = None,
    english_words: Collection[str] = (),
    tokenize: Tokenize | None = None,
) -> LanguageFidelity:
    """Judge line by line whether texts are in a language, and in other scripts word by word whether they are English.

    A text is cut where a next question would begin (a newline and `Q:`) and its ASCII punctuation taken out. Of its
    lines, those of at least five tokens are judged. It passes by line if the identifier gives every one of them this
    language with a score above 0.3. If it does, and the language is one of `WORD_LANGUAGES`, it passes by word if none
    of its tokens is a lower-case English word of more than three letters.

    Args:
        texts: What a model wrote.
        language: ISO 639-1 code of the language they should be in.
        among: Languages that the identifier chooses from; by default all it knows, as in the source. With fewer it
            errs less, but then text in a language left out counts as one of them, and 0.3 is easily passed.
        english_words: A word list, such as that of Unix. Without one, words are not judged.
        tokenize: Cuts a line into tokens; by default at whitespace. Japanese and Chinese need one.

    Raises:
        InputError: no texts, a language the identifier does not know, or no way to cut Japanese or Chinese.

    Example:
        >>> language_fidelity(["Le chat dort sur la grande table."], "fr").lpr
        1.0

    Source: Marchisio et al. 2024, Understanding and Mitigating Language Confusion in LLMs, sec. 2.3 (arXiv:2406.20052),
    and its `compute_metrics.py`.
    """
    if isinstance(texts, str) or not len(texts):
        raise InputError("Expected a list of texts, at least one.")
    if language in _UNSPACED and tokenize is None:
        raise InputError(f"{language!r} is written without spaces. Give tokenize, such as jieba.lcut for Chinese.")
    choice = tuple(dict.fromkeys([*(known_languages() if among is None else among), language]))
    cut = tokenize or str.split
    lines = [_lines(text, cut) for text in texts]
    judged = np.array([bool(each) for each in lines])
    accuracy = np.array([_right(each, language, choice) for each in lines])
    return LanguageFidelity(language, judged, accuracy, _foreign(lines, accuracy, language, english_words))


@cache
def known_languages() -> tuple[str, ...]:
    """Codes of all languages that the identifier tells apart; `zxx`, no language at all, is one of them."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return tuple(sorted(LanguageIdentifier.from_model_file(MODEL_FILE).labels))


def _lines(text: str, tokenize: Tokenize) -> list[tuple[str, list[str]]]:
    """Lines long enough to be judged, with their tokens."""
    cleaned = text.split("\nQ:")[0].strip().translate(_STRIPPED)
    pairs = [(line, tokenize(line)) for line in cleaned.split("\n")]
    return [(line, tokens) for line, tokens in pairs if len(tokens) >= FEWEST_TOKENS]


def _right(lines: list[tuple[str, list[str]]], language: str, choice: tuple[str, ...]) -> float:
    if not lines:
        return float("nan")
    found = identify([line for line, _ in lines], choice)
    return float(np.mean([one.language == language and one.share > LEAST_SCORE for one in found]))


def _foreign(
    lines: list[list[tuple[str, list[str]]]], accuracy: np.ndarray, language: str, english_words: Collection[str]
) -> np.ndarray | None:
    words = {word for word in english_words if word.islower() and len(word) > _LONGEST_COMMON}
    if language not in WORD_LANGUAGES or not words:
        return None
    held = [any(token.strip() in words for _, tokens in each for token in tokens) for each in lines]
    return np.array(held) & (accuracy == 1)


def _share(hits: np.ndarray) -> float | None:
    return float(hits.mean()) if len(hits) else None


def _wilson(hits: np.ndarray) -> Interval | None:
    if not len(hits):
        return None
    low, high = stats.binomtest(int(hits.sum()), len(hits)).proportion_ci(method="wilson")
    return float(low), float(high)
