"""Average precision of a neuron as a classifier of texts by language."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import stats

from interp.errors import InputError

N_EACH = 1000
"""Neurons taken at the top and at the bottom, for each language, in the source: under 1 % of its models' neurons."""
N_NULL = 10_000
"""Relabellings that p-values are read from."""
_AT_ONCE = 2**22


@dataclass(frozen=True)
class RankedNeurons:
    """The neurons that tell a language best, by firing for it and by keeping still for it."""

    top: Bool[np.ndarray, "layer neuron"]
    bottom: Bool[np.ndarray, "layer neuron"]


def average_precision(
    values: Float[np.ndarray, "text *unit"], positive: Bool[np.ndarray, " text"]
) -> Float[np.ndarray, "*unit"]:
    """Compute the average precision of ranking texts by each unit's value, best first.

    The sum over recall steps of the precision there: 1 where all positive texts come first, about their share where
    the ranking knows nothing. Equal values are one step, as in scikit-learn's `average_precision_score`.

    Args:
        values: One row per text; for neurons the mean activation over its tokens, and its negative to find neurons
            that keep still.
        positive: Texts in the language.

    Raises:
        InputError: no positive texts, or no others.
    """
    return of_ranks(ranks_from_top(values), positive)


def ranks_from_top(values: Float[np.ndarray, "text *unit"]) -> Int[np.ndarray, "text *unit"]:
    """Count the texts with at least this text's value: found once, they serve every language and every shuffle."""
    return stats.rankdata(-values, method="max", axis=0).astype(np.int32)


def of_ranks(ranks: Int[np.ndarray, "text *unit"], positive: Bool[np.ndarray, " text"]) -> Float[np.ndarray, "*unit"]:
    """Average precision from `ranks_from_top`."""
    check_two_classes(positive)
    ordered = np.sort(ranks[positive], axis=0)
    hits = np.broadcast_to(np.arange(1, len(ordered) + 1).reshape(-1, *[1] * (ordered.ndim - 1)), ordered.shape).copy()
    # Equal values are one step: each counts the hits up to the end of its run.
    hits[:-1][ordered[1:] == ordered[:-1]] = len(ordered)
    hits = np.minimum.accumulate(hits[::-1], axis=0)[::-1]
    return (hits / ordered).mean(0)


def null_p(found: Float[np.ndarray, "*unit"], n: int, n_positive: int, *, seed: int = 0) -> Float[np.ndarray, "*unit"]:
    """Chance that a ranking which knows nothing has at least this average precision, the same for every unit.

    Read from `N_NULL` random rankings, so no p is below 1 / (1 + N_NULL). Ties make a unit's chance smaller than that.

    Args:
        found: Average precisions of independent texts.
        n: Texts.
        n_positive: Positive ones among them.
        seed: Decides the rankings.
    """
    reached = N_NULL - np.searchsorted(_null(n, n_positive, seed), found * (1 - 1e-12), side="left")
    return (1 + reached) / (1 + N_NULL)


@lru_cache(maxsize=16)
def _null(n: int, n_positive: int, seed: int) -> Float[np.ndarray, " ranking"]:
    """Average precisions of random rankings, in order."""
    rng, null = np.random.default_rng(seed), []
    step = max(1, _AT_ONCE // n)
    for start in range(0, N_NULL, step):
        labels = np.zeros((min(step, N_NULL - start), n), bool)
        labels[:, :n_positive] = True
        hits = rng.permuted(labels, axis=1)
        precision = np.cumsum(hits, 1) / np.arange(1, n + 1)
        null.append(np.where(hits, precision, 0).sum(1) / n_positive)
    return np.sort(np.concatenate(null))


def ranked_neurons(
    top: Float[np.ndarray, "layer neuron"], bottom: Float[np.ndarray, "layer neuron"], *, n_each: int = N_EACH
) -> RankedNeurons:
    """Take the neurons with the highest average precision, of their activation and of its negative, as published.

    Always so many are taken, also where no neuron knows the language: see `language_neurons` for significance.

    Args:
        top: Average precision of the activation, for one language.
        bottom: Average precision of the negative activation.
        n_each: Neurons at the top, and as many at the bottom.

    Raises:
        InputError: more neurons than there are.

    Source: Kojima et al. 2024, On the Multilingual Ability of Decoder-based Pre-trained Language Models, NAACL
    (arXiv:2404.02431), after Suau et al. 2020 (arXiv:2005.07647).
    """
    if not 1 <= n_each <= top.size:
        raise InputError(f"{n_each} of {top.size} neurons cannot be taken. Expected n_each between 1 and all.")
    return RankedNeurons(*(_largest(scores, n_each) for scores in (top, bottom)))


def _largest(scores: Float[np.ndarray, "layer neuron"], n: int) -> Bool[np.ndarray, "layer neuron"]:
    chosen = np.zeros(scores.size, bool)
    chosen[np.argsort(-scores, axis=None, kind="stable")[:n]] = True
    return chosen.reshape(scores.shape)


def check_two_classes(positive: Bool[np.ndarray, " text"]) -> None:
    """Refuse labels of one class.

    Raises:
        InputError: no positive texts, or no others.
    """
    if not 0 < positive.sum() < len(positive):
        raise InputError(f"{positive.sum()} of {len(positive)} texts are positive. Expected some, and some others.")
