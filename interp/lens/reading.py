"""Read the lens at every place of a material and after every layer, and sum tokens to languages at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.errors import ModelError
from interp.lens.material import LensMaterial
from interp.lens.token_languages import TokenLanguages
from interp.models import facts
from interp.models.readout import TokenEnergy, read_stream, unembedding
from interp.neurons.passes import passes
from interp.prompts import TokenBatch
from interp.run import forward, observe
from interp.sites import Site
from interp.types import Model

PROBABILITIES_AT_ONCE = 2**24
"""Numbers of a distribution over tokens that are held at once, over all places."""
LARGEST_DIFFERENCE = 0.02
"""Total variation distance between the lens after the last layer and the model's own output; float error is below."""


@dataclass(frozen=True)
class Reading:
    """What the lens says at every place; depth 0 is the embedding, depth l + 1 the output of layer l."""

    mass: Float[np.ndarray, "place depth language"]
    """Probability on the tokens of each language."""
    shuffled: Float[np.ndarray, "shuffle place depth language"]
    """The same with words dealt out to languages at random."""
    top: Float[np.ndarray, "place depth language"]
    """How far the most probable token speaks for each language."""
    entropy: Float[np.ndarray, "place depth"]
    """Bits."""
    energy: Float[np.ndarray, "place depth"]
    """Token energy; about 1 for a random direction."""


def read_lens(model: Model, material: LensMaterial, shuffles: Sequence[TokenLanguages] = ()) -> Reading:
    """Read every place after every layer.

    The lens after the last layer is compared with the model's own output on the first pass.

    Args:
        model: A hooked decoder.
        material: Where to read.
        shuffles: Which tokens speak for which language in the controls.

    Raises:
        ModelError: the model has no lens, or its last layer read by the lens is not its output.
    """
    n, n_depths, n_languages = len(material.places), facts(model).n_layers + 1, len(material.languages)
    energy_of = TokenEnergy.of(unembedding(model))
    sums = np.empty((2 + len(shuffles), n, n_depths, n_languages), np.float32)  # shuffles make it the largest by far
    entropy, energy = np.empty((2, n, n_depths))
    for number, (rows, part) in enumerate(passes(material.batch, np.unique(material.places.row))):
        chosen, at = _places_of(material, rows)
        stream = _stream(model, part, at)
        if not number:
            _check_last(model, part, at, stream[-1])
        for depth, vectors in enumerate(stream):
            energy[chosen, depth] = energy_of(vectors).double().cpu().numpy()
            for some in _pieces(len(chosen), facts(model).d_vocab):
                probs, bits = read_stream(model, vectors[some])
                entropy[chosen[some], depth] = bits.double().cpu().numpy()
                sums[:, chosen[some], depth] = _sums(probs, chosen[some], material.tokens, shuffles)
    return Reading(sums[0], sums[2:], sums[1], entropy, energy)


def decided_by(
    mass: Float[np.ndarray, "place depth language"], actual: Int[np.ndarray, " place"]
) -> Bool[np.ndarray, "place depth"]:
    """Mark the depths from which on the mass on the actual language stays larger than on any other, to the last.

    A tie decides nothing.
    """
    own = np.take_along_axis(mass, actual[:, None, None], 2)[..., 0]
    others = np.arange(mass.shape[2]) != actual[:, None]
    leads = own > np.where(others[:, None], mass, -np.inf).max(2)
    return np.logical_and.accumulate(leads[:, ::-1], axis=1)[:, ::-1]


def _places_of(material: LensMaterial, rows: np.ndarray) -> tuple[np.ndarray, tuple[Tensor, Tensor]]:
    """Numbers of the places in some rows, and where they lie in a pass of those rows."""
    chosen = np.flatnonzero(np.isin(material.places.row, rows))
    local = np.empty(rows.max() + 1, np.int64)
    local[rows] = np.arange(len(rows))
    row, pos = local[material.places.row[chosen]], material.places.pos[chosen]
    return chosen, (torch.from_numpy(row), torch.from_numpy(pos))


def _stream(model: Model, part: TokenBatch, at: tuple[Tensor, Tensor]) -> list[Float[Tensor, "place d_model"]]:
    """The residual stream at some places before the first layer and after each."""
    n_layers = facts(model).n_layers
    sites = [Site(0, "resid_pre"), *(Site(layer, "resid_post") for layer in range(n_layers))]
    found: dict[Site, Tensor] = {}

    def keeping(site: Site) -> Callable[[Tensor], None]:
        def keep(activation: Tensor) -> None:
            found[site] = activation[at].clone()

        return keep

    observe(model, part, {site: keeping(site) for site in sites})
    return [found[site] for site in sites]


def _check_last(
    model: Model, part: TokenBatch, at: tuple[Tensor, Tensor], last: Float[Tensor, "place d_model"]
) -> None:
    some = slice(0, max(1, PROBABILITIES_AT_ONCE // facts(model).d_vocab))
    lens, _ = read_stream(model, last[some])
    own = forward(model, part)[at][some].float().softmax(-1)
    if (distance := float((lens - own).abs().sum(-1).max()) / 2) > LARGEST_DIFFERENCE:
        raise ModelError(
            f"The lens after the last layer differs from the model's own output by {distance:.3g} (total variation). "
            "Expected the same: this model changes its stream before the output in a way the lens does not."
        )


def _sums(
    probs: Float[Tensor, "place d_vocab"],
    places: np.ndarray,
    tokens: TokenLanguages,
    shuffles: Sequence[TokenLanguages],
) -> Float[np.ndarray, "kind place language"]:
    """Mass, what the most probable token speaks for, and the mass of every shuffle."""
    top = torch.zeros_like(probs).scatter_(1, probs.argmax(1, keepdim=True), 1.0)
    found = [tokens.mass(probs, places), tokens.mass(top, places)]
    found += [shuffle.mass(probs, places) for shuffle in shuffles]
    return torch.stack(found).float().cpu().numpy()


def _pieces(n: int, d_vocab: int) -> list[slice]:
    size = max(1, PROBABILITIES_AT_ONCE // d_vocab)
    return [slice(start, start + size) for start in range(0, n, size)]
