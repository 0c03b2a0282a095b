import networkx as nx
import numpy as np
import pytest
from scipy.stats import spearmanr

from interp.errors import InputError
from probes.estimators import (
    attachment_score,
    depth_spearman,
    distance_spearman,
    root_accuracy,
)
from probes.estimators.tree_scores import edges_found, roots_found, spanning_edges, spearman_by_sentence
from probes.samples.trees import tree_depths, tree_distances

CHAIN, STAR = tree_distances([0, 1, 2, 3, 4]), tree_distances([0, 1, 1, 1, 1])


def random_distances(n: int, seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).random((n, n))
    return values + values.T - np.diag(2 * values.diagonal())


def test_attachment_by_hand():
    """A chain and a star of five words share the edge 1-2 alone; with a sentence all right, 5 of 8 edges."""
    assert attachment_score([CHAIN], [STAR]) == pytest.approx(1 / 4)
    assert attachment_score([CHAIN, STAR], [STAR, STAR]) == pytest.approx(5 / 8)
    assert attachment_score([STAR], [STAR]) == 1


def test_scores_of_each_sentence_by_hand():
    """The chain and the star share one edge; of chain and star ranks, words 1 to 5 are averaged over all words."""
    assert edges_found([CHAIN, STAR], [STAR, STAR]).tolist() == [1, 4]
    deep = tree_depths([0, 1, 2, 3, 4])
    assert roots_found([deep, -deep], [deep, deep]).tolist() == [True, False]
    np.testing.assert_allclose(spearman_by_sentence([deep, -deep, np.ones(5)], [deep] * 3), [1, -1, 0])
    by_word = [spearmanr(a, b).statistic for a, b in zip(CHAIN, STAR, strict=True)]
    np.testing.assert_allclose(spearman_by_sentence([CHAIN], [STAR]), [np.mean(by_word)])
    flat = CHAIN.copy()
    flat[0] = 7
    np.testing.assert_allclose(spearman_by_sentence([flat], [CHAIN]), [4 / 5])


def test_only_the_order_of_distances_matters_and_none_is_lost_at_zero():
    assert attachment_score([np.exp(CHAIN)], [CHAIN]) == 1
    together = CHAIN.copy()
    together[0, 1] = together[1, 0] = 0
    assert spanning_edges(together) == {(0, 1), (1, 2), (2, 3), (3, 4)}
    assert len(spanning_edges(np.zeros((6, 6)))) == 5


def test_spanning_edges_are_those_of_networkx():
    for seed in range(10):
        distances = random_distances(12, seed)
        theirs = nx.minimum_spanning_tree(nx.from_numpy_array(distances)).edges
        assert spanning_edges(distances) == {tuple(sorted(edge)) for edge in theirs}


def test_words_left_out_of_both_are_not_counted():
    kept = np.ix_([0, 2, 4], [0, 2, 4])
    assert attachment_score([CHAIN[kept]], [CHAIN[kept]]) == 1
    assert spanning_edges(CHAIN[kept]) == {(0, 1), (1, 2)}


def test_spearman_of_distances_is_scipys_averaged_word_by_word_then_over_lengths():
    true = [CHAIN, STAR, tree_distances([0, 1, 1, 2, 3, 3, 6])]
    ours = [random_distances(len(one), seed) for seed, one in enumerate(true)]
    by_word = [[spearmanr(a, b).statistic for a, b in zip(p, t, strict=True)] for p, t in zip(ours, true, strict=True)]
    expected = np.mean([np.mean(by_word[0] + by_word[1]), np.mean(by_word[2])])
    assert distance_spearman(ours, true) == pytest.approx(expected)
    assert distance_spearman(ours, true, (6, 50)) == pytest.approx(np.mean(by_word[2]))


def test_what_knows_nothing_is_above_zero_because_each_word_is_nearest_to_itself():
    rng = np.random.default_rng(0)
    for n, low, high in ((5, 0.4, 0.6), (30, 0.02, 0.2)):
        trees = [tree_distances([0] + [int(rng.integers(1, word + 1)) for word in range(1, n)]) for _ in range(40)]
        guesses = [random_distances(n, seed) for seed in range(40)]
        assert low < distance_spearman(guesses, trees) < high


def test_spearman_of_depths_by_hand():
    """Ranks 1 2 3 4 5 against 2 1 3 4 5: 1 - 6 * 2 / (5 * 24) = 0.9; of the other length -1; their mean."""
    chain = tree_depths([0, 1, 2, 3, 4])
    longer = tree_depths([0, 1, 2, 3, 4, 5])
    assert depth_spearman([np.array([1.5, 0.5, 2.0, 3.0, 9.0])], [chain]) == pytest.approx(0.9)
    both = [np.array([1.5, 0.5, 2.0, 3.0, 9.0]), -longer]
    assert depth_spearman(both, [chain, longer]) == pytest.approx((0.9 - 1) / 2)
    assert depth_spearman([np.ones(5)], [chain]) == 0


def test_root_accuracy_by_hand():
    true = [tree_depths([0, 1, 1]), tree_depths([2, 0, 2]), tree_depths([0, 1, 2])]
    assert root_accuracy([np.array([0.1, 0.5, 0.2])] * 3, true) == pytest.approx(2 / 3)


def test_refusals():
    with pytest.raises(InputError, match="the same sentences in both"):
        attachment_score([CHAIN], [CHAIN, STAR])
    with pytest.raises(InputError, match="the same sentences in both"):
        distance_spearman([CHAIN[:3, :3]], [CHAIN])
    with pytest.raises(InputError, match="No sentence has 5 to 50 words"):
        distance_spearman([CHAIN[:3, :3]], [CHAIN[:3, :3]])
    with pytest.raises(InputError, match="there is no edge to find"):
        attachment_score([np.zeros((1, 1))], [np.zeros((1, 1))])
    with pytest.raises(InputError, match="at least one"):
        root_accuracy([], [])
