"""Which token ends a word, told from the way text becomes tokens alone."""

from collections.abc import Callable
from itertools import count

import numpy as np

from interp.prompts.spans import TokenIds

Encode = Callable[[str], TokenIds]
"""Turns text into token ids the way the model wants them, BOS included."""


class TokenizedText:
    """A text, its tokens, and which of them ends where.

    A token ends where a beginning of the text does, when the tokens of that beginning are the first tokens of the whole
    text; whatever the tokenizer puts around a text is left aside. Nothing else of the tokenizer is asked, so it works
    for all of them.
    """

    def __init__(self, text: str, encode: Encode):
        self.text = text
        self.ids = encode(text)
        self._encode = encode
        self._closing = _n_alike(encode("a")[::-1], encode("b")[::-1])
        self._counts: dict[str, int | None] = {}

    def last_token(self, start: int, end: int) -> int | None:
        """Position of the token that ends with the characters from `start` to `end`, that one excluded.

        None where the tokenizer does not cut the text at `end`, or has no token for what stands between.
        """
        stop, before = self._n_tokens(self.text[:end]), self._n_tokens(self.text[:start].rstrip())
        return None if stop is None or (before is not None and stop <= before) else stop - 1

    def _n_tokens(self, beginning: str) -> int | None:
        """Number of tokens that a beginning of the text takes, those before the text included."""
        if beginning not in self._counts:
            ids = self._encode(beginning)
            stop = len(ids) - self._closing
            self._counts[beginning] = stop if np.array_equal(ids[:stop], self.ids[:stop]) else None
        return self._counts[beginning]


def _n_alike(left: TokenIds, right: TokenIds) -> int:
    """Number of leading tokens that are the same in both; 0 where all are, as where neither text is known."""
    if np.array_equal(left, right):
        return 0
    return next(place for place in count() if place >= min(len(left), len(right)) or left[place] != right[place])
