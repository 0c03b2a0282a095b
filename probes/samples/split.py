"""Splits that never put samples of one group on both sides."""

from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from interp.errors import InputError
from probes.samples.data import Groups, Labels, Rows, count_groups


@dataclass(frozen=True)
class Fold:
    """Which samples a probe is fitted to, and on which it is tested."""

    train: Rows
    test: Rows


def group_folds(labels: Labels, groups: Groups, *, n_splits: int = 5, seed: int = 0) -> list[Fold]:
    """Split samples into folds by group, with classes in about equal shares; each sample is tested exactly once.

    Args:
        labels: Class of each sample.
        groups: What must stay on one side.
        n_splits: Number of folds.
        seed: Decides which groups go together.

    Raises:
        InputError: a class that occurs in fewer groups than there are folds, or a fold fitted without some class.
    """
    if n_splits < 2:
        raise InputError(f"{n_splits} fold leaves nothing to test on. Expected at least 2.")
    for label, count in count_groups(labels, groups).items():
        if count < n_splits:
            raise InputError(
                f"Class {label!r} occurs in {count} groups, and {n_splits} folds need it in {n_splits}. "
                "Give more groups, or fewer folds."
            )
    splitter = StratifiedGroupKFold(n_splits, shuffle=True, random_state=seed)
    folds = [Fold(train, test) for train, test in splitter.split(np.zeros(len(labels)), labels, groups)]
    for fold in folds:
        check_fold(fold, labels, groups)
    return folds


def check_fold(fold: Fold, labels: Labels, groups: Groups) -> None:
    """Refuse a split that leaks or that leaves a side empty or a class unseen.

    Raises:
        InputError: a group on both sides, an empty side, or a tested class that the probe was never fitted to.
    """
    if not len(fold.train) or not len(fold.test):
        raise InputError("A split has an empty side. Expected samples to fit to and samples to test on.")
    if len(shared := np.intersect1d(groups[fold.train], groups[fold.test])):
        raise InputError(
            f"Group {shared.tolist()[0]!r} has samples on both sides of a split, so the probe is tested on what it "
            "was fitted to. Split by group."
        )
    if len(unseen := np.setdiff1d(labels, labels[fold.train])):
        raise InputError(
            f"A fold is fitted without class {unseen.tolist()[0]!r}. Give more groups of it, or fewer folds."
        )
