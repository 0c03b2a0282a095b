from functools import cache

import numpy as np
import pytest

from interp.errors import InputError
from interp.neurons.next_language import LanguageVocabulary, learn_vocabulary
from interp.neurons.switch_edits import edit_of, read_levels
from interp.neurons.switch_measures import AFTER, MEASURES, Trial, measure
from interp.neurons.switch_tests import DECIDES, switch_tests
from interp.neurons.switching import find_switching_units
from interp.neurons.units import Neurons
from interp.results import Result
from tests.interp.neurons.planted_switches import (
    PLANTED,
    RARITY,
    aligned_sentences,
    planted_material,
    planted_model,
    written_material,
)

N_TESTED = 20
"""Sentences, so that all runs take seconds."""


def _neurons(numbers: np.ndarray) -> Neurons:
    return Neurons(np.zeros(len(numbers), np.int64), numbers)


@cache
def _vocabulary() -> LanguageVocabulary:
    return learn_vocabulary(planted_model(), aligned_sentences(100, seed=9))


@pytest.fixture(scope="module")
def planted() -> Result:
    return switch_tests(planted_model(), planted_material(N_TESTED), _neurons(PLANTED), _vocabulary(), n_single=1)


def test_planted_neurons_earn_the_name_together_and_alone(planted: Result) -> None:
    assert planted.data["earned"].values.tolist() == [True, True]
    decides = planted.data.sel(subject="21 neurons", edit=DECIDES[0], measure=DECIDES[1])
    assert float(decides["effect"]) < -0.5, "without them the old language is expected to go on"
    assert float(decides["effect_high"]) < 0
    assert float(decides["p"]) == pytest.approx(1 / 21)
    assert abs(float(decides["control"])) < 0.2


def test_driving_them_elsewhere_makes_the_model_leave_its_language(planted: Result) -> None:
    driven = planted.data.sel(subject="21 neurons", edit="drive", measure="own language elsewhere")
    assert float(driven["effect"]) < 0


def test_neurons_of_rare_words_do_not_earn_it() -> None:
    result = switch_tests(planted_model(), planted_material(N_TESTED), _neurons(RARITY), _vocabulary())
    assert not result.data["earned"].any()


def test_an_edit_at_the_switch_reaches_only_what_comes_after_it(planted: Result) -> None:
    ran = planted.data["ran"].sel(subject="21 neurons", edit="median at the switch").values
    assert np.flatnonzero(ran).tolist() == list(AFTER)
    model, material, neurons = planted_model(), planted_material(N_TESTED), _neurons(PLANTED)
    found, tested = material.halves()
    part = Trial.of(tested)
    edit = edit_of("median at the switch", neurons, read_levels(model, found), material.tokens)
    change = measure(model, part, _vocabulary(), edit) - measure(model, part, _vocabulary())
    others = [place for place in range(len(MEASURES)) if place not in AFTER]
    assert np.abs(change[:, AFTER[0]]).max() > 0.1
    np.testing.assert_allclose(change[:, others], 0, atol=1e-6)


def test_measures_by_hand() -> None:
    """Of one document: the mean over its switches, read off the model's own logits."""
    import torch

    from interp.neurons.next_language import language_mass
    from interp.run import forward

    model, (_, half) = planted_model(), planted_material(N_TESTED).halves()
    tested = Trial.of(half)
    found = measure(model, tested, _vocabulary())[0]
    mine = np.flatnonzero(tested.cases.document == tested.documents[0])
    batch, cases = half.tokens.batch, tested.cases
    shares, gaps = [], []
    for one in mine:
        row, old, pos = cases.row[[one]], cases.old_row[[one]], cases.pos[one]
        logits = forward(model, batch[row])[0]
        mass = language_mass(logits, _vocabulary())
        after = mass[pos] / mass[pos].sum()  # words are one token: the first new word is where it ends
        shares.append(float(after[cases.new_language[one]]))
        words = batch.tokens[row[0], pos], batch.tokens[old[0], pos]
        gaps.append(float(torch.diff(logits.log_softmax(-1)[pos - 1, list(reversed(words))])[0]))
    assert found[list(MEASURES).index(DECIDES[1])] == pytest.approx(np.mean(shares), abs=1e-5)
    assert found[list(MEASURES).index("new word over old word, at the switch")] == pytest.approx(
        np.mean(gaps), abs=1e-4
    )


def test_switches_that_somebody_wrote_are_searched_and_tested_too() -> None:
    model, material = planted_model(), written_material(N_TESTED)
    found = np.flatnonzero(find_switching_units(model, material).data["found"].values[0])
    assert len(np.intersect1d(found, PLANTED)) / len(found) >= 0.95
    assert len(np.intersect1d(found, PLANTED)) / len(PLANTED) >= 0.95
    result = switch_tests(model, material, _neurons(PLANTED), _vocabulary())
    assert result.data["earned"].all()
    unknown = [name for name in MEASURES if "over old word" in name]
    known = [name for name in MEASURES if name not in unknown]
    assert result.data["measure"].values.tolist() == known, "no text says how else a sentence would have gone on"
    assert result.data["ran"].sel(edit="zero").all()


def test_fewer_draws_are_no_evidence() -> None:
    with pytest.raises(InputError, match="20 draws"):
        switch_tests(planted_model(), planted_material(N_TESTED), _neurons(PLANTED), _vocabulary(), n_draws=19)


def test_random_others_are_of_the_same_layers_and_none_of_these() -> None:
    layer, neuron = np.array([0, 0, 2]), np.array([3, 4, 5])
    chosen, activity = Neurons(layer, neuron), np.tile(np.arange(60.0), (3, 1))
    for seed in range(20):
        drawn = chosen.like(activity, np.random.default_rng(seed))
        assert sorted(drawn.layer.tolist()) == [0, 0, 2]
        mine = set(zip(layer.tolist(), neuron.tolist(), strict=True))
        assert not mine & set(zip(drawn.layer.tolist(), drawn.neuron.tolist(), strict=True))
        assert drawn.neuron.max() < 30
