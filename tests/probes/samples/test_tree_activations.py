"""Words of parsed sentences with their activations: cut as the trees are, and refused where a probe would be misled."""

import numpy as np
import pytest

from interp.errors import InputError
from probes.samples.tree_activations import TreeActivations
from probes.samples.trees import TreeLabels

TREES = TreeLabels.of([[0, 1, 1], [2, 0], [0, 1, 2]])
X = np.random.default_rng(0).normal(size=(2, 8, 4))


def test_words_are_cut_into_sentences_and_each_is_a_group_of_its_own():
    data = TreeActivations(X, TREES)
    assert [len(words) for words in data.by_sentence(X[0])] == [3, 2, 3]
    np.testing.assert_array_equal(data.by_sentence(X[1])[1], X[1, 3:5])
    assert data.groups.tolist() == [0, 1, 2]
    assert data.layers == (0, 1)


def test_first_words_may_be_the_same_in_all_sentences():
    same = X.copy()
    same[:, [3, 5]] = same[:, :1]
    TreeActivations(same, TREES, layers=(-1, 0))


def test_refusals():
    twins = X.copy()
    twins[:, 5:] = twins[:, :3]
    TreeActivations(twins, TREES, np.array(["a", "b", "a"]))
    with pytest.raises(InputError, match="Sentences 0 and 2 have identical activations"):
        TreeActivations(twins, TREES)
    spoilt = X.copy()
    spoilt[0, 3, 1] = np.inf
    for given, groups, layers, words in (
        (X, [0, 1], (), "2 groups for 3 sentences"),
        (X, [1, 1, 1], (), "All sentences are in one group"),
        (X, [0, 1, 2], (0,), r"Layer numbers \(0,\) for a stack of 2"),
        (X, [0, 1, 2], (3, 3), "Layer numbers"),
        (X[:, 1:], [0, 1, 2], (), "8 words in the trees, 7 samples"),
        (spoilt, [0, 1, 2], (), "1 of 64 activations are NaN or infinite"),
    ):
        with pytest.raises(InputError, match=words):
            TreeActivations(given, TREES, np.array(groups), layers)
