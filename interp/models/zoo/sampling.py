"""How a small model goes on from prompts, by sampling: many prompts at once, each in a way of its own."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.errors import InputError, ModelError
from interp.models.identity import facts
from interp.models.tokenizers import body_ids, frame
from interp.types import Model

ROWS = 128
"""Prompts that go on together."""


def sample_texts(model: Model, prompts: Sequence[str], *, n_tokens: int, seed: int = 0) -> list[str]:
    """Go on from each prompt at temperature 1, and return what was added, as text.

    Special tokens are never drawn, so that every continuation is text of `n_tokens` tokens. What a prompt's tokens are
    drawn with depends on the seed and its place alone, not on the other prompts; on another processor, rounding may
    still tip a draw, and everything after it.

    Args:
        model: A hooked decoder with a tokenizer.
        prompts: Texts to go on from.
        n_tokens: Tokens to add to each.
        seed: Decides the draws.

    Raises:
        InputError: a prompt and its continuation do not fit the context.
    """
    before, n_ctx = frame(model).before, facts(model).n_ctx
    rows = [np.array([*before, *body_ids(model.tokenizer, text)]) for text in prompts]
    if (longest := max(map(len, rows))) + n_tokens > n_ctx:
        raise InputError(
            f"A prompt of {longest} tokens and {n_tokens} more do not fit a context of {n_ctx}. Shorten one of them."
        )
    draws = np.random.default_rng(seed).random((len(rows), n_tokens))
    added = np.zeros((len(rows), n_tokens), np.int64)
    # Of like length together: a row waits until the longest of its batch has been read.
    order = np.argsort([len(row) for row in rows], kind="stable")
    for start in range(0, len(order), ROWS):
        part = order[start : start + ROWS]
        added[part] = sample_tokens(model, [rows[place] for place in part], draws[part])
    return [model.tokenizer.decode(ids, clean_up_tokenization_spaces=False) for ids in added.tolist()]


@torch.no_grad()
def sample_tokens(
    model: Model, rows: Sequence[np.ndarray], draws: Float[np.ndarray, "prompt n_tokens"]
) -> Int[np.ndarray, "prompt n_tokens"]:
    """Draw tokens after each row, all rows one position at a time.

    A row that has tokens of its own at a position keeps them and the others draw theirs, so that rows of unequal
    length need no padding, and nothing is computed twice.

    Args:
        model: A hooked decoder.
        rows: Token ids of the prompts.
        draws: A number between 0 and 1 for each token to be drawn: the first token whose cumulative probability
            passes it is taken.

    Raises:
        ModelError: logits that are NaN or infinite.
    """
    lengths = np.array([len(row) for row in rows])
    n_tokens, device = draws.shape[1], facts(model).device
    tokens = np.zeros((len(rows), lengths.max() + n_tokens), np.int64)
    for target, row in zip(tokens, rows, strict=True):
        target[: len(row)] = row
    cached, read = None, 0
    for pos in range(lengths.min(), tokens.shape[1]):
        found = model.original_model(
            torch.from_numpy(tokens[:, read:pos]).to(device), past_key_values=cached, use_cache=True
        )
        cached, read = found.past_key_values, pos
        drawing = (lengths <= pos) & (pos < lengths + n_tokens)
        if drawing.any():
            chance = _chances(model, found.logits[torch.from_numpy(drawing), -1])
            wanted = draws[drawing, pos - lengths[drawing]]
            tokens[drawing, pos] = (chance.cumsum(-1) <= wanted[:, None]).sum(-1).clip(max=chance.shape[1] - 1)
    return np.stack([row[length : length + n_tokens] for row, length in zip(tokens, lengths, strict=True)])


def _chances(model: Model, logits: Float[Tensor, "row d_vocab"]) -> Float[np.ndarray, "row d_vocab"]:
    logits = logits.double()
    if not torch.isfinite(logits).all():
        raise ModelError("The model's logits are NaN or infinite. Load it in a wider dtype, such as float32.")
    logits[:, model.tokenizer.all_special_ids] = -torch.inf
    return logits.softmax(-1).cpu().numpy()
