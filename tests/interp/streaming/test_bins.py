import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from interp.streaming.bins import BinnedLosses, bin_edges
from interp.streaming.recompute import sampled_positions


@given(st.integers(2, 100_000), st.lists(st.integers(1, 200_000), max_size=3))
def test_bins_cover_every_position_once_and_keep_their_marks(n, marks):
    edges = bin_edges(n, marks)
    assert edges[0] == 0
    assert edges[-1] == n
    assert (np.diff(edges) > 0).all()
    assert {mark for mark in marks if mark < n} <= set(edges.tolist())
    assert (edges[2:] <= np.maximum(edges[1:-1] * 1.45, edges[1:-1] + 1)).all(), "three for each doubling, about"


def test_means_of_bins_by_hand():
    binned = BinnedLosses(2, np.array([0, 2, 3, 6]))
    binned.add(np.array([0, 1, 2]), np.array([[1.0, 3, 5], [0, 0, 9]]))
    assert binned.ran.tolist() == [True, True, False]
    binned.add(np.array([3]), np.array([[7.0], [8.0]]))
    np.testing.assert_array_equal(binned.means, [[2, 5, 7], [0, 9, 8]])
    some = BinnedLosses(1, np.array([0, 2, 4]), np.array([1, 2]))
    some.add(np.arange(3), np.array([[10.0, 20, 30]]))
    some.add(np.array([3]), np.array([[40.0]]))
    np.testing.assert_array_equal(some.means, [[20, 30]])
    assert some.counts.tolist() == [1, 1]


def test_positions_are_drawn_from_every_bin_behind_the_window():
    edges = np.array([0, 4, 8, 10, 100])
    drawn = sampled_positions(edges, 8, 5, seed=0)
    assert drawn.tolist()[:2] == [8, 9]
    assert len(drawn) == 7
    assert (drawn[2:] >= 10).all()
    assert len(set(drawn.tolist())) == 7
    assert (
        drawn.tolist()
        == sampled_positions(edges, 8, 5, seed=0).tolist()
        != sampled_positions(edges, 8, 5, seed=1).tolist()
    )
