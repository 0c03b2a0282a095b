from itertools import pairwise, permutations

import numpy as np
import pytest

from interp.models.zoo.corpus import read_aligned
from interp.models.zoo.switching import FARTHEST, SHORTEST, Switched, phrase_beginnings, switch, switched_sentences

SEA = {
    "en": "We walked along the old wall, and we saw the sea from there",
    "fr": "Nous avons longé le vieux mur, et nous avons vu la mer",
}
"""English phrases begin at words 6 (after the comma) and 11 of 13; French ones at word 6 of 12."""


@pytest.fixture(scope="module")
def aligned(corpus):
    return read_aligned(corpus).train


def made(aligned, seed=0, **more):
    return switched_sentences(aligned, np.random.default_rng(seed), **more)


def originals(aligned):
    """The sentences by their number, which every clause of them holds."""
    rows = zip(*aligned.values(), strict=True)
    return {number_of(row[0]): dict(zip(aligned, row, strict=True)) for row in rows}


def number_of(text):
    (number,) = {word for word in text.split() if word.isdigit()}
    return int(number)


def beginnings(language, text):
    return phrase_beginnings(language, text.split())


def cut_places(sentence, whole):
    """Where the pieces of a switched sentence lie in their originals, as `[start, stop]` in words."""
    places = []
    for number, (language, text) in enumerate(sentence.pieces):
        words, piece = whole[language].split(), text.split()
        found = [at for at in range(len(words) - len(piece) + 1) if words[at : at + len(piece)] == piece]
        # A prefix first, a suffix last; in the middle there is one place, as no clause is said twice.
        at = found[0] if number == 0 else found[-1]
        places.append((at, at + len(piece), len(words)))
    return places


def test_phrases_begin_after_a_comma_and_at_an_opener():
    # After "in," (3) and after the dash (6, also an opener); "with" (8) leaves two words; "in," (2) is no opener.
    assert beginnings("en", "He came in, said nothing — and left with her") == [3, 6, 8]
    # Too near the beginning ("and" at 1) or the end ("of" as the last word).
    assert beginnings("en", "Come and see that dreams are made of") == [3]
    # Openers belong to a language, whatever their case.
    assert beginnings("fr", "Les deux ET quatre mains") == [2]
    assert beginnings("en", "Les deux ET quatre mains") == []


def test_a_switch_by_hand():
    found = switch(SEA, np.random.default_rng(0))
    assert found == Switched((("en", "We walked along the old wall,"), ("fr", "et nous avons vu la mer")))
    assert found.text == "We walked along the old wall, et nous avons vu la mer"
    other = switch(dict(reversed(SEA.items())), np.random.default_rng(0))
    assert other == Switched((("fr", "Nous avons longé le vieux mur,"), ("en", "and we saw the sea from there")))


def test_any_of_the_cuts_may_be_made(aligned):
    pair = {language: aligned[language][0] for language in ("de", "es")}
    found = {switch(pair, np.random.default_rng(seed)) for seed in range(20)}
    # Three clauses: two places to cut.
    assert len(found) == 2


def test_it_comes_back_only_after_two_words_of_the_other_language():
    near = {
        "en": "He came, she saw, they never met again this whole year",
        "fr": "Il vint, et de là ils ne se virent plus jamais",
    }
    assert [beginnings(language, text) for language, text in near.items()] == [[2, 4], [2, 3]]
    for seed in range(10):
        made = switch(near, np.random.default_rng(seed), returns=1.0)
        assert made is not None
        assert len(made.pieces) == 2
    there = near | {"fr": "Il vint, là où de là ils ne se virent plus"}
    assert beginnings("fr", there["fr"]) == [2, 3, 4]
    found = {switch(there, np.random.default_rng(seed), returns=1.0) for seed in range(10)}
    middles = [made.pieces[1][1] for made in found if made is not None and len(made.pieces) == 3]
    assert middles == ["là où"]


def test_cuts_that_lie_too_far_apart_are_not_made():
    # At word 2 of 10, and at word 6 of 8.
    apart = {"en": "He left, and never said one word more again today", "de": "Er hat nie wieder etwas gesagt und ging"}
    assert [beginnings(language, text) for language, text in apart.items()] == [[2], [6]]
    assert switch(apart, np.random.default_rng(0)) is None


def test_a_sentence_without_phrases_or_words_is_left_out():
    for text in ("Nobody ever came", ""):
        assert switch({"en": text, "fr": SEA["fr"]}, np.random.default_rng(0)) is None
        assert switch({"fr": SEA["fr"], "en": text}, np.random.default_rng(0)) is None


def test_pieces_are_the_beginning_of_one_sentence_and_the_end_of_its_translation(aligned):
    whole, returned = originals(aligned), 0
    sentences = made(aligned, returns=0.5)
    for sentence in sentences:
        # Every clause holds the number of its sentence: all pieces are of one.
        places = cut_places(sentence, whole[number_of(sentence.text)])
        assert all(stop - start >= SHORTEST for start, stop, _ in places)
        (begun, first, _), (_, last, n_last) = places[0], places[-1]
        assert begun == 0
        assert last == n_last
        for (_, left, n_left), (entered, _, n_entered) in pairwise(places):
            assert abs(left / n_left - entered / n_entered) <= FARTHEST + 1e-9
        languages = [language for language, _ in sentence.pieces]
        if len(places) == 3:
            returned += 1
            assert languages[0] == languages[2] != languages[1]
            # It goes on behind what the first piece has said.
            assert places[2][0] > first
        else:
            assert len(places) == 2
            assert languages[0] != languages[1]
    assert 0.2 < returned / len(sentences) < 0.6


def test_cuts_are_made_where_a_phrase_begins(aligned):
    whole = originals(aligned)
    for sentence in made(aligned):
        of = whole[number_of(sentence.text)]
        places = cut_places(sentence, of)
        for (language, _), (start, stop, n_words) in zip(sentence.pieces, places, strict=True):
            allowed = beginnings(language, of[language])
            assert start == 0 or start in allowed
            assert stop == n_words or stop in allowed


def test_every_ordered_pair_of_languages_is_switched(aligned):
    pairs = [(sentence.pieces[0][0], sentence.pieces[1][0]) for sentence in made(aligned)]
    assert set(pairs) == set(permutations(aligned, 2))
    # At most once for every sentence and pair.
    told = [(pair, number_of(sentence.text)) for pair, sentence in zip(pairs, made(aligned), strict=True)]
    assert len(set(told)) == len(told)
    assert len(told) > 0.8 * 12 * len(aligned["en"])


def test_the_seed_decides_the_cuts(aligned):
    assert made(aligned, seed=3) == made(aligned, seed=3)
    assert made(aligned, seed=3) != made(aligned, seed=4)


def test_returns_happen_as_often_as_asked(aligned):
    assert all(len(sentence.pieces) == 2 for sentence in made(aligned, returns=0.0))
    shares = [
        np.mean([len(sentence.pieces) == 3 for sentence in made(aligned, returns=share)]) for share in (0.3, 0.6, 1.0)
    ]
    # Those that can return do so with the chance asked for.
    assert shares[0] / shares[2] == pytest.approx(0.3, abs=0.1)
    assert shares[1] / shares[2] == pytest.approx(0.6, abs=0.1)
