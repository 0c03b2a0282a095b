"""One clean prompt and its corrupted twin."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int

from interp.errors import PromptError
from interp.prompts.spans import Span, TokenIds, check_spans

Alignment = tuple[tuple[Span, Span], ...]
"""Pairs of (span in the clean prompt, span in the corrupted prompt) that stand for each other."""


@dataclass(frozen=True)
class PromptPair:
    """Clean and corrupted token ids, what should follow, and which positions stand for each other.

    Equal lengths are aligned position by position. Unequal lengths need `alignment`; a pair of spans of unequal
    length is aligned from its end, because the last token of a word is the one that has read all of it. Tokens
    outside the aligned spans are never patched.

    Raises:
        PromptError: empty, identical, unaligned, or with spans out of range.
    """

    clean: TokenIds
    corrupted: Int[np.ndarray, " corrupted_pos"]
    answer: int | None = None
    """Token id that should follow the clean prompt."""
    wrong_answer: int | None = None
    """Token id that should follow the corrupted prompt."""
    alignment: Alignment = ()
    words: tuple[Span, ...] = ()
    """Words of the clean prompt, so that a word of several tokens can be patched and plotted as one."""
    str_tokens: tuple[str, ...] = field(default=(), compare=False)
    """Text of each clean token."""

    def __post_init__(self) -> None:
        for side in ("clean", "corrupted"):
            if not len(getattr(self, side)):
                raise PromptError(f"The {side} prompt is empty. Expected at least one token.")
        if np.array_equal(self.clean, self.corrupted):
            raise PromptError(
                "Clean and corrupted prompt are identical, so patching cannot change anything. Make them differ."
            )
        self._check_alignment()
        check_spans(self.words, len(self.clean), "words")
        if self.str_tokens and len(self.str_tokens) != len(self.clean):
            raise PromptError(
                f"{len(self.str_tokens)} token texts for {len(self.clean)} clean tokens. Give one for each."
            )
        if self.answer is not None and self.answer == self.wrong_answer:
            raise PromptError(f"Answer and wrong answer are both token {self.answer}. They must differ.")

    def _check_alignment(self) -> None:
        n_clean, n_corrupted = len(self.clean), len(self.corrupted)
        if not self.alignment and n_clean != n_corrupted:
            raise PromptError(
                f"The clean prompt has {n_clean} tokens and the corrupted one {n_corrupted}. "
                "Expected equal lengths: reword one of them, or give an alignment of token spans."
            )
        for side, length, which in ((0, n_clean, "clean"), (1, n_corrupted, "corrupted")):
            check_spans([pair[side] for pair in self.alignment], length, f"alignment, {which} side")

    @property
    def aligned_positions(self) -> np.ndarray:
        """Positions that stand for each other: `[n, 2]`, clean position and corrupted position."""
        if not self.alignment:
            return np.repeat(np.arange(len(self.clean))[:, None], 2, axis=1)
        rows = []
        for clean, corrupted in self.alignment:
            shared = min(len(clean), len(corrupted))
            rows += zip(
                range(clean.stop - shared, clean.stop), range(corrupted.stop - shared, corrupted.stop), strict=True
            )
        return np.array(rows)
