"""Everything at once: what is planted is found by every measure, and each stands beside its control."""

from functools import partial

import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB

from interp import neuron_look
from interp.errors import InputError
from interp.models import encode, load_model, provenance
from interp.results import Provenance, Result
from interp.sites import Site
from interp.statistics import sign_flips
from probes import LabelledActivations, LogisticProbe, token_language_task
from probes.reading.calibration import calibrated_error
from probes.reading.control_task import control_task
from probes.reading.controls import shuffled_labels
from probes.reading.description_length import codes_by_layer, compression_variables, strengths
from probes.reading.held_out import predict_held_out, predict_prior
from probes.reading.measures import CLASSIFICATION, classification_measures
from probes.reading.quality import N_SHUFFLES, _tested, probe_quality
from probes.samples.split import group_folds
from probes.tasks.task import capture_samples

MADE_BY = Provenance("planted", "0", "0", "0", "float32", True, "test")
PROBE = LogisticProbe(C=0.1)
GROUPS = np.repeat(np.arange(45), 4)
LABELS = np.array(["de", "en", "fr"])[GROUPS % 3]
TYPES = np.random.default_rng(5).integers(0, 20, len(GROUPS))
SMALLER_IS_BETTER = ("log_loss_nats", "brier")


@pytest.fixture(scope="module")
def data() -> LabelledActivations:
    """Nothing in layer 0; in layer 1 the label."""
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(3, 8))[GROUPS % 3]
    layers = [rng.normal(size=(180, 8)) + strength * directions for strength in (0.0, 3.0)]
    return LabelledActivations(np.stack(layers).astype(np.float32), LABELS, GROUPS)


@pytest.fixture(scope="module")
def result(data) -> Result:
    return probe_quality(data, PROBE, TYPES, MADE_BY, n_splits=3, n_orders=2)


def test_every_measure_finds_the_planted_layer_and_its_control_does_not(result):
    planted, empty = result.data.sel(layer=1), result.data.sel(layer=0)
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "auroc"):
        assert float(planted[f"{name}_low"]) > float(planted[f"control_shuffled_{name}_high"]), name
        assert float(planted[f"{name}_low"]) > float(planted[f"control_majority_{name}"]), name
        assert float(empty[f"{name}_low"]) < float(empty[f"control_shuffled_{name}_high"]), name
    for name in SMALLER_IS_BETTER:
        assert float(planted[f"{name}_high"]) < float(planted[f"control_shuffled_{name}_low"]), name
        assert float(planted[f"{name}_high"]) < float(planted[f"control_majority_{name}"]), name
    assert float(planted["compression_low"]) > float(planted["control_shuffled_compression_high"])
    assert float(empty["compression"]) < 1.1
    assert float(planted["selectivity_low"]) > 0.3
    assert float(empty["selectivity_low"]) < 0.1


def test_p_is_small_where_the_label_is_and_corrected_over_layers(result):
    assert float(result.data["p_corrected"].sel(layer=1)) < 0.01
    assert float(result.data["p"].sel(layer=0)) > 0.05
    assert (result.data["p_corrected"] >= result.data["p"]).all()


def test_no_label_is_found_in_noise_more_often_than_the_level_says():
    labels, found = np.array(["a", "b"])[GROUPS % 2], 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(3, 180, 4)) + rng.normal(size=(3, 45, 4))[:, GROUPS]  # alike within groups
        folds = group_folds(labels, GROUPS, n_splits=3, seed=seed)
        predictions = [predict_held_out(GaussianNB(), layer, labels, folds) for layer in X]
        tested = _tested(LabelledActivations(X, labels, GROUPS), predictions, seed)
        above = np.array([(each.answers == each.truth).mean() > 0.5 for each in predictions])
        found += bool(((tested["p_corrected"][1] < 0.05) & above).any())
    assert found <= 4


def test_it_is_made_of_the_parts(data, result):
    folds = group_folds(LABELS, GROUPS, n_splits=3)
    for layer in (0, 1):
        part = classification_measures([predict_held_out(PROBE, data.X[layer], LABELS, folds)], GROUPS)
        for name in CLASSIFICATION:
            for end, tail in (("value", ""), ("low", "_low"), ("high", "_high")):
                wanted = float(part.sel(measure=name, end=end))
                assert float(result.data[f"{name}{tail}"].sel(layer=layer)) == pytest.approx(wanted, abs=1e-9)
    alone = control_task(data, PROBE, TYPES, MADE_BY, n_splits=3).data
    np.testing.assert_allclose(result.data["selectivity"], alone["selectivity"])
    one = LabelledActivations(data.X[1:], LABELS, GROUPS)
    codes = codes_by_layer(one, strengths(PROBE), n_orders=2, seed=0)[""]
    wanted = np.mean([code.compression for code in codes[0]])
    assert float(result.data["compression"].sel(layer=1)) == pytest.approx(wanted)


def test_with_another_seed_every_number_is_made_of_its_parts_too():
    """Uneven classes, and a seed that reaches folds, permutations, orders, controls and resamples."""
    labels = np.where(np.isin(GROUPS % 5, (0, 1)), "b", "a")
    X = np.random.default_rng(2).normal(size=(1, 180, 4)) + 0.8 * (labels == "b")[None, :, None]
    data = LabelledActivations(X, labels, GROUPS)
    found = probe_quality(data, PROBE, TYPES, MADE_BY, n_splits=3, n_orders=2, seed=6).data.isel(layer=0)
    turned = [shuffled_labels(labels, GROUPS, seed=6 + number) for number in range(N_SHUFFLES)]
    runs = [predict_held_out(PROBE, X[0], each, group_folds(each, GROUPS, n_splits=3, seed=6)) for each in turned]
    true = predict_held_out(PROBE, X[0], labels, group_folds(labels, GROUPS, n_splits=3, seed=6))
    for name, predictions in (("", [true]), ("control_shuffled_", runs)):
        wanted = classification_measures(predictions, GROUPS, seed=6)
        for measure in CLASSIFICATION:
            for end, tail in (("value", ""), ("low", "_low"), ("high", "_high")):
                value = float(wanted.sel(measure=measure, end=end))
                assert float(found[f"{name}{measure}{tail}"]) == pytest.approx(value, abs=1e-12)
    for measure, make in CLASSIFICATION.items():
        value = make(predict_prior(labels))(np.ones((1, 180)))[0]
        assert float(found[f"control_majority_{measure}"]) == pytest.approx(value)
    for name, binning in (("ece", "equal_width"), ("ece_adaptive", "equal_mass")):
        mean, end = calibrated_error(true, binning=binning, seed=6)
        assert float(found[f"control_calibrated_{name}"]) == mean < float(found[f"control_calibrated_{name}_high"])
        assert float(found[f"control_calibrated_{name}_high"]) == end
    selective = control_task(data, PROBE, TYPES, MADE_BY, n_splits=3, seed=6).data.isel(layer=0)
    for name in ("selectivity", "selectivity_low", "control_task_accuracy_high"):
        assert float(found[name]) == float(selective[name])
    codes = codes_by_layer(data, strengths(PROBE), n_orders=2, seed=6)
    for name, (_, values) in compression_variables(codes, GROUPS, seed=6).items():
        assert float(found[name]) == pytest.approx(float(values[0]))
    # The more frequent class is a; what is right beyond it is counted by group, and groups change signs as a whole.
    above = (true.answers == true.truth).astype(float) - (labels == "a")
    flips = sign_flips(np.array([above[group == GROUPS].sum() for group in range(45)]), seed=6)
    assert float(found["p"]) == pytest.approx(float(flips.p))


def test_p_is_corrected_over_layers_as_flips_of_all_at_once():
    rng = np.random.default_rng(4)
    labels = np.where(GROUPS % 5 < 2, "b", "a")
    X = rng.normal(size=(3, 180, 4)) + np.array([0.0, 0.5, 0.6])[:, None, None] * (labels == "b")[None, :, None]
    folds = group_folds(labels, GROUPS, n_splits=3)
    predictions = [predict_held_out(GaussianNB(), layer, labels, folds) for layer in X]
    above = [(each.answers == each.truth).astype(float) - (labels == "a") for each in predictions]
    flips = sign_flips(np.stack([np.bincount(GROUPS, weights=each) for each in above], 1), seed=2)
    tested = _tested(LabelledActivations(X, labels, GROUPS), predictions, 2)
    np.testing.assert_array_equal(tested["p"][1], flips.p)
    np.testing.assert_array_equal(tested["p_corrected"][1], flips.p_corrected)


def test_the_answer_comes_first_and_is_saved(result, tmp_path):
    assert next(iter(result.data.data_vars)) == "accuracy"
    assert result.has_control
    for word in ("shuffled", "majority", "control task"):
        assert word in result.notes["control"]
    loaded = Result.load(result.save(tmp_path / "quality.safetensors"))
    assert loaded.data.equals(result.data)
    assert loaded.notes == result.notes


def test_without_words_there_is_no_selectivity_and_any_classifier_will_do(data):
    found, again, other = (
        probe_quality(data, GaussianNB(), None, MADE_BY, n_splits=2, n_orders=1, seed=seed) for seed in (0, 0, 1)
    )
    assert "selectivity" not in found.data
    assert "control task" not in found.notes["control"]
    assert float(found.data["compression"].sel(layer=1)) > 2
    assert found.data.equals(again.data)
    assert not found.data.equals(other.data)


def test_refusals(data):
    with pytest.raises(InputError, match="0 orders"):
        probe_quality(data, PROBE, TYPES, MADE_BY, n_orders=0)
    with pytest.raises(InputError, match="1 word types"):
        probe_quality(data, PROBE, TYPES * 0, MADE_BY)
    numbers = LabelledActivations(data.X, GROUPS.astype(float), GROUPS, label_kind="continuous")
    with pytest.raises(InputError, match="The labels are continuous"):
        probe_quality(numbers, PROBE, None, MADE_BY)


@pytest.mark.slow
def test_the_language_of_the_text_in_a_trained_model():
    model, texts = load_model("zoo:polyglot"), neuron_look.shipped_texts().half(0, most=30)
    task = token_language_task(texts, partial(encode, model), samples_per_text=6)
    X = capture_samples(model, task, [Site(0, "resid_pre"), Site(2, "resid_post")])
    data = LabelledActivations(X, task.labels, task.groups, (-1, 2))
    ids = task.batch.tokens[task.prompts, task.positions]
    made_by = provenance(model, tokens=[task.batch.tokens], call="test", seed=0)
    found = probe_quality(data, LogisticProbe(), ids, made_by, n_orders=2).data
    first, later = found.sel(layer=-1), found.sel(layer=2)
    # The token alone gives the language away in part, and is known by heart; layers later the language is plain.
    assert float(first["accuracy_low"]) > float(first["control_shuffled_accuracy_high"])
    assert float(later["accuracy_low"]) > float(first["accuracy_high"])
    assert float(later["accuracy"]) > 0.95
    assert float(first["selectivity_high"]) < 0 < float(later["selectivity_low"])
    assert float(later["compression_low"]) > float(first["compression_high"])
    assert float(first["compression_low"]) > float(first["control_shuffled_compression_high"])
    assert (found["p_corrected"] < 0.01).all()
