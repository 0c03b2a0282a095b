import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp.errors import PromptError
from interp.prompts import PromptPair, PromptSet, Span, TokenBatch


def pair(clean, corrupted, **more):
    return PromptPair(np.array(clean, int), np.array(corrupted, int), **more)


rows = st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=9), min_size=1, max_size=6)


@given(rows)
def test_padding_keeps_every_token_and_marks_every_pad(rows):
    batch = TokenBatch.of([np.array(row) for row in rows])
    assert [list(tokens[mask]) for tokens, mask in zip(batch.tokens, batch.mask, strict=True)] == rows
    assert list(batch.lengths) == [len(row) for row in rows]


def test_equal_lengths_are_aligned_position_by_position():
    assert pair([1, 2, 3], [1, 9, 3]).aligned_positions.tolist() == [[0, 0], [1, 1], [2, 2]]


def test_spans_of_unequal_length_are_aligned_from_their_end():
    aligned = pair([1, 2, 3, 4], [1, 7, 8, 9, 4], alignment=((Span(0, 1), Span(0, 1)), (Span(1, 3), Span(1, 4))))
    assert aligned.aligned_positions.tolist() == [[0, 0], [1, 2], [2, 3]]
    aligned = pair([1, 7, 8, 9, 4], [1, 2, 3, 4], alignment=((Span(1, 4), Span(1, 3)), (Span(4, 5), Span(3, 4))))
    assert aligned.aligned_positions.tolist() == [[2, 1], [3, 2], [4, 3]]


def test_columns_that_a_shorter_prompt_lacks_are_marked():
    aligned = PromptSet.of([pair([1, 2, 3], [1, 2, 4]), pair([5, 6], [5, 7])]).aligned()
    assert aligned[1].tolist() == [[0, 0], [1, 1], [-1, -1]]


def test_a_word_of_many_tokens_is_one_column():
    words = (Span(0, 1, "<s>"), Span(1, 4, "naïveté"))
    columns = PromptSet.of([pair([1, 2, 3, 4], [1, 5, 6, 7], words=words)]).word_columns()
    assert [column.tolist() for column in columns[0]] == [[0], [1, 2, 3]]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: pair([], [1]), "empty"),
        (lambda: pair([1, 2], [1, 2]), "identical"),
        (lambda: pair([1, 2, 3], [1, 2]), "give an alignment"),
        (lambda: pair([1, 2], [1, 3], answer=4, wrong_answer=4), "must differ"),
        (lambda: pair([1, 2], [1, 3], words=(Span(0, 3),)), "reaches past"),
        (lambda: pair([1, 2, 3], [1, 3], alignment=((Span(0, 2), Span(0, 1)), (Span(1, 3), Span(1, 2)))), "overlaps"),
        (lambda: pair([1, 2], [1, 3], str_tokens=("a",)), "Give one for each"),
        (lambda: Span(2, 2), "start < stop"),
        (lambda: PromptSet.of([]), "at least one pair"),
        (lambda: PromptSet.of([pair([1], [2], answer=1), pair([1], [2])]), "for all of them or for none"),
        (lambda: PromptSet.of([pair([1], [2])]).require_answers("prob", "answer"), "needs 'answer'"),
        (lambda: PromptSet.of([pair([1], [2])]).word_columns(), "no word spans"),
        (lambda: PromptSet.of([pair([1], [50])]).check_fits(d_vocab=50, n_ctx=8), "out of range"),
        (lambda: PromptSet.of([pair([1], [2], answer=50)]).check_fits(d_vocab=50, n_ctx=8), "Expected ids"),
        (lambda: PromptSet.of([pair([1] * 9, [2] * 9)]).check_fits(d_vocab=50, n_ctx=8), "context of 8"),
        (lambda: TokenBatch.of([]), "at least one"),
        (lambda: TokenBatch.of([np.array([], int), np.array([1])]), "Prompt 0 is empty"),
        (lambda: TokenBatch(np.ones((1, 3), int), np.array([[True, False, True]])), "Pad on the right"),
    ],
)
def test_prompts_that_cannot_be_analysed_are_refused(make, says):
    with pytest.raises(PromptError, match=says):
        make()
