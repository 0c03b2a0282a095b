"""Which language a text is in, among a few given ones, judged by its characters."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float

from interp.errors import InputError


@dataclass(frozen=True)
class Identified:
    """What a text was judged to be."""

    language: str | None
    """The likeliest of the given languages; None where the text holds nothing to judge by, such as digits alone."""
    share: float
    """Probability of that language among the given ones, by the identifier's own account; 0 where there is none."""


def identify(texts: Sequence[str], languages: Sequence[str]) -> list[Identified]:
    """Tell which of some languages each text is in, by a naive Bayes classifier over byte n-grams.

    The judge knows nothing of how a text was made. It errs: the more, the shorter the text and the closer the
    languages, and it always names one of those given, also for a text in another language or in none. Measure it on
    texts whose language is known before believing it on others.

    Args:
        texts: Texts, each judged by itself.
        languages: ISO 639-1 codes, such as `en`, at least two.

    Returns:
        One answer per text, in order.

    Raises:
        InputError: a language that the identifier does not know, or fewer than two.

    Example:
        >>> identify(["Le chat dort sur la table."], ["en", "fr"])[0].language
        'fr'

    Source: Lui & Baldwin 2012, langid.py (ACL demo), as kept up by py3langid (github.com/adbar/py3langid).
    """
    judge = _judge(_choice(languages))
    return [_judged(judge, text.strip()) for text in texts]


def shares(texts: Sequence[str], languages: Sequence[str]) -> Float[np.ndarray, "text language"]:
    """Probability of each of some languages for each text, by `identify`'s classifier; equal where nothing tells.

    Spaces around a text are read, too: they tell where a word begins and ends.

    Args:
        texts: Texts, each judged by itself.
        languages: ISO 639-1 codes, at least two.

    Raises:
        InputError: a language that the identifier does not know, or fewer than two.
    """
    wanted = _choice(languages)
    ranked = [dict(_judge(wanted).rank(text)) for text in texts]
    return np.array([[float(of[name]) for name in wanted] for of in ranked]).reshape(len(texts), len(wanted))


def _choice(languages: Sequence[str]) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(languages))
    if len(wanted) < 2:
        raise InputError(f"{list(languages)} is no choice of languages. Expected at least two different codes.")
    return wanted


def _judged(judge: Any, text: str) -> Identified:
    ranked = judge.rank(text)
    (language, share), (_, next_share) = ranked[:2]
    # Without a known n-gram all languages are equally probable, and the first would win by its place alone.
    if not text or np.isclose(share, next_share, rtol=0, atol=1e-9):
        return Identified(None, 0.0)
    return Identified(str(language), float(share))


@lru_cache(maxsize=8)
def _judge(languages: tuple[str, ...]) -> Any:
    # On first use: reading the classifier takes a tenth of a second.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    judge = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    if unknown := [language for language in languages if language not in judge.labels]:
        raise InputError(
            f"The identifier knows no language {unknown}. Expected ISO 639-1 codes, such as en: it knows "
            f"{' '.join(sorted(judge.labels))}."
        )
    judge.set_languages(languages)
    return judge
