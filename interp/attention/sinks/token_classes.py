"""Which kind of token a token is, where kinds are known to draw attention."""

import unicodedata
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from interp.models import str_tokens
from interp.prompts import TokenBatch
from interp.types import Model

CLASSES = ("bos", "cls", "sep", "eos", "newline", "punctuation", "other")
"""In this order: a token that two names fit has the first."""
_SPECIAL = {"bos": "bos_token_id", "cls": "cls_token_id", "sep": "sep_token_id", "eos": "eos_token_id"}


@dataclass(frozen=True)
class TokenClasses:
    """The class of every token of a batch."""

    names: tuple[str, ...]
    """Classes that occur in the batch."""
    numbers: Int[np.ndarray, "prompt pos"]
    """Places in `names`; at padding that of the prompt's first token."""


def token_classes(model: Model, batch: TokenBatch) -> TokenClasses:
    """Sort tokens into BOS, [CLS], [SEP], end of text, newline, punctuation and all others.

    Punctuation is a token of nothing but punctuation and symbols; newline, one of white space that holds a line break.
    Where one token has two roles, as GPT-2's `<|endoftext|>`, the first class in this list counts. Without a
    tokenizer every token is `other`.
    """
    tokens = np.where(batch.mask, batch.tokens, batch.tokens[:, :1])
    distinct, places = np.unique(tokens, return_inverse=True)
    known = _special(model.tokenizer)
    texts = str_tokens(model, distinct) if model.tokenizer is not None else [""] * len(distinct)
    found = [known.get(int(token)) or _class_of(text) for token, text in zip(distinct, texts, strict=True)]
    names = tuple(name for name in CLASSES if name in found)
    numbers = np.array([names.index(name) for name in found])
    return TokenClasses(names, numbers[places.reshape(tokens.shape)])


def _special(tokenizer: Any) -> dict[int, str]:
    ids = {name: getattr(tokenizer, attribute, None) for name, attribute in _SPECIAL.items()}
    return {token: name for name, token in reversed(ids.items()) if token is not None}


def _class_of(text: str) -> str:
    bare = text.strip()
    if not bare:
        return "newline" if "\n" in text else "other"
    return "punctuation" if all(unicodedata.category(char)[0] in "PS" for char in bare) else "other"
