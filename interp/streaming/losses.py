"""Loss on the next token, from rows of the residual stream, a few rows of logits at a time."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm.auto import tqdm

from interp.errors import InputError
from interp.models.decoder import Decoder
from interp.streaming.attention import Rows
from interp.streaming.banded import BandedStream
from interp.streaming.bins import BinnedLosses
from interp.streaming.cached import CachedStream

LOGIT_BYTES = 32 * 2**20


Stream = BandedStream | CachedStream
"""Reads tokens block by block."""


@torch.no_grad()
def next_token_losses(
    decoder: Decoder, rows: Rows, targets: Int[Tensor, "stream pos"]
) -> Float[np.ndarray, "stream pos"]:
    """Minus the log probability of each target, in nats.

    Raises:
        InputError: a loss is NaN or infinite.
    """
    flat, wanted = rows.flatten(0, 1), targets.flatten()
    width = decoder.w_u()[0].shape[0]
    at_once = max(1, LOGIT_BYTES // (4 * width))
    parts = []
    for start in range(0, len(flat), at_once):
        logits = decoder.logits(flat[start : start + at_once])
        logits = logits if logits.dtype == torch.float64 else logits.float()
        right = logits.gather(-1, wanted[start : start + at_once, None])[:, 0]
        parts.append((logits.logsumexp(-1) - right).double().cpu())
    losses = torch.cat(parts).view(targets.shape).numpy()
    if bad := int((~np.isfinite(losses)).sum()):
        raise InputError(
            f"{bad} of {losses.size} losses are NaN or infinite. Load the model in a wider dtype, such as float32."
        )
    return losses


def measure(
    stream: Stream, tokens: Int[Tensor, "stream pos"], block: int, into: Sequence[BinnedLosses], bar: tqdm | None = None
) -> None:
    """Read whole streams and count the loss at every position but the last.

    Args:
        stream: What reads them, at its beginning.
        tokens: The streams.
        block: Tokens at once.
        into: Where losses are counted.
        bar: Shows the tokens read.
    """
    n_positions = tokens.shape[1] - 1
    for start in range(0, n_positions, block):
        stop = min(start + block, n_positions)
        rows = stream.advance(tokens[:, start:stop])
        losses = next_token_losses(stream.decoder, rows, tokens[:, start + 1 : stop + 1])
        for binned in into:
            binned.add(np.arange(start, stop), losses)
        if bar is not None:
            bar.update(losses.size)
