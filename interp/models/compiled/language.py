"""A small language for writing a transformer by hand: named parts of the residual stream, heads that read and write.

A circuit says what each head compares, what it copies and where it puts it. `weights.py` turns that into matrices.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

SHARPNESS = 60.0
"""Attention score of a match. A head that finds one gives all else less than 64 * exp(-30) = 6e-12 of its attention."""

SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>")
BOS, EOS = SPECIAL.index("<bos>"), SPECIAL.index("<eos>")
N_CTX = 64

TOKEN, POS, OUT = "token", "pos", "out"
"""Spaces every circuit has: what the embeddings write, and what the unembedding reads."""


@dataclass(frozen=True)
class Read:
    """A linear reading of one space: the vector in the space times `matrix`."""

    space: str
    matrix: Float[np.ndarray, "d_space d_read"] = field(repr=False)


@dataclass(frozen=True)
class Match:
    """Attend where what the query reads equals what the key reads: adds `sharpness * (query . key)` to the score."""

    query: Read
    key: Read
    sharpness: float = SHARPNESS


@dataclass(frozen=True)
class Move:
    """Copy what is read at the source, times `gain`, into a space at the destination."""

    value: Read
    writes: str
    gain: float = 1.0


@dataclass(frozen=True)
class Head:
    """One attention head: where it looks, and what it moves from there."""

    name: str
    looks: tuple[Match, ...]
    moves: tuple[Move, ...]
    does: str
    """What it writes, in words."""


@dataclass(frozen=True)
class Mlp:
    """One layer of ReLU neurons: `relu(read + bias) @ out + bias_out`, written into a space."""

    name: str
    read: Read
    bias: Float[np.ndarray, " d_mlp"] = field(repr=False)
    writes: str
    out: Float[np.ndarray, "d_mlp d_space"] = field(repr=False)
    bias_out: Float[np.ndarray, " d_space"] = field(repr=False)
    does: str


@dataclass(frozen=True)
class Layer:
    """The heads of one layer, and its MLP where it has one."""

    heads: tuple[Head, ...]
    mlp: Mlp | None = None


@dataclass(frozen=True)
class Circuit:
    """A whole model: its words, its spaces and its layers."""

    words: tuple[str, ...]
    """The ordinary words; token ids go on after the special tokens."""
    scratch: Mapping[str, int]
    """Width of each space between embedding and output, by name."""
    layers: tuple[Layer, ...]

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """All tokens in the order of their ids."""
        return (*SPECIAL, *self.words)

    @property
    def spaces(self) -> dict[str, slice]:
        """Where each space lies in the residual stream."""
        d_vocab, places, start = len(self.vocabulary), {}, 0
        for name, width in {TOKEN: d_vocab, POS: N_CTX, **self.scratch, OUT: d_vocab}.items():
            places[name] = slice(start, start + width)
            start += width
        return places


class Reader:
    """Readings of a vocabulary: the words that circuits are written with."""

    def __init__(self, words: Sequence[str]):
        self.ids = {word: number for number, word in enumerate((*SPECIAL, *words))}
        self.ordinary = np.array([self.ids[word] for word in ("<unk>", *words)])

    def words(self, space: str = TOKEN, *, only: Sequence[str] | None = None) -> Read:
        """Read which word stands in a space; special tokens, and words not in `only`, are not seen."""
        seen = self.ordinary if only is None else np.array([self.ids[word] for word in only])
        diagonal = np.zeros(len(self.ids))
        diagonal[seen] = 1.0
        return Read(space, np.diag(diagonal))

    def any_word(self, space: str = TOKEN, *, only: Sequence[str] | None = None) -> Read:
        """Read one number: 1 where `words` would see a word, else 0."""
        return Read(space, self.words(space, only=only).matrix.sum(1, keepdims=True))

    def begins(self) -> Read:
        """Read one number: 1 at the BOS token."""
        return Read(TOKEN, np.eye(len(self.ids))[:, [BOS]])

    def turned_into(self, pairs: Mapping[str, str]) -> Read:
        """Read a word and see the word it stands for in `pairs`; other words are not seen."""
        matrix = np.zeros((len(self.ids), len(self.ids)))
        for word, other in pairs.items():
            matrix[self.ids[word], self.ids[other]] = 1.0
        return Read(TOKEN, matrix)

    def rests(self, sharpness: float = SHARPNESS / 2) -> Match:
        """Attend to BOS, from where nothing is moved, unless something scores above `sharpness`."""
        return Match(always(), self.begins(), sharpness)


def position(*, back: int = 0) -> Read:
    """Read the position, or the one `back` places before it."""
    return Read(POS, np.eye(N_CTX, k=-back))


def always() -> Read:
    """Read the number 1, at every position."""
    return Read(POS, np.ones((N_CTX, 1)))


def flag(space: str) -> Read:
    """Read a space of width 1 as it is."""
    return Read(space, np.ones((1, 1)))
