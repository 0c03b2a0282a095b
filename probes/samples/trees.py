"""Syntax trees as labels: how far apart two words of a sentence are in its tree, and how deep each word is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, shortest_path

from interp.errors import InputError
from probes.samples.labels import Groups

ROOT = -1
"""Head of the word that has none."""
Heads = Sequence[int] | Int[np.ndarray, " word"]
"""Of each word the number of its head, counted from 1; 0 for the root: the HEAD column of CoNLL-U, words only."""


@dataclass(frozen=True, eq=False)
class TreeLabels:
    """The head of each word of some sentences; each sentence is one tree.

    Raises:
        InputError: no sentences, a sentence without words, with no root or several, with a head outside it, or with a
            cycle.
    """

    heads: tuple[Int[np.ndarray, " _"], ...]
    """For each sentence, place of each word's head in it, counted from 0; `ROOT` (-1) for the root."""

    def __post_init__(self) -> None:
        if not self.heads:
            raise InputError("There are no sentences. Expected the heads of at least one.")
        for number, heads in enumerate(self.heads):
            _check_tree(number, heads)

    @classmethod
    def of(cls, heads: Sequence[Heads]) -> "TreeLabels":
        """Read heads as treebanks (CoNLL-U) count them: words from 1, and 0 for the head of the root.

        Raises:
            InputError: as for the class.
        """
        return cls(tuple(np.array(one, np.int64) - 1 for one in heads))

    def __len__(self) -> int:
        return len(self.heads)

    @property
    def lengths(self) -> Int[np.ndarray, " sentence"]:
        """Words of each sentence."""
        return np.array([len(heads) for heads in self.heads])

    @property
    def sentences(self) -> Int[np.ndarray, " word"]:
        """Sentence of each word, all words in a row."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def words(self, sentence: int) -> slice:
        """Places of a sentence's words, all words in a row."""
        end = int(self.lengths[: sentence + 1].sum())
        return slice(end - len(self.heads[sentence]), end)

    def distances(self, sentence: int) -> Int[np.ndarray, "word word"]:
        """Edges between each two words of a sentence, along its tree."""
        return shortest_path(_edges(self.heads[sentence]), directed=False, unweighted=True).astype(np.int64)

    def depths(self, sentence: int) -> Int[np.ndarray, " word"]:
        """Edges between each word of a sentence and its root, whose depth is 0."""
        return self.distances(sentence)[int(np.argmax(self.heads[sentence] == ROOT))]

    def check_samples(self, n_samples: int, groups: Groups) -> None:
        """Refuse samples that are not these words, or a sentence that a split by group could cut.

        Args:
            n_samples: Number of samples, one for each word, all words in a row.
            groups: Group of each sample.

        Raises:
            InputError: lengths that do not fit, or a sentence with words in two groups.
        """
        n_words = int(self.lengths.sum())
        if not n_words == n_samples == len(groups):
            raise InputError(
                f"{n_words} words in the trees, {n_samples} samples and {len(groups)} groups. Give a sample and a "
                "group for each word, in the order of the trees."
            )
        for sentence in range(len(self)):
            if len(found := np.unique(groups[self.words(sentence)])) > 1:
                raise InputError(
                    f"Sentence {sentence} has words in the groups {found.tolist()[:3]}, so that pairs of its words "
                    "would be cut. Put each sentence in one group."
                )


def tree_distances(heads: Heads) -> Float[np.ndarray, "word word"]:
    """Count the edges between each two words of one dependency tree.

    Args:
        heads: Head of each word, as in CoNLL-U without its lines for multiword tokens and empty nodes.

    Raises:
        InputError: heads that are not a tree with one root.
    """
    return TreeLabels.of([heads]).distances(0).astype(np.float64)


def tree_depths(heads: Heads) -> Float[np.ndarray, " word"]:
    """Count the edges from the root of one dependency tree down to each word.

    Args:
        heads: Head of each word, as for `tree_distances`.

    Raises:
        InputError: heads that are not a tree with one root.
    """
    return TreeLabels.of([heads]).depths(0).astype(np.float64)


def drop_words(heads: Sequence[int], dropped: Sequence[bool]) -> tuple[int, ...]:
    """Take words out of a tree; what hung on them hangs on the nearest word above that stays.

    Args:
        heads: Place of each word's head, counted from 0; `ROOT` for the root.
        dropped: Whether each word goes.

    Returns:
        Place of each kept word's head among the kept words.

    Raises:
        InputError: heads that are no tree, or the root among the dropped, which would leave several trees.
    """
    _check_tree(0, np.array(heads, np.int64))
    if dropped[list(heads).index(ROOT)]:
        raise InputError("The root of the tree would be taken out. Leave the sentence out, or keep the word.")
    kept = [word for word, goes in enumerate(dropped) if not goes]
    place = {word: number for number, word in enumerate(kept)} | {ROOT: ROOT}
    above = [heads[word] for word in kept]
    return tuple(place[_kept_above(head, heads, dropped)] for head in above)


def _kept_above(word: int, heads: Sequence[int], dropped: Sequence[bool]) -> int:
    while word != ROOT and dropped[word]:
        word = heads[word]
    return word


def _check_tree(number: int, heads: Int[np.ndarray, " _"]) -> None:
    n = len(heads)
    if not n:
        raise InputError(f"Sentence {number} has no words. Leave it out.")
    if (roots := int((heads == ROOT).sum())) != 1:
        raise InputError(f"Sentence {number} has {roots} roots. Expected exactly one word with the head {ROOT}.")
    outside = (heads < ROOT) | (heads >= n)
    if outside.any():
        word = int(outside.argmax())
        raise InputError(
            f"Word {word} of sentence {number} has the head {heads[word]}, and there are {n} words. Expected a place "
            f"from 0 to {n - 1}, or {ROOT} for the root."
        )
    if (parts := connected_components(_edges(heads), directed=False)[0]) != 1:
        raise InputError(
            f"The heads of sentence {number} form {parts} parts, so that some words lead in a circle and never to the "
            "root. Expected one tree."
        )


def _edges(heads: Int[np.ndarray, " _"]) -> csr_array:
    """Each word's edge to its head."""
    words = np.flatnonzero(heads != ROOT)
    return csr_array((np.ones(len(words)), (words, heads[words])), shape=(len(heads), len(heads)))
