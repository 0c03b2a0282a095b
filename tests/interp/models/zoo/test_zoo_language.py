"""Which language a model goes on in, on text of invented and real languages."""

from dataclasses import replace

import numpy as np
import pytest

from interp.errors import InputError
from interp.models.zoo.corpus import read_aligned, read_novels
from interp.models.zoo.texts import read_sentences
from interp.zoo_language import (
    OPENING_WORDS,
    WORDS_AFTER,
    Opening,
    draw_switches,
    following_nats,
    held_out_openings,
    measure_fidelity,
    measure_switching,
    shipped_openings,
)

LANGUAGES = ["en", "fr", "de", "es"]


def test_openings_are_the_first_words_of_sentences_and_go_on_as_those_do():
    sentences = read_sentences()
    found = shipped_openings(10)
    assert [opening.language for opening in found] == np.repeat(LANGUAGES, 10).tolist()
    assert len({opening.prompt for opening in found}) == 40
    for opening in found:
        assert len(opening.prompt.split()) == OPENING_WORDS
        text = f"{opening.prompt} {opening.rest}"
        (sentence,) = (row for row in sentences[opening.language] if row.startswith(f"{opening.prompt} "))
        assert text.startswith(sentence)
        assert len(opening.rest.split()) >= 30


def test_held_out_openings_come_from_held_out_text(corpus):
    novels, aligned = read_novels(corpus), read_aligned(corpus)
    for opening in held_out_openings(novels, aligned, 8):
        read, kept = (
            [*getattr(novels[opening.language], part), *getattr(aligned, name)[opening.language]]
            for part, name in (("train", "train"), ("held_out", "held_out"))
        )
        assert any(opening.prompt in text for text in kept)
        assert not any(opening.prompt in text for text in read)


def test_too_few_texts_are_refused(corpus):
    with pytest.raises(InputError, match="more than 8 words"):
        held_out_openings(read_novels(corpus), read_aligned(corpus), 20)
    with pytest.raises(InputError, match="switches from en to fr, not 100"):
        draw_switches(read_sentences(), 100)


def test_switches_begin_in_one_language_and_go_on_in_its_translation():
    sentences = read_sentences()
    found = draw_switches(sentences, 3, seed=2)
    assert found == draw_switches(sentences, 3, seed=2)
    assert found != draw_switches(sentences, 3, seed=3)
    pairs = [(one.old_language, one.new_language) for one in found]
    assert len(set(pairs)) == 12
    assert all(pairs.count(pair) == 3 for pair in pairs)
    for one in found:
        row = sentences[one.old_language].index(" ".join([*one.before, *one.old]))
        assert sentences[one.new_language][row].endswith(" ".join(one.new))
        assert len(one.new) > max(WORDS_AFTER)
        following = sentences[one.new_language][(row + 1) % len(sentences["en"])]
        assert one.then[1].startswith(following)


def test_fidelity_counts_the_language_of_what_was_added(trained_model, uniform_model):
    """A control that must not be faithful, and a judge that is right about the true text."""
    found = measure_fidelity(trained_model, uniform_model, shipped_openings(4))
    assert [one.language for one in found] == LANGUAGES
    for one in found:
        assert one.same.n == one.identifier.n == 4
        assert one.same.value + sum(one.others.values()) <= 1 + 1e-9
        assert set(one.others) == set(LANGUAGES) - {one.language}
        assert one.identifier.value >= 0.75
    # Draws from even chances are the same text whatever the prompt, so they are faithful to one language at most.
    assert sum(one.random_weights.value for one in found) <= 1.5


def test_what_goes_on_in_another_language_is_told(shipped):
    """Prompts labelled wrongly: the judge reads the continuation, so fidelity to the label is gone."""
    labels = {"en": "en", "fr": "fr", "de": "es", "es": "de"}
    openings = [replace(opening, language=labels[opening.language]) for opening in shipped_openings(5)]
    for one in measure_fidelity(shipped(""), shipped("random:"), openings):
        assert (one.same.value > 0.5) == (one.language in ("en", "fr"))
        assert (one.identifier.value > 0.5) == (one.language in ("en", "fr"))
        assert one.same.value + sum(one.others.values()) == pytest.approx(1)


def test_the_shipped_model_follows_a_switch_and_random_weights_do_not(shipped):
    model, control = shipped(""), shipped("random:")
    switches = draw_switches(read_sentences(), 1)
    found = measure_switching(model, control, switches)
    assert [one.words_after for one in found] == list(WORDS_AFTER)
    for one in found:
        assert one.new.n == one.old.n == one.other.n == one.identifier.n == 12
        assert one.new.value + one.old.value + one.other.value == pytest.approx(1)
        assert one.identifier.value >= 0.8
        assert one.random_weights.value < 0.6
    # Before the switch the model stays in the old language, and long after it in the new one.
    assert found[0].old.value > 0.7
    assert found[-1].new.value > 0.7
    more = draw_switches(read_sentences(), 5)
    assert following_nats(model, more).low > 0 > following_nats(control, more).low


def test_following_is_the_difference_of_the_two_languages_next_words(trained_model):
    """The same number from plain forward passes over one switch and its mirror image."""
    import torch

    (one, *_) = draw_switches(read_sentences(), 1)
    other = replace(one, new=(*one.new[:2], *one.old[2:]), old=(*one.old[:2], *one.new[2:]))

    def per_token(words):
        ids = trained_model.tokenizer(" ".join([*one.before, *one.new[:2]]))["input_ids"]
        end = trained_model.tokenizer(f" {' '.join(words)}", add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            log_probs = trained_model(torch.tensor([[*ids, *end]]))[0].log_softmax(-1)
        return np.mean([log_probs[len(ids) - 1 + place, token].item() for place, token in enumerate(end)])

    wanted = per_token(one.new[2:5]) - per_token(one.old[2:5])
    assert following_nats(trained_model, [one, one]).value == pytest.approx(wanted, abs=1e-4)
    assert following_nats(trained_model, [other, other]).value == pytest.approx(-wanted, abs=1e-4)


def test_openings_are_asked_in_their_own_languages_only(trained_model, uniform_model):
    openings = [Opening("en", "the old clock", "and she said"), Opening("de", "der alte", "Brief und sie")]
    assert [list(one.others) for one in measure_fidelity(trained_model, uniform_model, openings)] == [["de"], ["en"]]
