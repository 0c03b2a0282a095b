"""Which token ends a word, on every family's tokenizer."""

from functools import partial

import numpy as np
import pytest

from interp.models import encode, word_spans
from interp.models.zoo.texts import read_sentences
from probes.tasks.token_places import TokenizedText

TEXT = "the cat sat on the mat because the dog slept"


def words(text: str) -> list[tuple[int, int]]:
    """Where the words of a text stand."""
    ends = np.cumsum([len(word) + 1 for word in text.split(" ")]) - 1
    return [(end - len(word), end) for word, end in zip(text.split(" "), ends.tolist(), strict=True)]


def test_agrees_with_the_words_of_every_tokenizer(family, family_model):
    """`word_spans` asks the tokenizer how it writes spaces; this does not."""
    model = family_model(family)
    tokens = TokenizedText(TEXT, partial(encode, model))
    ends = {text: stop - 1 for text, _, stop in word_spans(model, tokens.ids)}
    assert tokens.last_token(*words(TEXT)[1]) == ends["cat"]
    assert tokens.last_token(*words(TEXT)[-1]) == ends["slept"]


@pytest.mark.parametrize("language", ["en", "fr", "de", "es"])
def test_agrees_on_the_shipped_sentences(polyglot, language):
    for text in read_sentences(20)[language]:
        tokens = TokenizedText(text, partial(encode, polyglot))
        spans = word_spans(polyglot, tokens.ids)[1:]
        assert [tokens.last_token(*place) for place in words(text)] == [stop - 1 for _, _, stop in spans]


@pytest.fixture(scope="module")
def polyglot():
    from interp.models import load_model

    return load_model("zoo:polyglot")


def by_table(cuts: dict[str, list[int]]):
    return lambda text: np.array(cuts[text], np.int64)


def test_by_hand():
    """`ab c` is read as `ab` (5) and ` c` (6) between 1 and 2; `a` alone (7) is no beginning of that."""
    cuts = {"ab c": [1, 5, 6, 2], "ab": [1, 5, 2], "a": [1, 7, 2], "b": [1, 8, 2], "": [1, 2]}
    tokens = TokenizedText("ab c", by_table(cuts))
    assert tokens.last_token(0, 2) == 1
    assert tokens.last_token(3, 4) == 2
    assert tokens.last_token(0, 1) is None


def test_a_word_without_a_token_has_no_last_token():
    cuts = {"x y": [5], "x": [5], "a": [7], "b": [8], "": []}
    tokens = TokenizedText("x y", by_table(cuts))
    assert tokens.last_token(0, 1) == 0
    assert tokens.last_token(2, 3) is None


def test_a_tokenizer_that_knows_neither_letter():
    cuts = {"x y": [5, 6], "x": [5], "a": [0], "b": [0], "": []}
    assert TokenizedText("x y", by_table(cuts)).last_token(0, 1) == 0
