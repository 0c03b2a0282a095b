"""Patterns of all layers, one batch at a time."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from jaxtyping import Float

from interp.attention.detectors import HeadScore, without_padding
from interp.errors import InputError
from interp.models import facts
from interp.prompts import TokenBatch
from interp.run import capture_batches
from interp.sites import Site
from interp.types import Mask, Model, Pattern

Detector = Callable[[Pattern, Mask], HeadScore]
"""Attention of one layer and the mask of its prompts, to one number per prompt and head."""

ROW_SUM_TOLERANCE = 1e-2
"""Rows further below 1 than this are no rounding of bfloat16: weight went to a learned sink."""


def stream_patterns(model: Model, batch: TokenBatch) -> Iterator[tuple[slice, Mask, list[Pattern]]]:
    """Yield which prompts, their mask, and each layer's patterns: float32, on the CPU, zero at padding.

    Raises:
        InputError: a pattern holds NaN or infinity at real tokens.
    """
    sites = [Site(layer, "pattern") for layer in range(facts(model).n_layers)]
    for rows, captured in capture_batches(model, batch, sites):
        mask = torch.from_numpy(batch.mask[rows])
        patterns = [without_padding(captured[site].float().cpu(), mask) for site in sites]
        for site, pattern in zip(sites, patterns, strict=True):
            if not torch.isfinite(pattern).all():
                raise InputError(f"{site} holds NaN or infinity. Load the model in a wider dtype, such as float32.")
        yield rows, mask, patterns


def score_heads(
    model: Model, batch: TokenBatch, detectors: Mapping[str, Detector]
) -> Float[np.ndarray, "detector prompt layer head"]:
    """Score every head of every layer on every prompt; only the scores are kept, never the patterns."""
    parts = []
    for _, mask, patterns in stream_patterns(model, batch):
        scores = [torch.stack([detect(pattern, mask) for pattern in patterns], 1) for detect in detectors.values()]
        parts.append(torch.stack(scores).numpy())
    return np.concatenate(parts, axis=1)


def refuse_other_shape(model: Model, control_model: Model) -> None:
    """Refuse a control that is not the same architecture with other weights.

    Raises:
        InputError: other numbers of layers or heads, or the very same weights.
    """
    ours, theirs = facts(model), facts(control_model)
    shapes = [(known.n_layers, known.n_heads) for known in (ours, theirs)]
    if shapes[0] != shapes[1]:
        raise InputError(
            f"The control model has (layers, heads) {shapes[1]} and the model {shapes[0]}. "
            "Expected the same architecture with random weights: load random: before the model's name."
        )
    if ours.fingerprint == theirs.fingerprint:
        raise InputError("The control model has the model's own weights. Load random: before the model's name.")
