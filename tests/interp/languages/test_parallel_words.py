from pathlib import Path

import pytest

from interp.errors import InputError
from interp.languages.parallel_words import read_clues, read_parallel_words, word_prompts

WORDS = {"en": ["tree", "house", "dog"], "fr": ["arbre", "maison", "chien"]}


def test_the_shipped_table_has_words_that_begin_apart() -> None:
    words = read_parallel_words()
    assert list(words) == ["en", "fr", "de", "es"]
    rows = list(zip(*words.values(), strict=True))
    assert len(rows) == len(set(words["en"])) == 64
    assert sum(len({word.encode()[:1] for word in row}) == 4 for row in rows) == 56
    assert not any(word != word.strip() for row in rows for word in row)


def test_clues_are_of_words_in_the_table_in_every_language() -> None:
    clues = read_clues()
    assert len(clues) == 24
    assert set(clues) <= set(read_parallel_words()["en"])
    assert all(list(by_language) == ["en", "fr", "de", "es"] for by_language in clues.values())


def test_a_translation_prompt_is_spelled_as_published() -> None:
    prompts = word_prompts(WORDS, n_shots=2)
    assert len(prompts) == 6
    asked = next(p for p in prompts if (p.source, p.target, p.concept) == ("fr", "en", 0))
    shots = ['Français: "maison" - English: "house"\n', 'Français: "chien" - English: "dog"\n']
    asked_for = 'Français: "arbre" - English: "'
    assert asked.text in (f"{shots[0]}{shots[1]}{asked_for}", f"{shots[1]}{shots[0]}{asked_for}")
    assert asked.words == {"en": "tree", "fr": "arbre"}


def test_repetition_and_cloze_stay_in_one_language() -> None:
    assert word_prompts(WORDS, "repetition", n_shots=0)[3].text == 'Français: "arbre" - Français: "'
    clues = {
        "dog": {"en": "A ___ barks.", "fr": "Un ___ aboie."},
        "tree": {"en": "A ___ grows.", "fr": "Un ___ croît."},
    }
    prompts = word_prompts(WORDS, "cloze", clues=clues, n_shots=1)
    assert [(p.target, p.concept) for p in prompts] == [("en", 0), ("en", 2), ("fr", 0), ("fr", 2)]
    assert prompts[3].text == 'Un "___" croît. Réponse : "arbre"\nUn "___" aboie. Réponse : "'


def test_sources_can_be_chosen_and_examples_follow_the_seed() -> None:
    assert {p.source for p in word_prompts(WORDS, sources=["fr"], n_shots=1)} == {"fr"}
    drawn = [[p.text for p in word_prompts(read_parallel_words(), seed=seed)] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_what_cannot_be_asked_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="equally many"):
        word_prompts({"en": ["tree"], "fr": ["arbre", "chien"]})
    with pytest.raises(InputError, match=r"\['de'\]"):
        word_prompts(WORDS, sources=["de"], n_shots=1)
    with pytest.raises(InputError, match="4 examples from 3 words"):
        word_prompts(WORDS)
    table = tmp_path / "words.tsv"
    with pytest.raises(InputError, match="cannot be read"):
        read_parallel_words(table)
    table.write_text("en\tru\ntree\n", encoding="utf-8")
    with pytest.raises(InputError, match="does not fit"):
        read_parallel_words(table)
    table.write_text("en\tru\ntree\tдерево\n", encoding="utf-8")
    assert read_parallel_words(table) == {"en": ["tree"], "ru": ["дерево"]}
    table.write_text("word\ten\ntree\tIt grows.\n", encoding="utf-8")
    with pytest.raises(InputError, match="0 blanks"):
        read_clues(table)
