"""A planted tree is found at its layer and at no other, and no control finds it."""

from dataclasses import replace

import numpy as np
import pytest

from interp.errors import InputError
from interp.results import Provenance
from probes.estimators import TreeDepthProbe, TreeDistanceProbe
from probes.reading.trees_by_layer import probe_trees
from probes.samples.tree_activations import TreeActivations
from probes.samples.trees import ROOT, TreeLabels

MADE_BY = Provenance("planted", "0", "0", "0", "float64", True, "by hand")
WIDTH, N_AXES, N_SENTENCES = 12, 8, 80
SETTINGS = {"rank": 8, "learning_rate": 0.05, "n_epochs": 25, "batch_size": 10}


def random_tree(rng: np.random.Generator) -> np.ndarray:
    """Heads of 5 to 8 words, whose order says nothing about the tree."""
    place = rng.permutation(int(rng.integers(5, 9)))
    heads = np.full(len(place), ROOT)
    for node in range(1, len(place)):
        heads[place[node]] = place[rng.integers(node)]
    return heads


def paths(heads: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A sum of axes, one for each edge on the way to the root, so that squared distances are those in the tree."""
    rows, own = np.zeros((len(heads), WIDTH)), rng.permutation(N_AXES)
    for word in range(len(heads)):
        node = word
        while heads[node] != ROOT:
            rows[word, own[node]], node = 1, heads[node]
    return rows


@pytest.fixture(scope="module")
def data() -> TreeActivations:
    """Noise at layer 3; at layer 7 the paths, turned, with noise across them and a little all over."""
    rng = np.random.default_rng(0)
    trees = TreeLabels(tuple(random_tree(rng) for _ in range(N_SENTENCES)))
    planted = np.concatenate([paths(heads, rng) for heads in trees.heads])
    planted[:, N_AXES:] = rng.normal(size=(len(planted), WIDTH - N_AXES))
    turned = planted @ np.linalg.qr(rng.normal(size=(WIDTH, WIDTH)))[0]
    turned += 0.07 * rng.normal(size=turned.shape)
    return TreeActivations(np.stack([rng.normal(size=turned.shape), turned]), trees, layers=(3, 7))


@pytest.fixture(scope="module")
def control(data) -> np.ndarray:
    return np.random.default_rng(1).normal(size=data.X.shape)


@pytest.fixture(scope="module")
def distances(data, control):
    return probe_trees(data, control, MADE_BY, probe=TreeDistanceProbe(**SETTINGS), n_splits=2)


@pytest.fixture(scope="module")
def depths(data, control):
    return probe_trees(data, control, MADE_BY, probe=TreeDepthProbe(**SETTINGS), n_splits=2)


def test_planted_distances_are_found_where_they_are_and_by_no_control(distances):
    at, noise = distances.data.sel(layer=7), distances.data.sel(layer=3)
    assert float(at["uuas"]) > 0.95
    assert float(at["spearman"]) > 0.9
    # Of 6 words, 5 of 15 pairs are edges: whatever knows nothing finds a third of them.
    for where, name in ((noise, "uuas"), *((at, f"control_{each}_uuas") for each in ("shuffled", "random_weights"))):
        assert 0.2 < float(where[name]) < 0.45
    assert 0.2 < float(at["control_linear_uuas"]) < 0.45
    for each in ("shuffled", "random_weights", "linear"):
        assert float(at[f"above_{each}_low"]) > 0.5
        assert float(at[f"above_{each}_p_corrected"]) < 0.01
        assert float(noise[f"above_{each}_p_corrected"]) > 0.05


def test_planted_depths_are_found_where_they_are_and_by_no_control(depths):
    at, noise = depths.data.sel(layer=7), depths.data.sel(layer=3)
    assert float(at["spearman"]) > 0.9
    assert float(at["root_accuracy"]) > 0.9
    controls = [(at, f"control_{each}_") for each in ("shuffled", "random_weights", "linear")]
    for where, name in ((noise, ""), *controls):
        assert abs(float(where[f"{name}spearman"])) < 0.25
        assert float(where[f"{name}root_accuracy"]) < 0.35
    for each in ("shuffled", "random_weights", "linear"):
        assert float(at[f"above_{each}_p_corrected"]) < 0.01
        assert float(noise[f"above_{each}_p_corrected"]) > 0.05


@pytest.mark.parametrize("name", ["distances", "depths"])
def test_numbers_have_intervals_and_margins_are_differences(request, name, data):
    result = request.getfixturevalue(name)
    found = result.data
    main, other = ("uuas", "spearman") if name == "distances" else ("spearman", "root_accuracy")
    assert next(iter(found.data_vars)) == main
    for measure in (main, other):
        for control in ("", "control_shuffled_", "control_random_weights_", "control_linear_"):
            line = f"{control}{measure}"
            assert (found[f"{line}_low"] <= found[line]).all()
            assert (found[line] <= found[f"{line}_high"]).all()
            assert float((found[f"{line}_high"] - found[f"{line}_low"]).sel(layer=3)) > 0.01
    for control in ("shuffled", "random_weights", "linear"):
        np.testing.assert_allclose(found[f"above_{control}"], found[main] - found[f"control_{control}_{main}"])
        assert (found[f"above_{control}_p"] <= found[f"above_{control}_p_corrected"]).all()
    assert found["layer"].values.tolist() == [3, 7]
    assert result.kind == "structural_probe"
    assert result.notes["n_sentences"] == N_SENTENCES
    assert result.notes["n_words"] == data.X.shape[1]
    assert result.notes["rank"] == 8
    assert "rank 8" in result.method


def test_the_order_of_words_finds_trees_that_follow_it():
    """In chains each word hangs on the one before it: the control has every edge, and nothing can be above it."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(5, 8, 20)
    trees = TreeLabels(tuple(np.arange(length) - 1 for length in lengths))
    data, control = (TreeActivations(rng.normal(size=(1, lengths.sum(), 6)), trees) for _ in range(2))
    for probe in (TreeDistanceProbe(rank=2, n_epochs=1), TreeDepthProbe(rank=2, n_epochs=1)):
        found = probe_trees(data, control.X, MADE_BY, probe=probe, n_splits=2).data
        for measure in ("uuas", "spearman", "root_accuracy"):
            if measure in found:
                assert found[f"control_linear_{measure}"].values == pytest.approx(1)
                assert (found[measure] < 1).all()
        assert (found["above_linear"] < 0).all()
        # Nothing but noise is fitted, so that only this control is told apart from the probe.
        assert (found["above_linear_p_corrected"] < 0.01).all()
        assert (found["above_shuffled_p_corrected"] > 0.05).all()
        assert (found["above_random_weights_p_corrected"] > 0.05).all()


def test_no_sentence_is_predicted_by_a_probe_that_saw_its_group(data, control):
    """Each vector begins with the number of its group, in the activations and in the control."""
    predicted = []

    class Spy(TreeDistanceProbe):
        def fit(self, X, y):
            self.fitted_to = {words[0, 0] for words in X}
            return super().fit(X, y)

        def predict(self, X):
            predicted.extend(words[0, 0] for words in X)
            assert not self.fitted_to & {words[0, 0] for words in X}
            return super().predict(X)

    groups = np.arange(N_SENTENCES) // 4
    X, other = data.X[:1].copy(), control[:1].copy()
    X[0, :, 0] = other[0, :, 0] = groups[data.trees.sentences]
    grouped = replace(data, X=X, groups=groups, layers=(0,))
    result = probe_trees(grouped, other, MADE_BY, probe=Spy(rank=2, n_epochs=1), n_splits=3)
    # The probe and two controls predict each sentence once.
    assert sorted(predicted) == sorted(groups.tolist() * 3)
    assert result.notes["n_groups"] == N_SENTENCES // 4


def test_the_seed_makes_it_again(data, control):
    first, again, other = (
        probe_trees(data, control, MADE_BY, probe=TreeDepthProbe(rank=2, n_epochs=1), n_splits=2, seed=seed).data
        for seed in (0, 0, 1)
    )
    assert first.identical(again)
    for name in ("spearman", "control_shuffled_spearman", "above_shuffled_low"):
        assert not np.array_equal(first[name], other[name])


def test_bad_settings_are_refused_before_anything_is_fitted(data, control, monkeypatch):
    def fit(self, X, y):
        raise AssertionError("fitted")

    monkeypatch.setattr(TreeDistanceProbe, "fit", fit)
    short = TreeLabels.of([[0, 1, 1]] * 9 + [[0, 1, 1, 1, 1]])
    few = TreeActivations(data.X[:, : short.lengths.sum()], short)
    for given, other, probe, n_splits, words in (
        (data, control, TreeDistanceProbe(rank=13), 2, "rank 13 from activations 12 wide"),
        (data, control, TreeDistanceProbe(n_epochs=0), 2, "Expected all above zero"),
        (data, control, None, 1, "rank 32 from"),
        (data, control, TreeDistanceProbe(rank=2), 1, "1 folds of 80 groups"),
        (data, control, TreeDistanceProbe(rank=2), 81, "81 folds of 80 groups"),
        (data, control[:1], TreeDistanceProbe(rank=2), 2, "another shape"),
        (data, data.X, TreeDistanceProbe(rank=2), 2, "the very same"),
        (data, control * np.nan, TreeDistanceProbe(rank=2), 2, "not finite"),
        (few, few.X + 1, TreeDistanceProbe(rank=2), 2, "1 sentences of 5 to 50 words"),
    ):
        with pytest.raises(InputError, match=words):
            probe_trees(given, other, MADE_BY, probe=probe, n_splits=n_splits)
