"""From a circuit to weight matrices, in float64 and numpy."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from interp.models.compiled.language import EOS, N_CTX, OUT, POS, TOKEN, Circuit, Head, Layer, Read

NOTHING_TO_SAY = 1.0
"""Logit of `<eos>` everywhere: what is said where the circuit has found nothing."""


@dataclass(frozen=True)
class LayerWeights:
    """Weights of one layer, as TransformerLens names and shapes them; no attention has a bias."""

    W_Q: Float[np.ndarray, "head d_model d_head"] = field(repr=False)
    W_K: Float[np.ndarray, "head d_model d_head"] = field(repr=False)
    W_V: Float[np.ndarray, "head d_model d_head"] = field(repr=False)
    W_O: Float[np.ndarray, "head d_head d_model"] = field(repr=False)
    W_in: Float[np.ndarray, "d_model d_mlp"] = field(repr=False)
    b_in: Float[np.ndarray, " d_mlp"] = field(repr=False)
    W_out: Float[np.ndarray, "d_mlp d_model"] = field(repr=False)
    b_out: Float[np.ndarray, " d_model"] = field(repr=False)


@dataclass(frozen=True)
class Weights:
    """Weights of a model without norms, whose attention divides by sqrt(d_head) and whose MLPs are ReLU."""

    W_E: Float[np.ndarray, "d_vocab d_model"] = field(repr=False)
    W_pos: Float[np.ndarray, "n_ctx d_model"] = field(repr=False)
    W_U: Float[np.ndarray, "d_model d_vocab"] = field(repr=False)
    layers: tuple[LayerWeights, ...] = field(repr=False)

    @property
    def d_mlp(self) -> int:
        """Neurons per layer; 0 for a model of attention alone."""
        return self.layers[0].W_in.shape[1]


def assemble(circuit: Circuit) -> Weights:
    """Write out the matrices of a circuit; layers with fewer heads or neurons than others are filled up with zeros."""
    d_model = max(place.stop for place in circuit.spaces.values())
    d_vocab = len(circuit.vocabulary)
    heads = [head for layer in circuit.layers for head in layer.heads]
    shape = _Shape(
        circuit.spaces,
        d_model,
        n_heads=max(len(layer.heads) for layer in circuit.layers),
        d_head=max(max(_width_of_looks(head), _width_of_moves(head)) for head in heads),
        d_mlp=max(0 if layer.mlp is None else len(layer.mlp.bias) for layer in circuit.layers),
    )
    W_U = np.eye(d_model, d_vocab, k=-circuit.spaces[OUT].start)
    W_U[circuit.spaces[POS], EOS] = NOTHING_TO_SAY
    return Weights(
        W_E=np.eye(d_vocab, d_model, k=circuit.spaces[TOKEN].start),
        W_pos=np.eye(N_CTX, d_model, k=circuit.spaces[POS].start),
        W_U=W_U,
        layers=tuple(_layer(layer, shape) for layer in circuit.layers),
    )


@dataclass(frozen=True)
class _Shape:
    """What the matrices of all layers have in common."""

    spaces: dict[str, slice]
    d_model: int
    n_heads: int
    d_head: int
    d_mlp: int

    def reading(self, read: Read, columns: int) -> np.ndarray:
        """A reading as `[d_model, columns]`, filled up with zeros."""
        matrix = np.zeros((self.d_model, columns))
        matrix[self.spaces[read.space], : read.matrix.shape[1]] = read.matrix
        return matrix


def _width_of_looks(head: Head) -> int:
    return sum(look.query.matrix.shape[1] for look in head.looks)


def _width_of_moves(head: Head) -> int:
    return sum(move.value.matrix.shape[1] for move in head.moves)


def _layer(layer: Layer, shape: _Shape) -> LayerWeights:
    W_Q, W_K, W_V = (np.zeros((shape.n_heads, shape.d_model, shape.d_head)) for _ in range(3))
    W_O = np.zeros((shape.n_heads, shape.d_head, shape.d_model))
    for number, head in enumerate(layer.heads):
        W_Q[number], W_K[number] = _looking(head, shape)
        W_V[number], W_O[number] = _moving(head, shape)
    W_in, W_out = np.zeros((shape.d_model, shape.d_mlp)), np.zeros((shape.d_mlp, shape.d_model))
    b_in, b_out = np.zeros(shape.d_mlp), np.zeros(shape.d_model)
    if (mlp := layer.mlp) is not None:
        W_in, target, n = shape.reading(mlp.read, shape.d_mlp), shape.spaces[mlp.writes], len(mlp.bias)
        b_in[:n], W_out[:n, target], b_out[target] = mlp.bias, mlp.out, mlp.bias_out
    return LayerWeights(W_Q, W_K, W_V, W_O, W_in, b_in, W_out, b_out)


def _looking(head: Head, shape: _Shape) -> tuple[np.ndarray, np.ndarray]:
    """Query and key matrices: each match has its own dimensions of the head."""
    W_Q, W_K, start = np.zeros((shape.d_model, shape.d_head)), np.zeros((shape.d_model, shape.d_head)), 0
    for look in head.looks:
        width = look.query.matrix.shape[1]
        place = slice(start, start + width)
        # The attention divides by sqrt(d_head). Queries and keys share the rest, as in trained models.
        scale = np.sqrt(abs(look.sharpness) * np.sqrt(shape.d_head))
        W_Q[:, place] = np.sign(look.sharpness) * scale * shape.reading(look.query, width)
        W_K[:, place] = scale * shape.reading(look.key, width)
        start += width
    return W_Q, W_K


def _moving(head: Head, shape: _Shape) -> tuple[np.ndarray, np.ndarray]:
    """Value and output matrices: each move has its own dimensions of the head."""
    W_V, W_O, start = np.zeros((shape.d_model, shape.d_head)), np.zeros((shape.d_head, shape.d_model)), 0
    for move in head.moves:
        width = move.value.matrix.shape[1]
        place = slice(start, start + width)
        W_V[:, place] = shape.reading(move.value, width)
        W_O[place, shape.spaces[move.writes]] = move.gain * np.eye(width)
        start += width
    return W_V, W_O
