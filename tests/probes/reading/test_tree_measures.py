"""Measures of trees: with weights they are the scores of sentences said again, and the order of words by hand."""

import numpy as np
import pytest

from probes.estimators.tree_scores import attachment_score, depth_spearman, distance_spearman, root_accuracy
from probes.reading.tree_measures import DEPTHS, DISTANCES, MEASURES, scores
from probes.samples.trees import TreeLabels

WHOLE = {
    (DISTANCES, "uuas"): attachment_score,
    (DISTANCES, "spearman"): distance_spearman,
    (DEPTHS, "spearman"): depth_spearman,
    (DEPTHS, "root_accuracy"): root_accuracy,
}


def some_trees(n: int = 12) -> TreeLabels:
    rng = np.random.default_rng(0)
    lengths = [3, 5, 5, 7, 60, *rng.integers(5, 9, n - 5)]
    return TreeLabels.of([[0] + [int(rng.integers(1, word + 1)) for word in range(1, length)] for length in lengths])


def guesses(kind, trees):
    rng = np.random.default_rng(1)
    return [target + rng.normal(size=target.shape) for target in kind.targets(trees)]


@pytest.mark.parametrize(("kind", "name"), WHOLE)
def test_with_weights_they_are_the_scores_of_sentences_said_again(kind, name):
    trees = some_trees()
    true, predicted = kind.targets(trees), guesses(kind, trees)
    measure = MEASURES[name](scores(name, predicted, true), trees.lengths)
    counts = np.random.default_rng(2).integers(0, 3, size=(4, len(trees)))
    counts[0] = 1
    for value, row in zip(measure(counts.astype(float)), counts, strict=True):
        again = np.repeat(np.arange(len(trees)), row)
        expected = WHOLE[kind, name]([predicted[each] for each in again], [true[each] for each in again])
        assert value == pytest.approx(expected)


def test_what_is_not_there_is_undefined_and_not_zero():
    trees = some_trees()
    short = np.zeros((1, len(trees)))
    short[0, [0, 4]] = 1, 1  # of 3 and of 60 words
    assert np.isnan(MEASURES["spearman"](np.ones(len(trees)), trees.lengths)(short)).all()


def test_the_order_of_words_by_hand():
    """A chain that goes on from the first word is what the order alone says; of a star it has one edge and the root."""
    chain, star = [0, 1, 2, 3, 4], [2, 0, 2, 2, 2]
    trees = TreeLabels.of([chain, star])
    np.testing.assert_array_equal(DISTANCES.in_order(trees)[0], DISTANCES.targets(trees)[0])
    np.testing.assert_array_equal(DEPTHS.in_order(trees)[0], DEPTHS.targets(trees)[0])
    found = scores("uuas", DISTANCES.in_order(trees), DISTANCES.targets(trees))
    assert found.tolist() == [4, 2]
    assert scores("root_accuracy", DEPTHS.in_order(trees), DEPTHS.targets(trees)).tolist() == [1, 0]
