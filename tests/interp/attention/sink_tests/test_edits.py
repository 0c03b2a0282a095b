"""Edited patterns are the softmax without what was taken, whether or not a learned sink stands beside the keys."""

import numpy as np
import pytest
import torch

from interp.attention.sink_tests.edits import PinRow, RefusedError, Take, Where

N = 7


def softmax(scores, sink=None, hide=()):
    """Causal softmax of [batch, head, dest, src] scores beside one sink logit; `hide` are (dest, src) set to -inf."""
    scores = scores.masked_fill(torch.ones(N, N, dtype=torch.bool).triu(1), -torch.inf)
    for dest, src in hide:
        scores[..., dest, src] = -torch.inf
    if sink is None:
        return scores.softmax(-1)
    return torch.cat([scores, torch.full_like(scores[..., :1], sink)], -1).softmax(-1)[..., :-1]


def drawn(seed=0, scale=2.0):
    return scale * torch.randn(3, 2, N, N, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def where(*, rows=slice(0, 3), lengths=(N, N, N), sinks=False, layer=0):
    mask = torch.arange(N) < torch.tensor(lengths)[:, None]
    return Where(layer, rows, mask, sinks)


def test_a_row_by_hand():
    row = torch.tensor([[1.0, 0.0, 0.0], [0.75, 0.25, 0.0], [0.5, 0.3, 0.2]], dtype=torch.float64)[None, None]
    place = Where(0, slice(0, 1), torch.ones(1, 3, dtype=torch.bool), learned_sinks=False)
    edited, taken = Take("first")(row, place)
    expected = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.6, 0.4]], dtype=torch.float64)
    torch.testing.assert_close(edited[0, 0], expected)
    assert taken[0, 0].tolist() == [0.0, 0.75, 0.5]
    equal, taken = Take("first", all_of_it=False)(row, place)
    torch.testing.assert_close(equal[0, 0, 1], torch.tensor([0.5 / 0.75, 0.25 / 0.75, 0.0], dtype=torch.float64))
    assert taken[0, 0].tolist() == [0.0, 0.25, 0.5]
    valueless, _ = Take("first", renormalise=False)(row, place)
    assert valueless[0, 0].tolist() == [[1.0, 0.0, 0.0], [0.0, 0.25, 0.0], [0.0, 0.3, 0.2]]


def test_a_row_beside_a_learned_sink_by_hand():
    row = torch.tensor([[0.5, 0.0, 0.0], [0.5, 0.2, 0.0], [0.5, 0.2, 0.1]], dtype=torch.float64)[None, None]
    place = Where(0, slice(0, 1), torch.ones(1, 3, dtype=torch.bool), learned_sinks=True)
    edited, _ = Take("first")(row, place)
    torch.testing.assert_close(edited[0, 0, 2], torch.tensor([0.0, 0.4, 0.2], dtype=torch.float64))
    torch.testing.assert_close(edited[0, 0, 1], torch.tensor([0.0, 0.4, 0.0], dtype=torch.float64))


@pytest.mark.parametrize("sink", [None, 0.0, 1.7])
def test_masking_is_the_softmax_without_the_key(sink):
    scores = drawn()
    edited, _ = Take("first")(softmax(scores, sink), where(sinks=sink is not None))
    expected = softmax(scores, sink, hide=[(query, 0) for query in range(1, N)])
    torch.testing.assert_close(edited, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("sink", [None, 1.7])
def test_a_pinned_row_is_the_softmax_over_one_key(sink):
    scores, key = drawn(), np.array([3, 1, 4])
    pattern = softmax(scores, sink)
    edited, moved = PinRow(np.array([4, 4, 4]), key)(pattern, where(sinks=sink is not None))
    for prompt in range(3):
        expected = softmax(scores, sink, hide=[(4, other) for other in range(5) if other != key[prompt]])
        torch.testing.assert_close(edited[prompt], expected[prompt], rtol=0, atol=1e-14)
    assert (moved[:, :, 4] > 0).all()
    assert not moved[:, :, np.arange(N) != 4].any()
    early, nothing = PinRow(np.array([4, 4, 4]), key, from_layer=1)(pattern, where())
    assert torch.equal(early, pattern)
    assert not nothing.any()


@pytest.mark.parametrize("scale", [0.5, 6.0])
@pytest.mark.parametrize("sink", [None, 0.5])
def test_the_control_takes_exactly_as_much_from_other_keys(scale, sink):
    scores = drawn(scale=scale)
    scores[..., 0] += 2 * scale
    pattern, place = softmax(scores, sink), where(sinks=sink is not None)
    assert (pattern[..., 1:, 0] > 0.5).any()
    _, first = Take("first", all_of_it=False)(pattern, place)
    edited, others = Take("others", renormalise=False)(pattern, place)
    torch.testing.assert_close(others, first, rtol=0, atol=1e-14)
    gone = pattern - edited
    assert not gone[..., 0].any(), "the first key keeps its weight"
    assert (gone >= 0).all()
    assert (edited >= 0).all()
    torch.testing.assert_close(gone.sum(-1), first, rtol=0, atol=1e-14)
    whole = (gone[..., 1:] > 0) & (edited[..., 1:] > 1e-15)
    assert whole.sum(-1).max() <= 1, "all but the last key are taken whole"


def test_the_control_takes_the_same_keys_from_every_query_and_head():
    pattern = torch.ones(3, 2, N, N, dtype=torch.float64).tril() / torch.arange(1, N + 1)[:, None]
    edited, _ = Take("others", renormalise=False)(pattern, where())
    taken = (pattern - edited)[:, :, -1] > 1e-12
    assert (taken.sum(-1) == 1).all()
    assert torch.equal(taken[:, 0], taken[:, 1])
    other_layer, _ = Take("others", renormalise=False)(pattern, where(layer=2))
    assert torch.equal(other_layer, edited)
    another, _ = Take("others", renormalise=False, seed=1)(pattern, where())
    assert not torch.equal(another, edited)


def test_draws_do_not_depend_on_how_prompts_are_batched():
    pattern, edit = softmax(drawn()), Take("others")
    whole, _ = edit(pattern, where())
    part, _ = edit(pattern[1:], where(rows=slice(1, 3), lengths=(N, N)))
    assert torch.equal(part, whole[1:])


@pytest.mark.parametrize("edit", [Take("first"), Take("others"), Take("first", renormalise=False)])
def test_the_first_query_and_padding_stay_as_they_are(edit):
    pattern = softmax(drawn())
    edited, taken = edit(pattern, where(lengths=(N, 4, N)))
    assert torch.equal(edited[1, :, 4:], pattern[1, :, 4:])
    assert torch.equal(edited[:, :, 0], pattern[:, :, 0])
    assert not taken[1, :, 4:].any()
    assert not torch.equal(edited[1, :, 1:4], pattern[1, :, 1:4])


def test_a_row_whose_rest_is_lost_is_refused():
    pattern = torch.zeros(1, 1, 3, 3)
    pattern[..., 0] = 1.0
    place = Where(5, slice(0, 1), torch.ones(1, 3, dtype=torch.bool), learned_sinks=False)
    with pytest.raises(RefusedError, match=r"layer 5 .*wider dtype"):
        Take("first")(pattern, place)


def test_a_small_rest_is_not_lost_in_single_precision():
    row = torch.tensor([[[[1.0, 0.0, 0.0], [1.0 - 2e-9, 2e-9, 0.0], [1.0 - 3e-9, 1e-9, 2e-9]]]])
    assert row[0, 0, 2, 0] == 1.0
    edited, _ = Take("first")(row, Where(0, slice(0, 1), torch.ones(1, 3, dtype=torch.bool), learned_sinks=False))
    torch.testing.assert_close(edited[0, 0, 2], torch.tensor([0.0, 1 / 3, 2 / 3]))
