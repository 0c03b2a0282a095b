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
from probes.reading.controls import shuffled_labels
from probes.reading.held_out import predict_held_out
from probes.reading.intervals import mean_of, measure_over_groups
from probes.reading.measures import accuracy, log_loss_nats
from probes.reading.sample_efficiency import _draw, groups_to_reach, sample_efficiency
from probes.samples.split import group_folds

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


def test_it_is_made_of_its_parts():
    """Uneven groups and classes, and a seed: every draw has folds, order and permutation of its own."""
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(40), rng.integers(1, 6, 40))
    labels = np.where(groups % 3 == 0, "b", "a")
    X = rng.normal(size=(len(groups), 6)) + 0.7 * (labels == "b")[:, None]
    made = LabelledActivations(X[None], labels, groups)
    found = sample_efficiency(made, PROBE, MADE_BY, n_sizes=3, n_draws=2, n_splits=3, seed=5).data
    turned = [shuffled_labels(labels, groups, seed=seed) for seed in (5, 6)]
    for name, runs in (("", [labels] * 2), ("control_shuffled_", turned)):
        draws = [_draw(each, groups, 3, seed) for each, seed in zip(runs, (5, 6), strict=True)]
        curve = [[draw.predict(PROBE, X, size) for draw in draws] for size in found["n_groups"].values.tolist()]
        for measure in (accuracy, log_loss_nats):
            wanted = [measure_over_groups([measure(run) for run in runs], groups, seed=5) for runs in curve]
            for tail, end in (("", "value"), ("_low", "low"), ("_high", "high")):
                values = [getattr(each, end) for each in wanted]
                np.testing.assert_allclose(found[f"{name}{measure.__name__}{tail}"][0], values, atol=1e-12)
        ends = np.log(found["n_groups"].values)
        right = [
            np.stack([run.answers == run.truth for run in runs]).astype(float) for runs in zip(*curve, strict=True)
        ]
        areas = [mean_of(np.trapezoid(each, ends, axis=0) / (ends[-1] - ends[0])) for each in right]
        wanted = measure_over_groups(areas, groups, seed=5)
        values = [float(found[f"{name}area{tail}"][0]) for tail in ("", "_low", "_high")]
        assert values == pytest.approx([wanted.value, wanted.low, wanted.high], abs=1e-12)
        if not name:
            samples = [[len(draw.subset(n, 2).train) for n in range(3)] for draw in draws]
            assert float(found["n_samples"][0]) == pytest.approx(np.mean(samples))
    np.testing.assert_allclose(found["control_majority_accuracy"], (labels == "a").mean())


def test_folds_and_orders_follow_the_seed():
    first, other = _draw(LABELS, GROUPS, 4, 0), _draw(LABELS, GROUPS, 4, 1)
    for fold, wanted in zip(other.folds, group_folds(LABELS, GROUPS, n_splits=4, seed=1), strict=True):
        np.testing.assert_array_equal(fold.test, wanted.test)
    alike = _draw(LABELS, GROUPS, 4, 0)
    assert all((one == again).all() for one, again in zip(first.orders, alike.orders, strict=True))
    # Of two folds of equally many groups: which stands where, by its place among them.
    assert len(first.orders[0]) == len(other.orders[0])
    assert np.argsort(first.orders[0]).tolist() != np.argsort(other.orders[0]).tolist()
    for fold, order in zip(first.folds, first.orders, strict=True):
        assert sorted(order.tolist()) == np.unique(GROUPS[fold.train]).tolist()


def test_by_hand_a_class_not_met_has_the_share_of_half_a_group(data):
    """Two groups of three samples: half a group of each of three classes is 4.5 samples beside 6, so 1.5 of 10.5."""
    draw = _draw(LABELS, GROUPS, 4, 0)
    found, checked = draw.predict(PROBE, data.X[2], 2), 0
    for number in range(4):
        fold = draw.subset(number, 2)
        met = set(LABELS[fold.train])
        if len(met) == 2:
            (missing,) = set(found.classes) - met
            place = found.classes.tolist().index(missing)
            np.testing.assert_allclose(found.probabilities[fold.test, place], 1 / 7)
            checked += 1
    assert checked


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
    assert groups_to_reach(curve([0.4, 0.6, 0.8], [2, 4, 16]), 0.8) == {3: pytest.approx(16)}
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
    with pytest.raises(InputError, match=r"accuracy to reach is -0\.1"):
        groups_to_reach(result, -0.1)
    numbers = LabelledActivations(data.X, GROUPS.astype(float), GROUPS, label_kind="continuous")
    with pytest.raises(InputError, match="The labels are continuous"):
        sample_efficiency(numbers, PROBE, MADE_BY)
