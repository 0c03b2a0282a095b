"""What a cache of fixed size holds, against a list that is kept by hand."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from interp.streaming.policy import Policy


def held_by_hand(window, kept, n):
    """Contents of the cache, oldest first, as each of `n` tokens is read."""
    cache, seen = [], []
    for position in range(n):
        if len(cache) == window:
            cache.remove(next(key for key in cache if key not in kept))
        cache.append(position)
        seen.append(list(cache))
    return seen


def places(first, stop):
    return torch.arange(first, stop)


@st.composite
def policies(draw):
    window = draw(st.integers(1, 12))
    count = draw(st.integers(0, window - 1))
    first = draw(st.integers(0, window - count))
    return Policy(window, range(first, first + count))


@given(policies(), st.integers(1, 40), st.integers(0, 39))
def test_the_mask_shows_what_the_cache_holds(policy, n, start):
    start = min(start, n - 1)
    hidden = policy.mask(places(start, n), places(0, n))
    seen = [places(0, n)[~row].tolist() for row in hidden]
    assert seen == held_by_hand(policy.window, policy.kept, n)[start:]


@given(policies(), st.integers(1, 40))
def test_distances_are_those_of_slots(policy, n):
    # A kept key is met from `from_kept`, any other from where the query stands in the text.
    cache = held_by_hand(policy.window, policy.kept, n)
    slots, placed = policy.slots(places(0, n)), policy.from_kept(places(0, n))
    for query, held in enumerate(cache):
        assert slots[query] == len(held) - 1 == held.index(query)
        for slot, key in enumerate(held):
            if key in policy.kept:
                assert placed[query] - (key - policy.kept.start) == slots[query] - slot
            else:
                assert query - key == slots[query] - slot


@given(policies(), st.integers(1, 40))
def test_the_next_to_go_is_the_oldest_that_is_not_kept(policy, n):
    cache = held_by_hand(policy.window, policy.kept, n + 1)
    for query, held in enumerate(cache[:-1]):
        if len(held) == policy.window:
            victim = policy.victim(query + 1 - policy.window)
            assert [key for key in held if key not in cache[query + 1]] == [held[victim]]


def test_slots_by_hand():
    # Four keys, the first kept. At position 6 the cache holds 0, 4, 5, 6 in slots 0 to 3.
    policy = Policy(4, range(1))
    assert (~policy.mask(places(6, 7), places(0, 7)))[0].nonzero()[:, 0].tolist() == [0, 4, 5, 6]
    assert policy.slots(torch.tensor([0, 3, 6])).tolist() == [0, 3, 3]
    assert policy.from_kept(torch.tensor([0, 3, 6])).tolist() == [0, 3, 3]
    assert policy.evicted(torch.tensor([3, 4, 6])).tolist() == [0, 1, 3]
    assert (policy.victim(0), policy.victim(2)) == (1, 1)
    # Keys 2 and 3 kept: 0 and 1 go first, then what comes behind them. At 6: 2, 3, 5, 6.
    policy = Policy(4, range(2, 4))
    assert [(~policy.mask(places(at, at + 1), places(0, 8)))[0].nonzero()[:, 0].tolist() for at in (4, 5, 6)] == [
        [1, 2, 3, 4],
        [2, 3, 4, 5],
        [2, 3, 5, 6],
    ]
    assert policy.from_kept(torch.tensor([1, 4, 5, 6])).tolist() == [-1, 2, 3, 3]
    assert [policy.victim(gone) for gone in (0, 1, 2, 3)] == [0, 0, 2, 2]
