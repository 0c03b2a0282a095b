"""The probe finds what is planted, and its controls find nothing."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from interp.errors import InputError
from interp.results import Provenance, Result
from probes import LabelledActivations, LogisticProbe, probe_by_layer

MADE_BY = Provenance("planted", "0", "0", "0", "float32", True, "test")
N_GROUPS, PER_GROUP, WIDTH = 60, 6, 20
GROUPS = np.repeat(np.arange(N_GROUPS), PER_GROUP)
LABELS = np.array(["de", "en", "fr"])[GROUPS % 3]


def planted(strengths: tuple[float, ...], seed: int = 0) -> np.ndarray:
    """One layer for each strength of the class directions; samples of a group share a part of their own."""
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(3, WIDTH))[GROUPS % 3]
    own = rng.normal(size=(N_GROUPS, WIDTH))[GROUPS]
    layers = [rng.normal(size=(len(GROUPS), WIDTH)) + own + strength * directions for strength in strengths]
    return np.stack(layers).astype(np.float32)


@pytest.fixture(scope="module")
def result() -> Result:
    data = LabelledActivations(planted((0.0, 3.0)), LABELS, GROUPS, layers=(-1, 0))
    return probe_by_layer(data, planted((0.0, 0.0), seed=1), MADE_BY)


def test_the_planted_layer_is_found_and_the_empty_one_is_not(result):
    data = result.data
    assert float(data["accuracy"].sel(layer=0)) > 0.97
    assert float(data["accuracy_low"].sel(layer=0)) > float(data["control_shuffled_high"].sel(layer=0))
    # Groups that are alike within would be learnt by heart if a group stood on both sides of a split.
    assert float(data["accuracy_low"].sel(layer=-1)) < 0.4


def test_controls_are_at_chance(result):
    for name in ("control_shuffled", "control_random_weights"):
        assert (abs(result.data[name] - 1 / 3) < 0.15).all()
        assert (result.data[f"{name}_low"] < 1 / 3).all()
    np.testing.assert_allclose(result.data["control_majority"], 1 / 3)
    assert result.has_control
    for name in ("shuffled", "random weights", "random direction", "majority"):
        assert name in result.notes["control"]


def test_random_directions_tell_less_than_the_probe_and_nothing_of_an_empty_layer(result):
    found, beside = result.data["accuracy"], result.data["control_random_direction"]
    assert float(beside.sel(layer=0)) < float(found.sel(layer=0)) - 0.1
    assert abs(float(beside.sel(layer=-1)) - 1 / 3) < 0.15
    assert (result.data["control_random_direction_low"] <= beside).all()


def test_intervals_hold_their_numbers(result):
    for name in ("accuracy", "control_shuffled", "control_random_weights"):
        assert (result.data[f"{name}_low"] <= result.data[name]).all()
        assert (result.data[name] <= result.data[f"{name}_high"]).all()


def test_equals_plain_scikit_learn():
    X = planted((0.4,))
    control = planted((0.0,), seed=1)
    ours = probe_by_layer(
        LabelledActivations(X, LABELS, GROUPS), control, MADE_BY, probe=LogisticProbe(C=0.2), n_splits=4, seed=7
    )
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=0.2, max_iter=1000))
    folds = StratifiedGroupKFold(4, shuffle=True, random_state=7)
    for activations, name in ((X[0], "accuracy"), (control[0], "control_random_weights")):
        predicted = cross_val_predict(pipeline, activations.astype(float), LABELS, groups=GROUPS, cv=folds)
        assert float(ours.data[name][0]) == pytest.approx((predicted == LABELS).mean(), abs=1e-12)
    assert 0.4 < float(ours.data["accuracy"][0]) < 1


def test_the_seed_makes_the_result_again():
    data = LabelledActivations(planted((0.4,)), LABELS, GROUPS)
    first, again, other = (
        probe_by_layer(data, planted((0.0,), seed=1), MADE_BY, n_splits=2, seed=seed).data for seed in (0, 0, 1)
    )
    assert first.equals(again)
    assert not first.equals(other)


def test_round_trip(result, tmp_path):
    loaded = Result.load(result.save(tmp_path / "probe.safetensors"))
    assert loaded.data.equals(result.data)
    assert loaded.notes == result.notes


def test_refusals():
    X = planted((0.0, 1.0))
    data = LabelledActivations(X, LABELS, GROUPS)
    control = planted((0.0, 0.0), seed=1)
    with pytest.raises(InputError, match="Control activations have shape"):
        probe_by_layer(data, control[:1], MADE_BY)
    with pytest.raises(InputError, match="equal the activations"):
        probe_by_layer(data, X, MADE_BY)
    control[0, 0, 0] = np.nan
    with pytest.raises(InputError, match="Control activations hold NaN"):
        probe_by_layer(data, control, MADE_BY)
