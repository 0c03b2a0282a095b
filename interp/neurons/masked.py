"""Losses of encoders: each token masked in turn."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

from interp.errors import InputError
from interp.models.tokenizers import frame
from interp.neurons.passes import ROWS, write_losses
from interp.prompts import TokenBatch
from interp.run import forward
from interp.types import Model


def masked_losses(model: Model, batch: TokenBatch) -> Float[np.ndarray, "text pos"]:
    """Loss of every token when it alone is masked, in nats; NaN for the tokens around a text and for padding.

    One forward pass of a row for each token. Comparable between tokens of one model, not with a decoder's losses: here
    a token is read from both sides.

    Args:
        model: A hooked encoder with a masked-LM head.
        batch: Texts, framed as the model expects.

    Raises:
        InputError: the tokenizer has no mask token.
        ModelError: a loss is NaN or infinite.

    Source: Salazar, Liang, Nguyen & Kirchhoff 2020, Masked Language Model Scoring, section 2 (arXiv 1910.14659).
    """
    mask = getattr(model.tokenizer, "mask_token_id", None)
    if mask is None:
        raise InputError("The encoder's tokenizer has no mask token. Expected one, to tell how surprising a token is.")
    framed, found = frame(model), np.full(batch.tokens.shape, np.nan)
    for row, length in enumerate(batch.lengths.tolist()):
        places = np.arange(len(framed.before), length - len(framed.after))
        for chosen in _cut(places):
            found[row, chosen] = _losses(model, batch.tokens[row, :length], chosen, mask)
    return found


def _cut(places: Int[np.ndarray, " place"]) -> Iterator[Int[np.ndarray, " some"]]:
    return (places[start : start + ROWS] for start in range(0, len(places), ROWS))


def _losses(
    model: Model, ids: Int[np.ndarray, " pos"], places: Int[np.ndarray, " some"], mask: int
) -> Float[np.ndarray, " some"]:
    rows = np.tile(ids, (len(places), 1))
    each = np.arange(len(places))
    rows[each, places] = mask
    logits = forward(model, TokenBatch(rows, np.ones(rows.shape, bool)))
    # A decoder's loss reads the logits one token before; an encoder's those at the token itself.
    there = logits[each, places][:, None].repeat(1, 2, 1)
    wanted = TokenBatch(np.stack([ids[places], ids[places]], 1), np.ones((len(places), 2), bool))
    found = np.full(wanted.tokens.shape, np.nan)
    write_losses(found, each, wanted, there)
    return found[:, 1]
