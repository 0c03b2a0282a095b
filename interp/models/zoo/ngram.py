"""An interpolated Kneser-Ney n-gram model over token ids: what counting alone predicts.

A language model that does not beat it on the same tokens has learnt little. All n-grams are packed into one 64-bit
number each, so that counting is sorting and looking up is bisection.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt64

from interp.errors import InputError


@dataclass(frozen=True)
class _Order:
    """Counts of one order: of n-grams, and of their contexts."""

    keys: UInt64[np.ndarray, " ngram"]
    counts: Int[np.ndarray, " ngram"]
    contexts: UInt64[np.ndarray, " context"]
    totals: Int[np.ndarray, " context"]
    """Sum of the counts after each context."""
    kinds: Int[np.ndarray, " context"]
    """Number of different tokens after each context."""
    discount: float


@dataclass(frozen=True)
class KneserNey:
    """An n-gram model made by `KneserNey.fit`.

    Source: Kneser & Ney 1995; interpolated form as in Chen & Goodman 1999, sec. 3 (one discount an order).
    """

    orders: tuple[_Order, ...]
    """From unigrams up."""
    d_vocab: int
    bits: int

    @classmethod
    def fit(cls, tokens: Int[np.ndarray, " pos"], *, d_vocab: int, order: int = 5) -> "KneserNey":
        """Count the n-grams of a stream of token ids.

        Args:
            tokens: The training stream; what lies at a seam of texts counts as one n-gram like any other.
            d_vocab: Number of token ids.
            order: Length of the longest n-gram.

        Raises:
            InputError: the n-grams do not fit 64 bits, or the stream is shorter than one.
        """
        bits = max(1, int(d_vocab - 1).bit_length())
        if order * bits > 64:
            raise InputError(f"{order}-grams over {d_vocab} tokens need {order * bits} bits. Expected at most 64.")
        if len(tokens) < order:
            raise InputError(f"{len(tokens)} tokens are fewer than one {order}-gram. Give more text.")
        keys, counts = np.unique(_pack(tokens, order, bits), return_counts=True)
        orders = [_order(keys, counts, bits)]
        for length in range(order - 1, 0, -1):
            # Lower orders count in how many contexts an n-gram occurs, not how often.
            keys, counts = np.unique(keys & np.uint64((1 << (length * bits)) - 1), return_counts=True)
            orders.insert(0, _order(keys, counts, bits))
        return cls(tuple(orders), d_vocab, bits)

    def log2_prob(self, tokens: Int[np.ndarray, " pos"]) -> Float[np.ndarray, " pos"]:
        """Base-2 log-probability of each token after those before it; the first ones have shorter contexts."""
        prob = np.full(len(tokens), 1.0 / self.d_vocab)
        for length, order in enumerate(self.orders, 1):
            keys = _pack(tokens, length, self.bits)
            prob[length - 1 :] = _interpolate(order, keys, prob[length - 1 :], self.bits)
        return np.log2(prob)


def _pack(tokens: Int[np.ndarray, " pos"], length: int, bits: int) -> UInt64[np.ndarray, " ngram"]:
    wide = tokens.astype(np.uint64)
    n = max(0, len(wide) - length + 1)
    keys = np.zeros(n, np.uint64)
    for offset in range(length):
        keys = (keys << np.uint64(bits)) | wide[offset : offset + n]
    return keys


def _order(keys: UInt64[np.ndarray, " ngram"], counts: Int[np.ndarray, " ngram"], bits: int) -> _Order:
    contexts, starts, kinds = np.unique(keys >> np.uint64(bits), return_index=True, return_counts=True)
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    # Without singletons and doubletons the estimate is undefined; a half is the usual value.
    discount = once / (once + 2 * twice) if once and twice else 0.5
    return _Order(keys, counts, contexts, np.add.reduceat(counts, starts), kinds, discount)


def _interpolate(
    order: _Order, keys: UInt64[np.ndarray, " pos"], shorter: Float[np.ndarray, " pos"], bits: int
) -> Float[np.ndarray, " pos"]:
    place, known = _find(order.contexts, keys >> np.uint64(bits))
    total = np.where(known, order.totals[place], 1)
    found, seen = _find(order.keys, keys)
    own = np.where(seen, np.maximum(order.counts[found] - order.discount, 0.0), 0.0) / total
    rest = order.discount * order.kinds[place] / total
    return np.where(known, own + rest * shorter, shorter)


def _find(
    sorted_keys: UInt64[np.ndarray, " n"], wanted: UInt64[np.ndarray, " pos"]
) -> tuple[Int[np.ndarray, " pos"], np.ndarray]:
    place = np.minimum(np.searchsorted(sorted_keys, wanted), len(sorted_keys) - 1)
    return place, sorted_keys[place] == wanted
