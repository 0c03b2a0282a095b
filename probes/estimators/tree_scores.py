"""How well predicted distances and depths give back dependency trees."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
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
    right = edges_found(predicted, true)
    edges = sum(len(theirs) - 1 for theirs in true)
    if not edges:
        raise InputError("No sentence has two words, so there is no edge to find.")
    return int(right.sum()) / edges


def edges_found(predicted: Distances, true: Distances) -> Int[np.ndarray, " sentence"]:
    """Count in each sentence the true edges that the minimum spanning tree of the predicted distances holds too.

    Raises:
        InputError: other sentences in one than in the other.
    """
    _check_alike(predicted, true)
    return np.array(
        [len(spanning_edges(ours) & spanning_edges(theirs)) for ours, theirs in zip(predicted, true, strict=True)]
    )


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
    return _mean_over_lengths(spearman_by_sentence(predicted, true), true, lengths)


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
    return _mean_over_lengths(spearman_by_sentence(predicted, true), true, lengths)


def spearman_by_sentence(predicted: Distances | Depths, true: Distances | Depths) -> Float[np.ndarray, " sentence"]:
    """Compute the Spearman correlation of each sentence: of its depths, or the mean over its words of distances'.

    0 where all predicted, or all true ones, are the same.

    Raises:
        InputError: other sentences in one than in the other.
    """
    _check_alike(predicted, true)
    return np.array([_spearman(ours, theirs).mean() for ours, theirs in zip(predicted, true, strict=True)])


def root_accuracy(predicted: Depths, true: Depths) -> float:
    """Compute the share of sentences whose root is the word of least predicted depth.

    Raises:
        InputError: other sentences in one than in the other.
    """
    return float(roots_found(predicted, true).mean())


def roots_found(predicted: Depths, true: Depths) -> Bool[np.ndarray, " sentence"]:
    """Say of each sentence whether its root is the word of least predicted depth.

    Raises:
        InputError: other sentences in one than in the other.
    """
    _check_alike(predicted, true)
    return np.array([ours.argmin() == theirs.argmin() for ours, theirs in zip(predicted, true, strict=True)])


def _check_alike(predicted: Sequence[np.ndarray], true: Sequence[np.ndarray]) -> None:
    if not len(true) or [one.shape for one in predicted] != [one.shape for one in true]:
        raise InputError(
            f"{len(predicted)} predicted sentences for {len(true)}, or sentences of other lengths. "
            "Expected the same sentences in both, and at least one."
        )


def _spearman(ours: Shaped[np.ndarray, "*row word"], theirs: Shaped[np.ndarray, "*row word"]) -> np.ndarray:
    """Correlation of the ranks of each row, and 0 for a row that is all the same."""
    # As in scipy.stats.spearmanr, without its test, which takes most of the time.
    ranks = [rankdata(values, axis=-1) - (values.shape[-1] + 1) / 2 for values in (ours, theirs)]
    scale = np.sqrt((ranks[0] ** 2).sum(-1) * (ranks[1] ** 2).sum(-1))
    return np.asarray((ranks[0] * ranks[1]).sum(-1) / np.where(scale > 0, scale, 1.0))


def _mean_over_lengths(
    values: Float[np.ndarray, " sentence"], true: Sequence[np.ndarray], lengths: tuple[int, int]
) -> float:
    by_length: dict[int, list[float]] = {}
    for value, theirs in zip(values.tolist(), true, strict=True):
        if lengths[0] <= len(theirs) <= lengths[1]:
            by_length.setdefault(len(theirs), []).append(value)
    if not by_length:
        raise InputError(f"No sentence has {lengths[0]} to {lengths[1]} words. Give such sentences, or other lengths.")
    return float(np.mean([np.mean(values) for values in by_length.values()]))
