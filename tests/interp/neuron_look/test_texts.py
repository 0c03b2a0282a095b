from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp.errors import InputError
from interp.languages import TaggedText
from interp.neuron_look.texts import (
    MOST_CHARS,
    LanguageTexts,
    aligned_documents,
    cut_documents,
    fitting,
    shipped_texts,
)


@given(st.lists(st.text("abc é\u05d0", min_size=1).filter(str.strip), min_size=1, max_size=60), st.integers(1, 40))
def test_blocks_hold_every_line_once_and_in_order(lines: list[str], n: int) -> None:
    blocks = cut_documents("\n".join(lines), n=n)
    assert 1 <= len(blocks) <= n
    assert "\n".join(blocks).split("\n") == [line.strip() for line in lines]


def test_a_text_of_one_line_is_cut_into_sentences() -> None:
    text = "One is here. Two is there! Is three? Four."
    assert cut_documents(text, n=4) == ("One is here.", "Two is there!", "Is three?", "Four.")
    assert cut_documents(text, n=2) == ("One is here.\nTwo is there!", "Is three?\nFour.")


def test_long_blocks_are_cut_at_a_space_and_nothing_at_all_is_no_block() -> None:
    block = cut_documents("word " * MOST_CHARS, n=1)[0]
    assert len(block) <= MOST_CHARS
    assert set(block.split()) == {"word"}
    assert cut_documents(" \n ") == ()


def test_lines_that_are_empty_in_one_language_go_in_all() -> None:
    found = aligned_documents({"en": "one\n\nthree\n", "fr": "un\ndeux\ntrois\n"})
    assert found == {"en": ("one", "three"), "fr": ("un", "trois")}
    with pytest.raises(InputError, match=r"\{'en': 1, 'fr': 2\}"):
        aligned_documents({"en": "one", "fr": "un\ndeux"})


def test_halves_share_no_document() -> None:
    read = shipped_texts()
    search, test = read.half(0), read.half(1)
    for name in read.languages:
        assert not set(search[name]) & set(test[name])
        assert len(search[name]) + len(test[name]) == len(read.documents[name])
    assert read.can_be_switched
    assert not LanguageTexts(read.documents, aligned=False).can_be_switched


def test_what_is_too_little_is_refused() -> None:
    eight = tuple(map(str, range(8)))
    with pytest.raises(InputError, match="nothing to compare"):
        LanguageTexts({"en": eight})
    with pytest.raises(InputError, match="'fr' has 7"):
        LanguageTexts({"en": eight, "fr": eight[:7]})


def test_tags_take_the_names_of_the_corpora_and_long_texts_are_left_out(tiny: Any) -> None:
    short = TaggedText(("the", "Katze", "!"), ("EN", "De", "other"), (True, True, False))
    long = TaggedText(("word",) * 5000, ("EN",) * 5000, (True,) * 5000)
    assert [text.languages for text in fitting(tiny, [short, long], ("en", "de"))] == [("en", "de", "other")]
    with pytest.raises(InputError, match="Expected the same names"):
        fitting(tiny, [short], ("fr", "es"))
