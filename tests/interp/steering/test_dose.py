"""More of an edit does more, as worked out by hand; random edits do not; strength 0 is the unedited run."""

from dataclasses import replace

import numpy as np
import pytest

from interp.errors import InputError
from interp.models import load_model
from interp.neurons.next_language import learn_vocabulary
from interp.neurons.units import Neurons
from interp.results import Result
from interp.run.hooks import foreign_hooks
from interp.steering import (
    Doses,
    SteerTask,
    dose_response,
    language_direction,
    read_levels,
    steer_along,
    steer_language,
)
from interp.steering.trial import MEASURES, Trial, measure
from tests.interp.steering.planted import D_VOCAB, LANGUAGES, N_WORDS, neurons_of, planted_model, texts, vocabulary

NEURONS = {name: neurons_of(name) for name in LANGUAGES}
NEXT, AWAY, LOSS, OTHER_LOSS, TRANSLATION, MEANING, *LINES = MEASURES


def task(noise: float = 0.02) -> SteerTask:
    levels = read_levels(planted_model(noise), texts(20, seed=5))
    return SteerTask("en", "fr", texts(), NEURONS, levels, vocabulary())


@pytest.fixture(scope="module")
def doses() -> Result:
    asked = Doses(("zero", "add", "direction"), strengths=(2.0, 1.0), counts=(2, None), layers=(0,), n_tokens=0)
    return dose_response(planted_model(), task(), asked)


def test_settings_and_strengths_are_in_order(doses: Result) -> None:
    names = [f"{edit}, {n} neurons" for edit in ("zero", "add") for n in (2, 6)]
    assert doses.data["setting"].values.tolist() == [*names, "direction after block 0"]
    assert doses.data["strength"].values.tolist() == [0, 1, 2]
    assert doses.data["layer"].values.tolist() == [-1] * 4 + [0]
    assert doses.data["n_neurons"].values.tolist() == [2, 6, 2, 6, 0]


def test_strength_zero_is_the_unedited_run_for_every_setting(doses: Result) -> None:
    none = doses.data.isel(strength=0)
    plain = measure(planted_model(), Trial.of(planted_model(), task(), n_tokens=0, among=None, seed=0))
    for place, name in enumerate(MEASURES):
        if name in LINES:
            continue
        for variable in ("value", "control"):
            np.testing.assert_allclose(none[variable].sel(measure=name), plain[:, place].mean(), rtol=1e-12)
        assert not none["change"].sel(measure=name).any()
        assert (none["p"].sel(measure=name) == 1).all()
    assert not none["stands"].any()


def test_adding_the_target_neurons_stands_out_and_grows_with_strength_and_number(doses: Result) -> None:
    share = doses.data["value"].sel(measure=NEXT)
    assert (share.sel(setting="add, 6 neurons").diff("strength") > 0.05).all()
    assert (share.sel(setting="add, 6 neurons") > share.sel(setting="add, 2 neurons"))[1:].all()
    assert doses.data["stands"].sel(measure=NEXT, setting="add, 6 neurons")[1:].all()
    control = doses.data["control"].sel(measure=NEXT, setting="add, 6 neurons")
    assert (np.abs(control - control[0]) < 0.1).all()


def test_silencing_the_source_costs_its_loss_and_not_the_target_s(doses: Result) -> None:
    silenced = doses.data.sel(setting="zero, 6 neurons", strength=1.0)
    assert float(silenced["change"].sel(measure=LOSS)) > 0.5
    assert abs(float(silenced["change"].sel(measure=OTHER_LOSS))) < 1e-6


@pytest.mark.parametrize(("edit", "at_word"), [("add", 3.0), ("clamp", 3.0), ("median", 3.0)])
@pytest.mark.parametrize("strength", [1.0, 2.0])
def test_the_share_of_the_target_language_by_hand(edit, at_word: float, strength: float) -> None:
    """Six neurons at s add 3 s nats to every French word; English ones stand at 3 nats after an English word."""
    model, steered = planted_model(0.0), task(0.0)
    trial = Trial.of(model, steered, n_tokens=0, among=None, seed=0)
    plan = steer_language(steered.levels, neurons_of("fr"), edit, language="fr", strength=strength)
    found = dict(zip(MEASURES, measure(model, trial, plan).mean(0), strict=True))
    french = np.exp(at_word * strength)
    after_bos, after_word = french / (french + 2), french / (french + np.exp(3) + 1)
    assert found[NEXT] == pytest.approx((after_bos + (N_WORDS - 1) * after_word) / N_WORDS, abs=1e-5)
    loss_after_bos = np.log(12 * french + D_VOCAB - 12)
    loss_after_word = np.log(12 * french + 12 * np.exp(3) + D_VOCAB - 24) - 3
    assert found[LOSS] == pytest.approx((loss_after_bos + (N_WORDS - 1) * loss_after_word) / N_WORDS, abs=1e-4)


def test_the_direction_between_languages_steers_and_random_ones_do_not(doses: Result) -> None:
    """After block 0 it carries what the neurons of block 1 read."""
    share = doses.data.sel(measure=NEXT, setting="direction after block 0", strength=2.0)
    assert float(share["change"]) > 0.5
    assert bool(share["stands"])
    assert abs(float(share["control"]) - float(doses.data["value"].sel(measure=NEXT)[0, 0])) < 0.2


def test_what_did_not_run_is_said_to_be(doses: Result) -> None:
    ran = doses.data["ran"]
    assert not ran.sel(measure=LINES).any()
    assert ran.sel(measure=[NEXT, LOSS, MEANING]).all()
    unaligned = replace(task(), aligned=False, texts={**texts(), "fr": texts(8)["fr"]})
    found = measure(planted_model(), Trial.of(planted_model(), unaligned, n_tokens=0, among=None, seed=0))
    assert found.shape == (8, len(MEASURES))
    assert np.isnan(found[:, [list(MEASURES).index(name) for name in (TRANSLATION, MEANING)]]).all()
    assert np.isfinite(found[:, list(MEASURES).index(OTHER_LOSS)]).all()
    assert np.isnan(found[6:, 0]).all()


def test_where_nothing_carries_meaning_there_is_none(doses: Result) -> None:
    """The planted model knows languages, not concepts: a translation is as likely as another's."""
    np.testing.assert_allclose(doses.data["value"].sel(measure=MEANING), 0, atol=0.05)


@pytest.fixture(scope="module")
def polyglot():
    return load_model("zoo:polyglot")


def _of_polyglot(model, sentences: dict[str, list[str]], n: int) -> SteerTask:
    levels = read_levels(model, {name: rows[100:112] for name, rows in sentences.items()})
    known = learn_vocabulary(model, {name: rows[100:] for name, rows in sentences.items()})
    some = Neurons(np.array([3]), np.array([0]))
    few = {name: rows[:n] for name, rows in sentences.items()}
    return SteerTask("en", "fr", few, {"en": some, "fr": some}, levels, known)


def test_a_direction_makes_continuations_change_language_and_hooks_are_gone(polyglot) -> None:
    from interp.models.zoo.texts import read_sentences

    steered = _of_polyglot(polyglot, read_sentences(), 4)
    trial = Trial.of(polyglot, steered, n_tokens=12, among=("en", "fr", "de", "es"), seed=0)
    plan = steer_along(language_direction(steered.levels, 1, source="en", target="fr"), 1, strength=2.0)
    plain, edited = (np.nanmean(measure(polyglot, trial, each), 0) for each in (None, plan))
    french, english = (list(MEASURES).index(name) for name in LINES)
    assert plain[french] < 0.2
    assert plain[english] > 0.8
    assert edited[french] > 0.8
    assert edited[english] < 0.2
    assert foreign_hooks(polyglot) == []


def test_meaning_is_there_where_a_translation_can_be_copied(polyglot) -> None:
    """A `translation` in the same words: the model copies, and another text's is worse by far."""
    from interp.models.zoo.texts import read_sentences

    sentences = read_sentences()
    steered = _of_polyglot(polyglot, {**sentences, "fr": sentences["en"]}, 4)
    trial = Trial.of(polyglot, steered, n_tokens=0, among=None, seed=0)
    found = measure(polyglot, trial)[:, list(MEASURES).index(MEANING)]
    assert found.min() > 0.5


def test_bad_input_is_refused() -> None:
    model, steered = planted_model(), task()
    with pytest.raises(InputError, match="both 'en'"):
        replace(steered, target="en")
    with pytest.raises(InputError, match="entry of neurons"):
        replace(steered, neurons={"en": neurons_of("en")})
    with pytest.raises(InputError, match="equally many"):
        replace(steered, texts={**texts(), "fr": texts(8)["fr"]})
    with pytest.raises(InputError, match="has 6 neurons; 7"):
        dose_response(model, steered, Doses(edits=("add",), counts=(7,)))
    with pytest.raises(InputError, match="no layer 2"):
        dose_response(model, steered, Doses(edits=("direction",), layers=(2,)))
    with pytest.raises(InputError, match="above 0"):
        Doses(strengths=(0.0, 1.0))
    with pytest.raises(InputError, match="twice"):
        Doses(strengths=(1.0, 1.0))
    with pytest.raises(InputError, match="at least 20"):
        Doses(n_draws=5)
    with pytest.raises(InputError, match="nothing to run"):
        Doses(edits=())
