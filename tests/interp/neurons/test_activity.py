"""Activity text by text: the same numbers as the counters, and labels that move by document."""

from dataclasses import replace

import numpy as np
import pytest

from interp.errors import InputError
from interp.neurons.activity import TextActivity, text_activity
from interp.neurons.count import count_neurons
from interp.neurons.labelled import LabelledTokens
from interp.prompts import TokenBatch
from tests.interp.neurons.test_count import LANGUAGES, activations, random_rows


@pytest.fixture(params=["gpt2", "llama"])
def read(request, family_model) -> tuple[TextActivity, dict[str, list[np.ndarray]], object]:
    model, rows = family_model(request.param), random_rows()
    return text_activity(model, rows), rows, model


def test_means_are_those_of_row_by_row_capture(read):
    activity, rows, model = read
    texts = [(number, ids) for number, name in enumerate(LANGUAGES) for ids in rows[name]]
    assert len(activity) == len(texts)
    assert activity.language.tolist() == [number for number, _ in texts]
    assert activity.n_tokens.tolist() == [len(ids) for _, ids in texts]
    for mean, (_, ids) in zip(activity.mean, texts, strict=True):
        np.testing.assert_allclose(mean, activations(model, ids).mean(1), atol=1e-5)


def test_firing_adds_up_to_what_one_pass_counts(read):
    activity, rows, model = read
    counters = count_neurons(model, rows)
    np.testing.assert_allclose(activity.probability, counters.probability, atol=1e-9)
    assert activity.probability.std() > 0.1


def labelled(language: np.ndarray, text: np.ndarray) -> LabelledTokens:
    tokens = np.random.default_rng(0).integers(10, 400, language.shape)
    nothing = np.full(language.shape, -1)
    return LabelledTokens(
        TokenBatch(tokens, np.ones(tokens.shape, bool)), ("en", "fr"), language, nothing, nothing, nothing > 0, text
    )


def test_tokens_without_a_language_are_left_out(tiny):
    language = np.array([[0, 0, -1, 0], [1, -1, -1, 1]])
    given = labelled(language, np.arange(2))
    activity = text_activity(tiny, given)
    assert activity.n_tokens.tolist() == [3, 2]
    for row in range(2):
        expected = activations(tiny, given.batch.tokens[row])[:, language[row] >= 0].mean(1)
        np.testing.assert_allclose(activity.mean[row], expected, atol=1e-5)


def test_a_text_or_a_document_in_two_languages_is_refused(tiny):
    with pytest.raises(InputError, match="in 2 languages"):
        text_activity(tiny, labelled(np.array([[0, 1], [1, 1]]), np.arange(2)))
    with pytest.raises(InputError, match="in 0 languages"):
        text_activity(tiny, labelled(np.array([[0, 0], [1, 1], [-1, -1]]), np.arange(3)))
    with pytest.raises(InputError, match="document is in two languages"):
        text_activity(tiny, labelled(np.array([[0, 0], [1, 1]]), np.zeros(2, int)))


@pytest.fixture
def documents(tiny) -> TextActivity:
    """Fourteen documents of three texts."""
    language, text = np.repeat([0] * 5 + [1] * 9, 3), np.repeat(np.arange(14), 3)
    return text_activity(tiny, labelled(np.repeat(language[:, None], 4, 1), text))


def test_shuffled_labels_keep_documents_whole_and_languages_as_large(documents):
    shuffles = [documents.shuffled_labels(np.random.default_rng(seed)) for seed in range(20)]
    for labels in shuffles:
        by_document = labels.reshape(14, 3)
        assert (by_document == by_document[:, :1]).all()
        assert by_document[:, 0].sum() == 9
    agreement = np.mean([(labels == documents.language).mean() for labels in shuffles])
    # By chance: (5/14)^2 + (9/14)^2 = 0.54.
    assert 0.4 < agreement < 0.68


def test_halves_share_no_document_and_hold_both_languages(documents):
    one, other = documents.halves()
    assert not set(one.document) & set(other.document)
    assert sorted([*one.document, *other.document]) == sorted(documents.document)
    assert [len(np.unique(half.document[half.language == k])) for half in (one, other) for k in (0, 1)] == [3, 5, 2, 4]
    np.testing.assert_array_equal(one.mean, documents.mean[np.isin(documents.document, one.document)])


def test_a_language_of_one_document_cannot_be_split(documents):
    few = documents[(documents.language == 1) | (documents.document == 0)]
    with pytest.raises(InputError, match="'en' has one document"):
        few.halves()


def test_a_language_without_text_is_refused(documents):
    with pytest.raises(InputError, match="no text in"):
        replace(documents, languages=("en", "fr", "de"))
