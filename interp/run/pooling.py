"""One vector per word: a word that is nine byte tokens counts once."""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import PromptError
from interp.prompts import Span


def pool_words(
    activation: Float[Tensor, "prompt pos ..."],
    words: Sequence[Sequence[Span]],
    *,
    how: Literal["mean", "last"] = "mean",
) -> list[Float[Tensor, "..."]]:
    """Pool an activation over the tokens of each word.

    Args:
        activation: A captured activation.
        words: The words of each prompt, as spans of its tokens.
        how: The mean over a word's tokens, or its last token, which has read all of them.

    Returns:
        For each prompt, `[word, ...]`.

    Raises:
        PromptError: words for another number of prompts, or a word past the captured positions.
    """
    if len(words) != len(activation):
        raise PromptError(f"Words for {len(words)} prompts, activations of {len(activation)}. Give one list for each.")
    if too_far := [span for spans in words for span in spans if span.stop > activation.shape[1]]:
        raise PromptError(f"Word {too_far[0]} reaches past the {activation.shape[1]} captured positions.")
    return [
        torch.stack([row[span.stop - 1] if how == "last" else row[span.start : span.stop].mean(0) for span in spans])
        if spans
        else row[:0]
        for row, spans in zip(activation, words, strict=True)
    ]
