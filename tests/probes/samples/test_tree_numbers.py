import networkx as nx
import numpy as np
import pytest

from interp.errors import InputError
from probes.samples.trees import tree_depths, tree_distances


def test_by_hand():
    """The chef who ran is out: the -> chef, chef -> out, who -> ran, ran -> chef, is -> out, out the root."""
    heads = [2, 6, 4, 2, 6, 0]
    assert tree_depths(heads).tolist() == [2, 1, 3, 2, 1, 0]
    assert tree_distances(heads).tolist() == [
        [0, 1, 3, 2, 3, 2],
        [1, 0, 2, 1, 2, 1],
        [3, 2, 0, 1, 4, 3],
        [2, 1, 1, 0, 3, 2],
        [3, 2, 4, 3, 0, 1],
        [2, 1, 3, 2, 1, 0],
    ]


def test_against_networkx():
    rng = np.random.default_rng(0)
    for n in (1, 2, 15, 40):
        heads = np.array([0] + [int(rng.integers(1, word + 1)) for word in range(1, n)])
        graph = nx.Graph()
        graph.add_nodes_from(range(n))
        graph.add_edges_from((word, head - 1) for word, head in enumerate(heads.tolist()) if head)
        lengths = dict(nx.all_pairs_shortest_path_length(graph))
        np.testing.assert_array_equal(tree_distances(heads), [[lengths[a][b] for b in range(n)] for a in range(n)])
        np.testing.assert_array_equal(tree_depths(heads), [lengths[0][word] for word in range(n)])


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        ([0, 0, 1], "has 2 roots"),
        ([2, 1], "has 0 roots"),
        ([0, 3, 2], "lead in a circle"),
        ([0, 2], "lead in a circle"),
        ([0, 5], "has the head 4, and there are 2 words"),
        ([], "has no words"),
    ],
)
def test_refusals(heads, message):
    with pytest.raises(InputError, match=message):
        tree_distances(heads)
