"""Read what a model does at every symbol: losses, the stream at its last token, the lens, which neurons fire."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.errors import InputError, ModelError
from interp.models import facts
from interp.models.readout import read_stream
from interp.neurons.passes import token_losses
from interp.run import capture_batches
from interp.run.lens import lens_sites
from interp.sites import Site
from interp.symbols.material import Slots
from interp.types import Model

_LEAST = 1e-30
"""Probabilities below it count as it: a float32 softmax may give zero."""


@dataclass(frozen=True)
class Reading:
    """What a model does at symbols and after them, by row of the slots."""

    surprisal: Float[np.ndarray, " row"]
    """Summed loss of the symbol's tokens, in nats."""
    after: Float[np.ndarray, " row"]
    """Mean loss of the tokens after it, in nats per token."""
    state: Float[np.ndarray, "row layer d_model"]
    """Residual stream at the symbol's last token: embedding, then every block's output."""
    lens: Float[np.ndarray, "row layer concept"]
    """Log probability of each concept's plain word's first token, read off that state."""
    strongest: Bool[np.ndarray, "row block neuron"]
    """Whether a neuron is among the strongest of its block at that token."""


def read_slots(model: Model, slots: Slots, *, n_strongest: int) -> Reading:
    """Run every row once for its losses and once for its states.

    Args:
        model: A hooked decoder with the site `post`.
        slots: Symbols in sentences.
        n_strongest: Neurons of each block that count as strongest, by the size of their activation.

    Raises:
        InputError: more strongest neurons than a block has.
        SiteError: the model shows no neurons.
        ModelError: values that are not finite, or no logit lens.
    """
    if not 0 < n_strongest < facts(model).d_mlp:
        raise InputError(f"{n_strongest} of {facts(model).d_mlp} neurons of a block. Expected some, and not all.")
    losses = token_losses(model, slots.batch)
    pos = np.arange(losses.shape[1])
    inside = (pos >= slots.start[:, None]) & (pos < slots.stop[:, None])
    behind = (pos >= slots.stop[:, None]) & slots.batch.mask
    surprisal = np.where(inside, losses, 0).sum(1)
    after = np.where(behind, losses, 0).sum(1) / behind.sum(1)
    return Reading(surprisal, after, *_states(model, slots, n_strongest))


def _states(
    model: Model, slots: Slots, n_strongest: int
) -> tuple[
    Float[np.ndarray, "row layer d_model"],
    Float[np.ndarray, "row layer concept"],
    Bool[np.ndarray, "row block neuron"],
]:
    stream = lens_sites(model)
    posts = [Site(layer, "post") for layer in range(facts(model).n_layers)]
    words = torch.from_numpy(slots.word_token)
    states, lens, strongest = [], [], []
    for rows, captured in capture_batches(model, slots.batch, [*stream, *posts]):
        last = torch.from_numpy(slots.stop[rows] - 1)
        at = torch.arange(len(last)), last
        here = [captured[site][at] for site in stream]
        states.append(_as_numbers(torch.stack(here, 1)))
        said = torch.stack([read_stream(model, of)[0][:, words] for of in here], 1)
        lens.append(_as_numbers(said.clamp(min=_LEAST).log()))
        fired = torch.stack([captured[site][at] for site in posts], 1).float().abs()
        strongest.append(_strongest(fired, n_strongest))
    return np.concatenate(states), np.concatenate(lens), np.concatenate(strongest)


def _strongest(fired: Float[Tensor, "row block neuron"], n: int) -> Bool[np.ndarray, "row block neuron"]:
    found = torch.zeros(fired.shape, dtype=torch.bool)
    return found.scatter(2, fired.topk(n, dim=2).indices.cpu(), value=True).numpy()


def _as_numbers(values: Tensor) -> Float[np.ndarray, "..."]:
    if not torch.isfinite(values).all():
        raise ModelError("Activations hold NaN or infinity. Load the model in a wider dtype, such as float32.")
    return values.float().cpu().numpy()


def cosines(
    states: Float[np.ndarray, "form concept carrier layer d_model"],
) -> Float[np.ndarray, "form concept word layer"]:
    """Cosine of every form's state with every plain word's in the same carrier, mean over carriers."""
    unit = states / np.maximum(np.linalg.norm(states, axis=-1, keepdims=True), _LEAST)
    return np.einsum("fckld,wkld->fcwl", unit, unit[0]) / states.shape[2]


def overlaps(
    strongest: Bool[np.ndarray, "form concept carrier block neuron"], n: int
) -> Float[np.ndarray, "form concept word block"]:
    """Share of every form's strongest neurons that are a plain word's, too, mean over carriers."""
    n_forms, n_concepts, n_carriers, n_blocks, _ = strongest.shape
    found = np.zeros((n_forms, n_concepts, n_concepts, n_blocks))
    for carrier in range(n_carriers):
        for block in range(n_blocks):
            here = strongest[:, :, carrier, block].astype(np.float32)
            found[..., block] += here @ here[0].T
    return found / (n * n_carriers)


def shares_in_set(
    strongest: Bool[np.ndarray, "form concept carrier block neuron"], chosen: Bool[np.ndarray, "block neuron"]
) -> Float[np.ndarray, "form concept"]:
    """Share of every form's strongest neurons, of all blocks together, that are in a set; mean over carriers."""
    inside = (strongest & chosen).sum((3, 4)) / strongest.sum((3, 4))
    return inside.mean(2)


def first_tokens_apart(tokens: Int[np.ndarray, " concept"]) -> Bool[np.ndarray, "concept word"]:
    """Which pairs of concepts have different first tokens, so that one can be told from the other by it."""
    return tokens[:, None] != tokens[None]
