"""Splits that never put samples of one group on both sides."""

from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from interp.errors import InputError
from probes.samples.data import Groups, Rows, count_groups
from probes.samples.labels import AnyLabels, are_classes


@dataclass(frozen=True)
class Fold:
    """Which samples a probe is fitted to, and on which it is tested."""

    train: Rows
    test: Rows


def group_folds(labels: AnyLabels, groups: Groups, *, n_splits: int = 5, seed: int = 0) -> list[Fold]:
    """Split samples into folds by group; each sample is tested exactly once.

    Classes are in about equal shares in all folds; with numbers or several labels to a sample, folds are about equally
    large.

    Args:
        labels: Class of each sample; or a number, or a row of truth values.
        groups: What must stay on one side.
        n_splits: Number of folds.
        seed: Decides which groups go together.

    Raises:
        InputError: fewer groups than folds, a class that occurs in fewer, or a fold fitted without some class, or to
            labels that do not vary.
    """
    if n_splits < 2:
        raise InputError(f"{n_splits} fold leaves nothing to test on. Expected at least 2.")
    if (n_groups := len(np.unique(groups))) < n_splits:
        raise InputError(f"{n_groups} groups cannot fill {n_splits} folds. Give more groups, or fewer folds.")
    if are_classes(labels):
        _check_groups_of_classes(labels, groups, n_splits)
        splitter = StratifiedGroupKFold(n_splits, shuffle=True, random_state=seed)
    else:
        splitter = GroupKFold(n_splits, shuffle=True, random_state=seed)
    parts = splitter.split(np.zeros(len(labels)), labels if are_classes(labels) else None, groups)
    folds = [Fold(train, test) for train, test in parts]
    for fold in folds:
        check_fold(fold, labels, groups)
    return folds


def check_fold(fold: Fold, labels: AnyLabels, groups: Groups) -> None:
    """Refuse a split that leaks, or that leaves a side empty or nothing to learn.

    Raises:
        InputError: a group on both sides, an empty side, a class that the probe was never fitted to, or labels that do
            not vary on the side fitted to.
    """
    if not len(fold.train) or not len(fold.test):
        raise InputError("A split has an empty side. Expected samples to fit to and samples to test on.")
    if len(shared := np.intersect1d(groups[fold.train], groups[fold.test])):
        raise InputError(
            f"Group {shared.tolist()[0]!r} has samples on both sides of a split, so the probe is tested on what it "
            "was fitted to. Split by group."
        )
    if are_classes(labels):
        if len(unseen := np.setdiff1d(labels, labels[fold.train])):
            raise InputError(
                f"A fold is fitted without class {unseen.tolist()[0]!r}. Give more groups of it, or fewer folds."
            )
        return
    fitted_to = labels[fold.train].reshape(len(fold.train), -1)
    if (constant := (fitted_to == fitted_to[0]).all(0)).any():
        raise InputError(
            f"A fold is fitted to samples that all have {fitted_to[0, constant.argmax()].item()!r} in column "
            f"{int(constant.argmax())} of the labels. Give more groups in which it varies, or fewer folds."
        )


def _check_groups_of_classes(labels: AnyLabels, groups: Groups, n_splits: int) -> None:
    for label, count in count_groups(labels, groups).items():
        if count < n_splits:
            raise InputError(
                f"Class {label!r} occurs in {count} groups, and {n_splits} folds need it in {n_splits}. "
                "Give more groups, or fewer folds."
            )
