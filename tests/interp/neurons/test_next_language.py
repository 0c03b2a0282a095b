from typing import Any

import numpy as np
import pytest
import torch

from interp.errors import InputError
from interp.languages import TaggedText
from interp.models import encode, str_tokens
from interp.neurons.calibration import calibrate
from interp.neurons.labelled import label_tokens
from interp.neurons.next_language import LanguageVocabulary, before_words, language_mass, learn_vocabulary
from interp.neurons.passes import token_losses
from interp.run import forward
from tests.interp.neurons.planted_switches import IDS, aligned_sentences, planted_model


def _by_hand() -> LanguageVocabulary:
    begins = np.array([True, True, True, False])
    return LanguageVocabulary(("en", "fr"), begins, np.array([[3, 0], [1, 2], [0, 0], [0, 0]]), smoothing=1.0)


def test_the_posterior_by_hand() -> None:
    """4 words of English, 2 of French: on equal footing 3 and 0, 1 and 2 become 2.25 and 0, 0.75 and 3, one added."""
    np.testing.assert_allclose(
        _by_hand().posterior, [[3.25 / 4.25, 1 / 4.25], [1.75 / 5.75, 4 / 5.75], [0.5, 0.5], [0.5, 0.5]]
    )


def test_the_mass_by_hand() -> None:
    """An ambiguous token gives each language its part; a token that begins no word gives nothing."""
    logits = torch.tensor([0.5, 0.25, 0.05, 0.2]).log()
    english = 0.5 * 3.25 / 4.25 + 0.25 * 1.75 / 5.75 + 0.05 / 2
    np.testing.assert_allclose(language_mass(logits, _by_hand()).numpy(), [english, 0.8 - english], rtol=1e-6)


def test_only_tokens_that_begin_words_are_counted(tiny: Any) -> None:
    texts = {"en": "The cat sat on the mat, slept.", "fr": "Le chat dort pendant que le chien mange."}
    vocabulary = learn_vocabulary(tiny, texts)
    spelled = str_tokens(tiny, np.arange(len(vocabulary.begins)))
    assert vocabulary.counts.sum() > 10
    for token in np.flatnonzero(vocabulary.counts.sum(1)):
        assert spelled[token].startswith(" ")
    ids = encode(tiny, texts["en"])
    assert vocabulary.counts[:, 0].sum() == sum(text.startswith(" ") for text in str_tokens(tiny, ids))


def test_a_language_without_words_is_refused() -> None:
    with pytest.raises(InputError, match=r"\['fr'\]"):
        learn_vocabulary(planted_model(), {"en": "en1 en2", "fr": ""})
    with pytest.raises(InputError, match="1 languages"):
        learn_vocabulary(planted_model(), {"en": "en1 en2"})


def test_positions_before_words(tiny: Any) -> None:
    words = ("The", "dépaysement,", "oui")
    tokens = label_tokens(tiny, [TaggedText(words, ("en", "fr", "x"), (True,) * 3)])
    where = np.flatnonzero(before_words(tokens)[0])
    # Not before the first word, and not before a word without a language.
    assert tokens.word[0, where + 1].tolist() == [1]
    assert tokens.place_in_word[0, where + 1].tolist() == [0]


def test_losses_are_those_of_the_logits(tiny: Any) -> None:
    texts = [
        TaggedText(("The", "cat", "slept"), ("en",) * 3, (True,) * 3),
        TaggedText(("A", "dog"), ("en",) * 2, (True,) * 2),
    ]
    batch = label_tokens(tiny, texts).batch
    losses = token_losses(tiny, batch)
    log_probs = forward(tiny, batch[np.array([1])]).log_softmax(-1)[0]
    length = int(batch.lengths[1])
    wanted = [-float(log_probs[place - 1, batch.tokens[1, place]]) for place in range(1, length)]
    np.testing.assert_allclose(losses[1, 1:length], wanted, atol=1e-5)
    assert np.isnan(losses[1, length:]).all()
    assert np.isnan(losses[:, 0]).all()


def test_the_mass_tells_the_language_of_texts_it_was_not_counted_on() -> None:
    model = planted_model()
    vocabulary = learn_vocabulary(model, aligned_sentences(100, seed=9))
    texts = [
        TaggedText(tuple(line.split()), (name,) * len(line.split()), (True,) * len(line.split()))
        for name, lines in aligned_sentences(10).items()
        for line in lines
    ]
    result = calibrate(model, label_tokens(model, texts, languages=vocabulary.languages), vocabulary)
    data = result.data
    assert (data["hits"] > 0.9).all()
    assert (data["share"] > data["control"] + 0.2).all()
    assert (data["share_low"] <= data["share"]).all()
    assert (data["share"] <= data["share_high"]).all()
    assert int(data["n"].sum()) == result.notes["n_samples"]
    assert 0 <= result.baselines["calibration error"] <= 1
    np.testing.assert_allclose(vocabulary.posterior[IDS["und"]].argmax(), 2)


def test_other_languages_than_the_vocabularys_are_refused() -> None:
    model = planted_model()
    vocabulary = learn_vocabulary(model, aligned_sentences(5))
    texts = [TaggedText(("en1", "en2"), ("en", "en"), (True, True))] * 2
    with pytest.raises(InputError, match="Expected the same languages"):
        calibrate(model, label_tokens(model, texts), vocabulary)
