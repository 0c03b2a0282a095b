from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from interp.errors import InputError
from interp.languages import TaggedText
from interp.neurons.labelled import label_tokens
from interp.neurons.matching import after_punctuation, match_places
from interp.neurons.passes import Places, read_units
from interp.neurons.switch_material import SwitchMaterial, switch_aligned, word_ends
from interp.neurons.switch_pairs import pair_switches
from tests.interp.neurons.planted_switches import aligned_sentences, planted_material, planted_model


def _tagged(words: str, languages: str) -> TaggedText:
    written = tuple(words.split())
    return TaggedText(written, tuple(languages.split()), (True,) * len(written))


@pytest.fixture(scope="module")
def material() -> SwitchMaterial:
    return planted_material()


def test_a_word_of_many_tokens_is_one_word(tiny: Any) -> None:
    text = _tagged("The dépaysement, oui", "en fr fr")
    tokens = label_tokens(tiny, [text, _tagged("The cat", "en en")], languages=("en", "fr"))
    assert tokens.word[0].max() == 2
    assert tokens.word[1].max() == 1
    length = int((tokens.word[0] == 1).sum())
    assert length > 4, "the tokenizer must cut it for this to say something"
    where = np.flatnonzero(tokens.word[0] == 1)
    assert tokens.place_in_word[0, where].tolist() == list(range(length))
    assert (tokens.language[0, where] == 1).all()
    assert np.flatnonzero(tokens.switch[0]).tolist() == [where[0]]
    assert not tokens.switch[1].any()
    assert (tokens.language[1][~tokens.batch.mask[1]] == -1).all()


def test_words_without_a_language_are_stepped_over() -> None:
    tokens = label_tokens(planted_model(), [_tagged("en1 fr1 en2 fr2", "en x en fr")], languages=("en", "fr"))
    assert tokens.language[0].tolist() == [-1, 0, -1, 0, 1]
    assert np.flatnonzero(tokens.switch[0]).tolist() == [4]


def test_a_switch_and_its_match_are_the_same_token_in_two_contexts(material: SwitchMaterial) -> None:
    ids, at = material.tokens.batch.tokens, material.at
    np.testing.assert_array_equal(ids[at.switch.row, at.switch.pos], ids[at.matched.row, at.matched.pos])
    assert material.tokens.switch[at.switch.row, at.switch.pos].all()
    assert not material.tokens.switch[at.matched.row, at.matched.pos].any()
    language = material.tokens.language
    before, own = (language[places.row, places.pos - 1] for places in (at.switch, at.matched))
    assert (before != own).all()


def test_what_a_causal_model_does_before_a_built_switch_is_what_it_does_without_one(material: SwitchMaterial) -> None:
    cases, batch = material.cases, material.tokens.batch
    switched, plain = (
        read_units(planted_model(), batch, Places(row, cases.pos - 1)) for row in (cases.row, cases.old_row)
    )
    np.testing.assert_allclose(switched, plain, atol=1e-6)


def test_halves_share_no_document_and_no_token(material: SwitchMaterial) -> None:
    one, two = material.halves()
    assert not set(one.documents) & set(two.documents)
    assert len(one.documents) + len(two.documents) == len(material.documents)
    for half, other in ((one, two), (two, one)):
        rows = [half.plain, half.cases.row, half.cases.back_row, half.at.matched.row, half.before.matched.row]
        used = np.concatenate(rows)
        assert not np.isin(material.tokens.text[used[used >= 0]], other.documents).any()
        assert len(half.before) > len(half.at) / 2


def test_a_sentence_that_comes_back_has_one_word_of_the_new_language(material: SwitchMaterial) -> None:
    cases, language = material.cases, material.tokens.language
    back = cases.back_row >= 0
    assert back.any()
    row, pos = cases.back_row[back], cases.pos[back]
    np.testing.assert_array_equal(language[row, pos], cases.new_language[back])
    np.testing.assert_array_equal(language[row, pos + 1], cases.old_language[back])


def test_matches_are_alike_and_of_other_documents() -> None:
    texts = [_tagged(line, " ".join(["en"] * len(line.split()))) for line in aligned_sentences(30)["en"]]
    tokens = label_tokens(planted_model(), texts)
    row, pos = np.nonzero(tokens.language >= 0)
    every, also = Places(row, pos), tokens.word % 2 == 0
    chosen, matches = match_places(
        tokens, every[np.arange(40)], every, np.random.default_rng(0), n_matches=3, also=also
    )
    mine = every[np.arange(40)][chosen]
    assert len(matches) > 60
    assert (tokens.text[mine.row] != tokens.text[matches.row]).all()
    np.testing.assert_array_equal(also[mine.row, mine.pos], also[matches.row, matches.pos])
    quarter = [4 * tokens.word[p.row, p.pos] // (tokens.word.max(1)[p.row] + 1) for p in (mine, matches)]
    np.testing.assert_array_equal(*quarter)
    ids = [tokens.batch.tokens[places.row, places.pos] for places in (mine, matches)]
    assert (ids[0] == ids[1]).mean() > 0.5, "the same token comes first"
    count = np.bincount(tokens.batch.tokens[tokens.word >= 0])
    np.testing.assert_array_equal(*[np.log2(1 + count[one]).astype(int) for one in ids])


def test_of_texts_with_the_same_token_those_of_like_length_come_first() -> None:
    lines = ["en1 en2 en3", *["en1 en2 en3 en4 en5 en6 en7 en8 en9"] * 9, "en1 en3 en2"]
    tokens = label_tokens(planted_model(), [_tagged(line, " ".join(["en"] * len(line.split()))) for line in lines])
    first = Places(np.arange(len(lines)), np.ones(len(lines), np.int64))
    for seed in range(5):
        _, matches = match_places(tokens, first[np.array([0])], first[np.arange(1, 11)], np.random.default_rng(seed))
        assert matches.row.tolist() == [10]


def test_a_token_without_its_like_is_left_out() -> None:
    texts = [_tagged("en1 en2", "en en"), _tagged("fr1 en3", "fr en")]
    tokens = label_tokens(planted_model(), texts)
    candidates = Places(np.array([0, 0]), np.array([1, 2]))
    with pytest.raises(InputError, match="None of 1 tokens"):
        match_places(tokens, Places(np.array([1]), np.array([1])), candidates, np.random.default_rng(0))


def test_punctuation_is_seen_before_a_token(tiny: Any) -> None:
    tokens = label_tokens(tiny, [_tagged("The cat, the dog", "en en en en")])
    before = after_punctuation(tiny, tokens)
    assert tokens.word[before].tolist() == [2]


def test_the_last_token_of_every_word(tiny: Any) -> None:
    tokens = label_tokens(tiny, [_tagged("The cat slept", "en en en")])
    ends = np.flatnonzero(word_ends(tokens)[0])
    assert tokens.word[0, ends].tolist() == [0, 1, 2]
    assert ends[-1] == tokens.batch.lengths[0] - 1


def test_switches_of_real_text_are_paired_from_texts_of_one_language() -> None:
    plain = [
        _tagged(line, " ".join([name] * len(line.split())))
        for name, lines in aligned_sentences(20).items()
        for line in lines
    ]
    mixed = [
        _tagged("en1 en2 and en3 et fr1 fr2 fr3", "en en en en fr fr fr fr"),
        _tagged("de1 de2 or en1", "de de en en"),
    ]
    tokens = label_tokens(planted_model(), [*plain, *mixed], languages=("en", "fr", "de"))
    found = pair_switches(planted_model(), tokens)
    assert set(found.at.document) <= {60, 61}
    language = tokens.language
    np.testing.assert_array_equal(
        language[found.at.switch.row, found.at.switch.pos], language[found.at.matched.row, found.at.matched.pos]
    )
    assert not np.isin(found.at.matched.row, [60, 61]).any()
    assert found.cases is not None
    assert found.cases.document.tolist() == [60, 61]
    assert found.cases.old_language.tolist() == [0, 2]
    assert found.cases.new_language.tolist() == [1, 0]
    assert (found.cases.old_row == -1).all(), "nobody knows how else they would have gone on"
    with pytest.raises(InputError, match="0 of 60 texts have a switch"):
        pair_switches(planted_model(), tokens[np.arange(60)])


def test_texts_that_a_tokenizer_does_not_keep_apart_are_refused(family_model: Callable[[str], Any]) -> None:
    with pytest.raises(InputError, match="tokenizer finds"):
        label_tokens(family_model("bert"), [_tagged("the cat, slept", "en en en")])


def test_sentences_without_a_phrase_cannot_be_switched() -> None:
    with pytest.raises(InputError, match="can be switched"):
        switch_aligned(planted_model(), {"en": ["en1 en2 en3 en4 en5"], "fr": ["fr1 fr2 fr3 fr4 fr5"]})
