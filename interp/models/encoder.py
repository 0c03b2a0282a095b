"""A model's own way from text to tokens, in the form that `interp.prompts` reads prompts with."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int

from interp.models.text import encode, str_tokens, word_spans
from interp.models.tokenizers import body_ids
from interp.prompts import Span
from interp.types import Model


@dataclass(frozen=True)
class ModelEncoder:
    """The `Encoder` of one model, for `pair_from_text` and `read_prompts`."""

    model: Model = field(repr=False)

    def encode(self, text: str) -> Int[np.ndarray, " pos"]:
        """Ids of a prompt, framed as the model expects."""
        return encode(self.model, text)

    def encode_answer(self, text: str) -> Int[np.ndarray, " pos"]:
        """Ids of a continuation: nothing is put around it."""
        return np.array(body_ids(self.model.tokenizer, text), np.int64)

    def str_tokens(self, ids: Int[np.ndarray, " pos"]) -> list[str]:
        """Text of each token."""
        return str_tokens(self.model, ids)

    def word_spans(self, ids: Int[np.ndarray, " pos"]) -> list[Span]:
        """Words of the text, as spans of tokens."""
        return [Span(start, stop, text) for text, start, stop in word_spans(self.model, ids)]
