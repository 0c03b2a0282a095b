from functools import cache

import numpy as np
import pytest

from interp.errors import InputError
from interp.languages import TaggedText
from interp.neurons.events import switch_events
from interp.neurons.labelled import label_tokens
from interp.neurons.next_language import LanguageVocabulary, learn_vocabulary
from interp.neurons.switch_material import SwitchMaterial
from interp.neurons.switch_pairs import pair_switches, replicate_switching
from interp.neurons.switching import find_switching_units
from interp.neurons.units import Neurons
from interp.results import Result
from tests.interp.neurons.planted_switches import (
    LANGUAGES,
    PLANTED,
    RARITY,
    aligned_sentences,
    planted_material,
    planted_model,
)


def _neurons(numbers: np.ndarray) -> Neurons:
    return Neurons(np.zeros(len(numbers), np.int64), numbers)


@cache
def _vocabulary() -> LanguageVocabulary:
    return learn_vocabulary(planted_model(), aligned_sentences(100, seed=9))


@pytest.fixture(scope="module")
def events() -> Result:
    return switch_events(planted_model(), planted_material(), _vocabulary(), _neurons(PLANTED), reach=4)


def test_planted_neurons_rise_at_the_switch_alone(events: Result) -> None:
    curve = events.data["value"].sel(measure="chosen neurons")
    control = events.data["control"].sel(measure="chosen neurons")
    assert int(curve.values.argmax()) == 4
    assert float(curve.sel(offset=0)) > 0.2
    np.testing.assert_allclose(curve.drop_sel(offset=0), 0, atol=1e-6)
    np.testing.assert_allclose(control, 0, atol=1e-6)


def test_the_new_language_is_not_expected_before_the_switch_and_is_after_it(events: Result) -> None:
    curve, control = (events.data[name].sel(measure="new language") for name in ("value", "control"))
    assert (curve.sel(offset=slice(-4, 0)) < 0.35).all()
    assert (curve.sel(offset=slice(1, 4)) > 0.6).all()
    assert (control > 0.5).all(), "in the sentence of the new language alone it is expected throughout"


def test_the_first_word_surprises_and_its_match_does_not(events: Result) -> None:
    value, control = (events.data[name].sel(measure="surprisal", offset=0) for name in ("value", "control"))
    high = events.data["control_high"].sel(measure="surprisal", offset=0)
    assert float(value) > float(high) > float(control)


def test_offsets_without_words_are_not_run() -> None:
    result = switch_events(planted_model(), planted_material(), _vocabulary(), reach=30)
    far = result.data.sel(offset=30)
    assert not far["ran"].any()
    assert np.isnan(far["value"]).all()
    assert (far["n"] == 0).all()


def test_other_languages_are_refused() -> None:
    turned = learn_vocabulary(planted_model(), dict(reversed(aligned_sentences(5).items())))
    with pytest.raises(InputError, match="same languages"):
        switch_events(planted_model(), planted_material(), turned)


def _written_switches() -> SwitchMaterial:
    """Switches that no aligned sentence was cut for: sentences of one language after sentences of another."""
    rows = aligned_sentences(60, seed=5)
    plain = [(name, line.split()) for name, lines in rows.items() for line in lines[:40]]
    texts = [TaggedText(tuple(words), (name,) * len(words), (True,) * len(words)) for name, words in plain]
    for number in range(40, 60):
        for old, new in (("en", "fr"), ("fr", "de"), ("de", "en")):
            first, second = rows[old][number].split()[:8], rows[new][number - 1].split()[2:8]
            tags = (old,) * len(first) + (new,) * len(second)
            texts.append(TaggedText((*first, *second), tags, (True,) * len(tags)))
    return pair_switches(planted_model(), label_tokens(planted_model(), texts, languages=tuple(LANGUAGES)))


def test_neurons_found_on_built_switches_follow_others_and_random_ones_do_not() -> None:
    model, found = planted_model(), find_switching_units(planted_model(), planted_material())
    other = _written_switches()
    result = replicate_switching(model, other, found, _neurons(PLANTED))
    data = result.data
    assert float(data["mean"]) > 0.6
    assert float(data["mean_low"]) > float(data["control_mean_high"])
    assert float(data["p_rank"]) == pytest.approx(1 / 201)
    assert (data["q_fdr"] < 0.05).mean() > 0.9
    quiet = replicate_switching(model, other, found, _neurons(RARITY))
    assert abs(float(quiet.data["mean"]) - 0.5) < 0.05
