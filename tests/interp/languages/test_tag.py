"""Words tagged by a classifier and a price for each change: the path by hand, laws, and real sentences."""

from itertools import groupby, pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from interp.errors import InputError
from interp.languages import tag_words
from interp.languages.tag import best_path
from interp.models.zoo.texts import read_switched


def test_a_path_by_hand() -> None:
    scores = np.array([[0.0, -3.0], [-2.0, -1.0], [0.0, -3.0]])
    # Alone: 0, 1, 0 for -1. With a price of 1 the two changes cost 2: staying with 0 sums to -2, changing to -3.
    assert best_path(scores, 0.0).tolist() == [0, 1, 0]
    assert best_path(scores, 0.4).tolist() == [0, 1, 0]
    assert best_path(scores, 1.0).tolist() == [0, 0, 0]
    assert best_path(scores[1:2], 9.0).tolist() == [1]
    assert best_path(scores[:0], 1.0).tolist() == []


SCORES = arrays.arrays(float, st.tuples(st.integers(1, 5), st.integers(2, 3)), elements=st.floats(-9, 0))


@given(SCORES, st.floats(0, 5))
def test_no_path_is_better(scores: np.ndarray, price: float) -> None:
    def worth(path: tuple[int, ...]) -> float:
        changes = sum(one != two for one, two in pairwise(path))
        return float(scores[np.arange(len(path)), list(path)].sum()) - price * changes

    best = max(worth(path) for path in product(range(scores.shape[1]), repeat=len(scores)))
    assert worth(tuple(best_path(scores, price).tolist())) == pytest.approx(best)


@given(SCORES)
def test_a_change_that_costs_everything_is_never_made(scores: np.ndarray) -> None:
    assert len(list(groupby(best_path(scores, 1e6).tolist()))) == 1


def test_the_shipped_switched_sentences_are_tagged() -> None:
    shipped = read_switched()
    found = tag_words([one.text for one in shipped], ["en", "fr", "de", "es"])
    pairs = [
        (tag, true)
        for mine, one in zip(found, shipped, strict=True)
        for tag, true in zip(mine.languages, one.languages, strict=True)
        if true != "x"
    ]
    assert np.mean([tag == true for tag, true in pairs]) > 0.95


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1).filter(str.strip))
def test_a_text_is_kept_as_it_is(text: str) -> None:
    (found,) = tag_words([text], ["en", "fr"])
    assert found.text == text.strip(" ")
    assert [found.text[start:stop] for start, stop in found.spans] == list(found.words)


def test_words_without_letters_have_no_language() -> None:
    (found,) = tag_words(["Le chat dort, 1789 … !\nLa nuit"], ["en", "fr"])
    assert found.words == ("Le", "chat", "dort,", "1789", "…", "!", "\n", "La", "nuit")
    assert found.languages == ("fr", "fr", "fr", "other", "other", "other", "other", "fr", "fr")


def test_what_cannot_be_tagged_is_refused() -> None:
    with pytest.raises(InputError, match="no words"):
        tag_words([" \n"], ["en", "fr"])
    with pytest.raises(InputError, match="at least two"):
        tag_words(["a"], ["en"])
    with pytest.raises(InputError, match=r"-1\.0 nats"):
        tag_words(["a"], ["en", "fr"], switch_nats=-1.0)
