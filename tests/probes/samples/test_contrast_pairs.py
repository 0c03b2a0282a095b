"""Contrast pairs are checked when made, and templates are evened out by what was fitted to alone."""

import numpy as np
import pytest

from interp.errors import InputError
from probes.samples.contrast_pairs import ContrastPairs, contrast_folds, even_templates

N = 20
X = np.random.default_rng(0).normal(size=(3, N, 2, 4))
LABELS, GROUPS = np.arange(N) % 2, np.arange(N) // 2


def test_defaults_are_one_template_and_layers_from_zero():
    pairs = ContrastPairs(X, LABELS, GROUPS)
    assert pairs.layers == (0, 1, 2)
    assert pairs.templates.tolist() == [0] * N
    np.testing.assert_array_equal(pairs.samples.X, np.concatenate([X[:, :, 0], X[:, :, 1]], axis=2))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((X[:, :, :1], LABELS, GROUPS), "the two halves of each pair"),
        ((X, np.arange(N) % 3, GROUPS), "There are 3 classes"),
        ((X, LABELS[1:], GROUPS), "19 labels for 20 samples"),
        ((X, LABELS, GROUPS, (), np.arange(3)), "3 templates for 20 pairs"),
        ((np.where(np.arange(3)[:, None, None, None] == 1, X[:, :, :1], X), LABELS, GROUPS), "At layer 1 the two"),
        ((np.where(X[0, 0, 0, 0] == X, np.nan, X), LABELS, GROUPS), "1 of 480 activations are NaN"),
    ],
)
def test_refusals(given, words):
    with pytest.raises(InputError, match=words):
        ContrastPairs(*given)


def test_each_half_of_each_template_is_moved_to_the_mean_of_all_by_hand():
    """Means of the pairs fitted to: template a 1 and 10, template b 5 and 30, all together 3 and 20."""
    values = np.array([[0.0, 8.0], [2.0, 12.0], [4.0, 29.0], [6.0, 31.0], [100.0, 100.0]])[:, :, None]
    moved = even_templates(values, np.array(["a", "a", "b", "b", "a"]), np.arange(4))
    expected = [[2.0, 18.0], [4.0, 22.0], [2.0, 19.0], [4.0, 21.0], [102.0, 110.0]]
    np.testing.assert_allclose(moved[:, :, 0], expected)
    one = even_templates(values, np.zeros(5, int), np.arange(4))
    np.testing.assert_array_equal(one, values)


def test_a_template_must_be_among_those_fitted_to():
    templates = np.where(GROUPS == 3, "rare", "usual")
    with pytest.raises(InputError, match="without template 'rare'"):
        contrast_folds(LABELS, GROUPS, templates)
    folds = contrast_folds(LABELS, GROUPS, np.where(GROUPS < 5, "a", "b"), n_splits=2)
    assert sorted(np.concatenate([fold.test for fold in folds]).tolist()) == list(range(N))
