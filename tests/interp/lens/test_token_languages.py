"""Which tokens speak for which language, with the shipped byte-level vocabulary and words of three scripts."""

from typing import Any

import numpy as np
import pytest
import torch

from interp.languages.parallel_words import word_prompts
from interp.lens import language_lens, word_material
from interp.lens.token_languages import Speller, TokenShares, WordSpellings
from interp.models import load_model, str_tokens


@pytest.fixture(scope="module")
def polyglot() -> Any:
    return load_model("zoo:polyglot")


def test_the_tokens_that_begin_a_word(polyglot: Any) -> None:
    speller = Speller(polyglot)
    spelled = str_tokens(polyglot, np.array(speller.ids("arbre")))
    assert {"a", " a", "ar"} <= set(spelled)
    assert all("arbre".startswith(text.removeprefix(" ")) and text.strip() for text in spelled)
    assert len(spelled) == len(set(spelled))
    known = set(str_tokens(polyglot, np.arange(4096)))
    assert set(spelled) == known & {start[:n] for start in ("arbre", " arbre") for n in range(1, 7)} - {" "}


def test_words_of_other_scripts_begin_with_bytes(polyglot: Any) -> None:
    speller = Speller(polyglot)
    # The vocabulary has no Cyrillic and no Chinese: the first byte alone stands for them.
    assert str_tokens(polyglot, np.array(speller.ids("собака"))) == [r"\xd1"]
    assert str_tokens(polyglot, np.array(speller.ids("花"))) == [r"\xe8"]
    accented = str_tokens(polyglot, np.array(speller.ids("árbol")))
    assert r"\xc3" in accented
    assert "á" in accented
    assert "a" not in accented


def test_the_lens_reads_words_of_three_scripts(polyglot: Any) -> None:
    words = {"en": ["tree", "house", "dog"], "ru": ["дерево", "дом", "собака"], "zh": ["树", "家", "狗"]}
    material = word_material(polyglot, word_prompts(words, "repetition", n_shots=1))
    assert material.n_dropped == 0
    result = language_lens(polyglot, material)
    data = result.data.isel(layer=-1)
    # Asked to repeat what cannot be Latin letters, the output moves to the bytes of the script.
    for script in ("ru", "zh"):
        asked, other = (data["mass"].sel(actual=actual, language=script) for actual in (script, "en"))
        assert float(asked) > float(other)


def test_words_that_share_a_beginning_are_left_out_and_counted(polyglot: Any) -> None:
    words = {"en": ["house", "book", "dog"], "es": ["casa", "libro", "perro"], "fr": ["maison", "livre", "chien"]}
    material = word_material(polyglot, word_prompts(words, n_shots=1))
    assert material.n_dropped == 1
    assert set(material.document.tolist()) == {0, 2}
    assert len(material.places) == 12


def test_mass_by_hand() -> None:
    probs = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]])
    spellings = WordSpellings.of([[[0], [1, 3]], [[2], [3]]], d_vocab=4)
    np.testing.assert_allclose(spellings.mass(probs, np.array([0, 1])), [[0.1, 0.6], [0.2, 0.1]], rtol=1e-6)
    np.testing.assert_allclose(spellings.mass(probs, np.array([1, 0])), [[0.3, 0.4], [0.4, 0.4]], rtol=1e-6)
    shares = TokenShares(np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [0.0, 0.0]]))
    np.testing.assert_allclose(shares.mass(probs, np.array([0, 1])), [[0.2, 0.4], [0.55, 0.35]], rtol=1e-6)


def test_shuffles_deal_out_the_same_words_and_differ_from_place_to_place() -> None:
    sets = [[[3 * place], [3 * place + 1], [3 * place + 2]] for place in range(40)]
    spellings = WordSpellings.of(sets, d_vocab=120)
    shuffled = spellings.shuffled(np.random.default_rng(0))
    np.testing.assert_array_equal(np.sort(shuffled.ids, axis=1), spellings.ids)
    assert len({tuple(ids[:, 0] - ids.min()) for ids in shuffled.ids}) == 6
    shares = TokenShares(np.eye(3)[np.zeros(50, int)])
    dealt = shares.shuffled(np.random.default_rng(0)).shares
    assert dealt.sum(1).tolist() == [1.0] * 50
    assert set(dealt.argmax(1)) == {0, 1, 2}
