"""Where a model's sink and what writes it are, as pure functions on captured arrays."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.types import Mask, Pattern

MASSIVE_SIZE, MASSIVE_RATIO = 100.0, 1000.0
"""From which size, and from which multiple of the median, an activation counts as massive (Sun et al. 2024)."""
N_LARGEST = 2
"""Dimensions taken where none is massive."""


@dataclass(frozen=True)
class Massive:
    """Dimensions of the first token's residual stream that stand out."""

    dimensions: tuple[int, ...]
    size: float
    """Largest mean magnitude among them."""
    ratio: float
    """The same over the median magnitude of the whole stream at that layer."""
    published: bool
    """Whether they are massive by the published criterion; else they are only the largest."""


def attention_to(
    pattern: Pattern, mask: Mask, key: Int[Tensor, " batch"], *, causal: bool
) -> Float[Tensor, "batch head"]:
    """Mean attention to one key of each prompt, over the other real queries that may see it.

    Under a causal mask these are the queries after it, elsewhere all but itself. Queries whose window has moved past
    the key count, with weight 0.
    """
    pos = torch.arange(mask.shape[1], device=mask.device)
    at = key[:, None]
    counted = mask & ((pos > at) if causal else (pos != at))
    weight = pattern.gather(-1, at[:, None, None].expand(*pattern.shape[:3], 1))[..., 0]
    return weight.masked_fill(~counted[:, None], 0.0).sum(-1) / counted.sum(-1).clamp(min=1)[:, None]


def growth_layer(norms: Float[np.ndarray, " stage"]) -> int:
    """Layer whose block lets the first token's norm grow most, the last layer left out.

    Args:
        norms: Mean norm of the first token before block 0, then after each block. What the last block writes there no
            other token can read, so at least two blocks are needed.

    Source: Yona et al. 2025; Yu et al. 2024, The Super Weight in Large Language Models (arXiv:2411.07191).
    """
    return int(np.argmax(np.diff(norms)[:-1]))


def massive_dimensions(first: Float[np.ndarray, "prompt d_model"], median: float) -> Massive:
    """Find the dimensions of the first token that are massive, or else the largest two.

    Args:
        first: Residual stream of the first token.
        median: Median magnitude of the stream at that layer, over all tokens and dimensions.

    Source: Sun et al. 2024, Massive Activations in Large Language Models, sec. 2 (arXiv:2402.17762).
    """
    size = np.abs(first).mean(0)
    least = max(MASSIVE_SIZE, MASSIVE_RATIO * median)
    published = bool((size > least).any())
    found = np.flatnonzero(size > least) if published else np.argsort(-size)[:N_LARGEST]
    largest = float(size.max())
    ratio = largest / median if median > 0 else float("inf")
    return Massive(tuple(int(place) for place in found), largest, ratio, published)


def spike_neuron(post: Float[np.ndarray, "prompt d_mlp"], lengths: Float[np.ndarray, " d_mlp"]) -> int:
    """Neuron that writes most at the first token: the largest mean |activation| times the length of its output.

    Args:
        post: Neuron activations at the first token.
        lengths: Norm of each neuron's row of W_out.

    Source: as `growth_layer`.
    """
    return int(np.argmax(np.abs(post).mean(0) * lengths))


def strongest_heads(sink: Float[np.ndarray, "layer head"], n: int) -> list[tuple[int, int]]:
    """The heads that look at the first token most, strongest first."""
    order = np.argsort(-sink, axis=None, kind="stable")[:n]
    layers, heads = np.unravel_index(order, sink.shape)
    return [(int(layer), int(head)) for layer, head in zip(layers, heads, strict=True)]
