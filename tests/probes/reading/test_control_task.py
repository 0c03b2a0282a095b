"""A probe that knows words by heart has no selectivity, and one that cannot has all of it."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from interp.errors import InputError
from interp.results import Provenance, Result
from probes import LabelledActivations
from probes.reading.control_task import (
    N_CONTROLS,
    control_labels,
    control_task,
    plan_controls,
    selectivity_variables,
)
from probes.reading.held_out import predict_held_out
from probes.samples.split import group_folds

MADE_BY = Provenance("planted", "0", "0", "0", "float32", True, "test")
PROBE = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000))
N_TYPES, N_GROUPS, PER_GROUP = 12, 40, 8


def samples(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Word types at random in each group; the label says whether the word is used as a noun or a verb here."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(N_GROUPS), PER_GROUP)
    types = rng.integers(0, N_TYPES, len(groups))
    labels = np.where(rng.random(len(groups)) < 0.5, "noun", "verb")
    return types, labels, groups


def layers(types: np.ndarray, labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """Layer 0 holds the word alone, layer 1 the label alone, layer 2 both; each with a little noise."""
    noise = 0.05 * np.random.default_rng(seed).normal(size=(3, len(types), N_TYPES + 1))
    word = np.eye(N_TYPES + 1)[types]
    use = np.zeros_like(word)
    use[:, -1] = np.where(labels == "noun", -1, 1)
    return np.stack([word, use, word + use]) + noise


@pytest.fixture(scope="module")
def result() -> Result:
    types, labels, groups = samples()
    return control_task(LabelledActivations(layers(types, labels), labels, groups), PROBE, types, MADE_BY)


def test_a_word_has_one_label_in_every_context():
    types, labels, _ = samples()
    drawn = control_labels(types, labels)
    for word in range(N_TYPES):
        assert len(set(drawn[types == word])) == 1
    assert len(set(drawn)) == 2
    assert not np.array_equal(drawn, control_labels(types, labels, seed=1))
    # Words themselves will do for ids.
    assert len(set(control_labels(types.astype(str), labels))) == 2


def test_labels_are_drawn_from_the_shares_of_the_true_ones():
    labels = np.array(["a"] * 80 + ["b"] * 20)
    drawn = control_labels(np.arange(100) % 50, labels, seed=0)
    shares = [(control_labels(np.arange(100) % 50, labels, seed=seed) == "a").mean() for seed in range(60)]
    assert set(drawn) == {"a", "b"}
    assert np.mean(shares) == pytest.approx(0.8, abs=0.03)


def test_where_only_the_word_is_encoded_the_probe_knows_it_by_heart(result):
    word = result.data.sel(layer=0)
    assert float(word["control_task_accuracy"]) == 1
    assert float(word["task_accuracy"]) == pytest.approx(0.5, abs=0.1)
    assert float(word["selectivity_high"]) < -0.3


def test_where_only_the_label_is_encoded_it_cannot(result):
    use = result.data.sel(layer=1)
    assert float(use["task_accuracy"]) == 1
    assert float(use["control_task_accuracy"]) < 0.75
    assert float(use["selectivity_low"]) > 0.2
    # Both are there: the label is read, and words are known by heart as well.
    both = result.data.sel(layer=2)
    assert float(both["task_accuracy"]) > 0.98
    assert float(both["selectivity"]) == pytest.approx(0, abs=0.03)


def test_selectivity_is_the_difference_and_holds_its_interval(result):
    data = result.data
    np.testing.assert_allclose(data["selectivity"], data["task_accuracy"] - data["control_task_accuracy"], atol=1e-12)
    for name in ("selectivity", "task_accuracy", "control_task_accuracy"):
        assert (data[f"{name}_low"] <= data[name]).all()
        assert (data[name] <= data[f"{name}_high"]).all()
    assert next(iter(data.data_vars)) == "selectivity"
    assert result.has_control
    assert result.notes["n_word_types"] == N_TYPES
    assert result.notes["n_tested"] == N_GROUPS * PER_GROUP


def test_by_hand_only_words_that_were_met_are_tested():
    types, labels, groups = samples()
    types[groups == 3] = 100 + np.arange(PER_GROUP)  # words of one group alone
    data = LabelledActivations(layers(types % 13, labels)[1:2], labels, groups)
    plan = plan_controls(data, types, split="group", n_splits=4, seed=0)
    np.testing.assert_array_equal(plan.seen, groups != 3)
    result = control_task(data, PROBE, types, MADE_BY, n_splits=4)
    assert result.notes["n_tested"] == (N_GROUPS - 1) * PER_GROUP
    found = result.data
    right = predict_held_out(PROBE, data.X[0], labels, plan.folds)
    correct = (right.answers == right.truth)[plan.seen]
    assert float(found["task_accuracy"][0]) == pytest.approx(correct.mean())
    controls = []
    for number in range(N_CONTROLS):
        control = predict_held_out(PROBE, data.X[0], control_labels(types, labels, seed=number), plan.control_folds)
        controls.append((control.answers == control.truth)[plan.seen].mean())
    assert float(found["control_task_accuracy"][0]) == pytest.approx(np.mean(controls))


def test_words_of_one_text_only_can_be_known_by_heart_where_samples_are_split():
    _, labels, groups = samples()
    types = groups * 2 + np.arange(len(groups)) % 2
    X = np.eye(80)[types][None] + 0.01 * np.random.default_rng(0).normal(size=(1, len(groups), 80))
    data = LabelledActivations(X, labels, groups)
    with pytest.raises(InputError, match="None of 80 word types occurs on both sides of a split by group"):
        control_task(data, PROBE, types, MADE_BY)
    found = control_task(data, PROBE, types, MADE_BY, split="sample")
    assert float(found.data["control_task_accuracy"][0]) > 0.95
    assert "control tasks by sample" in found.method
    plan = plan_controls(data, types, split="sample", n_splits=5, seed=0)
    right = predict_held_out(PROBE, X[0], labels, group_folds(labels, groups, n_splits=5))
    correct = (right.answers == right.truth)[plan.seen]
    assert float(found.data["task_accuracy"][0]) == pytest.approx(correct.mean())


def test_splits_are_as_asked_for():
    types, labels, groups = samples()
    data = LabelledActivations(layers(types, labels), labels, groups)
    plan = plan_controls(data, types, split="sample", n_splits=4, seed=2)
    by_group = group_folds(labels, groups, n_splits=4, seed=2)
    by_sample = KFold(4, shuffle=True, random_state=2).split(types)
    for fold, wanted in zip(plan.folds, by_group, strict=True):
        np.testing.assert_array_equal(fold.test, wanted.test)
    for fold, (train, test) in zip(plan.control_folds, by_sample, strict=True):
        np.testing.assert_array_equal(fold.train, train)
        np.testing.assert_array_equal(fold.test, test)


def test_the_seed_decides_controls_folds_and_resamples():
    types, labels, groups = samples()
    data = LabelledActivations(layers(types, labels)[2:], labels, groups)
    noisy = LabelledActivations(data.X + np.random.default_rng(0).normal(size=data.X.shape), labels, groups)
    plan = plan_controls(noisy, types, split="group", n_splits=4, seed=1)
    wanted = selectivity_variables(noisy, PROBE, plan, seed=1)
    found = control_task(noisy, PROBE, types, MADE_BY, n_splits=4, seed=1).data
    for name, (_, values) in wanted.items():
        np.testing.assert_array_equal(found[name], values)
    resampled = selectivity_variables(noisy, PROBE, plan, seed=2)
    np.testing.assert_array_equal(resampled["selectivity"][1], wanted["selectivity"][1])
    assert resampled["selectivity_low"][1] != wanted["selectivity_low"][1]


def test_two_words_never_have_the_same_label():
    types, labels = np.arange(20) % 2, np.array(["a"] * 16 + ["b"] * 4)
    assert all(len(set(control_labels(types, labels, seed=seed))) == 2 for seed in range(20))


def test_round_trip(result, tmp_path):
    assert Result.load(result.save(tmp_path / "control.safetensors")).data.equals(result.data)


def test_refusals():
    types, labels, groups = samples()
    with pytest.raises(InputError, match="3 token ids for 320 labels"):
        control_labels(types[:3], labels)
    with pytest.raises(InputError, match="12 word types and 1 classes"):
        control_labels(types, np.full(len(types), "noun"))
    data = LabelledActivations(layers(types, labels), labels, groups)
    with pytest.raises(InputError, match="1 word types and 2 classes"):
        control_task(data, PROBE, types * 0, MADE_BY)
    numbers = LabelledActivations(data.X, groups.astype(float), groups, label_kind="continuous")
    with pytest.raises(InputError, match="The labels are continuous"):
        control_task(numbers, PROBE, types, MADE_BY)
