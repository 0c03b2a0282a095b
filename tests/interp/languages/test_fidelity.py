"""Pass rates as published, on lines whose language anybody can tell."""

import numpy as np
import pytest

from interp.errors import InputError
from interp.languages.fidelity import known_languages, language_fidelity

FRENCH = "Le chat noir dort sur la table de la cuisine, près de la fenêtre."
ENGLISH = "The old clock in the hall struck seven, and nobody in the house moved."
RUSSIAN = "Старые часы в прихожей пробили семь, и никто в доме не двинулся с места."
AMONG = ("en", "fr", "de", "es", "ru", "ja", "zh")
WORDS = ("clock", "hall", "Paris", "the")


def test_rates_by_hand() -> None:
    """Of four French answers one has an English line of two, one is too short to judge: LPR 2/3, accuracy 2.5/3."""
    answers = [FRENCH, f"{FRENCH}\n{ENGLISH}", "Oui, bien sûr.", f"{FRENCH}\nMerci.\n{FRENCH}"]
    found = language_fidelity(answers, "fr")
    assert found.judged.tolist() == [True, True, False, True]
    assert found.line_pass.tolist() == [True, False, False, True]
    np.testing.assert_allclose(found.line_accuracy, [1, 0.5, np.nan, 1])
    assert found.lpr == pytest.approx(2 / 3)
    assert found.accuracy == pytest.approx(2.5 / 3)
    assert found.wpr is found.lcpr is None, "in Latin script words are not judged"
    low, high = found.lpr_interval
    # Wilson by hand: centre (p + z2/2n) / (1 + z2/n) with p = 2/3, n = 3, z = 1.959964.
    assert (low, high) == pytest.approx((0.2077, 0.9385), abs=1e-4)


def test_english_words_longer_than_three_letters_fail_where_the_script_is_another() -> None:
    """Three Russian answers: one with `clock`, one with a capital and a short English word, one in French: LPR 3/4."""
    answers = [RUSSIAN, f"{RUSSIAN} clock.", f"{RUSSIAN} Paris the", FRENCH]
    found = language_fidelity(answers, "ru", among=AMONG, english_words=WORDS)
    assert found.lpr == 0.75
    assert found.wpr == pytest.approx(2 / 3), "of those that pass by line"
    assert found.lcpr == pytest.approx(2 * 0.75 * (2 / 3) / (0.75 + 2 / 3))
    assert language_fidelity(answers, "ru", among=AMONG).wpr is None, "without a list words are not judged"


def test_what_follows_the_next_question_does_not_count() -> None:
    assert language_fidelity([f"{FRENCH}\nQ: {ENGLISH}"], "fr").lpr == 1
    assert language_fidelity([f"{FRENCH}\n{ENGLISH}"], "fr").lpr == 0


def test_punctuation_is_no_token() -> None:
    assert not language_fidelity(["Oui , bien sûr !"], "fr").judged[0]
    assert language_fidelity(["Le chat—dort sur la table"], "fr").judged[0], "a dash parts words"


def test_a_line_in_no_language_is_a_wrong_one() -> None:
    found = language_fidelity(["1840 1841 1842 1843 1844 1845"], "fr")
    assert found.judged[0]
    assert found.lpr == 0


def test_nothing_to_judge_is_not_a_rate_of_one() -> None:
    found = language_fidelity(["Oui.", ""], "fr")
    assert found.lpr is found.accuracy is found.lpr_interval is found.lcpr is None


def test_languages_without_spaces_need_a_way_to_cut_them() -> None:
    line = "古い時計が七時を打ち、家の中では誰も動かなかった。"
    with pytest.raises(InputError, match="tokenize"):
        language_fidelity([line], "ja")
    found = language_fidelity([line], "ja", among=AMONG, tokenize=list, english_words=WORDS)
    assert (found.lpr, found.wpr, found.lcpr) == (1, 1, 1)


def test_bad_input_is_refused() -> None:
    with pytest.raises(InputError, match="at least one"):
        language_fidelity([], "fr")
    with pytest.raises(InputError, match="list of texts"):
        language_fidelity(FRENCH, "fr")
    with pytest.raises(InputError, match="knows no language"):
        language_fidelity([FRENCH], "xx")
    assert {"en", "fr", "zh"} <= set(known_languages())
