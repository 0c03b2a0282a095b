"""How far a neuron's activation sets the texts of one language apart, and how surprising that is."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import stats

from interp.neurons.average_precision import check_two_classes

_LEAST_SPREAD = 1e-3
"""Spread within the classes that is believed, as a share of the spread of all texts."""
_LEAST_SKEW = 1e-6


def mean_difference(
    values: Float[np.ndarray, "text *unit"], positive: Bool[np.ndarray, " text"]
) -> Float[np.ndarray, "*unit"]:
    """Compute how much higher a unit's mean is in the positive texts, in pooled standard deviations (Cohen's d).

    A unit that never varies has 0. Where texts hardly vary within the classes, a thousandth of the spread of all texts
    stands in for theirs, so the number stays finite.

    Args:
        values: One row per text.
        positive: Texts in the language.

    Returns:
        Positive means more active in the positive texts.

    Raises:
        InputError: no positive texts, or no others.
    """
    check_two_classes(positive)
    wide = values.astype(np.float64)
    ours, others = wide[positive], wide[~positive]
    within = len(ours) * ours.var(0) + len(others) * others.var(0)
    spread = np.sqrt(within / max(1, len(values) - 2))
    spread = np.maximum(spread, _LEAST_SPREAD * wide.std(0))
    return np.divide(ours.mean(0) - others.mean(0), spread, out=np.zeros(spread.shape), where=spread > 0)


def auroc(values: Float[np.ndarray, "text *unit"], positive: Bool[np.ndarray, " text"]) -> Float[np.ndarray, "*unit"]:
    """Compute the chance that a positive text has the higher value of the two, ties counting one half.

    Args:
        values: One row per text.
        positive: Texts in the language.

    Returns:
        1 where every positive text is above every other, 0.5 where nothing is known, 0 where all are below.

    Raises:
        InputError: no positive texts, or no others.
    """
    return auroc_of_ranks(stats.rankdata(values, axis=0), positive)


def auroc_of_ranks(
    ranks: Float[np.ndarray, "text *unit"], positive: Bool[np.ndarray, " text"]
) -> Float[np.ndarray, "*unit"]:
    """The same from ranks, which need to be found only once for all languages and shuffles."""
    check_two_classes(positive)
    n_ours, n_others = int(positive.sum()), int((~positive).sum())
    return (ranks[positive].sum(0) - n_ours * (n_ours + 1) / 2) / (n_ours * n_others)


@dataclass(frozen=True)
class Relabellings:
    """Sums of documents, and how they are distributed when languages are dealt out among documents at random.

    Documents are dealt out whole, because texts of one document are alike. The distribution over all ways of dealing
    has a known mean, variance and skewness; its tail is taken to be that of the Pearson III distribution with these
    three (of the normal where there is no skew).

    Source: for the three moments and the tail, Mielke & Berry 2007, Permutation Methods, ch. 2.
    """

    apart: Float[np.ndarray, "document *unit"]
    """Each document's sum, less the mean of these sums."""
    second: Float[np.ndarray, "*unit"]
    """Sum of their squares."""
    third: Float[np.ndarray, "*unit"]
    """Sum of their cubes."""
    constant: Bool[np.ndarray, "*unit"]
    """Whether all documents have the same sum, so that every way of dealing gives the same."""

    @classmethod
    def of(cls, values: Float[np.ndarray, "text *unit"], document: Int[np.ndarray, " text"]) -> "Relabellings":
        """Sum values, less their mean over all texts, by document; documents in the order of `np.unique`."""
        order = np.argsort(document, kind="stable")
        starts = np.flatnonzero(np.diff(document[order], prepend=document[order[:1]] - 1))
        sums = np.add.reduceat((values - values.mean(0))[order].astype(np.float64), starts, axis=0)
        apart = sums - sums.mean(0)
        second = (apart**2).sum(0)
        size = len(sums) * np.abs(values).max(0).astype(np.float64)
        return cls(apart, second, (apart**3).sum(0), np.sqrt(second) <= 1e-9 * size)

    def p(self, ours: Bool[np.ndarray, " document"]) -> Float[np.ndarray, "*unit"]:
        """Chance that random documents, as many as ours, have so large a sum; one-sided: small where ours are high.

        No p is below one over the number of ways of dealing.
        """
        check_two_classes(ours)
        n, k = len(ours), int(ours.sum())
        spread = np.where(self.constant, 1, np.sqrt(k * (n - k) / (n * (n - 1)) * self.second))
        third = k * (n - k) * (n - 2 * k) / (n * (n - 1) * max(1, n - 2)) * self.third
        skew = np.where(self.constant, 0, third / spread**3)
        z = self.apart[ours].sum(0) / spread
        skewed = np.abs(skew) > _LEAST_SKEW
        p = np.where(skewed, stats.pearson3.sf(z, np.where(skewed, skew, 1)), stats.norm.sf(z))
        floor = max(1 / math.comb(n, k), np.finfo(np.float64).tiny)
        return np.where(self.constant, 1, np.clip(p, floor, 1))
