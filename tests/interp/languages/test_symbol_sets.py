import unicodedata

import numpy as np
import pytest

from interp.errors import InputError
from interp.languages.symbol_sets import CARRIERS, Carrier, SymbolSet, nonsense_like, read_symbol_sets


def test_every_shipped_concept_has_every_form_and_no_form_is_given_twice() -> None:
    sets = read_symbol_sets()
    assert len(sets) == 40
    assert {tuple(sorted(one.forms)) for one in sets} == {
        ("emoji", "french", "german", "nonsense", "romanised", "russian", "spanish", "word")
    }
    for form in sets[0].forms:
        assert len({one.forms[form] for one in sets}) == 40, form
    assert (sets[0].forms["russian"], sets[0].forms["romanised"]) == ("собака", "sobaka")
    assert all(one.forms["romanised"].isascii() and one.forms["romanised"].isalpha() for one in sets)
    assert all(one.forms["word"] != one.forms["french"] for one in sets)


def test_nonsense_has_the_bytes_of_the_emoji_and_means_nothing() -> None:
    for one in read_symbol_sets():
        emoji, nonsense = one.forms["emoji"], one.forms["nonsense"]
        assert [len(char.encode()) for char in emoji] == [len(char.encode()) for char in nonsense]
        assert all(unicodedata.category(char) == "Co" for char in nonsense)
    lengths = {len(one.forms["emoji"].encode()) for one in read_symbol_sets()}
    assert {3, 4, 6, 7, 11} <= lengths, "plain, variation selectors, and a sequence with a joiner"


@pytest.mark.parametrize("text", ["a1", "ñé", "👩‍💻", "שלום"])
def test_nonsense_of_any_text_has_its_bytes(text: str) -> None:
    drawn = nonsense_like(text, np.random.default_rng(0))
    assert [len(char.encode()) for char in drawn] == [len(char.encode()) for char in text]
    assert drawn != text


def test_carriers_have_one_slot_and_words_on_both_sides() -> None:
    assert CARRIERS[0].before == "He looked at the"
    assert CARRIERS[0].after.startswith(" for a long time")
    for text in ("no slot", "{} first", "last {}", "{} two {}"):
        with pytest.raises(InputError, match="once"):
            Carrier(text)


def test_a_set_needs_its_plain_word() -> None:
    with pytest.raises(InputError, match="'word'"):
        SymbolSet("dog", {"emoji": "🐶"})
    with pytest.raises(InputError, match="none of them empty"):
        SymbolSet("dog", {"word": "dog", "emoji": " "})
