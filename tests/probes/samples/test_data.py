import numpy as np
import pytest

from interp.errors import InputError
from probes import LabelledActivations
from probes.samples.data import count_groups

LABELS = np.array(["a", "b"] * 6)
GROUPS = np.repeat(np.arange(6), 2)
X = np.random.default_rng(0).normal(size=(3, 12, 4)).astype(np.float32)


def test_layers_are_numbered_from_zero_unless_told():
    assert LabelledActivations(X, LABELS, GROUPS).layers == (0, 1, 2)
    assert LabelledActivations(X, LABELS, GROUPS, layers=(-1, 0, 1)).layers == (-1, 0, 1)


def spoiled(value: float) -> np.ndarray:
    bad = X.copy()
    bad[1, 2, 3] = value
    return bad


def twins(group: int) -> np.ndarray:
    same = X.copy()
    same[:, group] = same[:, 0]
    return same


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"X": spoiled(np.nan)}, "NaN or infinite"),
        ({"X": spoiled(np.inf)}, "NaN or infinite"),
        ({"X": twins(5)}, "identical activations at every layer"),
        ({"labels": LABELS[:-1]}, "11 labels for 12 samples"),
        ({"groups": GROUPS[:-1]}, "11 groups for 12 samples"),
        ({"labels": np.full(12, "a")}, "All 12 samples have the label"),
        ({"labels": np.array(["a"] * 9 + ["b"] * 3)}, "Class 'b' has 3 samples"),
        ({"labels": np.linspace(0, 1, 12)}, "Expected classes"),
        ({"labels": LABELS.astype(object)}, r"astype\(str\)"),
        ({"groups": np.zeros(12, int)}, "All samples are in one group"),
        ({"layers": (0, 1)}, "Layer numbers"),
        ({"layers": (0, 1, 1)}, "Layer numbers"),
        ({"label_kind": "multiclass"}, "Expected at least three"),
        ({"label_kind": "continuous"}, "Expected a floating-point number"),
        ({"label_kind": "continuous", "labels": np.linspace(0, 1, 11)}, "11 labels for 12 samples"),
        ({"label_kind": "multilabel", "labels": np.ones((12, 2), bool)}, "Label 0 holds of 12 of 12"),
    ],
)
def test_refusals(fields, words):
    with pytest.raises(InputError, match=words):
        LabelledActivations(**({"X": X, "labels": LABELS, "groups": GROUPS} | fields))


def test_twins_in_one_group_and_twins_at_one_layer_only_are_no_leak():
    LabelledActivations(twins(1), LABELS, GROUPS)
    at_one_layer = X.copy()
    at_one_layer[0, 5] = at_one_layer[0, 0]
    LabelledActivations(at_one_layer, LABELS, GROUPS)


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        ("binary", LABELS),
        ("multilabel", np.arange(24).reshape(12, 2) // 2 % 2 == 0),
        ("continuous", np.linspace(0, 1, 12)),
        ("continuous", np.linspace(0, 1, 24).reshape(12, 2)),
    ],
)
def test_other_kinds_of_label_are_kept_as_given(kind, labels):
    data = LabelledActivations(X, labels, GROUPS, label_kind=kind)
    assert data.labels is labels


def test_classes_alone_can_be_counted_in_groups():
    assert count_groups(LABELS, GROUPS) == {"a": 6, "b": 6}
    assert count_groups(np.repeat(["a", "b"], [3, 9]), GROUPS) == {"a": 2, "b": 5}
    for labels in (np.linspace(0, 1, 12), np.ones((12, 2), bool)):
        with pytest.raises(InputError, match="Expected one class for each sample"):
            count_groups(labels, GROUPS)
