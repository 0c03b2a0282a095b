"""Planted neurons hurt their own language and no other, random ones none; nothing edited is nothing changed."""

import numpy as np
import pytest

from interp.errors import InputError, SiteError
from interp.neurons.units import Neurons
from interp.results import Result
from interp.run import Clamp
from interp.run.hooks import foreign_hooks
from interp.sites import Site
from interp.steering import ablation_matrix, corpus_of, read_levels
from interp.steering.ablation import document_losses
from tests.interp.steering.planted import D_VOCAB, LANGUAGES, N_CONCEPTS, N_WORDS, neurons_of, planted_model, texts

NEURONS = {name: neurons_of(name) for name in LANGUAGES}
EMPTY = Neurons(np.array([], np.int64), np.array([], np.int64))


def _levels(noise: float = 0.02):
    return read_levels(planted_model(noise), texts(20, seed=5))


@pytest.fixture(scope="module")
def matrix() -> Result:
    return ablation_matrix(planted_model(), texts(), NEURONS, _levels())


def test_planted_neurons_hurt_their_own_language_and_no_other(matrix: Result) -> None:
    effect = matrix.data["effect"].values
    assert (np.diag(effect) > 0.5).all()
    np.testing.assert_allclose(effect[~np.eye(3, dtype=bool)], 0, atol=1e-6)
    np.testing.assert_array_equal(matrix.data["stands"].values, np.eye(3, dtype=bool))
    assert matrix.data["dominant"].values.all()
    assert matrix.notes["n_dominant"] == 3
    assert (np.diag(matrix.data["p"].values) == 1 / 21).all()
    assert (np.abs(matrix.data["control"].values) < 0.1).all()
    assert (matrix.data["p_own"].values == 1 / 21).all()


def test_the_cost_of_silence_by_hand() -> None:
    """With a word before it, the next is read with log(12 + 26 e^-3) nats; without the neurons, log 38."""
    model = planted_model(0.0)
    found = ablation_matrix(model, texts(), NEURONS, _levels(0.0)).data
    before, after = np.log(N_CONCEPTS + (D_VOCAB - N_CONCEPTS) * np.exp(-3.0)), np.log(D_VOCAB)
    share = (N_WORDS - 1) / N_WORDS  # the first word is read after BOS, by no neuron
    cost = share * (after - before)
    np.testing.assert_allclose(np.diag(found["effect"].values), cost, atol=1e-5)
    np.testing.assert_allclose(found["own_minus_others"].values, cost, atol=1e-5)
    np.testing.assert_allclose(found["loss_nats"].values, (after + (N_WORDS - 1) * before) / N_WORDS, atol=1e-5)
    np.testing.assert_allclose(found["own_minus_largest"].values, cost, atol=1e-5)


def test_neurons_of_another_language_are_not_this_ones(matrix: Result) -> None:
    """The shuffled case: each language's neurons under the next language's name."""
    turned = {name: neurons_of(LANGUAGES[(place + 1) % 3]) for place, name in enumerate(LANGUAGES)}
    found = ablation_matrix(planted_model(), texts(), turned, _levels()).data
    assert not found["dominant"].any()
    assert not np.diag(found["stands"].values).any()
    assert (found["own_minus_others"] < 0).all()


def test_random_neurons_do_not_stand_out() -> None:
    rng, levels = np.random.default_rng(3), _levels()
    others = {name: neurons_of(name).like(levels.size[levels.number(name)], rng) for name in LANGUAGES}
    found = ablation_matrix(planted_model(), texts(), others, levels).data
    assert found["stands"].values.sum() <= 1
    assert not found["dominant"].any()


def test_the_median_of_other_languages_is_as_good_as_silence_where_they_are_silent_there(matrix: Result) -> None:
    found = ablation_matrix(planted_model(), texts(), NEURONS, _levels(), edit="median").data
    np.testing.assert_allclose(np.diag(found["effect"]), np.diag(matrix.data["effect"]), atol=1e-6)
    assert (found["control"] != matrix.data["control"]).any(), "random neurons are not silent elsewhere"


def test_an_empty_plan_is_the_unedited_run_to_the_last_bit() -> None:
    model, corpus = planted_model(), corpus_of(planted_model(), texts())
    plain = document_losses(model, corpus)
    np.testing.assert_array_equal(document_losses(model, corpus, {}), plain)
    assert (document_losses(model, corpus, {Site(0, "post"): Clamp((0, 1, 2), 5.0)}) != plain).any()


def test_after_an_exception_the_model_is_as_before() -> None:
    model, corpus = planted_model(), corpus_of(planted_model(), texts())
    plain = document_losses(model, corpus)
    with pytest.raises(IndexError):
        document_losses(model, corpus, {Site(0, "post"): Clamp((10_000,), 0.0)})
    with pytest.raises(SiteError):
        document_losses(model, corpus, {Site(9, "post"): Clamp((0,), 0.0)})
    assert foreign_hooks(model) == []
    np.testing.assert_array_equal(document_losses(model, corpus), plain)


def test_a_language_without_neurons_was_not_run_and_is_not_zero() -> None:
    found = ablation_matrix(planted_model(), texts(), {**NEURONS, "fr": EMPTY}, _levels()).data
    assert found["ran"].values.tolist() == [True, False, True]
    assert np.isnan(found["effect"].values[1]).all()
    assert found["n_neurons"].values.tolist() == [6, 0, 6]


def test_the_same_seed_draws_the_same_and_results_keep_on_disk(matrix: Result, tmp_path) -> None:
    again = ablation_matrix(planted_model(), texts(), NEURONS, _levels())
    assert again.data.identical(matrix.data)
    assert Result.load(matrix.save(tmp_path / "matrix.safetensors")).data.equals(matrix.data)
    assert list(matrix.to_dataframe().columns[:3]) == ["edited", "language", "effect"]


def test_bad_input_is_refused() -> None:
    model, levels = planted_model(), _levels()
    with pytest.raises(InputError, match="19 draws"):
        ablation_matrix(model, texts(), NEURONS, levels, n_draws=19)
    with pytest.raises(InputError, match="no neurons in any"):
        ablation_matrix(model, texts(), {"en": EMPTY}, levels)
    with pytest.raises(InputError, match="no text in"):
        ablation_matrix(model, texts(), {"es": neurons_of("en")}, levels)
    with pytest.raises(InputError, match="1 documents"):
        ablation_matrix(model, {name: each[:1] for name, each in texts().items()}, NEURONS, levels)
