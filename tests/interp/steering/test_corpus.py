"""Documents are cut into rows, and their numbers are means over their tokens."""

import numpy as np
import pytest

from interp.errors import InputError
from interp.models import encode
from interp.steering import corpus_of
from tests.interp.steering.planted import N_CTX, N_WORDS, planted_model, texts


def test_long_texts_are_cut_and_stay_one_document() -> None:
    model = planted_model()
    long = {name: [" ".join([each] * 10) for each in rows[:2]] for name, rows in texts().items()}
    corpus = corpus_of(model, long)
    assert corpus.batch.lengths.max() == N_CTX
    assert corpus.spoken.sum() == 6 * 10 * N_WORDS
    assert np.bincount(corpus.document).tolist() == [3] * 6
    assert [those.tolist() for those in corpus.documents] == [[0, 1], [2, 3], [4, 5]]
    ones = np.where(corpus.batch.mask, 1.0, np.nan)
    ones[corpus.document == 3] *= 2
    np.testing.assert_allclose(corpus.document_means(ones), [1, 1, 1, 2, 1, 1])


def test_rows_of_ids_and_texts_are_the_same_corpus() -> None:
    model = planted_model()
    of_texts = corpus_of(model, texts())
    of_ids = corpus_of(model, {name: [encode(model, one) for one in rows] for name, rows in texts().items()})
    np.testing.assert_array_equal(of_texts.batch.tokens, of_ids.batch.tokens)
    np.testing.assert_array_equal(of_texts.spoken, of_ids.spoken)
    np.testing.assert_array_equal(of_texts.language, of_ids.language)
    assert corpus_of(model, of_texts) is of_texts


def test_bad_input_is_refused() -> None:
    model, rows = planted_model(), texts()
    with pytest.raises(InputError, match="two or more languages"):
        corpus_of(model, {"en": rows["en"]})
    with pytest.raises(InputError, match="one text where a list"):
        corpus_of(model, {**rows, "en": "en1 en2"})
    with pytest.raises(InputError, match="all of one kind"):
        corpus_of(model, {**rows, "en": [encode(model, one) for one in rows["en"]]})
    corpus = corpus_of(model, rows)
    with pytest.raises(InputError, match="has one token"):
        corpus.document_means(np.full(corpus.batch.tokens.shape, np.nan))
