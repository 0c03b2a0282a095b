"""Where the sink is and what writes it, on arrays small enough to be read."""

import numpy as np
import torch

from interp.attention.sink_tests import places


def test_attention_to_a_key_counts_the_real_queries_that_see_it():
    pattern = torch.tensor([[1.0, 0, 0, 0], [0.6, 0.4, 0, 0], [0.2, 0.5, 0.3, 0], [9, 9, 9, 9]])[None, None]
    mask = torch.tensor([[True, True, True, False]])
    first = places.attention_to(pattern, mask, torch.tensor([0]), causal=True)
    torch.testing.assert_close(first, torch.tensor([[0.4]]))
    second = places.attention_to(pattern, mask, torch.tensor([1]), causal=True)
    torch.testing.assert_close(second, torch.tensor([[0.5]]))
    both_ways = places.attention_to(pattern, mask, torch.tensor([1]), causal=False)
    torch.testing.assert_close(both_ways, torch.tensor([[0.25]]))


def test_the_layer_of_largest_growth_leaves_out_the_last():
    assert places.growth_layer(np.array([1.0, 3.0, 9.0, 8.0, 99.0])) == 1
    assert places.growth_layer(np.array([1.0, 2.0, 2.5])) == 0


def test_massive_dimensions_by_the_published_criterion():
    first = np.full((2, 6), 0.1)
    first[:, 4], first[:, 1] = [-240.0, -260.0], 150.0
    found = places.massive_dimensions(first, 0.1)
    assert (found.dimensions, found.published, found.size) == ((1, 4), True, 250.0)
    assert np.isclose(found.ratio, 2500)
    assert places.massive_dimensions(first, 0.2).dimensions == (4,), "150 is not 1000 times 0.2"


def test_where_none_is_massive_the_largest_are_taken_and_said_to_be_only_that():
    found = places.massive_dimensions(np.array([[1.0, -9.0, 2.0, 5.0]]), 1.0)
    assert found.dimensions == (1, 3)
    assert not found.published


def test_the_spike_neuron_is_that_of_the_longest_output():
    post = np.array([[10.0, -2.0, 0.0], [10.0, -4.0, 1.0]])
    assert places.spike_neuron(post, np.array([1.0, 4.0, 9.0])) == 1
    assert places.spike_neuron(post, np.array([1.0, 3.0, 9.0])) == 0


def test_strongest_heads_come_first():
    assert places.strongest_heads(np.array([[0.1, 0.9], [0.95, 0.2]]), 3) == [(1, 0), (0, 1), (1, 1)]
