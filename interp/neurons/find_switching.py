"""The whole search for code-switching neurons in one call: definition, replication, causal tests, curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from interp.neurons.directions import find_switching_directions
from interp.neurons.events import switch_events
from interp.neurons.next_language import LanguageVocabulary, learn_vocabulary
from interp.neurons.switch_material import SwitchMaterial, switch_aligned
from interp.neurons.switch_tests import FEWEST_DRAWS, switch_tests
from interp.neurons.switching import find_switching_units
from interp.neurons.units import Neurons
from interp.results import Result
from interp.types import Model

N_SINGLE = 4
"""Neurons tested alone."""


@dataclass(frozen=True)
class SwitchingNeurons:
    """What a search found."""

    neurons: Result
    """Every neuron, whether it follows switches."""
    heads: Result
    """Every attention head, by what it writes."""
    directions: Result
    """The residual stream after every block."""
    events: Result
    """Curves around the switch."""
    tests: Result | None
    """Causal tests of the neurons that were found; None where none was, and then no neuron has the name."""

    @property
    def found(self) -> Neurons:
        """The neurons that follow switches by all conditions, the strongest first; candidates until they are tested."""
        return found_neurons(self.neurons)

    @property
    def earned(self) -> bool:
        """Whether the neurons that were found earn the name together."""
        return self.tests is not None and bool(self.tests.data["earned"].values[0])

    @property
    def results(self) -> tuple[Result, ...]:
        """All results that there are."""
        held = [getattr(self, field.name) for field in fields(self)]
        return tuple(result for result in held if result is not None)


def find_switching_neurons(
    model: Model,
    aligned: Mapping[str, Sequence[str]],
    passages: Mapping[str, str | Sequence[str]],
    *,
    n_draws: int = FEWEST_DRAWS,
    n_single: int = N_SINGLE,
    seed: int = 0,
) -> SwitchingNeurons:
    """Search for code-switching neurons and prove them by intervention.

    Aligned sentences are switched for every ordered pair of languages; half of them serve the search, the other half
    replication, causal tests and curves.

    Args:
        model: A hooked decoder with a tokenizer that keeps spaces.
        aligned: Sentences by language, equal places meaning the same, that the model was not trained on.
        passages: Other texts in the same languages, to count which tokens begin words of which language.
        n_draws: Random sets of neurons beside every causal test.
        n_single: How many of the strongest neurons to test alone, too.
        seed: Decides cuts, halves, draws and resamples.

    Raises:
        InputError: too few sentences, languages that do not agree, or too few draws.
        SiteError: the model shows no neurons.

    Example:
        >>> found = find_switching_neurons(model, read_sentences(), novels)
        >>> found.neurons.to_dataframe().query("found")
    """
    material = switch_aligned(model, aligned, seed=seed)
    vocabulary = learn_vocabulary(model, {language: passages[language] for language in aligned})
    return search_material(model, material, vocabulary, n_draws=n_draws, n_single=n_single, seed=seed)


def search_material(
    model: Model,
    material: SwitchMaterial,
    vocabulary: LanguageVocabulary,
    *,
    n_draws: int = FEWEST_DRAWS,
    n_single: int = N_SINGLE,
    seed: int = 0,
) -> SwitchingNeurons:
    """Search on material that is there already, such as switches of real text; see `find_switching_neurons`.

    Args:
        model: A hooked decoder.
        material: What `switch_aligned` or `pair_switches` makes.
        vocabulary: What `learn_vocabulary` counted, in the material's languages.
        n_draws: Random sets of neurons beside every causal test.
        n_single: How many of the strongest neurons to test alone, too.
        seed: Decides halves, draws and resamples.

    Raises:
        InputError: too few documents, or too few draws.
        SiteError: the model shows no neurons.
    """
    neurons = find_switching_units(model, material, seed=seed)
    chosen = found_neurons(neurons)
    drawn = chosen if len(chosen) else None
    return SwitchingNeurons(
        neurons=neurons,
        heads=find_switching_units(model, material, "heads", seed=seed),
        directions=find_switching_directions(model, material, seed=seed),
        events=switch_events(model, material, vocabulary, drawn, seed=seed),
        tests=switch_tests(model, material, chosen, vocabulary, n_draws=n_draws, n_single=n_single, seed=seed)
        if drawn
        else None,
    )


def found_neurons(result: Result, most: int | None = None) -> Neurons:
    """The neurons that a `switching_neurons` result found, the farthest from 0.5 on the first half first."""
    layer, neuron = np.nonzero(result.data["found"].values)
    order = np.argsort(-np.abs(result.data["score"].values[layer, neuron] - 0.5), kind="stable")[:most]
    return Neurons(layer[order], neuron[order])
