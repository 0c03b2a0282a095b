"""How much and how a text mixes languages, from the language of each word."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np

from interp.errors import InputError

LANGUAGE_LESS = frozenset(
    {"univ", "other", "ne", "unk", "ambiguous", "mixed", "fw", "acro", "emoji", "lang3", "punct", "x", "_", ""}
)
"""Tags of common corpora, in small letters, that name no one language."""


@dataclass(frozen=True)
class CodeMix:
    """Measures of one text. Words without a language count for `n_words` alone, and are stepped over between others."""

    n_words: int
    n_tagged: int
    """Words that have a language."""
    languages: dict[str, int]
    """Words of each language."""
    switch_points: tuple[int, ...]
    """Places, among all words, of words whose language is not that of the last word before them that has one."""
    spans: tuple[int, ...]
    """Lengths of the runs of one language, in words that have one."""
    cmi: float
    """Code-mixing index: share of words outside the main language, in per cent. Gambäck & Das 2014."""
    cmi_2016: float
    """The same with switch points counted in, in per cent. Gambäck & Das 2016, without their utterance weights."""
    m_index: float
    """Multilingual index: 0 for one language, 1 where all have equally many words. Barnett et al. 2000."""
    language_entropy_bits: float
    """Entropy of the languages. Guzmán et al. 2017."""
    i_index: float | None
    """Integration index: switch points for each pair of neighbours; None below two words. Guzmán et al. 2017."""
    burstiness: float | None
    """From -1 (spans of equal length) over 0 (as by chance) to 1 (uneven); None below two spans. With the sample
    standard deviation. Goh & Barabási 2008, as used by Guzmán et al. 2017."""
    memory: float | None
    """Correlation of the lengths of neighbouring spans, -1 to 1; None below three spans or where it is undefined."""
    span_entropy_bits: float
    """Entropy of the lengths of spans. Guzmán et al. 2017."""


def code_mix(
    tags: Sequence[str], *, languages: Collection[str] | None = None, n_languages: int | None = None
) -> CodeMix:
    """Measure how a text mixes languages.

    Args:
        tags: The language of each word.
        languages: Which tags are languages; None for all but those of `LANGUAGE_LESS`.
        n_languages: Languages that could occur, for the multilingual index; None for those that do.

    Raises:
        InputError: fewer possible languages than occur.

    Example:
        >>> code_mix("EN EN HI HI UNIV UNIV HI HI EN EN EN HI HI".split()).i_index
        0.3

    Source: Guzmán, Ricard, Serigos, Bullock & Toribio 2017, Metrics for Modeling Code-Switching Across Corpora.
    """
    tagged = [(place, tag) for place, tag in enumerate(tags) if _is_language(tag, languages)]
    counts = Counter(tag for _, tag in tagged)
    if n_languages is not None and n_languages < len(counts):
        raise InputError(
            f"n_languages={n_languages}, but {len(counts)} occur: {sorted(counts)}. Expected at least as many."
        )
    switches = tuple(place for (_, before), (place, tag) in pairwise(tagged) if tag != before)
    spans = tuple(len(list(run)) for _, run in groupby(tag for _, tag in tagged))
    n, largest = len(tagged), max(counts.values(), default=0)
    return CodeMix(
        n_words=len(tags),
        n_tagged=n,
        languages=dict(sorted(counts.items())),
        switch_points=switches,
        spans=spans,
        cmi=100 * (1 - largest / n) if n else 0.0,
        cmi_2016=100 * (n - largest + len(switches)) / (2 * n) if n else 0.0,
        m_index=_m_index(np.array(list(counts.values())), n_languages or len(counts)),
        language_entropy_bits=_entropy_bits(list(counts.values())),
        i_index=len(switches) / (n - 1) if n > 1 else None,
        burstiness=_burstiness(np.array(spans)),
        memory=_memory(np.array(spans, float)),
        span_entropy_bits=_entropy_bits(list(Counter(spans).values())),
    )


def _is_language(tag: str, languages: Collection[str] | None) -> bool:
    return tag.lower() not in LANGUAGE_LESS if languages is None else tag in languages


def _m_index(counts: np.ndarray, k: int) -> float:
    if k < 2 or not counts.sum():
        return 0.0
    concentration = float(((counts / counts.sum()) ** 2).sum())
    return (1 - concentration) / ((k - 1) * concentration)


def _entropy_bits(counts: list[int]) -> float:
    shares = np.array(counts) / max(sum(counts), 1)
    return float(-(shares * np.log2(shares)).sum()) + 0.0


def _burstiness(spans: np.ndarray) -> float | None:
    if len(spans) < 2:
        return None
    deviation, mean = float(spans.std(ddof=1)), float(spans.mean())
    return (deviation - mean) / (deviation + mean)


def _memory(spans: np.ndarray) -> float | None:
    if len(spans) < 3:
        return None
    before, after = spans[:-1], spans[1:]
    spread = before.std() * after.std()
    if spread == 0:
        return None
    return float(((before - before.mean()) * (after - after.mean())).mean() / spread)
