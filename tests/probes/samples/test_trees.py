"""Trees over words: distances and depths by hand, and what is no tree is refused."""

import numpy as np
import pytest

from interp.errors import InputError
from probes.samples.trees import ROOT, TreeLabels, drop_words

# "the cat sat on the mat": sat is the root; cat and mat hang on it, each word else on what it belongs to.
SENTENCE = [2, 3, 0, 6, 6, 3]
CHAIN = [2, 3, 0]


def test_distances_and_depths_by_hand():
    trees = TreeLabels.of([CHAIN, SENTENCE])
    np.testing.assert_array_equal(trees.depths(1), [2, 1, 0, 2, 2, 1])
    np.testing.assert_array_equal(
        trees.distances(1),
        [
            [0, 1, 2, 4, 4, 3],
            [1, 0, 1, 3, 3, 2],
            [2, 1, 0, 2, 2, 1],
            [4, 3, 2, 0, 2, 1],
            [4, 3, 2, 2, 0, 1],
            [3, 2, 1, 1, 1, 0],
        ],
    )
    np.testing.assert_array_equal(trees.depths(0), [2, 1, 0])
    assert len(trees) == 2
    assert trees.words(1) == slice(3, 9)
    np.testing.assert_array_equal(trees.sentences, [0, 0, 0, 1, 1, 1, 1, 1, 1])


def test_a_sentence_of_one_word_is_a_tree():
    assert TreeLabels.of([[0]]).distances(0).tolist() == [[0]]


@pytest.mark.parametrize(
    ("heads", "words"),
    [
        ([], "no sentences"),
        ([[0], []], "Sentence 1 has no words"),
        ([[0, 0]], "Sentence 0 has 2 roots"),
        ([[2, 1]], "Sentence 0 has 0 roots"),
        ([[0, 4]], "Word 1 of sentence 0 has the head 3"),
        ([[0, -4]], "Word 1 of sentence 0 has the head -5"),
        ([[0, 3, 2]], "form 2 parts"),
        ([[0, 2]], "form 2 parts"),
    ],
)
def test_what_is_no_tree_is_refused(heads, words):
    with pytest.raises(InputError, match=words):
        TreeLabels.of(heads)


def test_samples_are_the_words_and_sentences_stay_whole():
    trees = TreeLabels.of([CHAIN, SENTENCE])
    trees.check_samples(9, np.repeat(["a", "b"], [3, 6]))
    trees.check_samples(9, np.full(9, "a"))
    with pytest.raises(InputError, match="9 words in the trees, 8 samples"):
        trees.check_samples(8, np.full(9, "a"))
    with pytest.raises(InputError, match=r"Sentence 1 has words in the groups \['a', 'b'\]"):
        trees.check_samples(9, np.repeat(["a", "b"], [4, 5]))


def test_what_hung_on_a_dropped_word_hangs_on_the_next_above_that_stays():
    """a <- b <- c <- d, where d is the root, and e on b; without b and c, both a and e hang on d."""
    heads = [1, 2, 3, ROOT, 1]
    assert drop_words(heads, [False, True, True, False, False]) == (1, ROOT, 1)
    assert drop_words(heads, [True, False, False, False, True]) == (1, 2, ROOT)
    assert drop_words(heads, [False] * 5) == tuple(heads)


def test_neither_the_root_nor_words_of_what_is_no_tree_are_dropped():
    with pytest.raises(InputError, match="The root of the tree would be taken out"):
        drop_words([1, ROOT], [False, True])
    with pytest.raises(InputError, match="lead in a circle"):
        drop_words([1, 0, ROOT], [False, False, False])
