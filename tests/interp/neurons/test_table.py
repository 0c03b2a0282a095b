"""The table: every method's score beside its control, with intervals that cover and halves that replicate."""

from dataclasses import replace

import numpy as np
import pytest

from interp.errors import InputError
from interp.neurons.activity import TextActivity
from interp.neurons.scoring import METHODS, Evidence, Selection
from interp.neurons.table import language_neurons
from interp.results import Result
from tests.interp.plots.synthetic import provenance

CHOSEN = Selection(rate=0.05, n_each=5)


def drawn(
    *, n_each: int = 24, shift: float = 3.0, seed: int = 0, shape: tuple[int, int] = (2, 60), texts: int = 2
) -> TextActivity:
    """Documents of some texts, two neurons of layer 1 set for each of three languages; others know none."""
    rng = np.random.default_rng(seed)
    language = np.repeat([0, 1, 2], n_each * texts)
    document = np.repeat(np.arange(3 * n_each), texts)
    mean = rng.normal(size=(3 * n_each, *shape))[document] + rng.normal(size=(len(document), *shape))
    chance = np.full((3, *shape), 0.2)
    for number in range(3):
        mean[language == number, 1, 2 * number : 2 * number + 2] += shift
        chance[number, 1, 2 * number : 2 * number + 2] = 0.9
    fires = rng.binomial(20, chance[language])
    return TextActivity(("aa", "bb", "<cc>"), language, document, np.full(len(document), 20), mean, fires, provenance())


TRUTH = np.zeros((2, 60, 3), bool)
for each in range(3):
    TRUTH[1, 2 * each : 2 * each + 2, each] = True


@pytest.fixture(scope="module")
def table() -> Result:
    return language_neurons(drawn(), selection=CHOSEN, n_shuffles=5)


def test_every_method_finds_what_is_there_and_says_it_in_one_table(table):
    frame = table.to_dataframe()
    assert len(frame) == 5 * 2 * 60 * 3
    assert {"method", "layer", "neuron", "language", "score", "control", "p", "q_fdr", "found"} <= set(frame.columns)
    for method in METHODS:
        found = table.data["found"].sel({"method": method}).values
        np.testing.assert_array_equal(found, TRUTH & (method != "average_precision_bottom"))
    replicated = table.data["replicated"].values
    assert not (replicated & ~table.data["found"].values).any()
    assert replicated[METHODS.index("auroc")].sum() == 6


def test_the_control_is_the_same_with_shuffled_labels(table):
    activity = drawn()
    labels = activity.shuffled_labels(np.random.default_rng(0))
    again = Evidence.of(activity).scored(labels, CHOSEN)
    np.testing.assert_array_equal(table.data["control"].values, again.score)
    assert table.data["control_found"].shape == (5, 5)
    assert table.data["control_found"].values[:, 0].tolist() == again.found.sum((1, 2, 3)).tolist()
    by_layer = table.data["control_found_by_layer"].sum(("layer", "language")).values
    np.testing.assert_allclose(by_layer, table.data["control_found"].mean("shuffle").values)
    assert table.baselines["found by auroc, labels shuffled"] == by_layer[-1]


def test_another_seed_deals_the_labels_otherwise_and_scores_the_same(table):
    other = language_neurons(drawn(), selection=CHOSEN, n_shuffles=5, seed=1)
    np.testing.assert_array_equal(other.data["score"], table.data["score"])
    assert (other.data["control"] != table.data["control"]).any()
    again = language_neurons(drawn(), selection=CHOSEN, n_shuffles=5)
    assert again.data.identical(table.data)


def test_intervals_cover_the_true_score_as_often_as_they_say():
    # Half a standard deviation within documents and within texts each: d = 1 / sqrt(2), AUROC = Phi(d / sqrt(2)).
    hits, middles = [], []
    for seed in range(12):
        result = language_neurons(drawn(shift=1.0, seed=seed), selection=CHOSEN, n_shuffles=1).data
        for method, true in (("auroc", 0.6915), ("mean_difference", 1 / np.sqrt(2))):
            row = result.sel({"method": method})
            low, high, score = (row[name].values[TRUTH] for name in ("score_low", "score_high", "score"))
            hits += list((low <= true) & (true <= high))
            middles.append(score.mean() / true)
    assert np.mean(middles) == pytest.approx(1, abs=0.05)
    assert 0.88 <= np.mean(hits) <= 0.99


def test_scores_of_halves_are_those_of_the_halves_alone(table):
    for number, half in enumerate(drawn().halves()):
        expected = Evidence.of(half).scored(half.language, CHOSEN)
        np.testing.assert_array_equal(table.data["score_in_half"].values[number], expected.score)
        np.testing.assert_array_equal(table.data["found_in_half"].values[number], expected.found)


def test_a_neuron_found_by_chance_does_not_replicate():
    activity = drawn(n_each=60)
    half = np.isin(activity.document, activity.halves()[0].document)
    lucky = half & (activity.language == 0)
    activity.mean[lucky, 0, 30] += 9
    at = {"layer": 0, "neuron": 30, "language": "aa"}
    selection = replace(CHOSEN, least_auroc=0.6)
    found = language_neurons(activity, selection=selection, n_shuffles=1).data.sel({"method": "auroc"}).sel(at)
    assert found["found"]
    assert not found["replicated"]
    assert found["found_in_half"].values.tolist() == [True, False]


def test_a_neuron_that_never_fires_has_the_entropy_of_knowing_nothing():
    activity = drawn()
    activity.fires[:, 0, 3] = 0
    result = language_neurons(activity, selection=CHOSEN, n_shuffles=1)
    np.testing.assert_allclose(result.data["score"].sel({"method": "lape", "layer": 0, "neuron": 3}), np.log(3))


def test_random_weights_stand_beside_the_model_where_they_are_given():
    noise = replace(drawn(shift=0.0), provenance=replace(provenance(), fingerprint="other"))
    noise.fires[:] = drawn(shift=0.0, seed=3).fires[::-1]
    result = language_neurons(drawn(), random_weights=noise, selection=CHOSEN, n_shuffles=1)
    np.testing.assert_array_equal(result.data["control_random"], Evidence.of(noise).ranked.scores(noise.language))
    assert result.data["control_random_found"].sel({"method": "auroc"}).sum() == 0


def test_a_table_comes_back_from_disk(table, tmp_path):
    again = Result.load(table.save(tmp_path / "table.safetensors"))
    assert again.data.identical(table.data)
    assert again.notes == table.notes
    assert "<cc>" in again.data["language"].values


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_shuffles": 0}, "0 shuffles"),
        ({"random_weights": drawn()}, "the model's own weights"),
        ({"random_weights": drawn(n_each=5)}, "other texts"),
        ({"activity": drawn(n_each=3)}, "'aa' has 3 documents"),
    ],
)
def test_what_cannot_be_compared_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        language_neurons(**{"activity": drawn(), "selection": CHOSEN} | change)
