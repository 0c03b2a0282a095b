"""Numbers, several labels and classes are found in the layer where they are planted, in no other, and by no control."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import f1_score, r2_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from interp.errors import InputError
from interp.results import Result
from probes import LabelledActivations, LargeLogisticProbe, LargeRidgeProbe, probe_measures
from tests.interp.plots.synthetic import provenance

RNG = np.random.default_rng(0)
N, WIDTH = 400, 10
GROUPS = np.repeat(np.arange(N // 4), 4)
NUMBERS = RNG.normal(size=N)
LABELS = np.stack([NUMBERS > 0.3, RNG.random(N) < 0.4], 1)
X = RNG.normal(size=(2, N, WIDTH))
X[1, :, 2] += 3 * NUMBERS
X[1, :, 5] += 4 * LABELS[:, 1]
CONTROL = RNG.normal(size=X.shape)
FOLDS = GroupKFold(5, shuffle=True, random_state=0)


@pytest.fixture(scope="module")
def numbers() -> Result:
    data = LabelledActivations(X, NUMBERS, GROUPS, label_kind="continuous")
    return probe_measures(data, CONTROL, provenance(), probe=LargeRidgeProbe(1.0))


@pytest.fixture(scope="module")
def several() -> Result:
    data = LabelledActivations(X, LABELS, GROUPS, label_kind="multilabel")
    return probe_measures(data, CONTROL, provenance(), probe=LargeLogisticProbe(0.1))


def test_numbers_are_those_of_scikit_learn(numbers):
    predicted = cross_val_predict(
        make_pipeline(StandardScaler(), Ridge(alpha=1.0)), X[1], NUMBERS, groups=GROUPS, cv=FOLDS
    )
    assert numbers.data["r2"].values[1] == pytest.approx(r2_score(NUMBERS, predicted), abs=1e-9)
    assert numbers.data["pearson"].values[1] == pytest.approx(np.corrcoef(NUMBERS, predicted)[0, 1], abs=1e-9)


def test_several_labels_are_those_of_scikit_learn(several):
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=0.1))
    each = [cross_val_predict(pipeline, X[1], column, groups=GROUPS, cv=FOLDS) for column in LABELS.T]
    right = np.stack(each, 1) == LABELS
    assert several.data["accuracy"].values[1] == pytest.approx(right.mean(), abs=2 / N)
    assert several.data["exact_match"].values[1] == pytest.approx(right.all(1).mean(), abs=2 / N)
    wanted = np.mean([f1_score(truth, found) for truth, found in zip(LABELS.T, each, strict=True)])
    assert several.data["macro_f1"].values[1] == pytest.approx(wanted, abs=4 / N)


@pytest.mark.parametrize("kind", ["numbers", "several"])
def test_the_planted_layer_is_found_and_no_control_is(kind, request):
    data = request.getfixturevalue(kind).data
    first = "r2" if kind == "numbers" else "auroc"
    level = 0.0 if kind == "numbers" else 0.5
    assert data[first].values[1] > level + 0.35
    assert data[f"{first}_low"].values[1] > data[f"control_random_direction_{first}_high"].values[1]
    assert abs(data[first].values[0] - level) < 0.12
    for control in ("shuffled", "random_weights"):
        assert (abs(data[f"control_{control}_{first}"].values - level) < 0.12).all()
    assert data["p_corrected"].values[1] < 0.01 < 0.05 < data["p_corrected"].values[0]


def test_floors_by_hand(numbers, several):
    assert numbers.data["control_mean_r2"].values.tolist() == [0.0, 0.0]
    shares = LABELS.mean(0)
    np.testing.assert_allclose(several.data["control_majority_accuracy"], np.maximum(shares, 1 - shares).mean())
    np.testing.assert_allclose(several.data["control_majority_auroc"], 0.5)
    assert "random direction" in numbers.notes["control"]


def test_classes_are_measured_the_same_way():
    labels = np.where(NUMBERS > 0.3, "high", "low")
    found = probe_measures(LabelledActivations(X, labels, GROUPS), CONTROL, provenance()).data
    assert found["accuracy"].values[1] > 0.8
    assert found["auroc"].values[1] > 0.95
    assert found["control_majority_accuracy"].values[0] == pytest.approx((labels == "low").mean())


def test_refusals():
    data = LabelledActivations(X, NUMBERS, GROUPS, label_kind="continuous")
    with pytest.raises(InputError, match="Control activations have shape"):
        probe_measures(data, CONTROL[:1], provenance())
    with pytest.raises(InputError, match="Expected a LargeRidgeProbe"):
        probe_measures(data, CONTROL, provenance(), probe=LargeLogisticProbe())
    rows = LabelledActivations(X, np.stack([NUMBERS, -NUMBERS], 1), GROUPS, label_kind="continuous")
    with pytest.raises(InputError, match="probe them one by one"):
        probe_measures(rows, CONTROL, provenance())


def test_random_directions_are_of_the_activations_themselves(numbers):
    drawn = np.random.default_rng(0).normal(size=(5, WIDTH, 1))
    pipeline = make_pipeline(StandardScaler(), Ridge(alpha=1.0))
    found = [cross_val_predict(pipeline, X[1] @ one, NUMBERS, groups=GROUPS, cv=FOLDS) for one in drawn]
    wanted = np.mean([r2_score(NUMBERS, each) for each in found])
    assert numbers.data["control_random_direction_r2"].values[1] == pytest.approx(wanted, abs=1e-9)
    assert wanted > 0.05
