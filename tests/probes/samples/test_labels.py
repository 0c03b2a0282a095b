"""Every kind of label is told and checked; what nothing can be learnt from is refused."""

import numpy as np
import pytest

from interp.errors import InputError
from probes.samples.labels import check_labels_of, label_kind

BINARY = np.array(["a", "b"] * 6)
MULTICLASS = np.array(["a", "b", "c"] * 5)
MULTILABEL = np.arange(36).reshape(12, 3) % 2 == 0
NUMBERS = np.linspace(0, 1, 12)


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        (BINARY, "binary"),
        (np.arange(12) % 2 == 0, "binary"),
        (MULTICLASS, "multiclass"),
        (np.arange(15) % 3, "multiclass"),
        (MULTILABEL, "multilabel"),
        (NUMBERS, "continuous"),
        (np.stack([NUMBERS, -NUMBERS], 1).astype(np.float32), "continuous"),
    ],
)
def test_the_kind_is_told(labels, kind):
    assert label_kind(labels) == kind
    check_labels_of(kind, labels)


def constant(column: int) -> np.ndarray:
    labels = np.stack([NUMBERS, NUMBERS, NUMBERS], 1)
    labels[:, column] = 0.5
    return labels


def rare(value: bool) -> np.ndarray:
    labels = MULTILABEL.copy()
    labels[:, 1] = ~np.array(value)
    labels[:4, 1] = value
    return labels


@pytest.mark.parametrize(
    ("kind", "labels", "words"),
    [
        ("binary", MULTICLASS, "There are 3 classes"),
        ("multiclass", BINARY, "two classes, .*say 'binary'"),
        ("classes", MULTILABEL, r"shape \(12, 3\).*say 'multilabel'"),
        ("binary", NUMBERS, "Expected classes"),
        ("binary", np.full(12, "a"), "All 12 samples have the label 'a'"),
        ("multilabel", BINARY, "Expected truth values"),
        ("multilabel", MULTILABEL.astype(int), "of type int64"),
        ("multilabel", MULTILABEL[:, :0], "Expected truth values"),
        ("multilabel", rare(True), "Label 1 holds of 4 of 12 samples"),
        ("multilabel", rare(False), "Label 1 holds of 8 of 12 samples"),
        ("continuous", np.arange(12), r"astype\(float\)"),
        ("continuous", NUMBERS[:0], "Expected a floating-point number"),
        ("continuous", np.where(NUMBERS > 0.5, np.nan, NUMBERS), "6 of 12 labels are NaN"),
        ("continuous", constant(2), "number 0.5 in column 2"),
        ("ordinal", BINARY, "no kind of label 'ordinal'"),
    ],
)
def test_refusals(kind, labels, words):
    # Past the type checker, which a user does not run.
    with pytest.raises(InputError, match=words):
        getattr(check_labels_of, "__wrapped__", check_labels_of)(kind, labels)


def test_what_is_of_no_kind_is_refused():
    with pytest.raises(InputError, match="Expected truth values"):
        label_kind(np.arange(12).reshape(6, 2))
