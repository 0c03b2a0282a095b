"""Many prompt pairs as arrays, padded on the right, every position accounted for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int

from interp.errors import PromptError
from interp.prompts.pair import PromptPair
from interp.prompts.token_batch import TokenBatch

Side = Literal["clean", "corrupted"]


@dataclass(frozen=True)
class PromptSet:
    """Prompt pairs as a batch.

    Raises:
        PromptError: no pairs, or some pairs with answers and some without.
    """

    pairs: tuple[PromptPair, ...]

    def __post_init__(self) -> None:
        if not self.pairs:
            raise PromptError("The prompt set is empty. Expected at least one pair of prompts.")
        for name in ("answer", "wrong_answer"):
            given = sum(getattr(pair, name) is not None for pair in self.pairs)
            if given not in (0, len(self.pairs)):
                raise PromptError(
                    f"{given} of {len(self.pairs)} pairs have a {name}. Give it for all of them or for none."
                )

    @classmethod
    def of(cls, pairs: Sequence[PromptPair]) -> "PromptSet":
        """Make a set of any sequence of pairs."""
        return cls(tuple(pairs))

    def __len__(self) -> int:
        return len(self.pairs)

    def __iter__(self) -> Iterator[PromptPair]:
        return iter(self.pairs)

    def take(self, rows: Sequence[int]) -> "PromptSet":
        """The pairs with these numbers, in this order; a number may come more than once."""
        return PromptSet(tuple(self.pairs[row] for row in rows))

    def batch(self, side: Side) -> TokenBatch:
        """Token ids of one side, padded on the right, with their mask."""
        return TokenBatch.of([getattr(pair, side) for pair in self.pairs])

    def aligned(self) -> Int[np.ndarray, "prompt column 2"]:
        """Clean and corrupted position of each column of a sweep by position; -1 where a prompt has no such column."""
        return _stack_rows([pair.aligned_positions for pair in self.pairs])

    def word_columns(self) -> list[list[np.ndarray]]:
        """For each prompt, for each word, the aligned columns that lie in the word.

        Raises:
            PromptError: a prompt has no words, or they do not cover any aligned position.
        """
        return [_columns_by_word(pair, number) for number, pair in enumerate(self.pairs)]

    def require_answers(self, metric: str, *names: str) -> None:
        """Refuse a metric that needs answers this set does not have.

        Raises:
            PromptError: naming the metric and what is missing.
        """
        for name in names:
            if getattr(self.pairs[0], name) is None:
                raise PromptError(
                    f"Metric {metric!r} needs {name!r} for each prompt, and these have none. Give one single token."
                )

    def answers(self, name: Literal["answer", "wrong_answer"]) -> Int[np.ndarray, " prompt"] | None:
        """Token ids of the answers, or None where the set has none."""
        if getattr(self.pairs[0], name) is None:
            return None
        return np.array([getattr(pair, name) for pair in self.pairs])

    def check_fits(self, *, d_vocab: int, n_ctx: int | None) -> None:
        """Refuse ids the model does not know and prompts longer than its context.

        Raises:
            PromptError: naming the first offending prompt.
        """
        for side in ("clean", "corrupted"):
            self.batch(side).check_fits(d_vocab=d_vocab, n_ctx=n_ctx)
        for name in ("answer", "wrong_answer"):
            if (ids := self.answers(name)) is not None and not ((ids >= 0) & (ids < d_vocab)).all():
                raise PromptError(f"A {name} has token id {ids.max()}. Expected ids from 0 to {d_vocab - 1}.")


def _stack_rows(rows: list[np.ndarray]) -> np.ndarray:
    out = np.full((len(rows), max(map(len, rows)), 2), -1)
    for target, row in zip(out, rows, strict=True):
        target[: len(row)] = row
    return out


def _columns_by_word(pair: PromptPair, number: int) -> list[np.ndarray]:
    if not pair.words:
        raise PromptError(f"Prompt {number} has no word spans. Make the pair with pair_from_text, or give words=.")
    clean = pair.aligned_positions[:, 0]
    columns = [np.flatnonzero((clean >= word.start) & (clean < word.stop)) for word in pair.words]
    if not any(len(column) for column in columns):
        raise PromptError(f"Prompt {number}: no word covers an aligned position, so there is nothing to patch.")
    return columns
