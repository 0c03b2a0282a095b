"""One layer's attention on one prompt, reduced to a few numbers for each head in as few passes as can be."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.attention.sinks.measures import LAST_KEYS
from interp.errors import InputError

HeadNumbers = dict[str, Float[Tensor, "..."]]
Rows = Float[Tensor, "head dest_pos src_pos"]
_BLOCK_NUMBERS = 3 * 2**17
"""Weights whose logarithm is taken at once: they stay in the processor's cache."""


@dataclass(frozen=True)
class PatternSettings:
    """What is measured on patterns."""

    n_tokens: int
    """T of alpha and Sink^epsilon: attention among the first T tokens. On bidirectional models, where the other tokens
    change that, the fewest tokens of any prompt; there alpha is taken over whole prompts."""
    causal: bool
    n_classes: int
    distances: tuple[int, ...]
    """Where each bin of distances begins, from 0."""
    epsilon: float

    @property
    def n_keys(self) -> int:
        """Keys whose received attention is kept: the last ones are trivially large on causal models."""
        return self.n_tokens - LAST_KEYS if self.causal else self.n_tokens


def distance_bins(longest: int) -> tuple[int, ...]:
    """Where bins of distances begin: 0, 1, 2, then doubling up to the longest prompt."""
    starts = [0, 1, 2, 3]
    while 2 * starts[-1] - 1 < longest:
        starts.append(2 * starts[-1] - 1)
    return tuple(start for start in starts if start < longest)


def reduce_pattern(pattern: Rows, classes: Int[Tensor, " src_pos"], settings: PatternSettings) -> HeadNumbers:
    """Reduce the attention of one prompt, without its padding, to numbers for each head.

    All but alpha are means over the queries behind the first, which on causal models can only look at itself.

    Args:
        pattern: Attention weights; read only, never changed.
        classes: Class of each token.
        settings: What is measured.

    Returns:
        `first`: weight on the first token. `alpha`: its received attention. `learned`: weight on no token at all.
        `entropy`: of each row in nats, over what goes to tokens. `classes`: weight on each class of token.
        `distances`: weight by distance. `alpha_mean` and `alpha_above`: by key, received attention averaged over heads
        and the share of heads above epsilon.

    Raises:
        InputError: weights that are not finite, or that look ahead on a causal model.
    """
    pattern = pattern.float()
    n_queries = pattern.shape[1] - 1
    first_row, received = pattern[:, 0], pattern.sum(1)
    _check(first_row, received, causal=settings.causal)
    behind = (received - first_row) / n_queries
    sums = pattern.sum(2)
    one_hot = torch.nn.functional.one_hot(classes, settings.n_classes).to(behind)
    alpha = _alpha(pattern, received, settings)
    return {
        "first": behind[:, 0],
        "alpha": alpha[:, 0],
        "learned": (1 - sums[:, 1:].mean(1)).clamp(min=0),
        "entropy": row_entropies(pattern, sums, causal=settings.causal)[:, 1:].mean(1),
        "classes": behind @ one_hot,
        "distances": _binned(pattern, settings) / n_queries,
        "alpha_mean": alpha.mean(0),
        "alpha_above": (alpha > settings.epsilon).float().mean(0),
    }


def row_entropies(
    pattern: Rows, sums: Float[Tensor, "head dest_pos"], *, causal: bool
) -> Float[Tensor, "head dest_pos"]:
    """Entropy in nats of each row over tokens, each row as if it summed to 1; 0 where nothing goes to any token."""
    n_heads, n_pos, _ = pattern.shape
    tiny = torch.finfo(pattern.dtype).tiny
    step = max(16, _BLOCK_NUMBERS // (n_heads * n_pos))
    parts = []
    for start in range(0, n_pos, step):
        stop = min(start + step, n_pos)
        block = pattern[:, start:stop, : stop if causal else n_pos]
        parts.append(block.clamp(min=tiny).log_().mul_(block).sum(-1))
    kept = sums.clamp(min=tiny)
    return torch.where(sums > 0, kept.log() - torch.cat(parts, -1) / kept, 0.0)


def by_distance(pattern: Rows) -> Float[Tensor, "head distance"]:
    """Sum the weights of a causal pattern along its diagonals, for the queries behind the first.

    Read with a row stride one longer than it is, the pattern has its diagonals as columns: one sum, no copy. What
    wraps around lies above the diagonal, where a causal pattern holds zeros.
    """
    n_heads, n_pos, _ = pattern.shape
    if pattern.stride()[1:] != (n_pos, 1):  # what lies between rows, as a learned sink's column, would be read
        pattern = pattern.contiguous()
    start = pattern.storage_offset() + 2
    slanted = pattern.as_strided((n_heads, n_pos - 1, n_pos), (pattern.stride(0), n_pos + 1, 1), start)
    return slanted.sum(1).flip(1)


def _alpha(pattern: Rows, received: Float[Tensor, "head src_pos"], settings: PatternSettings) -> Tensor:
    """Received attention of the kept keys, over the rows that can see each."""
    if not settings.causal:
        return received[:, : settings.n_keys] / pattern.shape[1]
    n_tokens, n_keys = settings.n_tokens, settings.n_keys
    whole = received if pattern.shape[1] == n_tokens else pattern[:, :n_tokens, :n_tokens].sum(1)
    return whole[:, :n_keys] / torch.arange(n_tokens, n_tokens - n_keys, -1, device=pattern.device)


def _binned(pattern: Rows, settings: PatternSettings) -> Float[Tensor, "head bin"]:
    """Sum by bin of distance; on bidirectional models, both ways."""
    if settings.causal:
        found = by_distance(pattern)
    else:
        ahead = by_distance(pattern.mT.tril(-1).contiguous())
        ahead[:, 1:] -= pattern[:, 0, 1:]  # the first query is left out
        found = by_distance(pattern.tril()) + ahead
    starts = torch.tensor(settings.distances, device=pattern.device)
    places = torch.bucketize(torch.arange(found.shape[1], device=pattern.device), starts, right=True) - 1
    return found.new_zeros(len(found), len(starts)).index_add_(1, places, found)


def _check(first_row: Tensor, received: Tensor, *, causal: bool) -> None:
    if not torch.isfinite(received).all():
        raise InputError("A pattern holds NaN or infinity. Load the model in a wider dtype, such as float32.")
    if causal and first_row[:, 1:].any():
        raise InputError(
            "The first token looks at later ones, on a model that says it is causal. Expected a causal decoder, or an "
            "encoder whose configuration says so."
        )
