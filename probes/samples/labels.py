"""What a sample can be labelled with, and the labels from which nothing can be learnt."""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from interp.errors import InputError

FEWEST_PER_CLASS = 5
"""Samples that a class needs before a probe of it means anything."""

# One axis each, its length left open: where lengths differ, our refusal is to say so, not the type checker.
Labels = Shaped[np.ndarray, " _"]
"""Class of each sample."""
Groups = Shaped[np.ndarray, " _"]
"""Group of each sample."""
Rows = Int[np.ndarray, " _"]
"""Places of samples."""
AnyLabels = Shaped[np.ndarray, "_ *label"]
"""A class, a number, or a row of truth values or numbers for each sample."""

LabelKind = Literal["classes", "binary", "multiclass", "multilabel", "continuous"]
"""`classes` are two or more; `binary` exactly two, `multiclass` at least three; `multilabel` truth values, several of
which may hold of a sample; `continuous` numbers. Trees over the words of a sentence are `TreeLabels`."""


def are_classes(labels: AnyLabels) -> bool:
    """Whether there is one class for each sample, and neither a number nor a row of truth values."""
    return labels.ndim == 1 and labels.dtype.kind != "f"


def check_labels(labels: Labels) -> None:
    """Refuse labels from which no probe can be fitted.

    Raises:
        InputError: no samples, labels that are neither text nor whole numbers, one class, or a class of too few
            samples.
    """
    if not len(labels):
        raise InputError("There are no samples. Expected labelled samples of at least two classes.")
    if labels.dtype.kind not in "Uiub":
        raise InputError(
            f"The labels are of type {labels.dtype}, such as {labels.tolist()[0]!r}. Expected classes: text or whole "
            "numbers. Convert them with .astype(str)."
        )
    names, counts = np.unique(labels, return_counts=True)
    classes = names.tolist()
    if len(classes) < 2:
        raise InputError(f"All {len(labels)} samples have the label {classes[0]!r}. Expected at least two classes.")
    if counts.min() < FEWEST_PER_CLASS:
        raise InputError(
            f"Class {classes[counts.argmin()]!r} has {counts.min()} samples. "
            f"Expected at least {FEWEST_PER_CLASS} of each class: add samples, or leave the class out."
        )


def check_labels_of(kind: LabelKind, labels: AnyLabels) -> None:
    """Refuse labels that are not of a kind, or from which no probe of that kind can be fitted.

    Raises:
        InputError: labels of another kind, shape or dtype; no samples; classes, truth values or numbers that do not
            vary, or vary in too few samples; NaN or infinity.
    """
    if kind == "multilabel":
        _check_multilabel(labels)
    elif kind == "continuous":
        _check_continuous(labels)
    elif kind in ("classes", "binary", "multiclass"):
        _check_classes(kind, labels)
    else:
        raise InputError(f"There is no kind of label {kind!r}. Expected one of {list(LabelKind.__args__)}.")


def label_kind(labels: AnyLabels) -> LabelKind:
    """Tell the kind of labels by their dtype and shape, and check them.

    Text, whole numbers and truth values on one axis are classes, floats are continuous, and rows of truth values are
    multilabel. Whole numbers that are meant as quantities must be given as floats.

    Raises:
        InputError: labels of no kind, or any that `check_labels_of` refuses.
    """
    if labels.dtype.kind == "f":
        kind: LabelKind = "continuous"
    elif labels.ndim == 2:
        kind = "multilabel"
    else:
        kind = "binary" if len(np.unique(labels)) == 2 else "multiclass"
    check_labels_of(kind, labels)
    return kind


def _check_classes(kind: LabelKind, labels: AnyLabels) -> None:
    if labels.ndim != 1:
        raise InputError(
            f"Labels of shape {labels.shape}. Expected one class for each sample; for rows of truth values, say "
            "'multilabel'."
        )
    check_labels(labels)
    classes = np.unique(labels).tolist()
    if kind == "binary" and len(classes) != 2:
        raise InputError(f"There are {len(classes)} classes, such as {classes[:3]}. Expected two, or say 'multiclass'.")
    if kind == "multiclass" and len(classes) == 2:
        raise InputError(f"There are two classes, {classes}. Expected at least three, or say 'binary'.")


def _check_multilabel(labels: AnyLabels) -> None:
    if labels.ndim != 2 or labels.dtype != bool or not labels.size:
        raise InputError(
            f"Labels of type {labels.dtype} and shape {labels.shape}. Expected truth values of shape "
            "(samples, labels): True where a label holds of a sample."
        )
    fewest = np.minimum(labels.sum(0), (~labels).sum(0))
    if fewest.min() < FEWEST_PER_CLASS:
        column = int(fewest.argmin())
        raise InputError(
            f"Label {column} holds of {labels[:, column].sum()} of {len(labels)} samples. Expected at least "
            f"{FEWEST_PER_CLASS} of which it holds and as many of which it does not: add samples, or leave it out."
        )


def _check_continuous(labels: AnyLabels) -> None:
    if labels.dtype.kind != "f" or labels.ndim not in (1, 2) or not labels.size:
        raise InputError(
            f"Labels of type {labels.dtype} and shape {labels.shape}. Expected a floating-point number, or a row of "
            "them, for each sample. Convert whole numbers that are quantities with .astype(float)."
        )
    if bad := int((~np.isfinite(labels)).sum()):
        raise InputError(f"{bad} of {labels.size} labels are NaN or infinite. Leave out samples without a label.")
    columns: Float[np.ndarray, "_ label"] = labels.reshape(len(labels), -1)
    constant: Bool[np.ndarray, " label"] = np.ptp(columns, axis=0) == 0
    if constant.any():
        column = int(constant.argmax())
        raise InputError(
            f"All {len(labels)} samples have the number {columns[0, column]} in column {column} of the labels. "
            "Expected numbers that vary."
        )
