"""The training text of `zoo:polyglot`: novels in four languages, mixed into token sequences.

Layout of the corpus directory: one file per language, one paragraph a line, an empty line between novels.
Whole novels are held out, so that a measurement on held-out text never meets an author's other pages by chance.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from interp.errors import InputError

LANGUAGE_FILES = {
    "en": "eng.train.txt",
    "fr": "fra.train.txt",
    "de": "deu.train.txt",
    "es": "spa.train.txt",
}
HELD_OUT_NOVELS = 2
"""Whole novels per language kept for measuring: the last ones of each file."""


@dataclass(frozen=True)
class Novels:
    """The novels of one language, split into training text and whole held-out novels."""

    train: list[str]
    held_out: list[str]


@dataclass(frozen=True)
class Mixture:
    """Shares of the four kinds of training sequence; they sum to 1."""

    natural: float = 0.70
    repeated_passage: float = 0.10
    repeated_random: float = 0.05
    """Random tokens said twice, which nothing but copying predicts; the first copy carries no loss."""
    language_change: float = 0.15
    """Paragraph-sized pieces of different languages in one sequence."""


def read_novels(corpus: Path) -> dict[str, Novels]:
    """Read every language of the corpus directory and split whole novels into training and held out.

    Raises:
        InputError: a language file is missing, or holds too few novels to keep two back.
    """
    novels = {}
    for language, name in LANGUAGE_FILES.items():
        path = corpus / name
        if not path.is_file():
            raise InputError(
                f"No file {name} in {corpus}. Expected one novels file for each of {list(LANGUAGE_FILES)}."
            )
        texts = [text.strip() for text in path.read_text(encoding="utf-8").split("\n\n") if text.strip()]
        if len(texts) <= HELD_OUT_NOVELS:
            raise InputError(f"{path} holds {len(texts)} novels; at least {HELD_OUT_NOVELS + 1} are needed.")
        novels[language] = Novels(texts[:-HELD_OUT_NOVELS], texts[-HELD_OUT_NOVELS:])
    return novels


class SequenceMixer:
    """Draw training sequences of one fixed length from token streams, by the shares of a `Mixture`."""

    def __init__(self, streams: dict[str, np.ndarray], *, bos: int, n_special: int, length: int, mixture: Mixture):
        self.streams = list(streams.values())
        self.bos, self.n_special, self.length = bos, n_special, length
        self.shares = [mixture.natural, mixture.repeated_passage, mixture.repeated_random, mixture.language_change]
        self.draws = [self._natural, self._repeated_passage, self._repeated_random, self._language_change]
        self.d_vocab = int(max(stream.max() for stream in self.streams)) + 1

    def batch(self, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw `size` sequences.

        Returns:
            tokens `[size, length]` beginning with BOS, and a boolean array of the same shape that is False where
            predicting the token is not part of the loss.
        """
        kinds = rng.choice(len(self.draws), size=size, p=self.shares)
        bodies, scored = zip(*(self.draws[kind](rng) for kind in kinds), strict=True)
        bos = np.full((size, 1), self.bos)
        tokens = np.concatenate([bos, np.stack(bodies)], axis=1)
        mask = np.concatenate([np.zeros((size, 1), bool), np.stack(scored)], axis=1)
        return tokens, mask

    def _piece(self, length: int, rng: np.random.Generator) -> np.ndarray:
        stream = self.streams[rng.integers(len(self.streams))]
        start = rng.integers(len(stream) - length)
        return stream[start : start + length].astype(np.int64)

    def _natural(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        body = self._piece(self.length - 1, rng)
        return body, np.ones(len(body), bool)

    def _repeated_passage(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        passage = self._piece(int(rng.integers(24, self.length // 2)), rng)
        body = np.resize(passage, self.length - 1)
        return body, np.ones(len(body), bool)

    def _repeated_random(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        period = int(rng.integers(16, self.length // 2))
        passage = rng.integers(self.n_special, self.d_vocab, size=period)
        body = np.resize(passage, self.length - 1)
        return body, np.arange(len(body)) >= period

    def _language_change(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        pieces, total = [], 0
        while total < self.length - 1:
            pieces.append(self._piece(int(rng.integers(32, 192)), rng))
            total += len(pieces[-1])
        body = np.concatenate(pieces)[: self.length - 1]
        return body, np.ones(len(body), bool)
