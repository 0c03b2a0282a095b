import numpy as np
import pytest

from interp.errors import InputError
from probes.reading.controls import majority_accuracy, shuffled_labels
from probes.reading.intervals import accuracy_over_groups


def test_groups_of_one_label_stay_whole():
    groups = np.repeat(np.arange(10), 4)
    labels = np.array(["a", "b"])[groups % 2]
    drawn = shuffled_labels(labels, groups, seed=3)
    assert (drawn != labels).any()
    assert all(len(set(drawn[groups == group])) == 1 for group in range(10))
    assert sorted(drawn[::4]) == sorted(labels[::4])


def test_groups_of_several_labels_are_permuted_sample_by_sample():
    groups = np.repeat(np.arange(5), 4)
    labels = np.array(["a", "b"] * 10)
    drawn = shuffled_labels(labels, groups)
    assert sorted(drawn) == sorted(labels)
    assert (drawn != labels).any()


def test_a_permutation_is_unrelated_to_the_labels_on_average():
    groups = np.arange(40)
    labels = groups % 4
    kept = np.mean([(shuffled_labels(labels, groups, seed=seed) == labels).mean() for seed in range(300)])
    assert kept == pytest.approx(9 / 39, abs=0.02)


def test_labels_that_cannot_be_permuted_are_refused():
    with pytest.raises(InputError, match="cannot be permuted"):
        shuffled_labels(np.array([0, 0, 0]), np.array([0, 1, 2]))


def test_majority_by_hand():
    assert majority_accuracy(np.array(["a", "b", "b", "c", "b"])) == pytest.approx(3 / 5)


def test_interval_by_hand_with_two_groups():
    """Groups right 4/4 and 0/4: a resample gives 0, 1/2 or 1 with chances 1/4, 1/2, 1/4."""
    correct = np.array([[True] * 4 + [False] * 4])
    estimate = accuracy_over_groups(correct, np.repeat([0, 1], 4))
    assert (estimate.low, estimate.value, estimate.high) == (0.0, 0.5, 1.0)


def test_the_interval_widens_when_samples_of_a_group_go_together():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(50), 8)
    alone = rng.random((1, 400)) < 0.7
    together = np.repeat(rng.random((1, 50)) < 0.7, 8, axis=1)
    widths = [accuracy_over_groups(correct, groups) for correct in (alone, together)]
    loose, tight = widths[1].high - widths[1].low, widths[0].high - widths[0].low
    assert loose == pytest.approx(tight * 8**0.5, rel=0.25)
    assert tight == pytest.approx(2 * 1.96 * (0.21 / 400) ** 0.5, rel=0.25)


def test_the_interval_over_several_runs_covers_single_runs():
    correct = np.stack([np.ones(20, bool), np.zeros(20, bool)])
    estimate = accuracy_over_groups(correct, np.arange(20))
    assert (estimate.low, estimate.value, estimate.high) == (0.0, 0.5, 1.0)


def test_rows_of_labels_and_numbers_are_permuted_whole():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(10), 4)
    rows, numbers = rng.random((40, 3)) < 0.5, rng.normal(size=40)
    turned = shuffled_labels(rows, groups)
    assert sorted(map(tuple, turned.tolist())) == sorted(map(tuple, rows.tolist()))
    assert not np.array_equal(turned, rows)
    assert sorted(shuffled_labels(numbers, groups)) == sorted(numbers)
    by_group = numbers[groups * 4]
    permuted = shuffled_labels(by_group, groups)
    assert all(len(set(permuted[groups == group])) == 1 for group in range(10))
