"""Mean differences and AUROC against scikit-learn and scipy; p-values against dealing the labels out for real."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from interp.errors import InputError
from interp.neurons.separation import Relabellings, auroc, mean_difference


def test_a_difference_worked_by_hand():
    # Means 3 and 0; squared distances within 2 and 2, so the pooled variance is 4 / (4 - 2) = 2.
    values, positive = np.array([2.0, 4.0, -1.0, 1.0])[:, None], np.array([True, True, False, False])
    assert mean_difference(values, positive)[0] == pytest.approx(3 / math.sqrt(2))
    assert mean_difference(values, ~positive)[0] == pytest.approx(-3 / math.sqrt(2))


def test_a_neuron_that_never_varies_differs_by_nothing_and_a_perfect_one_by_a_finite_number():
    positive = np.array([True, True, False, False])
    assert mean_difference(np.ones((4, 1)), positive) == 0
    perfect = mean_difference(positive[:, None].astype(float), positive)
    # The spread of all is 0.5, a thousandth of it stands in.
    assert perfect == pytest.approx(1 / 5e-4)


@pytest.mark.parametrize("ties", [False, True])
def test_every_neuron_has_the_auroc_of_scikit_learn(ties):
    rng = np.random.default_rng(0)
    values, positive = rng.normal(size=(50, 2, 6)), rng.random(50) < 0.4
    values = values.round() if ties else values
    found = auroc(values, positive)
    for layer in range(2):
        for neuron in range(6):
            assert found[layer, neuron] == pytest.approx(roc_auc_score(positive, values[:, layer, neuron]))
    np.testing.assert_allclose(auroc(values, ~positive), 1 - found)


def test_the_p_of_ranks_of_single_documents_is_that_of_mann_and_whitney():
    rng = np.random.default_rng(0)
    values, positive = rng.normal(size=(60, 20)), np.arange(60) < 30
    values[positive, :5] += 1
    p = Relabellings.of(stats.rankdata(values, axis=0), np.arange(60)).p(positive)
    theirs = stats.mannwhitneyu(
        values[positive], values[~positive], alternative="greater", method="asymptotic", use_continuity=False
    ).pvalue
    # Halves have no skew, so the tail is the normal one.
    np.testing.assert_allclose(p, theirs, rtol=1e-6)


@pytest.mark.parametrize("sparse", [False, True])
def test_p_is_what_dealing_labels_out_among_documents_gives(sparse):
    rng = np.random.default_rng(3)
    document = np.repeat(np.arange(30), rng.integers(1, 5, 30))
    values = rng.normal(size=(30, 12))[document] + rng.normal(size=(len(document), 12))
    values = np.maximum(values - 1.5, 0) if sparse else values
    ours = np.arange(30) < 9
    values[np.isin(document, np.flatnonzero(ours)), :6] += 0.4
    p = Relabellings.of(values, document).p(ours)
    sums = np.stack([(values - values.mean(0))[document == number].sum(0) for number in range(30)])
    dealt = np.stack([sums[rng.permutation(30)[:9]].sum(0) for _ in range(20_000)])
    true = (dealt >= sums[ours].sum(0) - 1e-9).mean(0)
    assert true.min() < 0.05 < true.max()
    np.testing.assert_allclose(p, true, atol=0.02, rtol=0.25)


def test_texts_of_one_document_do_not_count_as_so_many():
    rng = np.random.default_rng(0)
    document = np.repeat(np.arange(12), 40)
    values = rng.normal(size=(12, 500))[document] + 0.1 * rng.normal(size=(480, 500))
    ours = np.arange(12) < 6
    honest = Relabellings.of(values, document).p(ours)
    blind = Relabellings.of(values, np.arange(480)).p(ours[document])
    assert (honest <= 0.05).mean() == pytest.approx(0.05, abs=0.03)
    assert (blind <= 0.05).mean() > 0.3, "or documents would not matter here"


def test_no_p_is_below_one_over_the_ways_of_dealing():
    values = np.array([100.0, 90.0, 0.0, 1.0, 2.0, 3.0])[:, None]
    ours = np.array([True, True, False, False, False, False])
    assert Relabellings.of(values, np.arange(6)).p(ours) >= 1 / math.comb(6, 2)


def test_documents_are_told_apart_by_their_number_not_their_place():
    rng = np.random.default_rng(0)
    document, values = np.repeat([3, 0, 7, 5], 2), rng.normal(size=(8, 4))
    order = rng.permutation(8)
    ours = np.array([True, False, True, False])
    np.testing.assert_allclose(
        Relabellings.of(values, document).p(ours), Relabellings.of(values[order], document[order]).p(ours)
    )


def test_a_neuron_that_never_varies_has_a_p_of_one():
    assert Relabellings.of(np.full((6, 1), 0.1), np.arange(6)).p(np.arange(6) < 2) == 1


def test_one_class_is_refused():
    with pytest.raises(InputError, match="are positive"):
        auroc(np.zeros((4, 2)), np.zeros(4, bool))
