"""What `zoo:polyglot` reads, sequence by sequence: natural text, repetitions, and text that changes language."""

from dataclasses import astuple, dataclass

import numpy as np
from jaxtyping import Bool, Int, UInt16

NO_LANGUAGE = -1
"""Language of a token that has none: BOS, and random tokens."""


@dataclass(frozen=True)
class Mixture:
    """Shares of the kinds of training sequence, which sum to 1, and how far apart repetitions are."""

    natural: float = 0.65
    repeated_passage: float = 0.10
    repeated_random: float = 0.05
    """Random tokens said twice, which nothing but copying predicts; the first copy carries no loss."""
    language_change: float = 0.08
    """Whole sentences of one language, then of another."""
    clause_change: float = 0.06
    """Novels that change language inside a sentence, at a comma or the like, without keeping the sense."""
    switched: float = 0.06
    """Aligned sentences that change language inside and keep the sense, between sentences of novels."""
    longest_period: int = 128
    """A repetition comes again after fewer tokens: with twice as many, 19 million tokens did not teach copying."""

    @property
    def shares(self) -> tuple[float, ...]:
        """The shares, in the order of the kinds."""
        return astuple(self)[:-1]


@dataclass(frozen=True)
class Streams:
    """The training text as tokens."""

    novels: dict[str, UInt16[np.ndarray, " _"]]
    switched: UInt16[np.ndarray, " pos"]
    """Switched sentences, one after another."""
    switched_languages: Int[np.ndarray, " pos"]
    """Language of each of their tokens, as its place in `novels`."""
    switched_starts: Int[np.ndarray, " sentence"]
    sentence_ends: Int[np.ndarray, " sentence_end"]
    """Vocabulary entries that end a sentence."""
    clause_ends: Int[np.ndarray, " clause_end"]
    """Vocabulary entries that end a clause inside a sentence."""


@dataclass(frozen=True)
class Batch:
    """Training sequences of one length."""

    tokens: Int[np.ndarray, "batch pos"]
    scored: Bool[np.ndarray, "batch pos"]
    """False where predicting the token is not part of the loss."""
    languages: Int[np.ndarray, "batch pos"]
    """Place of each token's language, or `NO_LANGUAGE`."""


Drawn = tuple[np.ndarray, np.ndarray]
"""Tokens and their languages."""


class SequenceMixer:
    """Draw training sequences of one fixed length."""

    def __init__(self, streams: Streams, *, bos: int, n_special: int, length: int):
        self.streams, self.novels = streams, list(streams.novels.values())
        self.bos, self.n_special, self.length = bos, n_special, length
        self.draws = [
            self._natural,
            self._repeated_passage,
            self._repeated_random,
            self._language_change,
            self._clause_change,
            self._switched,
        ]
        self.longest_period = length // 2
        self.d_vocab = int(max(stream.max() for stream in self.novels)) + 1
        self.sentence_starts = [_after(stream, streams.sentence_ends) for stream in self.novels]
        self.clause_starts = [_after(stream, streams.clause_ends) for stream in self.novels]

    def batch(self, size: int, mixture: Mixture, rng: np.random.Generator) -> Batch:
        """Draw `size` sequences, each beginning with BOS."""
        self.longest_period = min(mixture.longest_period, self.length // 2)
        kinds = rng.choice(len(self.draws), size=size, p=mixture.shares)
        bodies, scored, languages = zip(*(self._sequence(kind, rng) for kind in kinds.tolist()), strict=True)
        return Batch(
            tokens=np.pad(np.stack(bodies), ((0, 0), (1, 0)), constant_values=self.bos),
            scored=np.pad(np.stack(scored), ((0, 0), (1, 0)), constant_values=False),
            languages=np.pad(np.stack(languages), ((0, 0), (1, 0)), constant_values=NO_LANGUAGE),
        )

    def _sequence(self, kind: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        (tokens, languages), first_scored = self.draws[kind](rng)
        return tokens, np.arange(self.length - 1) >= first_scored, languages

    def _natural(self, rng: np.random.Generator) -> tuple[Drawn, int]:
        return self._passage(self.length - 1, rng), 0

    def _repeated_passage(self, rng: np.random.Generator) -> tuple[Drawn, int]:
        return self._again(self._passage(int(rng.integers(24, self.longest_period)), rng)), 0

    def _repeated_random(self, rng: np.random.Generator) -> tuple[Drawn, int]:
        period = int(rng.integers(16, self.longest_period))
        tokens = rng.integers(self.n_special, self.d_vocab, size=period)
        return self._again((tokens, np.full(period, NO_LANGUAGE))), period

    def _language_change(self, rng: np.random.Generator) -> tuple[Drawn, int]:
        return self._alternate(self.sentence_starts, (16, 192), rng), 0

    def _clause_change(self, rng: np.random.Generator) -> tuple[Drawn, int]:
        return self._alternate(self.clause_starts, (8, 96), rng), 0

    def _switched(self, rng: np.random.Generator) -> tuple[Drawn, int]:
        pieces, total = [], 0
        while total < self.length - 1:
            context = self._piece(int(rng.integers(len(self.novels))), self.sentence_starts, (8, 96), rng)
            sentences = [self._switched_sentence(rng) for _ in range(rng.integers(1, 5))]
            pieces += [context, *sentences] if rng.random() < 0.5 else sentences
            total = sum(len(tokens) for tokens, _ in pieces)
        return self._join(pieces), 0

    def _alternate(self, starts: list[np.ndarray], lengths: tuple[int, int], rng: np.random.Generator) -> Drawn:
        """Pieces of novels, no two neighbours of one language."""
        language, pieces, total = int(rng.integers(len(self.novels))), [], 0
        while total < self.length - 1:
            pieces.append(self._piece(language, starts, lengths, rng))
            total += len(pieces[-1][0])
            language = (language + int(rng.integers(1, len(self.novels)))) % len(self.novels)
        return self._join(pieces)

    def _piece(
        self, language: int, starts: list[np.ndarray], lengths: tuple[int, int], rng: np.random.Generator
    ) -> Drawn:
        """Text of one language from one boundary to another, about as long as drawn."""
        stream, places = self.novels[language], starts[language]
        wanted = int(rng.integers(*lengths))
        start = int(places[rng.integers(np.searchsorted(places, len(stream) - wanted))])
        # The last boundary in reach; a sentence longer than what is wanted is cut.
        end = int(places[np.searchsorted(places, start + wanted, side="right") - 1])
        end = end if end > start else start + wanted
        return self._of(language, start, end)

    def _passage(self, length: int, rng: np.random.Generator) -> Drawn:
        language = int(rng.integers(len(self.novels)))
        start = int(rng.integers(len(self.novels[language]) - length))
        return self._of(language, start, start + length)

    def _of(self, language: int, start: int, end: int) -> Drawn:
        return self.novels[language][start:end].astype(np.int64), np.full(end - start, language)

    def _switched_sentence(self, rng: np.random.Generator) -> Drawn:
        streams = self.streams
        number = int(rng.integers(len(streams.switched_starts)))
        start, *rest = streams.switched_starts[number : number + 2].tolist()
        part = slice(start, rest[0] if rest else None)
        return streams.switched[part].astype(np.int64), streams.switched_languages[part].astype(np.int64)

    def _again(self, drawn: Drawn) -> Drawn:
        tokens, languages = drawn
        return np.resize(tokens, self.length - 1), np.resize(languages, self.length - 1)

    def _join(self, pieces: list[Drawn]) -> Drawn:
        tokens, languages = (np.concatenate(parts)[: self.length - 1] for parts in zip(*pieces, strict=True))
        return tokens, languages


def _after(stream: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Places right after one of the ending tokens, from the beginning of the stream on."""
    return np.concatenate([[0], np.flatnonzero(np.isin(stream, ends)) + 1])
