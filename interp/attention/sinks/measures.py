"""The census's numbers as plain functions of arrays: what the golden values are checked on."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

EPSILON = 0.3
"""Threshold of Sink^epsilon in its source."""
BARBERO_EPSILON = 0.8
"""Threshold of the sink rate of Barbero et al."""
LAST_KEYS = 8
"""The last keys have few queries and so trivially large received attention: they are left out."""


def sink_share(
    alpha: Float[np.ndarray, "prompt layer head"], epsilon: float = EPSILON
) -> Float[np.ndarray, "prompt layer"]:
    """Compute Sink^epsilon of one key: the share of heads whose received attention lies above a threshold.

    The indicator is taken for every sequence, and sequences are averaged afterwards: averaging alpha first gives
    another number. It counts heads; it is not the attention mass. At the first token, the sink rate of Barbero et al.
    is the same number with epsilon 0.8: both divide by all T queries.

    Args:
        alpha: Received attention of the key; see `interp.attention.received_attention`.
        epsilon: The threshold; a head counts when it is strictly above.

    Returns:
        From 0 to 1, for every sequence and layer. The published tables give 100 times the mean over both.

    Source: Gu et al. 2025, When Attention Sink Emerges in Language Models, sec. 3 (arXiv:2410.10781); Barbero et al.
    2025, Why do LLMs attend to the first token? (arXiv:2504.02732).
    """
    return (alpha > epsilon).mean(-1)


def matrix_entropy(rows: Float[Tensor, "pos d_model"]) -> float:
    """Compute in nats how evenly the energy of a set of vectors spreads over directions.

    p_j is the j-th squared singular value over their sum, and the entropy is -sum p_j ln p_j: 0 where all rows lie on
    one line, ln min(pos, d_model) where all directions hold the same. One row of huge norm makes it small by itself:
    read it beside the entropy without that row.

    Source: Queipo-de-Llano et al. 2025, Attention Sinks and Compression Valleys (arXiv:2510.06477).
    """
    return float(_entropy_of(_gram(rows.double())))


def entropies_around_first(rows: Float[Tensor, "pos d_model"]) -> tuple[float, float]:
    """Matrix entropy of all rows, and of all but the first, each as a share of its largest possible value."""
    rows = rows.double()
    n_pos, width = rows.shape
    gram = _gram(rows)
    without = gram[1:, 1:] if n_pos <= width else gram - torch.outer(rows[0], rows[0])
    whole, rest = (float(_entropy_of(part)) for part in (gram, without))
    return whole / np.log(min(n_pos, width)), rest / np.log(min(n_pos - 1, width))


def _gram(rows: Float[Tensor, "pos d_model"]) -> Float[Tensor, "side side"]:
    return rows @ rows.T if rows.shape[0] <= rows.shape[1] else rows.T @ rows


def _entropy_of(gram: Float[Tensor, "side side"]) -> Float[Tensor, ""]:
    energy = torch.linalg.eigvalsh(gram).clamp(min=0)
    total = energy.sum()
    return torch.special.entr(energy / total).sum() if total > 0 else total


def secondary_sinks(
    like_first: Float[np.ndarray, "prompt boundary pos"],
) -> Float[np.ndarray, "prompt created life"]:
    """Count, for each prompt, the later tokens by where they begin to look like the first one and for how long.

    A token looks like the first where the cosine of their residual streams is above 0.9 in magnitude. Its life is its
    longest run of layer boundaries; `created` is where that run begins. Tokens without such a run are not counted.

    Args:
        like_first: 1 where a token behind the first looks like it, else 0.

    Returns:
        Tokens by the boundary their run begins at and its length less one: index 0 is a run of one boundary.

    Source: Wong et al. 2025, Secondary Attention Sinks (arXiv:2512.22213).
    """
    n_prompts, n_boundaries, n_pos = like_first.shape
    running, best, created = (np.zeros((n_prompts, n_pos), int) for _ in range(3))
    for boundary in range(n_boundaries):
        running = np.where(like_first[:, boundary] > 0, running + 1, 0)
        longer = running > best
        created = np.where(longer, boundary - running + 1, created)
        best = np.maximum(best, running)
    counts = np.zeros((n_prompts, n_boundaries, n_boundaries))
    prompt, pos = np.nonzero(best)
    np.add.at(counts, (prompt, created[prompt, pos], best[prompt, pos] - 1), 1)
    return counts
