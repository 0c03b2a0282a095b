"""Columns of a sweep: what each patches, in which prompt."""

import numpy as np
import pytest
import torch

from interp.errors import SiteError
from interp.patching.cells import aligned_order, chosen_positions, columns_of
from interp.prompts import PromptPair, PromptSet, Span
from tests.interp.patching.cases import inserted, prompts_of


def test_position_columns_end_with_the_prompt():
    prompts = prompts_of(3, 5)
    columns = columns_of(prompts, "resid_pre", "pos", 4)
    assert columns.dims == {"pos": 5}
    assert columns.ran.tolist() == [[True] * 3 + [False] * 2, [True] * 5]
    assert columns.labels == [f"#{token}" for token in prompts.pairs[1].clean]


def test_head_columns_patch_every_position_of_one_head():
    columns = columns_of(prompts_of(3, 5), "z", "head", 4)
    assert columns.dims == {"head": 4}
    assert columns.heads == (0, 1, 2, 3)
    assert [place.tolist() for place in columns.places[0]] == [[0, 1, 2]] * 4


def test_position_and_head_columns_run_over_heads_first():
    prompts = prompts_of(2, 3)
    columns = columns_of(prompts, "z", "pos_head", 2)
    assert columns.dims == {"pos": 3, "head": 2}
    assert columns.heads == (0, 1) * 3
    assert [place.tolist() for place in columns.places[1]] == [[0], [0], [1], [1], [2], [2]]
    assert columns.ran[0].tolist() == [True] * 4 + [False] * 2
    chosen = chosen_positions(prompts, columns, [(1, 3), (0, 0)], "clean", 3)
    assert chosen.nonzero().tolist() == [[0, 1, 1], [1, 0, 0]]


def test_patterns_are_chosen_by_the_position_that_looks():
    prompts = prompts_of(3)
    columns = columns_of(prompts, "pattern", "pos_head", 2)
    chosen = chosen_positions(prompts, columns, [(0, 5)], "clean", 3)
    assert chosen.shape == (1, 2, 3)
    assert chosen.nonzero().tolist() == [[0, 1, 2]]
    by_position = chosen_positions(prompts, columns_of(prompts, "pattern", "pos", 2), [(0, 1)], "clean", 3)
    assert by_position.shape == (1, 1, 3)
    assert by_position.nonzero().tolist() == [[0, 0, 1]]


def test_word_columns_patch_the_aligned_tokens_of_a_word_and_not_those_that_stand_for_nothing():
    clean, corrupted = np.arange(5, 10), np.arange(15, 21)
    alignment = ((Span(0, 1), Span(0, 1)), (Span(2, 5), Span(2, 6)))
    words = (Span(0, 1, "a"), Span(1, 2, "lost"), Span(2, 4, "b"), Span(4, 5, "c"))
    prompts = PromptSet.of([PromptPair(clean, corrupted, 1, 2, alignment=alignment, words=words)])
    columns = columns_of(prompts, "resid_pre", "word", 1)
    assert columns.labels == ["a", "lost", "b", "c"]
    assert columns.ran.tolist() == [[True, False, True, True]]
    marked = {
        side: [
            chosen_positions(prompts, columns, [(0, column)], side, n)[0].nonzero().flatten().tolist()
            for column in (0, 2, 3)
        ]
        for side, n in (("clean", 5), ("corrupted", 6))
    }
    assert marked == {"clean": [[0], [2, 3], [4]], "corrupted": [[0], [3, 4], [5]]}


@pytest.mark.parametrize("by", ["head", "pos_head"])
def test_kinds_without_heads_have_no_head_columns(by):
    with pytest.raises(SiteError, match="has no heads"):
        columns_of(prompts_of(3), "mlp_out", by, 4)


def test_order_is_nothing_where_every_position_stands_for_itself():
    assert aligned_order(prompts_of(4, 4), "clean") is None


def test_order_and_its_reverse_are_inverse():
    rng = np.random.default_rng(0)
    one = PromptSet.of([inserted(rng, prompts_of(7).pairs[0])])
    to_clean, to_corrupted = (aligned_order(one, side)[0] for side in ("clean", "corrupted"))
    stands = (to_clean >= 0).nonzero().flatten()
    assert 0 < len(stands) < len(to_corrupted)
    assert torch.equal(to_corrupted[to_clean[stands]], stands)
