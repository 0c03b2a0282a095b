"""How well predicted distances and depths give back dependency trees."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.stats import rankdata

from interp.errors import InputError

Distances = Sequence[Float[np.ndarray, "_ _"]]
Depths = Sequence[Float[np.ndarray, " _"]]
LENGTHS = (5, 50)
"""Sentences of fewer or more words are left out of Spearman correlations."""


def attachment_score(predicted: Distances, true: Distances) -> float:
    """Compute the undirected unlabelled attachment score (UUAS).

    The share of true edges, over all sentences together, that the minimum spanning tree of the predicted distances
    holds too. To leave words out, such as punctuation, drop their rows and columns from both.

    Args:
        predicted: Of each sentence, a number for each two words; only their order matters.
        true: Distances in the tree.

    Returns:
        0 to 1; higher is better.

    Raises:
        InputError: other sentences in one than in the other, or no sentence of two words or more.

    Source: Hewitt & Manning 2019, sec. 3.1 (NAACL, N19-1419).
    """
    _check_alike(predicted, true)
    right = edges = 0
    for ours, theirs in zip(predicted, true, strict=True):
        both = spanning_edges(ours) & spanning_edges(theirs)
        right, edges = right + len(both), edges + len(theirs) - 1
    if not edges:
        raise InputError("No sentence has two words, so there is no edge to find.")
    return right / edges


def spanning_edges(distances: Float[np.ndarray, "word word"]) -> set[tuple[int, int]]:
    """Return the edges of the minimum spanning tree, each as two places in rising order."""
    # One more for all edges leaves the tree as it is; scipy takes a distance of 0 for no edge.
    upper = np.triu(distances - distances.min() + 1, 1)
    return set(zip(*(ends.tolist() for ends in minimum_spanning_tree(upper).nonzero()), strict=True))


def distance_spearman(predicted: Distances, true: Distances, lengths: tuple[int, int] = LENGTHS) -> float:
    """Compute the mean Spearman correlation of predicted and true distances from a word to all words (DSpr).

    Averaged over words among sentences of one length, then over lengths. A word's distance to itself
    is among them, which any prediction gets right: random distances reach 0.5 in sentences of 5 words,
    0.14 of 20 and 0.06 of 50. Set it beside shuffled sentences.

    Args:
        predicted: Of each sentence, a number for each two words.
        true: Distances in the tree.
        lengths: Fewest and most words of sentences that count.

    Returns:
        -1 to 1; higher is better.

    Raises:
        InputError: other sentences in one than in the other, or none of these lengths.

    Source: Hewitt & Manning 2019, sec. 3.1 (NAACL, N19-1419).
    """
    _check_alike(predicted, true)
    found = [
        (len(theirs), [_spearman(row, other) for row, other in zip(ours, theirs, strict=True)])
        for ours, theirs in zip(predicted, true, strict=True)
    ]
    return _mean_over_lengths(found, lengths)


def depth_spearman(predicted: Depths, true: Depths, lengths: tuple[int, int] = LENGTHS) -> float:
    """Compute the mean Spearman correlation of predicted and true depths of the words of a sentence (NSpr).

    Averaged over sentences of one length, then over lengths.

    Args:
        predicted: Of each sentence, a number for each word.
        true: Depths in the tree.
        lengths: Fewest and most words of sentences that count.

    Returns:
        -1 to 1; higher is better, and 0 where all predicted are the same.

    Raises:
        InputError: other sentences in one than in the other, or none of these lengths.

    Source: Hewitt & Manning 2019, sec. 3.2 (NAACL, N19-1419).
    """
    _check_alike(predicted, true)
    found = [(len(theirs), [_spearman(ours, theirs)]) for ours, theirs in zip(predicted, true, strict=True)]
    return _mean_over_lengths(found, lengths)


def root_accuracy(predicted: Depths, true: Depths) -> float:
    """Compute the share of sentences whose root is the word of least predicted depth.

    Raises:
        InputError: other sentences in one than in the other.
    """
    _check_alike(predicted, true)
    return float(np.mean([ours.argmin() == theirs.argmin() for ours, theirs in zip(predicted, true, strict=True)]))


def _check_alike(predicted: Sequence[np.ndarray], true: Sequence[np.ndarray]) -> None:
    if not len(true) or [one.shape for one in predicted] != [one.shape for one in true]:
        raise InputError(
            f"{len(predicted)} predicted sentences for {len(true)}, or sentences of other lengths. "
            "Expected the same sentences in both, and at least one."
        )


def _spearman(ours: Float[np.ndarray, " word"], theirs: Float[np.ndarray, " word"]) -> float:
    if np.ptp(ours) == 0 or np.ptp(theirs) == 0:
        return 0.0
    # As in scipy.stats.spearmanr, without its test, which takes most of the time.
    return float(np.corrcoef(rankdata(ours), rankdata(theirs))[0, 1])


def _mean_over_lengths(found: Sequence[tuple[int, list[float]]], lengths: tuple[int, int]) -> float:
    by_length: dict[int, list[float]] = {}
    for length, values in found:
        if lengths[0] <= length <= lengths[1]:
            by_length.setdefault(length, []).extend(values)
    if not by_length:
        raise InputError(f"No sentence has {lengths[0]} to {lengths[1]} words. Give such sentences, or other lengths.")
    return float(np.mean([np.mean(values) for values in by_length.values()]))
