"""A planted contrast is found without labels; where there is none, neither the search nor its controls find one."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from interp.errors import InputError
from interp.plots import plot
from interp.results import Provenance, Result
from probes import ContrastConsistentProbe, ContrastPairs, contrast_by_layer
from probes.reading.contrast_by_layer import aligned, first_component
from probes.samples.split import Fold, group_folds

MADE_BY = Provenance("planted", "0", "0", "0", "float32", True, "test")
N_GROUPS, WIDTH = 60, 16
GROUPS = np.repeat(np.arange(N_GROUPS), 4)
N = len(GROUPS)
LABELS = np.array(["no", "yes"])[np.random.default_rng(5).permutation(N) % 2]
TRUTH, OTHER = np.random.default_rng(9).normal(size=(2, WIDTH)) / 4
FEW = ContrastConsistentProbe(n_starts=2)


def planted(*parts: tuple[np.ndarray, np.ndarray, float], seed: int = 0) -> np.ndarray:
    """Pairs of one layer that differ along each direction by the sign given, besides what both halves share."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, 1, WIDTH)) + 0.4 * rng.normal(size=(N, 2, WIDTH))
    for signs, direction, strength in parts:
        X += strength * (signs[:, None] * direction)[:, None] * np.array([1, -1])[:, None]
    return X + 5 * np.random.default_rng(1).normal(size=(2, WIDTH))


SIGNS = np.where(LABELS == "yes", 1.0, -1.0)
DISTRACTION = np.random.default_rng(6).choice([-1.0, 1.0], size=N)
EMPTY = np.broadcast_to(planted()[:1], (N, 2, WIDTH))
STACK = np.stack(
    [
        EMPTY,
        planted(seed=3),
        planted((SIGNS, TRUTH, 1.0)),
        planted((SIGNS, TRUTH, 1.0), (DISTRACTION, OTHER, 4.0)),
    ]
)
CONTROL = np.stack([planted(seed=seed) for seed in range(10, 14)])


@pytest.fixture(scope="module")
def result() -> Result:
    return contrast_by_layer(ContrastPairs(STACK, LABELS, GROUPS, (-1, 0, 1, 2)), CONTROL, MADE_BY, probe=FEW)


def at(result: Result, name: str, layer: int) -> float:
    return float(result.data[name].sel(layer=layer))


def test_the_planted_contrast_is_found(result):
    assert at(result, "accuracy", 1) > 0.95
    assert at(result, "accuracy_low", 1) > at(result, "control_random_direction", 1) + 0.1
    assert at(result, "above_random_direction_low", 1) > 0.1
    assert at(result, "p_corrected", 1) < 0.01
    assert at(result, "loss_high", 1) < 0.19 < at(result, "control_random_weights_loss", 1)


def test_pairs_without_contrast_hold_nothing_and_controls_are_at_chance(result):
    for name in ("accuracy", "supervised", "first_component"):
        assert abs(at(result, name, 0) - 0.5) < 0.12
    assert at(result, "p_corrected", 0) > 0.05
    assert at(result, "loss", 0) == pytest.approx(0.2, abs=0.01)
    for name in ("control_random_weights", "control_shuffled"):
        assert (abs(result.data[name] - 0.5) < 0.12).all()
    np.testing.assert_allclose(result.data["control_majority"], 0.5)


def test_random_directions_profit_from_the_sign_that_labels_give_them(result):
    """Where one direction in sixteen holds the label, any direction tells it a little."""
    assert 0.55 < at(result, "control_random_direction", 1) < 0.85
    assert abs(at(result, "control_random_direction", 0) - 0.5) < 0.07


def test_where_another_contrast_stands_out_only_the_ceiling_is_high(result):
    assert at(result, "supervised", 2) > 0.9
    assert abs(at(result, "accuracy", 2) - 0.5) < 0.12
    assert abs(at(result, "first_component", 2) - 0.5) < 0.12
    assert at(result, "loss", 2) < 0.1, "consistent and sure, of something else"


def test_what_is_the_same_in_all_pairs_is_neither_told_nor_lost(result):
    for name in ("accuracy", "supervised", "first_component", "control_random_direction"):
        assert at(result, name, -1) == pytest.approx(0.5, abs=0.05)
    assert at(result, "loss", -1) == pytest.approx(0.2, abs=1e-6)
    assert at(result, "above_random_direction", -1) == pytest.approx(0, abs=0.05)
    assert at(result, "p_corrected", -1) > 0.5


def test_equals_searches_fold_by_fold_that_are_given_the_labels():
    X, truth = STACK[1:3], LABELS == "yes"
    ours = contrast_by_layer(ContrastPairs(X, LABELS, GROUPS), CONTROL[1:3], MADE_BY, probe=FEW, n_splits=3, seed=7)
    folds = group_folds(LABELS, GROUPS, n_splits=3, seed=7)
    for stack, name in ((X, "accuracy"), (CONTROL[1:3], "control_random_weights")):
        for layer in range(2):
            right = np.zeros(N, bool)
            for fold in folds:
                probe = ContrastConsistentProbe(n_starts=2).fit(stack[layer, fold.train], LABELS[fold.train])
                right[fold.test] = probe.predict(stack[layer, fold.test]) == LABELS[fold.test]
            assert float(ours.data[name][layer]) == pytest.approx(right.mean())
    for layer in range(2):
        right, component = np.zeros((2, N), bool)
        gaps = X[layer, :, 0] - X[layer, :, 1]
        for fold in folds:
            logistic = make_pipeline(StandardScaler(), LogisticRegression(C=0.01))
            logistic.fit(gaps[fold.train], truth[fold.train])
            right[fold.test] = logistic.predict(gaps[fold.test]) == truth[fold.test]
            score = (PCA(1).fit(gaps[fold.train]).transform(gaps)[:, 0] > 0) == truth
            component[fold.test] = score[fold.test] ^ (score[fold.train].mean() < 0.5)
        assert float(ours.data["supervised"][layer]) == pytest.approx(right.mean())
        assert float(ours.data["first_component"][layer]) == pytest.approx(component.mean())


def test_labels_decide_the_sign_and_nothing_else():
    given, turned = (
        contrast_by_layer(ContrastPairs(STACK[2:3], labels, GROUPS), CONTROL[2:3], MADE_BY, probe=FEW).data
        for labels in (LABELS, np.where(LABELS == "yes", "a no", "b yes"))
    )
    # Folds differ, since classes in another order are split otherwise; no more than that.
    for name in ("accuracy", "first_component", "loss", "control_random_direction"):
        assert abs(float(given[name][0]) - float(turned[name][0])) < 0.02, name
    fold = Fold(np.arange(4), np.arange(4, 8))
    truth = np.array([1, 1, 0, 0, 1, 0, 1, 0], bool)
    decision = np.array([[1.0, 1, -1, 1, 1, 1, -1, -1]])
    expected = [[True, False, False, True]]
    assert aligned(decision, truth, fold).tolist() == expected
    assert aligned(-decision, truth, fold).tolist() == expected, "right in three of four, or in one and turned"
    assert aligned(decision, ~truth, fold).tolist() == expected


def test_wordings_of_the_answers_hide_the_contrast_until_they_are_templates():
    names = np.array(["yes/no", "true/false"])[np.arange(N) // 2 % 2]
    parts = (SIGNS, TRUTH, 1.0), (np.where(names == "yes/no", 1.0, -1.0), OTHER, 8.0)
    X, alike = planted(*parts)[None], planted(*parts, seed=4)[None]
    blind, told = (
        contrast_by_layer(ContrastPairs(X, LABELS, GROUPS, templates=each), alike, MADE_BY, probe=FEW)
        for each in (np.zeros(N, int), names)
    )
    assert abs(float(blind.data["accuracy"][0]) - 0.5) < 0.12
    assert float(blind.data["loss"][0]) < 0.1
    assert float(told.data["accuracy"][0]) > 0.95
    assert float(told.data["control_random_weights"][0]) > 0.95, "the control is given the same chance"
    assert told.notes["templates"] == ["true/false", "yes/no"]


def test_the_first_component_is_that_of_the_library():
    gaps = STACK[2, :, 0] - STACK[2, :, 1]
    library = PCA(1).fit(gaps).components_[0]
    assert abs(first_component(gaps - gaps.mean(0)) @ library) == pytest.approx(1)


def test_intervals_hold_their_numbers_and_it_says_what_it_is(result):
    for name in result.data.data_vars:
        if f"{name}_low" in result.data:
            assert (result.data[f"{name}_low"] <= result.data[name] + 1e-12).all()
            assert (result.data[name] <= result.data[f"{name}_high"] + 1e-12).all()
    for name in ("random direction", "random weights", "shuffled", "majority"):
        assert name in result.notes["control"]
    assert (result.notes["n_samples"], result.notes["n_groups"]) == (N, N_GROUPS)
    assert "a ceiling and no control" in result.method
    assert "Filled in the first panel: 1 of 4 layers." in plot(result).caption


def test_the_seed_makes_it_again_and_it_is_kept(tmp_path):
    pairs = ContrastPairs(STACK[3:], LABELS, GROUPS)
    first, again, other = (contrast_by_layer(pairs, CONTROL[3:], MADE_BY, probe=FEW, seed=s) for s in (0, 0, 1))
    assert first.data.equals(again.data)
    assert not first.data.equals(other.data)
    loaded = Result.load(first.save(tmp_path / "contrast.safetensors"))
    assert loaded.data.equals(first.data)
    assert loaded.notes == first.notes


def test_refusals():
    pairs = ContrastPairs(STACK[1:], LABELS, GROUPS)
    with pytest.raises(InputError, match="Control activations have shape"):
        contrast_by_layer(pairs, CONTROL[:1], MADE_BY)
    with pytest.raises(InputError, match="equal the activations"):
        contrast_by_layer(pairs, STACK[1:], MADE_BY)
    with pytest.raises(InputError, match="Control activations hold NaN"):
        contrast_by_layer(pairs, CONTROL[1:] * np.nan, MADE_BY)
    # Settings come first.
    with pytest.raises(InputError, match="n_starts is 0"):
        contrast_by_layer(pairs, CONTROL[:1], MADE_BY, probe=ContrastConsistentProbe(n_starts=0))
    with pytest.raises(InputError, match="1 fold leaves nothing"):
        contrast_by_layer(pairs, CONTROL[1:], MADE_BY, n_splits=1)
    with pytest.raises(InputError, match="did not converge within 1"):
        contrast_by_layer(pairs, CONTROL[1:], MADE_BY, probe=ContrastConsistentProbe(max_iter=1))
