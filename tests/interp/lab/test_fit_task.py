"""Laws of the corpus: how often a word switches, which never do, which follow whom."""

import numpy as np
import pytest

from interp.lab.fit_task import A, B, Recipe, Task, draw_choices, draw_documents


@pytest.fixture(scope="module")
def task() -> Task:
    return Task.of(Recipe())


@pytest.fixture(scope="module")
def drawn(task: Task):
    return draw_documents(task, 6000, np.random.default_rng(5))


def _in_b(task: Task, tokens: np.ndarray) -> np.ndarray:
    return np.isin(tokens, task.word_b)


def test_the_vocabulary_is_the_tags_the_words_and_unk(task: Task) -> None:
    words = task.words()
    assert len(words) == len(set(words)) == len(task.concept_of) == 291
    assert words[task.first_a[20]] == "a20.0"
    assert words[task.word_b[20]] == "b20"
    assert task.concept_of[task.first_a[20] + task.n_synonyms[20] - 1] == 20
    assert task.concept_of[:2].tolist() == [-1, -1]


def test_every_number_of_synonyms_has_as_many_held_out_concepts(task: Task) -> None:
    assert [int(task.held_out[task.n_synonyms == n].sum()) for n in task.recipe.synonyms] == [4] * 5
    assert task.only_in_b.sum() == 6


def test_every_concept_follows_equally_often_and_never_itself(task: Task) -> None:
    n = task.recipe.n_concepts
    for column in task.follows.T:
        assert sorted(column.tolist()) == list(range(n))
        assert (column != np.arange(n)).all()
    assert all(len(set(row.tolist())) == 4 for row in task.follows)


def test_words_come_from_the_other_language_with_epsilon_whatever_their_fit(task: Task, drawn) -> None:
    words, in_a = drawn.tokens[:, 1:], (drawn.language == A)[:, None]
    switched = _in_b(task, words) == in_a
    free = ~(task.held_out[drawn.concepts] & in_a)
    for n in task.recipe.synonyms:
        mine = free & (task.n_synonyms[drawn.concepts] == n)
        for language in (A, B):
            here = mine & (drawn.language == language)[:, None]
            assert here.sum() > 4000
            assert switched[here].mean() == pytest.approx(0.15, abs=4 * np.sqrt(0.15 * 0.85 / here.sum()))


def test_held_out_concepts_never_switch_in_a_and_do_in_b(task: Task, drawn) -> None:
    held, in_b = task.held_out[drawn.concepts], _in_b(task, drawn.tokens[:, 1:])
    assert not in_b[held & (drawn.language == A)[:, None]].any()
    assert 0.1 < 1 - in_b[held & (drawn.language == B)[:, None]].mean() < 0.2


def test_synonyms_are_equally_probable(task: Task, drawn) -> None:
    concept = int(np.flatnonzero(task.n_synonyms == 8)[0])
    first = task.first_a[concept]
    counts = np.bincount(drawn.tokens.ravel(), minlength=len(task.concept_of))[first : first + 8]
    expected = counts.mean()
    assert ((counts - expected) ** 2 / expected).sum() < 24.3, "chi-squared with 7 degrees of freedom, p 0.001"


def test_words_say_their_concepts_and_documents_their_language(task: Task, drawn) -> None:
    np.testing.assert_array_equal(task.concept_of[drawn.tokens[:, 1:]], drawn.concepts)
    np.testing.assert_array_equal(drawn.tokens[:, 0], drawn.language)


def test_successors_have_their_chances_and_some_follow_in_b_only(task: Task, drawn) -> None:
    before, after = drawn.concepts[:, :-1], drawn.concepts[:, 1:]
    rank = (task.follows[before] == after[..., None]).argmax(-1)
    ordinary = ~task.only_in_b[before]
    share = np.bincount(rank[ordinary], minlength=4) / ordinary.sum()
    np.testing.assert_allclose(share, task.recipe.successors, atol=0.01)
    special = task.only_in_b[before]
    in_a = special & (drawn.language == A)[:, None]
    assert not (rank[in_a] == 1).any()
    assert (rank[in_a] == 0).mean() == pytest.approx(0.55 / 0.75, abs=0.02)
    assert (rank[special & ~in_a] == 1).mean() == pytest.approx(0.25, abs=0.02)


def test_choices_are_as_many_for_each_fit_and_of_the_most_probable_concept(task: Task) -> None:
    for held_out in (False, True):
        choices = draw_choices(task, 5, held_out=held_out)
        assert [len(choice.home) for choice in choices] == [n for n in (1, 2, 4, 8, 16) for _ in range(5)]
        for choice in choices:
            last, concept = (int(task.concept_of[token]) for token in (choice.context[-1], choice.home[0][0]))
            assert task.follows[last, 0] == concept
            assert task.held_out[concept] == held_out
            assert choice.other == ((int(task.word_b[concept]),),)
            assert choice.context[0] == A
            assert 5 <= len(choice.context) <= 32


def test_the_seed_decides_and_measured_documents_are_others(task: Task) -> None:
    again, other = Task.of(Recipe()), Task.of(Recipe(seed=1))
    np.testing.assert_array_equal(task.follows, again.follows)
    assert not np.array_equal(task.follows, other.follows)
    one, two = (draw_choices(task, 2, seed=seed)[0].context for seed in (1, 2))
    assert not np.array_equal(one, two)
