from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp.errors import InputError
from probes.tasks.word_samples import WordSample, common, draw, one_of_each_beginning, quantile_classes, word_task

ROWS = [np.array([1, 2, 3]), np.array([1, 2, 4]), np.array([9, 9])]


def test_one_of_each_beginning():
    samples = [WordSample(row, pos, "a", row) for row in range(2) for pos in range(3)]
    kept = one_of_each_beginning(samples, ROWS, np.random.default_rng(0))
    # The rows part at their last token: two beginnings are shared, two are each row's own.
    assert sorted(sample.position for sample in kept) == [0, 1, 2, 2]
    assert {sample.row for sample in kept if sample.position == 2} == {0, 1}


def test_drawing_and_leaving_out():
    samples = [WordSample(row, pos, label, row) for row in range(3) for pos, label in enumerate("abc") if row or pos]
    assert [(each.row, each.position) for each in draw(samples, 1)] == [(0, 1), (1, 0), (2, 0)]
    assert {each.label for each in common(samples, 3)} == {"b", "c"}
    with pytest.raises(InputError, match="samples_per_text=0"):
        draw(samples, 0)


def test_texts_without_samples_are_left_out():
    samples = [WordSample(row, 0, label, row) for row, label in ((4, "b"), (2, "a"), *((r, "ab"[r % 2]) for r in R))]
    rows = [np.array([number, 7]) for number in range(20)]
    task = word_task(rows, samples, "x")
    assert task.batch.tokens[:, 0].tolist() == [2, 4, *R]
    assert task.groups.tolist() == [2, 4, *R]
    assert task.prompts.tolist() == list(range(2 + len(R)))
    with pytest.raises(InputError, match="No word is left to sample for 'x'"):
        word_task(rows, [], "x")


R = range(8, 16)


def test_quantile_classes_by_hand():
    assert quantile_classes(np.array([1.0, 2, 3, 4, 5, 6]), 3).tolist() == [0, 0, 1, 1, 2, 2]
    assert quantile_classes(np.array([7, 1, 1, 1, 1, 9]), 3).tolist() == [1, 0, 0, 0, 0, 1]
    for values, n, words in (
        ([1.0, 2.0], 1, "1 classes"),
        ([1.0, 1.0], 2, "all the same"),
        ([1.0, np.nan], 2, "not finite"),
    ):
        with pytest.raises(InputError, match=words):
            quantile_classes(np.array(values), n)


@given(st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=40), st.integers(2, 6))
def test_classes_keep_the_order_and_never_part_equals(values, n_classes):
    numbers = np.array(values)
    if np.ptp(numbers) == 0:
        return
    classes = quantile_classes(numbers, n_classes)
    order = np.argsort(numbers, kind="stable")
    steps = np.diff(classes[order])
    assert (steps >= 0).all()
    parted = [pair for step, pair in zip(steps, pairwise(order), strict=True) if step]
    assert not any(values[left] == values[right] for left, right in parted)
    assert classes.min() == 0
    assert 1 <= classes.max() < n_classes
