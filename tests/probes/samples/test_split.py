import numpy as np
import pytest

from interp.errors import InputError
from probes.samples.split import Fold, check_fold, group_folds

GROUPS = np.repeat(np.arange(20), 3)
LABELS = np.array(["a", "b"])[GROUPS % 2]


def test_each_sample_is_tested_once_and_no_group_is_on_both_sides():
    folds = group_folds(LABELS, GROUPS, n_splits=5)
    tested = np.concatenate([fold.test for fold in folds])
    assert sorted(tested) == list(range(60))
    for fold in folds:
        assert not set(GROUPS[fold.train]) & set(GROUPS[fold.test])
        assert (LABELS[fold.test] == "a").mean() == 0.5


def test_the_seed_decides():
    first, again, other = (group_folds(LABELS, GROUPS, seed=seed)[0].test.tolist() for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_leakage_and_unseen_classes_are_refused():
    rows = np.arange(60)
    with pytest.raises(InputError, match="Group 0 has samples on both sides"):
        check_fold(Fold(rows[1:], rows[:1]), LABELS, GROUPS)
    with pytest.raises(InputError, match="fitted without class 'b'"):
        check_fold(Fold(rows[LABELS == "a"], rows[LABELS == "b"]), LABELS, GROUPS)
    with pytest.raises(InputError, match="empty side"):
        check_fold(Fold(rows, rows[:0]), LABELS, GROUPS)
    check_fold(Fold(rows[6:], rows[:6]), LABELS, GROUPS)


def test_too_few_groups_of_a_class_are_refused():
    labels = np.where(GROUPS < 4, "rare", "common")
    group_folds(labels, GROUPS, n_splits=4)
    with pytest.raises(InputError, match="Class 'rare' occurs in 4 groups, and 5 folds need it in 5"):
        group_folds(labels, GROUPS, n_splits=5)
    with pytest.raises(InputError, match="Expected at least 2"):
        group_folds(labels, GROUPS, n_splits=1)


def test_numbers_and_several_labels_are_split_by_group_too():
    rng = np.random.default_rng(0)
    for labels in (rng.normal(size=60), rng.random((60, 3)) < 0.4):
        folds = group_folds(labels, GROUPS, n_splits=5, seed=1)
        assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(60))
        assert all(not set(GROUPS[fold.train]) & set(GROUPS[fold.test]) for fold in folds)
        assert folds[0].test.tolist() != group_folds(labels, GROUPS, seed=2)[0].test.tolist()
    with pytest.raises(InputError, match="20 groups cannot fill 21 folds"):
        group_folds(rng.normal(size=60), GROUPS, n_splits=21)
    rare = np.zeros((60, 2), bool)
    rare[:, 0], rare[GROUPS == 0, 1] = GROUPS % 2 == 0, True
    with pytest.raises(InputError, match="all have False in column 1"):
        group_folds(rare, GROUPS)
