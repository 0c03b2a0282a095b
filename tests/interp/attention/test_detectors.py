"""Detectors on patterns worked out by hand, planted and shuffled, and against TransformerLens."""

import numpy as np
import pytest
import torch

from interp.attention.detectors import (
    delimiter,
    duplicate_token,
    first_token,
    induction,
    local,
    offset,
    previous_token,
    received_attention,
    uniform,
    without_padding,
)
from interp.errors import InputError

# Rows are queries. Tokens: BOS a b a b, so period 2 and start 1 (the detectors themselves take any period).
HAND = torch.tensor(
    [
        [1.0, 0.0, 0.0, 0.0, 0.0],
        [0.4, 0.6, 0.0, 0.0, 0.0],
        [0.5, 0.3, 0.2, 0.0, 0.0],
        [0.1, 0.2, 0.6, 0.1, 0.0],
        [0.2, 0.1, 0.1, 0.5, 0.1],
    ]
)[None, None]
ALL = torch.ones(1, 5, dtype=torch.bool)


def even(n_pos: int) -> torch.Tensor:
    return (torch.ones(n_pos, n_pos).tril() / torch.arange(1, n_pos + 1)[:, None])[None, None]


def planted(n_pos: int, back: int) -> torch.Tensor:
    """Every query looks `back` positions back, or at position 0."""
    pattern = torch.zeros(1, 1, n_pos, n_pos)
    for query in range(n_pos):
        pattern[0, 0, query, max(0, query - back)] = 1
    return pattern


def at(*positions: int, n_pos: int = 5) -> torch.Tensor:
    return torch.isin(torch.arange(n_pos), torch.tensor(positions))[None]


def random_pattern(*shape: int) -> torch.Tensor:
    scores = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    above = torch.ones(shape[-2:], dtype=torch.bool).triu(1)
    return scores.masked_fill(above, -torch.inf).softmax(-1)


@pytest.mark.parametrize(
    ("detect", "by_hand"),
    [
        (lambda p, m: previous_token(p, m), (0.4 + 0.3 + 0.6 + 0.5) / 4),
        (lambda p, m: first_token(p, m), (0.4 + 0.5 + 0.1 + 0.2) / 4),
        # Second copy: queries 3 and 4. Same token: sources 1 and 2. Token after it: sources 2 and 3.
        (lambda p, m: duplicate_token(p, m, period=2, start=1), (0.2 + 0.1) / 2),
        (lambda p, m: induction(p, m, period=2, start=1), (0.6 + 0.5) / 2),
        (lambda p, m: offset(p, m, back=2), (0.5 + 0.2 + 0.1) / 3),
        (lambda p, m: offset(p, m, back=3), (0.1 + 0.1) / 2),
        # Delimiters at positions 0 and 3; query 0 is not counted.
        (lambda p, m: delimiter(p, m, is_delimiter=at(0, 3)), (0.4 + 0.5 + (0.1 + 0.1) + (0.2 + 0.5)) / 4),
    ],
)
def test_by_hand(detect, by_hand):
    assert detect(HAND, ALL).item() == pytest.approx(by_hand)


def test_hand_worked_without_bos():
    # Tokens a b a b at positions 0 to 3: queries 2 and 3, same token at 0 and 1, the token after it at 1 and 2.
    pattern, mask = HAND[..., :4, :4], ALL[:, :4]
    assert duplicate_token(pattern, mask, period=2, start=0).item() == pytest.approx((0.5 + 0.2) / 2)
    assert induction(pattern, mask, period=2, start=0).item() == pytest.approx((0.3 + 0.6) / 2)


def test_evenness_by_hand():
    # Rows of 2, 3, 4 and 5 visible keys. Entropies in bits: one of two at 1/4; 1/2, 1/4, 1/4; even; all on one key.
    rows = torch.zeros(5, 5)
    rows[0, 0], rows[1, :2], rows[4, 2] = 1, torch.tensor([0.25, 0.75]), 1
    rows[2, :3], rows[3, :4] = torch.tensor([0.5, 0.25, 0.25]), 0.25
    quarter = 0.25 * 2 + 0.75 * np.log2(4 / 3)
    by_hand = (quarter / 1 + 1.5 / np.log2(3) + 1 + 0) / 4
    assert uniform(rows[None, None], ALL).item() == pytest.approx(by_hand)
    # Both ways, every row sees all five keys, and row 0 is still left out.
    assert uniform(rows[None, None], ALL, causal=False).item() == pytest.approx((quarter + 1.5 + 2) / np.log2(5) / 4)


def test_even_attention_is_uniform_also_where_a_learned_sink_takes_the_rest():
    mask = torch.ones(1, 9, dtype=torch.bool)
    assert uniform(even(9), mask).item() == pytest.approx(1)
    assert uniform(0.2 * even(9), mask).item() == pytest.approx(1)
    assert uniform(0 * even(9), mask).item() == 0
    both_ways = torch.full((1, 1, 9, 9), 1 / 9)
    assert uniform(both_ways, mask, causal=False).item() == pytest.approx(1)


def test_local_counts_the_query_and_the_four_before_it():
    n_pos, mask = 8, torch.ones(1, 8, dtype=torch.bool)
    assert local(even(n_pos), mask).item() == pytest.approx((5 / 6 + 5 / 7 + 5 / 8) / 3)
    for back, expected in ((0, 1), (4, 1), (5, 0)):
        assert local(planted(n_pos, back), mask).item() == expected


def test_a_prompt_without_delimiters_scores_none_and_one_of_nothing_else_all():
    mask = torch.ones(1, 6, dtype=torch.bool)
    nowhere, everywhere = at(n_pos=6), at(*range(6), n_pos=6)
    pattern = random_pattern(1, 2, 6, 6)
    assert delimiter(pattern, mask, is_delimiter=nowhere).tolist() == [[0, 0]]
    torch.testing.assert_close(delimiter(pattern, mask, is_delimiter=everywhere), torch.ones(1, 2))


def test_alpha_by_hand():
    received = received_attention(HAND, ALL)[0, 0]
    assert received[0].item() == pytest.approx((1 + 0.4 + 0.5 + 0.1 + 0.2) / 5)
    assert received[3].item() == pytest.approx((0.1 + 0.5) / 2)
    assert received[4].item() == pytest.approx(0.1)
    both_ways = received_attention(HAND, ALL, causal=False)[0, 0]
    assert both_ways[3].item() == pytest.approx((0.1 + 0.5) / 5)


def test_alpha_golden_value():
    mask = torch.ones(1, 64, dtype=torch.bool)
    assert received_attention(even(64), mask)[0, 0, 0].item() == pytest.approx(0.0741233, abs=5e-8)
    on_bos = torch.zeros(1, 1, 64, 64)
    on_bos[..., 0] = 1
    assert received_attention(on_bos, mask)[0, 0, 0].item() == 1.0


def test_planted_heads_score_one_on_their_detector_and_zero_on_the_others():
    period, start, n_pos = 5, 1, 11
    mask = torch.ones(1, n_pos, dtype=torch.bool)
    place = {"period": period, "start": start}
    detect = {
        1: lambda p: previous_token(p, mask),
        period: lambda p: duplicate_token(p, mask, **place),
        period - 1: lambda p: induction(p, mask, **place),
        n_pos: lambda p: first_token(p, mask),
        2: lambda p: offset(p, mask, back=2),
    }
    for back in detect:
        scores = {name: float(score(planted(n_pos, back))) for name, score in detect.items()}
        assert scores.pop(back) == pytest.approx(1.0)
        scores.pop(n_pos, None)  # early queries of every planted head fall back on position 0
        for small in (1, 2):  # whose first query then also looks at the token before, or at the one before that
            scores.pop(small, None)
        assert set(scores.values()) <= {0.0}


def test_shuffled_heads_score_no_more_than_even_attention():
    period, start, n_pos = 25, 1, 51
    mask = torch.ones(1, n_pos, dtype=torch.bool)
    pattern = planted(n_pos, period - 1)
    assert induction(pattern, mask, period=period, start=start).item() == pytest.approx(1.0)
    generator = torch.Generator().manual_seed(0)
    for query in range(n_pos):
        order = torch.randperm(query + 1, generator=generator)
        pattern[0, 0, query, : query + 1] = pattern[0, 0, query, order]
    chance = induction(even(n_pos), mask, period=period, start=start).item()
    assert induction(pattern, mask, period=period, start=start).item() < chance + 4 * (chance / period) ** 0.5


def test_padding_is_never_read():
    short = random_pattern(1, 3, 8, 8)
    padded = torch.full((1, 3, 12, 12), torch.nan)
    padded[..., :8, :8] = short
    mask = torch.ones(1, 8, dtype=torch.bool)
    longer = torch.arange(12)[None] < 8
    place = {"period": 3, "start": 1}
    for detect in (
        previous_token,
        first_token,
        lambda p, m: duplicate_token(p, m, **place),
        lambda p, m: induction(p, m, **place),
        lambda p, m: offset(p, m, back=2),
        local,
        uniform,
        lambda p, m: uniform(p, m, causal=False),
        lambda p, m: delimiter(p, m, is_delimiter=at(2, 5, 9, n_pos=12)[:, : m.shape[1]]),
    ):
        torch.testing.assert_close(detect(padded, longer), detect(short, mask))
    alpha = received_attention(padded, longer)
    torch.testing.assert_close(alpha[..., :8], received_attention(short, mask))
    assert not alpha[..., 8:].any()
    torch.testing.assert_close(without_padding(padded, longer)[..., :8, :8], short)


@pytest.mark.parametrize("name", ["previous_token", "duplicate_token", "induction"])
def test_agrees_with_transformer_lens(name):
    """Its `mul` measure divides the same sum by all attention, which is one per query."""
    from transformer_lens import head_detector

    period, n_pos = 6, 13
    tokens = torch.tensor([[99, *range(period), *range(period)]])
    wanted = getattr(head_detector, f"get_{name}_head_detection_pattern")(tokens)
    pattern = random_pattern(1, 4, n_pos, n_pos)
    mask = torch.ones(1, n_pos, dtype=torch.bool)
    ours, queries = {
        "previous_token": (previous_token(pattern, mask), n_pos - 1),
        "duplicate_token": (duplicate_token(pattern, mask, period=period, start=1), period),
        "induction": (induction(pattern, mask, period=period, start=1), period),
    }[name]
    for head in range(4):
        theirs = head_detector.compute_head_attention_similarity_score(
            pattern[0, head], wanted, exclude_bos=False, exclude_current_token=False, error_measure="mul"
        )
        assert ours[0, head].item() * queries / n_pos == pytest.approx(theirs, abs=1e-6)


def test_prompts_without_a_query_are_refused():
    one = torch.tensor([[True, False, False, False, False]])
    with pytest.raises(InputError, match="Prompt 0 of this batch has 1 tokens"):
        previous_token(HAND, one)
    with pytest.raises(InputError, match="no query at position 8"):
        induction(HAND, ALL, period=7, start=1)
    with pytest.raises(InputError, match="no query at position 5"):
        local(HAND, ALL)
    with pytest.raises(InputError, match="no query at position 6"):
        offset(HAND, ALL, back=6)
    for detect in (uniform, lambda p, m: delimiter(p, m, is_delimiter=ALL)):
        with pytest.raises(InputError, match="Prompt 0 of this batch has 1 tokens"):
            detect(HAND, one)


def test_several_prompts_are_scored_each_by_itself():
    pattern = torch.cat([HAND, even(5)])
    mask = ALL.expand(2, -1)
    scores = first_token(pattern, mask)
    assert scores.shape == (2, 1)
    assert scores[1].item() == pytest.approx(np.mean([1 / 2, 1 / 3, 1 / 4, 1 / 5]))
