"""Read what every layer would predict if the model stopped there, at one position of each prompt (logit lens)."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int

from interp.errors import InputError
from interp.models import facts
from interp.models.readout import read_stream
from interp.prompts import TokenBatch
from interp.run.capture import capture_batches
from interp.sites import Site
from interp.types import Model

EMBED = -1
"""The layer number of what enters the first block."""


def lens_layers(model: Model) -> list[int]:
    """Number the layers that `lens_probabilities` reads: `EMBED`, then every block's output."""
    return [EMBED, *range(facts(model).n_layers)]


def lens_sites(model: Model) -> list[Site]:
    """Name the residual stream at those layers."""
    return [Site(0, "resid_pre"), *(Site(layer, "resid_post") for layer in range(facts(model).n_layers))]


def lens_probabilities(
    model: Model,
    batch: TokenBatch,
    pos: Int[np.ndarray, " prompt"],
    tokens: Sequence[Int[np.ndarray, " _"]],
) -> list[Float[np.ndarray, "layer _"]]:
    """Read the probability of chosen tokens off every layer's residual stream.

    The last layer is what the model itself predicts. A layer that is read so need not hold the word in this form: a low
    number is no evidence that it is not there.

    Args:
        model: A hooked decoder.
        batch: The prompts.
        pos: The position of each prompt at which the next token is read.
        tokens: For each prompt, which tokens' probabilities to keep.

    Returns:
        For each prompt, by layer (see `lens_layers`) and token.

    Raises:
        InputError: positions or tokens for another number of prompts, or a position at padding.
        ModelError: the model has no logit lens, or it is not finite; see `interp.models.readout`.
    """
    if not len(batch) == len(pos) == len(tokens) or (pos < 0).any() or (pos >= batch.lengths).any():
        raise InputError(
            f"{len(pos)} positions and {len(tokens)} lists of tokens for {len(batch)} prompts, whose lengths are at "
            f"most {batch.lengths.max()}. Expected one of each for every prompt, the position inside it."
        )
    sites, found = lens_sites(model), []
    for rows, captured in capture_batches(model, batch, sites):
        at = torch.from_numpy(pos[rows])
        # Layer by layer: all layers at once, a large vocabulary would not fit.
        read = [read_stream(model, captured[site][torch.arange(len(at)), at])[0] for site in sites]
        for place, chosen in enumerate(tokens[rows]):
            found.append(np.stack([of[place].double().cpu().numpy()[chosen] for of in read]))
    return found
