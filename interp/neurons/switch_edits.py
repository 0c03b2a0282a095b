"""Edits of neurons around switches: to zero, to what they do without a switch, to what they do at one."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float

from interp.neurons.labelled import LabelledTokens
from interp.neurons.next_language import Edit
from interp.neurons.passes import Places, read_units
from interp.neurons.switch_material import SwitchMaterial
from interp.neurons.units import Neurons
from interp.prompts import TokenBatch
from interp.run import Clamp, Intervention, Where
from interp.sites import Site
from interp.types import Model

EDITS = {
    "zero": "neurons held at zero at every token",
    "median": "neurons held at their median of tokens that begin a word without a switch, at every token",
    "median at the switch": "the same at the first token of the new language alone",
    "drive": "neurons set to their mean of switch tokens wherever a word begins without a switch",
}
"""What each edit does."""
MOST_TOKENS = 3000

PerNeuron = Float[np.ndarray, "layer neuron"]


@dataclass(frozen=True)
class Levels:
    """What every neuron does without a switch and at one."""

    median: PerNeuron
    """Over tokens that begin a word in sentences of one language."""
    at_switch: PerNeuron
    """Mean over switch tokens."""
    activity: PerNeuron
    """Mean size over tokens that begin a word: what random neurons are matched in."""


def read_levels(model: Model, material: SwitchMaterial, *, seed: int = 0) -> Levels:
    """Read what every neuron does without a switch and at one; use a part of the material that tests do not use."""
    tokens = material.tokens
    row, pos = np.nonzero((tokens.place_in_word[material.plain] == 0) & (tokens.language[material.plain] >= 0))
    chosen = np.random.default_rng(seed).permutation(len(row))[:MOST_TOKENS]
    plain = read_units(model, tokens.batch, Places(material.plain[row[chosen]], pos[chosen]))
    switch = read_units(model, tokens.batch, material.at.switch)
    values = (np.median(plain, 0), switch.mean(0), np.abs(plain).mean(0))
    return Levels(*(value.astype(np.float64) for value in values))


def edit_of(name: str, neurons: Neurons, levels: Levels, tokens: LabelledTokens) -> Edit:
    """The edit of this name, as a function of a pass."""
    value = {"zero": np.zeros_like(levels.median), "drive": levels.at_switch}.get(name, levels.median)
    where = {"median at the switch": tokens.switch, "drive": (tokens.place_in_word == 0) & ~tokens.switch}.get(name)
    clamps = {
        Site(layer, "post"): Clamp(tuple(those.tolist()), torch.from_numpy(value[layer, those]))
        for layer, those in neurons.by_layer().items()
    }

    def edit(rows: np.ndarray, part: TokenBatch) -> Mapping[Site, Intervention]:
        if where is None:
            return clamps
        chosen = torch.from_numpy(_cut(where, rows, part))
        return {site: Where(clamp, chosen) for site, clamp in clamps.items()}

    return edit


def _cut(where: Bool[np.ndarray, "text longest"], rows: np.ndarray, part: TokenBatch) -> Bool[np.ndarray, "row pos"]:
    return where[rows, : part.tokens.shape[1]]
