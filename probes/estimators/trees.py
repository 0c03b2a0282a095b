"""Dependency trees as numbers: how far apart two words are, and how deep each lies."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array
from scipy.sparse.csgraph import shortest_path

from interp.errors import InputError

Heads = Sequence[int] | Int[np.ndarray, " word"]
"""Of each word the number of its head, counted from 1; 0 for the root: the HEAD column of CoNLL-U, words only."""


def tree_distances(heads: Heads) -> Float[np.ndarray, "word word"]:
    """Count the edges between each two words of a dependency tree.

    Args:
        heads: Head of each word, as in CoNLL-U without its lines for multiword tokens and empty nodes.

    Raises:
        InputError: heads that are not a tree with one root.
    """
    heads = _checked(heads)
    child = np.flatnonzero(heads)
    edges = csr_array((np.ones(len(child)), (child, heads[child] - 1)), shape=(len(heads), len(heads)))
    distances = shortest_path(edges, directed=False, unweighted=True)
    if not np.isfinite(distances).all():
        raise InputError(f"The heads {heads.tolist()} hold a circle. Expected a tree with one root (head 0).")
    return distances


def tree_depths(heads: Heads) -> Float[np.ndarray, " word"]:
    """Count the edges between each word and the root, which itself has depth 0.

    Args:
        heads: Head of each word, as in CoNLL-U without its lines for multiword tokens and empty nodes.

    Raises:
        InputError: heads that are not a tree with one root.
    """
    return tree_distances(heads)[_checked(heads).argmin()]


def _checked(heads: Heads) -> Int[np.ndarray, " word"]:
    array = np.asarray(heads)
    if array.ndim != 1 or not len(array) or array.dtype.kind not in "iu":
        raise InputError(f"Heads {heads!r}. Expected a whole number for each word, and at least one word.")
    if array.min() < 0 or array.max() > len(array) or (array == np.arange(1, len(array) + 1)).any():
        raise InputError(f"The heads {array.tolist()} name a word that is missing, or a word as its own head.")
    if (roots := int((array == 0).sum())) != 1:
        raise InputError(f"The heads {array.tolist()} have {roots} roots (head 0). Expected one.")
    return array
