"""Spans of tokens: a word that is nine byte tokens is one span."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from interp.errors import PromptError

TokenIds = Int[np.ndarray, " pos"]


@dataclass(frozen=True, order=True)
class Span:
    """Tokens `start` to `stop` (exclusive) of one prompt, with the text they stand for."""

    start: int
    stop: int
    text: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop:
            raise PromptError(f"Span {self.start}:{self.stop} is empty or negative. Expected 0 <= start < stop.")

    def __len__(self) -> int:
        return self.stop - self.start


def check_spans(spans: Sequence[Span], length: int, what: str) -> None:
    """Refuse spans that overlap, are out of order or reach past the prompt.

    Raises:
        PromptError: naming the first offending span.
    """
    before = 0
    for span in spans:
        if span.start < before:
            raise PromptError(f"{what}: span {span.start}:{span.stop} overlaps the one before it. Give spans in order.")
        if span.stop > length:
            raise PromptError(f"{what}: span {span.start}:{span.stop} reaches past the prompt's {length} tokens.")
        before = span.stop
