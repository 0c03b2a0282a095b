"""Token ids of many prompts, padded on the right, with the mask that says which are real."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from interp.errors import PromptError

PAD = 0
"""Fills rows on the right. Any valid id would do: the mask hides it, and a causal model never looks right."""


@dataclass(frozen=True)
class TokenBatch:
    """Right-padded token ids with their mask.

    Raises:
        PromptError: no prompts, an empty prompt, or a mask with padding before a real token.
    """

    tokens: Int[np.ndarray, "prompt pos"]
    mask: Bool[np.ndarray, "prompt pos"]

    def __post_init__(self) -> None:
        if self.tokens.shape != self.mask.shape or not self.tokens.size:
            raise PromptError(
                f"Tokens have shape {self.tokens.shape}, their mask {self.mask.shape}. Expected equal shapes."
            )
        if not self.mask[:, 0].all():
            raise PromptError(f"Prompt {int(np.argmin(self.mask[:, 0]))} is empty. Expected at least one token.")
        if (np.diff(self.mask.astype(int), axis=1) > 0).any():
            raise PromptError("A mask has padding before a real token. Pad on the right: real tokens come first.")

    @classmethod
    def of(cls, rows: Sequence[np.ndarray]) -> "TokenBatch":
        """Pad rows of different lengths on the right."""
        if not len(rows):
            raise PromptError("No prompts were given. Expected at least one.")
        tokens = np.full((len(rows), max(map(len, rows))), PAD, np.int64)
        lengths = np.array([len(row) for row in rows])
        for target, row in zip(tokens, rows, strict=True):
            target[: len(row)] = row
        return cls(tokens, np.arange(tokens.shape[1]) < lengths[:, None])

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, rows: slice | Int[np.ndarray, " row"]) -> "TokenBatch":
        return TokenBatch(self.tokens[rows], self.mask[rows])

    @property
    def lengths(self) -> Int[np.ndarray, " prompt"]:
        """Number of real tokens of each prompt."""
        return self.mask.sum(1)

    def check_fits(self, *, d_vocab: int, n_ctx: int | None) -> None:
        """Refuse ids the model does not know and prompts longer than its context.

        Raises:
            PromptError: naming the first offending id or length.
        """
        bad = self.tokens[(self.tokens < 0) | (self.tokens >= d_vocab)]
        if len(bad):
            raise PromptError(f"Token id {bad[0]} is out of range. Expected ids from 0 to {d_vocab - 1}.")
        longest = int(self.lengths.max())
        if n_ctx is not None and longest > n_ctx:
            raise PromptError(f"A prompt of {longest} tokens does not fit the model's context of {n_ctx}. Shorten it.")
