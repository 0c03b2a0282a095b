"""Pairs of tokens alike in all but the switch: language, place in word, frequency, place in the text, its length."""

import unicodedata
from collections import defaultdict

import numpy as np
from jaxtyping import Bool, Int

from interp.errors import InputError
from interp.models import str_tokens
from interp.neurons.labelled import LabelledTokens
from interp.neurons.passes import Places
from interp.types import Model

N_PLACES = 4
"""Parts of a text that count as one place."""


def match_places(
    tokens: LabelledTokens,
    positives: Places,
    candidates: Places,
    rng: np.random.Generator,
    *,
    n_matches: int = 1,
    also: Bool[np.ndarray, "text pos"] | None = None,
) -> tuple[Int[np.ndarray, " pair"], Places]:
    """Give every token others of its language, place in word, frequency band and quarter of the text.

    Those of the same token id come first, then those of texts of nearest length, in powers of two of words: length is
    not asked for, because switched texts are often longer than all others. Frequency bands are powers of two of how
    often the id occurs in the candidates' rows. A match is never of the token's own document, and of those alike the
    one least used before is taken, so that documents share few. A token without a match is left out.

    Args:
        tokens: Texts.
        positives: The tokens to be matched.
        candidates: Tokens that may be their matches.
        rng: Decides which of several.
        n_matches: Different matches for each token, where there are as many.
        also: Something else that must be equal, such as punctuation before the token.

    Returns:
        Which of the positives have a match, once for each, and the matches.

    Raises:
        InputError: none has.
    """
    strata, document = _Strata(tokens, candidates, also), tokens.text[candidates.row]
    pools: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for number, key in enumerate(strata(candidates)):
        pools[key].append(number)
    ids, used = _ids(tokens, candidates), rng.random(len(candidates))  # a fraction: ties are broken at random
    chosen, matches = [], []
    lengths = _length_bands(tokens, candidates)
    wanted = zip(strata(positives), _ids(tokens, positives), _length_bands(tokens, positives), strict=True)
    for number, (key, token, band) in enumerate(wanted):
        pool = np.array(pools.get(key, []), np.int64)
        pool = pool[document[pool] != tokens.text[positives.row[number]]]
        farther = np.abs(lengths[pool] - band)
        best = pool[np.lexsort((used[pool], farther, ids[pool] != token))][:n_matches]
        used[best] += 1
        chosen += [number] * len(best)
        matches += best.tolist()
    if not chosen:
        raise InputError(f"None of {len(positives)} tokens has a match among {len(candidates)}. Give more texts.")
    return np.array(chosen), candidates[np.array(matches)]


def after_punctuation(model: Model, tokens: LabelledTokens) -> Bool[np.ndarray, "text pos"]:
    """Tokens before which the text has punctuation."""
    ids = np.unique(tokens.batch.tokens)
    last = [text.rstrip()[-1:] for text in str_tokens(model, ids)]
    closes = np.array([bool(char) and unicodedata.category(char).startswith("P") for char in last])
    found = np.zeros(tokens.word.shape, bool)
    found[:, 1:] = closes[np.searchsorted(ids, tokens.batch.tokens[:, :-1])] & (tokens.word[:, :-1] >= 0)
    return found


def _ids(tokens: LabelledTokens, places: Places) -> Int[np.ndarray, " place"]:
    return tokens.batch.tokens[places.row, places.pos]


def _length_bands(tokens: LabelledTokens, places: Places) -> Int[np.ndarray, " place"]:
    return np.log2(tokens.word.max(1)[places.row] + 1).astype(int)


class _Strata:
    """What must be equal, as one tuple for each token."""

    def __init__(self, tokens: LabelledTokens, candidates: Places, also: np.ndarray | None):
        self.tokens = tokens
        self.also = np.zeros(tokens.word.shape, bool) if also is None else also
        rows = np.unique(candidates.row)
        counted = tokens.batch.tokens[rows][tokens.word[rows] >= 0]
        self.count = np.bincount(counted, minlength=int(tokens.batch.tokens.max()) + 1)

    def __call__(self, places: Places) -> list[tuple[int, ...]]:
        row, pos = places.row, places.pos
        n_words = self.tokens.word.max(1)[row] + 1
        return list(
            zip(
                self.tokens.language[row, pos].tolist(),
                self.tokens.place_in_word[row, pos].tolist(),
                np.log2(1 + self.count[self.tokens.batch.tokens[row, pos]]).astype(int).tolist(),
                (N_PLACES * self.tokens.word[row, pos] // n_words).tolist(),
                self.also[row, pos].tolist(),
                strict=True,
            )
        )
