"""Portions of a sweep: every fold can be fitted, whatever the permutation; bins hold about as many samples."""

import numpy as np
import pytest

from interp.errors import InputError
from probes.reading import portions
from probes.reading.controls import shuffled_labels
from probes.reading.portions import Portion, SweepPlan, by_position
from probes.samples.split import check_fold, group_folds

GROUPS = np.repeat(np.arange(6), 3)
LABELS = np.where(np.isin(np.arange(18), [0, 9]), "rare", "common")
PLAN = SweepPlan(n_splits=2, n_shuffles=20)


def fits(labels: np.ndarray) -> bool:
    try:
        for fold in group_folds(LABELS, GROUPS, n_splits=2):
            check_fold(fold, labels, GROUPS)
    except InputError:
        return False
    return True


def test_permutations_that_leave_a_fold_without_a_class_are_drawn_again(monkeypatch):
    plain = [shuffled_labels(LABELS, GROUPS, seed=seed) for seed in range(20)]
    assert not all(map(fits, plain))
    made = Portion.of(LABELS, GROUPS, np.arange(18), PLAN).labellings[1:]
    assert all(map(fits, made))
    for given, kept in zip(plain, made, strict=True):
        assert sorted(kept) == sorted(given)
        assert np.array_equal(given, kept) == fits(given)
    monkeypatch.setattr(portions, "MOST_DRAWS", 1)
    with pytest.raises(
        InputError, match="Of 1 permutations of the labels none can be fitted: A fold is fitted without"
    ):
        Portion.of(LABELS, GROUPS, np.arange(18), PLAN)


def test_a_portion_splits_and_permutes_its_own_samples_alone():
    rows = np.arange(6, 18)
    labels = np.array(["a", "b", "a"] * 6)
    made = Portion.of(labels, GROUPS, rows, SweepPlan(n_splits=4, n_shuffles=2))
    assert sorted(made.tested) == rows.tolist()
    assert all(set(fold.train) | set(fold.test) == set(rows) for fold in made.folds)
    for turned in made.labellings[1:]:
        assert (turned[:6] == labels[:6]).all()
        assert sorted(turned[6:]) == sorted(labels[6:])
        assert (turned[6:] != labels[6:]).any()
    one = Portion.of(labels, GROUPS, rows, SweepPlan(n_splits=4, all_folds=False))
    assert len(one.folds) == 1
    assert one.folds[0].test.tolist() == made.folds[0].test.tolist()


def test_positions_are_binned_by_samples_not_by_width():
    positions = np.array([0, 1, 2, 3] * 30 + [9] * 60)
    groups, labels = np.arange(180) // 2, np.array(["a", "b"] * 90)
    made = by_position(labels, groups, positions, SweepPlan(n_bins=3, n_splits=3))
    assert {start: len(one.rows) for start, one in made.items()} == {0: 60, 2: 60, 9: 60}


def test_plans():
    assert SweepPlan(workers=8).threads(3) == 3
    assert SweepPlan(workers=2).threads(3) == 2
    assert SweepPlan(n_bins=4).positions
    assert not SweepPlan().positions
    assert "one 4th of the groups" in SweepPlan(n_splits=4, all_folds=False).in_words
    assert "(one permutation)" in SweepPlan(n_shuffles=1).control
    assert "(4 permutations; the interval is of one)" in SweepPlan(n_shuffles=4).control
