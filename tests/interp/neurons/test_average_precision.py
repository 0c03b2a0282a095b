"""Average precision of every neuron at once is scikit-learn's, one by one."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from interp.errors import InputError
from interp.neurons.average_precision import N_NULL, average_precision, null_p, ranked_neurons


def test_a_ranking_worked_by_hand():
    # Best first: positive, other, positive. Precision 1 at the first, 2/3 at the second: the mean is 5/6.
    values = np.array([[3.0], [2.0], [1.0]])
    assert average_precision(values, np.array([True, False, True])) == pytest.approx(5 / 6)
    assert average_precision(-values, np.array([True, False, True])) == pytest.approx(5 / 6)
    assert average_precision(values, np.array([False, False, True])) == pytest.approx(1 / 3)


@pytest.mark.parametrize("ties", [False, True])
def test_every_neuron_has_the_number_of_scikit_learn(ties):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, 3, 7))
    if ties:
        values = values.round()
        values[:, 0, 0] = 1.0
    positive = rng.random(60) < 0.3
    found = average_precision(values, positive)
    assert found.shape == (3, 7)
    for layer in range(3):
        for neuron in range(7):
            assert found[layer, neuron] == pytest.approx(average_precision_score(positive, values[:, layer, neuron]))


def test_p_is_as_frequent_as_it_says_when_nothing_is_known():
    rng = np.random.default_rng(1)
    positive = np.arange(40) < 10
    p = null_p(average_precision(rng.normal(size=(40, 4000)), positive), 40, 10)
    for level in (0.001, 0.05, 0.5):
        assert (p <= level).mean() == pytest.approx(level, abs=4 * np.sqrt(level / 4000) + 1e-9)


def test_p_of_a_perfect_ranking_is_the_least_and_of_the_worst_is_one():
    positive = np.arange(40) < 10
    best, worst = (average_precision(sign * np.arange(40.0)[:, None], positive) for sign in (-1, 1))
    assert null_p(best, 40, 10) == 1 / (1 + N_NULL)
    assert null_p(worst, 40, 10) == 1


def test_the_first_and_the_last_are_taken():
    top, bottom = np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([[0.7, 0.1], [0.2, 0.3]])
    found = ranked_neurons(top, bottom, n_each=2)
    assert found.top.tolist() == [[False, True], [True, False]]
    assert found.bottom.tolist() == [[True, False], [False, True]]
    with pytest.raises(InputError, match="1000 of 4 neurons"):
        ranked_neurons(top, bottom)


@pytest.mark.parametrize("share", [0, 1])
def test_one_class_is_refused(share):
    with pytest.raises(InputError, match="are positive"):
        average_precision(np.zeros((4, 2)), np.full(4, bool(share)))
