"""A sliding window with recomputation: a fresh pass over the last tokens for every position that is measured."""

from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from tqdm.auto import tqdm

from interp.models.decoder import Decoder
from interp.streaming.banded import BandedStream
from interp.streaming.bins import BinnedLosses
from interp.streaming.losses import next_token_losses
from interp.streaming.policy import Policy


def sampled_positions(
    edges: Int[np.ndarray, " edge"], window: int, per_bin: int, *, seed: int
) -> Int[np.ndarray, " pos"]:
    """Draw positions from every bin after the window is full; all of a bin that holds no more.

    Args:
        edges: Bins; `window` is one of the edges.
        window: Where to begin.
        per_bin: Positions from each bin.
        seed: Decides which.
    """
    rng = np.random.default_rng(seed)
    bins = [(start, stop) for start, stop in pairwise(edges.tolist()) if start >= window]
    drawn = [start + rng.choice(stop - start, min(per_bin, stop - start), replace=False) for start, stop in bins]
    return np.sort(np.concatenate(drawn))


def recompute_losses(
    decoder: Decoder,
    tokens: Int[Tensor, "stream pos"],
    window: int,
    texts_at_once: int,
    into: BinnedLosses,
    bar: tqdm,
) -> None:
    """Measure the loss at the positions that are counted when the model reads the last `window` tokens anew.

    Args:
        decoder: The model.
        tokens: The streams.
        window: Tokens to read.
        texts_at_once: Fresh passes side by side.
        into: Where losses are counted; its `only` says at which positions.
        bar: Shows the tokens read.
    """
    positions, n_streams = into.only, len(tokens)
    assert positions is not None
    parts = -(-len(positions) * n_streams // texts_at_once)
    for part in np.array_split(positions, min(parts, len(positions))):
        places = torch.from_numpy(part).to(tokens.device)[:, None] + torch.arange(1 - window, 1, device=tokens.device)
        texts = tokens[:, places].flatten(0, 1)
        rows = BandedStream(decoder, Policy(window), block=window).advance(texts)[:, -1]
        targets = tokens[:, places[:, -1] + 1]
        into.add(part, next_token_losses(decoder, rows.unflatten(0, (n_streams, -1)), targets))
        bar.update(texts.numel())
