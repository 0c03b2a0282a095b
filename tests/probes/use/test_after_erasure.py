"""Erasure by layer: a planted concept falls to chance on unseen samples, and its controls do not."""

import numpy as np
import pytest
from sklearn.base import clone

from interp.errors import InputError
from interp.results import Provenance, Result
from probes import LabelledActivations, LogisticProbe, leace, probe_after_erasure
from probes.reading.intervals import accuracy_over_groups
from probes.samples.split import group_folds
from probes.use.erasure import random_eraser

MADE_BY = Provenance("planted", "0", "0", "0", "float32", True, "test")
N_GROUPS, PER_GROUP, WIDTH = 120, 8, 12
GROUPS = np.repeat(np.arange(N_GROUPS), PER_GROUP)
LABELS = np.array(["de", "en", "fr"])[GROUPS % 3]


def planted() -> LabelledActivations:
    """A layer without the labels and one with them; samples of a group share a part of their own."""
    rng = np.random.default_rng(0)
    directions, own = rng.normal(size=(3, WIDTH))[GROUPS % 3], rng.normal(size=(N_GROUPS, WIDTH))[GROUPS]
    layers = [rng.normal(size=(len(GROUPS), WIDTH)) + 0.3 * own + strength * directions for strength in (0.0, 2.0)]
    return LabelledActivations(np.stack(layers).astype(np.float32), LABELS, GROUPS)


@pytest.fixture(scope="module")
def result() -> Result:
    return probe_after_erasure(planted(), MADE_BY)


def test_the_concept_falls_to_chance_and_random_erasure_leaves_it(result):
    there = result.data.sel(layer=1)
    assert float(there["accuracy"]) > 0.95
    assert float(there["erased"]) < 0.42
    assert float(there["control_random_erasure_low"]) > 0.8
    assert float(there["control_random_erasure_low"]) > float(there["erased_high"])
    assert int(there["rank"]) == 2


def test_where_there_is_nothing_nothing_is_found_before_or_after(result):
    nowhere = result.data.sel(layer=0)
    for name in ("accuracy", "erased", "control_random_erasure"):
        assert 0.25 < float(nowhere[name]) < 0.42
        assert (result.data[f"{name}_low"] <= result.data[name]).all()
        assert (result.data[name] <= result.data[f"{name}_high"]).all()
    np.testing.assert_allclose(result.data["control_majority"], 1 / 3)


def test_the_number_is_that_of_a_plain_loop(result):
    data = planted()
    X, right = data.X[1].astype(np.float64), 0
    for half in group_folds(LABELS, GROUPS, n_splits=2):
        erased, labels = leace(X[half.train], LABELS[half.train]).erase(X[half.test]), LABELS[half.test]
        for fold in group_folds(labels, GROUPS[half.test], n_splits=4):
            fitted = LogisticProbe().fit(erased[fold.train], labels[fold.train])
            right += (fitted.predict(erased[fold.test]) == labels[fold.test]).sum()
    assert float(result.data["erased"].sel(layer=1)) == pytest.approx(right / len(LABELS), abs=1e-12)


def test_with_another_seed_and_uneven_classes_it_is_a_plain_loop_too():
    """Every number and both ends of every interval, with a probe of its own, and random erasures drawn anew."""
    data, probe = planted(), LogisticProbe(C=1.0)
    labels = np.where(GROUPS % 12 == 2, "maybe", np.where(GROUPS % 3 == 2, "yes", "no"))
    one = LabelledActivations(data.X[1:], labels, GROUPS)
    found = probe_after_erasure(one, MADE_BY, probe=probe, n_random=2, n_splits=3, seed=4).data
    X = one.X[0].astype(np.float64)
    correct = {"accuracy": np.zeros((1, len(X)), bool), "control_random_erasure": np.zeros((2, len(X)), bool)}
    correct["erased"] = correct["accuracy"].copy()
    for half in group_folds(labels, GROUPS, n_splits=2, seed=4):
        eraser = leace(X[half.train], labels[half.train])
        erased = {"accuracy": [X], "erased": [eraser.erase(X)]}
        draws = [random_eraser(X[half.train], eraser.rank, seed=4 + number) for number in range(2)]
        erased["control_random_erasure"] = [draw.erase(X) for draw in draws]
        for fold in group_folds(labels[half.test], GROUPS[half.test], n_splits=3, seed=4):
            fit, test = half.test[fold.train], half.test[fold.test]
            for name, runs in erased.items():
                for number, run in enumerate(runs):
                    read = clone(probe).fit(run[fit], labels[fit]).predict(run[test])
                    correct[name][number, test] = read == labels[test]
    for name, right in correct.items():
        wanted = accuracy_over_groups(right, GROUPS, seed=4)
        ends = [float(found[f"{name}{end}"][0]) for end in ("", "_low", "_high")]
        assert ends == pytest.approx([wanted.value, wanted.low, wanted.high], abs=1e-12)
    assert float(found["control_majority"][0]) == pytest.approx((labels == "no").mean())


def test_it_says_what_its_control_is_and_can_be_kept(result, tmp_path):
    assert result.has_control
    for word in ("random erasure", "majority"):
        assert word in result.notes["control"]
    assert Result.load(result.save(tmp_path / "erased.safetensors")).data.equals(result.data)


def test_the_seed_makes_the_result_again():
    first, again, other = (
        probe_after_erasure(planted(), MADE_BY, n_random=1, n_splits=2, seed=seed).data for seed in (0, 0, 1)
    )
    assert again.equals(first)
    assert not other.equals(first)


def test_refusals():
    with pytest.raises(InputError, match="0 random erasures leave the erasure without a control"):
        probe_after_erasure(planted(), MADE_BY, n_random=0)
    with pytest.raises(InputError, match="folds need it in 50"):
        probe_after_erasure(planted(), MADE_BY, n_splits=50)
