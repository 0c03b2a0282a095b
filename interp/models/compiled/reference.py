"""A forward pass in numpy and float64, written from the weights alone: the oracle of the hooked models.

It keeps what every part wrote apart, so that a part can be removed, or hidden from one reader only.
"""

from collections.abc import Collection

import numpy as np
from jaxtyping import Float, Int

from interp.models.compiled.answer_key import EMBED, LOGITS, POS_EMBED, Edge
from interp.models.compiled.language import Circuit
from interp.models.compiled.weights import LayerWeights, Weights

Parts = dict[str, Float[np.ndarray, "batch pos d_model"]]
"""What each part has added to the residual stream, by name."""


def reference_logits(
    weights: Weights,
    circuit: Circuit,
    tokens: Int[np.ndarray, "batch pos"],
    *,
    ablated: Collection[str] = (),
    cut: Collection[Edge] = (),
) -> Float[np.ndarray, "batch pos d_vocab"]:
    """Run the model on prompts of equal length.

    Args:
        weights: The matrices.
        circuit: Gives the parts their names, nothing else.
        tokens: Token ids.
        ablated: Parts that write zero.
        cut: Edges whose target does not hear their source in that role.
    """
    written: Parts = {
        EMBED: weights.W_E[tokens],
        POS_EMBED: np.broadcast_to(weights.W_pos[: tokens.shape[1]], (*tokens.shape, weights.W_pos.shape[1])),
    }
    for names, layer in zip(circuit.layers, weights.layers, strict=True):
        heads, stream = {}, _total(written)
        for number, head in enumerate(names.heads):
            q, k, v = (_heard(written, stream, head.name, role, cut) for role in "qkv")
            heads[head.name] = (head.name not in ablated) * _head(layer, number, q, k, v)
        written |= heads
        if names.mlp is not None:
            heard = _heard(written, _total(written), names.mlp.name, "mlp", cut)
            neurons = np.maximum(heard @ layer.W_in + layer.b_in, 0)
            written[names.mlp.name] = (names.mlp.name not in ablated) * (neurons @ layer.W_out + layer.b_out)
    return _heard(written, _total(written), LOGITS, "logits", cut) @ weights.W_U


def _total(written: Parts) -> np.ndarray:
    return np.sum(list(written.values()), axis=0)


def _heard(written: Parts, stream: np.ndarray, target: str, role: str, cut: Collection[Edge]) -> np.ndarray:
    """The residual stream without what is hidden from this reader."""
    hidden = {edge.source for edge in cut if (edge.target, edge.role) == (target, role)}
    return _total({source: part for source, part in written.items() if source not in hidden}) if hidden else stream


def _head(layer: LayerWeights, head: int, q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    scores = (q @ layer.W_Q[head]) @ (k @ layer.W_K[head]).swapaxes(-1, -2) / np.sqrt(layer.W_Q.shape[-1])
    n_pos = scores.shape[-1]
    scores = np.where(np.tri(n_pos, dtype=bool), scores, -np.inf)
    pattern = np.exp(scores - scores.max(-1, keepdims=True))
    pattern /= pattern.sum(-1, keepdims=True)
    return pattern @ v @ layer.W_V[head] @ layer.W_O[head]
