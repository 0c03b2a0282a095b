"""Edits towards or away from a language, as plans for `intervene`: neurons, or a direction of the residual stream."""

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError
from interp.neurons.units import Neurons
from interp.run import Clamp, Intervention, Steer
from interp.sites import Site
from interp.steering.levels import LanguageLevels

NeuronEdit = Literal["zero", "median", "add", "clamp"]
Edit = Literal["zero", "median", "add", "clamp", "direction"]
EDITS: dict[str, str] = {
    "zero": "the source language's neurons times one minus the strength: 1 silences them",
    "median": "the target language's neurons moved by the strength towards their median in the target language: 1 "
    "replaces them",
    "add": "strength times their mean in the target language added to the target language's neurons",
    "clamp": "the target language's neurons held at strength times their mean in the target language",
    "direction": "strength times the difference of means (target minus source) added to the residual stream",
}
"""What each edit does; at strength 0 nothing is edited."""

Plan = dict[Site, Intervention]


@dataclass(frozen=True)
class Blend:
    """Move chosen coordinates towards fixed values: by `weight` of the way."""

    units: tuple[int, ...]
    value: Float[Tensor, " unit"] = field(repr=False)
    weight: float = 1.0

    def __call__(self, activation: Tensor) -> Tensor:
        edited, units = activation.clone(), list(self.units)
        edited[..., units] = (1 - self.weight) * activation[..., units] + self.weight * self.value.to(activation)
        return edited


@dataclass(frozen=True)
class Add:
    """Add fixed values to chosen coordinates."""

    units: tuple[int, ...]
    value: Float[Tensor, " unit"] = field(repr=False)

    def __call__(self, activation: Tensor) -> Tensor:
        edited = activation.clone()
        edited[..., list(self.units)] += self.value.to(activation)
        return edited


def steer_language(
    levels: LanguageLevels, neurons: Neurons, edit: NeuronEdit, *, language: str, strength: float = 1.0
) -> Plan:
    """Plan an edit of neurons at every token, for `intervene`.

    Args:
        levels: What neurons do in each language.
        neurons: Which; for `zero` those of the language to leave, else those of the one to go to.
        edit: One of `EDITS`.
        language: Whose means and medians are used; `zero` uses none.
        strength: How much; at 0 the plan is empty, which `intervene` refuses: run the model as it is.

    Raises:
        InputError: no neurons, an unknown edit or language, or a strength that is not finite or negative.

    Example:
        >>> with intervene(model, steer_language(levels, neurons["fr"], "add", language="fr", strength=2.0)):
        ...     logits = model(tokens)

    Source: zero, Tang et al. 2024 (arXiv:2402.16438); median, Kojima et al. 2024 (arXiv:2404.02431); add, Gurgurov et
    al. 2025 (arXiv:2507.22608), whose code adds a firing probability by mistake; here it is the mean activation.
    """
    _check(edit, strength)
    if not len(neurons):
        raise InputError("There are no neurons to edit. Choose a method that finds some, or ask less of a neuron.")
    number = levels.number(language)
    target = {"zero": np.zeros_like(levels.mean[number]), "median": levels.median[number]}.get(
        edit, levels.mean[number]
    )
    return hold(neurons, target, edit, strength) if strength else {}


def hold(neurons: Neurons, value: Float[np.ndarray, "layer neuron"], edit: NeuronEdit, strength: float = 1.0) -> Plan:
    """Plan an edit of neurons with values of the caller's: one for each layer and neuron of the model."""
    plan: Plan = {}
    for layer, those in neurons.by_layer().items():
        units, values = tuple(those.tolist()), torch.from_numpy(value[layer, those])
        made: dict[str, Intervention] = {
            "add": Add(units, strength * values),
            "clamp": Clamp(units, strength * values),
        }
        plan[Site(layer, "post")] = made.get(edit) or Blend(units, values, strength)
    return plan


def steer_along(direction: Float[np.ndarray, " d_model"], layer: int, *, strength: float = 1.0) -> Plan:
    """Plan a shift of the residual stream after a block, at every token.

    Args:
        direction: Such as `language_direction` returns.
        layer: After which block.
        strength: Times the direction; at 0 the plan is empty.

    Raises:
        InputError: a strength that is not finite or negative.
    """
    _check("direction", strength)
    return {Site(layer, "resid_post"): Steer(torch.from_numpy(direction), strength)} if strength else {}


def language_direction(
    levels: LanguageLevels, layer: int, *, source: str, target: str
) -> Float[np.ndarray, " d_model"]:
    """Difference of means after a block: residual stream in the target language minus in the source language.

    Raises:
        InputError: a language or a layer that was not read.
    """
    if not 0 <= layer < levels.stream.shape[1]:
        raise InputError(f"There is no layer {layer}. Expected 0 to {levels.stream.shape[1] - 1}.")
    return levels.stream[levels.number(target), layer] - levels.stream[levels.number(source), layer]


def random_direction(like: Float[np.ndarray, " d_model"], rng: np.random.Generator) -> Float[np.ndarray, " d_model"]:
    """Draw a direction of the same length, all directions being equally likely."""
    drawn = rng.standard_normal(len(like))
    return drawn / np.linalg.norm(drawn) * np.linalg.norm(like)


def _check(edit: str, strength: float) -> None:
    if edit not in get_args(Edit):
        raise InputError(f"There is no edit {edit!r}. Expected one of {list(get_args(Edit))}.")
    if not (np.isfinite(strength) and strength >= 0):
        raise InputError(f"The strength is {strength}. Expected a finite number from 0 on.")
