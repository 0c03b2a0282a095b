"""Measures of code-mixing: one text worked out by hand, the ends of every scale, and laws of counting."""

import math
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp.errors import InputError
from interp.languages import code_mix

GOLDEN = ["EN", "EN", "HI", "HI", "UNIV", "UNIV", "HI", "HI", "EN", "EN", "EN", "HI", "HI"]
TAGS = st.lists(st.sampled_from(["en", "hi", "de", "univ"]), max_size=30)


def test_one_text_by_hand():
    mix = code_mix(GOLDEN)
    # 5 EN and 6 HI words; spans EN 2, HI 4 (across the words without a language), EN 3, HI 2.
    assert (mix.n_words, mix.n_tagged, mix.languages) == (13, 11, {"EN": 5, "HI": 6})
    assert mix.spans == (2, 4, 3, 2)
    assert mix.switch_points == (2, 8, 11)
    assert mix.cmi == pytest.approx(100 * 5 / 11)
    assert mix.cmi_2016 == pytest.approx(100 * (5 + 3) / 22)
    assert mix.m_index == pytest.approx(60 / 61)
    assert mix.language_entropy_bits == pytest.approx(0.994030, abs=1e-6)
    assert mix.i_index == pytest.approx(0.3)
    assert mix.burstiness == pytest.approx(-0.483509, abs=1e-6)
    assert mix.span_entropy_bits == pytest.approx(1.5)
    assert mix.memory == pytest.approx(-0.5)


def test_one_language_is_no_mixing():
    mix = code_mix(["de"] * 5)
    assert (mix.cmi, mix.cmi_2016, mix.m_index, mix.language_entropy_bits, mix.i_index) == (0, 0, 0, 0, 0)
    assert (mix.burstiness, mix.memory, mix.switch_points, mix.spans) == (None, None, (), (5,))
    assert math.copysign(1, mix.language_entropy_bits) == 1


@pytest.mark.parametrize("tags", [[], ["univ", "other"]])
def test_a_text_without_languages_has_none_to_mix(tags):
    mix = code_mix(tags)
    assert (mix.n_words, mix.n_tagged, mix.cmi, mix.cmi_2016, mix.i_index) == (len(tags), 0, 0, 0, None)


def test_alternating_words_are_as_integrated_and_as_regular_as_can_be():
    mix = code_mix(["en", "fr"] * 6)
    assert (mix.i_index, mix.m_index, mix.language_entropy_bits) == pytest.approx((1, 1, 1))
    assert (mix.burstiness, mix.memory, mix.span_entropy_bits) == (-1, None, 0)


def test_languages_that_could_have_come_lower_the_multilingual_index():
    assert code_mix(["en", "fr"], n_languages=3).m_index == pytest.approx(0.5)
    with pytest.raises(InputError, match="at least as many"):
        code_mix(["en", "fr"], n_languages=1)


def test_which_tags_are_languages_can_be_said():
    tags = ["DE", "MIXED", "TR", "OTHER"]
    assert code_mix(tags).n_tagged == 2
    assert code_mix(tags, languages={"DE", "TR", "MIXED"}).switch_points == (1, 2)


@given(TAGS)
def test_words_without_a_language_change_nothing_but_their_count(tags):
    bare = [tag for tag in tags if tag != "univ"]
    full, without = code_mix(tags), code_mix(bare)
    assert full.spans == without.spans == tuple(len(list(run)) for _, run in groupby(bare))
    assert (full.cmi, full.i_index, full.memory) == (without.cmi, without.i_index, without.memory)
    assert len(full.switch_points) == max(len(full.spans) - 1, 0)
    assert all(tags[place] != "univ" for place in full.switch_points)


@given(TAGS)
def test_measures_stay_on_their_scales_and_do_not_depend_on_names(tags):
    mix = code_mix(tags)
    assert 0 <= mix.cmi <= 100
    assert 0 <= mix.cmi_2016 <= 100
    assert 0 <= mix.m_index <= 1 + 1e-12
    for value in (mix.burstiness, mix.memory):
        assert value is None or -1 - 1e-12 <= value <= 1 + 1e-12
    other = code_mix([{"en": "zz", "hi": "aa"}.get(tag, tag) for tag in tags])
    assert other.spans == mix.spans
    assert other.m_index == pytest.approx(mix.m_index)
