"""Streams from a long text: equal parts of it, each begun as the model begins a text."""

import numpy as np
from jaxtyping import Int

from interp.errors import PromptError
from interp.models import encode
from interp.models.tokenizers import frame
from interp.types import Model


def cut_streams(model: Model, text: str, *, n_streams: int, length: int) -> Int[np.ndarray, "stream pos"]:
    """Cut a text into streams that do not overlap, spread evenly over it, each with BOS first where the model has one.

    Args:
        model: A hooked model with a tokenizer.
        text: A long text.
        n_streams: How many; intervals are over streams, so have several.
        length: Tokens of each, BOS included.

    Raises:
        PromptError: the text is too short.
        ModelError: the model has no tokenizer.
    """
    framed, ids = frame(model), encode(model, text)
    ids = ids[len(framed.before) : len(ids) - len(framed.after)]
    n_text = length - len(framed.before)
    if min(n_streams, n_text) < 1 or n_streams * n_text > len(ids):
        raise PromptError(
            f"{n_streams} streams of {length} tokens do not fit into a text of {len(ids)} tokens. "
            "Expected at least one, and room for all: give a longer text, or ask for fewer or shorter streams."
        )
    step = len(ids) // n_streams
    return np.stack([np.r_[framed.before, ids[i * step : i * step + n_text]] for i in range(n_streams)]).astype(
        np.int64
    )
