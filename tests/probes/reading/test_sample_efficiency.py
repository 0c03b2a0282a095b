"""More groups read more where a label is planted, and nothing where it is shuffled."""

import numpy as np
import pytest
import xarray as xr
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from interp.errors import InputError
from interp.results import Provenance, Result
from probes import LabelledActivations
from probes.reading.held_out import predict_held_out
from probes.reading.measures import accuracy
from probes.reading.sample_efficiency import _draw, groups_to_reach, sample_efficiency

MADE_BY = Provenance("planted", "0", "0", "0", "float32", True, "test")
PROBE = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
GROUPS = np.repeat(np.arange(60), 3)
LABELS = np.array(["de", "en", "fr"])[GROUPS % 3]


@pytest.fixture(scope="module")
def data() -> LabelledActivations:
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(3, 12))[GROUPS % 3]
    layers = [rng.normal(size=(180, 12)) + strength * directions for strength in (0.0, 0.8, 4.0)]
    return LabelledActivations(np.stack(layers), LABELS, GROUPS)


@pytest.fixture(scope="module")
def result(data) -> Result:
    return sample_efficiency(data, PROBE, MADE_BY, n_sizes=5, n_draws=2, n_splits=4)


def test_more_groups_read_more(result):
    weak, strong = (result.data["accuracy"].sel(layer=layer).values for layer in (1, 2))
    assert weak[-1] > weak[0] + 0.2
    assert strong[-1] > 0.97
    assert (strong[1:] > weak[1:]).all()
    loss = result.data["log_loss_nats"].sel(layer=2).values
    assert loss[-1] < loss[0] / 2
    assert float(result.data["accuracy_low"].sel(layer=2)[-1]) > float(
        result.data["control_shuffled_accuracy_high"].sel(layer=2)[-1]
    )


def test_without_a_label_there_is_nothing_to_learn(result):
    data = result.data
    for values in (data["accuracy"].sel(layer=0), data["control_shuffled_accuracy"]):
        assert (abs(values - 1 / 3) < 0.12).all()
    np.testing.assert_allclose(data["control_majority_accuracy"], 1 / 3)
    assert (abs(data["control_shuffled_area"] - 1 / 3) < 0.1).all()
    assert result.has_control


def test_the_whole_is_plain_cross_validation(data):
    draw = _draw(LABELS, GROUPS, 4, 0)
    X = data.X[1]
    found = draw.predict(PROBE, X, 60)
    wanted = predict_held_out(PROBE, X, LABELS, draw.folds)
    assert (found.answers == wanted.answers).all()
    once = np.ones((1, 180))
    assert accuracy(found)(once) == accuracy(wanted)(once)


def test_numbers_of_groups_are_nested_and_held_out():
    draw = _draw(LABELS, GROUPS, 4, 0)
    for number, fold in enumerate(draw.folds):
        few, more = (set(GROUPS[draw.subset(number, size).train]) for size in (3, 9))
        assert len(few) == 3
        assert few < more
        assert not more & set(GROUPS[fold.test])
        np.testing.assert_array_equal(draw.subset(number, 3).test, fold.test)


def test_numbers_are_log_spaced_and_intervals_hold_their_numbers(result):
    data = result.data
    sizes = data["n_groups"].values
    assert sizes[0] == 2
    assert 40 <= sizes[-1] <= 45
    np.testing.assert_allclose(np.diff(np.log(sizes)), np.log(sizes[-1] / 2) / 4, atol=0.15)
    np.testing.assert_allclose(data["n_samples"], 3 * sizes)
    for name in ("accuracy", "log_loss_nats", "area"):
        for control in ("", "control_shuffled_"):
            assert (data[f"{control}{name}_low"] <= data[f"{control}{name}"] + 1e-12).all()
            assert (data[f"{control}{name}"] <= data[f"{control}{name}_high"] + 1e-12).all()


def test_the_area_is_that_under_the_curve(result):
    data = result.data
    steps = np.log(data["n_groups"].values)
    wanted = np.trapezoid(data["accuracy"].values, steps, axis=1) / (steps[-1] - steps[0])
    np.testing.assert_allclose(data["area"], wanted, atol=1e-12)


def curve(values: list[float], sizes: list[int]) -> Result:
    given = xr.Dataset({"accuracy": (("layer", "n_groups"), [values])}, {"layer": [3], "n_groups": sizes})
    return Result("sample_efficiency", given, "", "", "", MADE_BY)


def test_groups_to_reach_by_hand():
    # Halfway between .6 and .8 lies halfway between the logarithms of 4 and 16.
    assert groups_to_reach(curve([0.4, 0.6, 0.8], [2, 4, 16]), 0.7) == {3: pytest.approx(8)}
    assert groups_to_reach(curve([0.4, 0.6, 0.8], [2, 4, 16]), 0.3) == {3: 2.0}
    assert groups_to_reach(curve([0.4, 0.6, 0.8], [2, 4, 16]), 0.9) == {3: None}
    # A crossing that is undone does not count.
    assert groups_to_reach(curve([0.8, 0.6, 0.8], [2, 4, 16]), 0.7) == {3: pytest.approx(8)}


def test_the_seed_makes_the_result_again_and_it_is_saved(data, result, tmp_path):
    one = LabelledActivations(data.X[1:2], LABELS, GROUPS)
    first, again, other = (
        sample_efficiency(one, clone(PROBE), MADE_BY, n_sizes=2, n_draws=1, n_splits=2, seed=seed).data
        for seed in (0, 0, 1)
    )
    assert first.equals(again)
    assert not first.equals(other)
    assert Result.load(result.save(tmp_path / "curve.safetensors")).data.equals(result.data)


def test_refusals(data, result):
    with pytest.raises(InputError, match="0 draws of 8 numbers"):
        sample_efficiency(data, PROBE, MADE_BY, n_draws=0)
    with pytest.raises(InputError, match="5 draws of 1 numbers"):
        sample_efficiency(data, PROBE, MADE_BY, n_sizes=1)
    with pytest.raises(InputError, match=r"accuracy to reach is 1\.5"):
        groups_to_reach(result, 1.5)
    numbers = LabelledActivations(data.X, GROUPS.astype(float), GROUPS, label_kind="continuous")
    with pytest.raises(InputError, match="The labels are continuous"):
        sample_efficiency(numbers, PROBE, MADE_BY)
