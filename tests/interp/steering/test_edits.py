"""Edits do what they say, strength 0 does nothing, and random directions are as long."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from interp.errors import InputError, ResultError
from interp.neurons.units import Neurons
from interp.sites import Site
from interp.steering import (
    LanguageLevels,
    found_neurons,
    language_direction,
    neurons_by_language,
    read_levels,
    steer_along,
    steer_language,
)
from interp.steering.edits import EDITS, random_direction
from tests.interp.plots import synthetic_neurons
from tests.interp.steering.planted import LANGUAGES, neurons_of, planted_model, texts

TWO = Neurons(np.array([1, 1]), np.array([2, 0]))


def _levels() -> LanguageLevels:
    """Means are 10 times the neuron's number, medians half of that."""
    mean = np.tile(np.arange(3.0) * 10 + 10, (2, 2, 1))
    stream = np.arange(12.0).reshape(2, 2, 3) ** 2
    return LanguageLevels(("en", "fr"), mean, mean / 2, mean, stream)


@pytest.mark.parametrize(
    ("edit", "strength", "expected"),
    [
        ("zero", 1.0, [0, 1, 0]),
        ("zero", 0.25, [0.75, 1, 0.75]),
        ("median", 1.0, [5, 1, 15]),
        ("median", 0.5, [3, 1, 8]),
        ("add", 2.0, [21, 1, 61]),
        ("clamp", 0.5, [5, 1, 15]),
    ],
)
def test_edits_by_hand(edit, strength: float, expected: list[float]) -> None:
    plan = steer_language(_levels(), TWO, edit, language="fr", strength=strength)
    (site, change), before = *plan.items(), torch.ones(2, 4, 3)
    assert site == Site(1, "post")
    np.testing.assert_allclose(change(before), np.broadcast_to(expected, (2, 4, 3)))
    assert (before == 1).all(), "the activation itself is left alone"


def test_strength_zero_edits_nothing() -> None:
    for edit in EDITS.keys() - {"direction"}:
        assert steer_language(_levels(), TWO, edit, language="fr", strength=0.0) == {}
    assert steer_along(np.ones(3), 0, strength=0.0) == {}


def test_the_direction_is_the_difference_of_means_and_random_ones_are_as_long() -> None:
    direction = language_direction(_levels(), 1, source="en", target="fr")
    np.testing.assert_array_equal(direction, [81 - 9, 100 - 16, 121 - 25])
    ((site, change),) = steer_along(direction, 1, strength=2.0).items()
    assert site == Site(1, "resid_post")
    np.testing.assert_allclose(change(torch.zeros(1, 1, 3))[0, 0], 2 * direction)
    rng = np.random.default_rng(0)
    drawn = [random_direction(direction, rng) for _ in range(200)]
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=1), np.linalg.norm(direction))
    assert np.abs(np.mean(drawn, 0)).max() < 30


def test_levels_are_those_of_the_planted_neurons() -> None:
    """A planted neuron is at 1 at every word of its language, and at 0 at others."""
    levels = read_levels(planted_model(), texts(20, seed=5))
    for number, name in enumerate(LANGUAGES):
        those = neurons_of(name)
        for values in (levels.mean, levels.median, levels.size):
            found = values[:, those.layer, those.neuron]
            np.testing.assert_allclose(found, np.eye(3)[:, [number] * 6], atol=1e-6)
        np.testing.assert_allclose(levels.elsewhere(name)[those.layer, those.neuron], 0, atol=1e-6)


def test_found_neurons_come_the_strongest_first() -> None:
    table = synthetic_neurons.language_neurons()
    assert found_neurons(table, "auroc", "en").names == ["L1N10"]
    assert found_neurons(table, "lape", "<b>fr</b>").names == ["L0N5"]
    assert len(found_neurons(table, "lape", "en")) == 0
    assert {name: those.names for name, those in neurons_by_language(table, "auroc").items()} == {
        "en": ["L1N10"],
        "<b>fr</b>": ["L1N11"],
        "$de$": ["L1N12"],
    }
    both = table.data["found"].copy()
    both[{"method": [0, 4], "layer": 0, "neuron": [1, 2, 3], "language": 0}] = True
    both[{"method": [0, 4], "layer": 1, "neuron": 10, "language": 0}] = False
    score = table.data["score"].copy()
    score[{"layer": 0, "neuron": [1, 2, 3], "language": 0}] = [0.2, 0.1, 0.3]
    ordered = replace(table, data=table.data.assign(found=both, score=score))
    assert found_neurons(ordered, "lape", "en").names == ["L0N2", "L0N1", "L0N3"], "small entropy is strong"
    assert found_neurons(ordered, "auroc", "en", n=2).names == ["L0N3", "L0N1"]


def test_bad_input_is_refused() -> None:
    levels, table = _levels(), synthetic_neurons.language_neurons()
    with pytest.raises(InputError, match="strength is -1"):
        steer_language(levels, TWO, "add", language="fr", strength=-1.0)
    with pytest.raises(InputError, match="strength is nan"):
        steer_along(np.ones(3), 0, strength=float("nan"))
    with pytest.raises(InputError, match="Nothing was read in 'de'"):
        steer_language(levels, TWO, "add", language="de")
    with pytest.raises(InputError, match="no neurons to edit"):
        steer_language(levels, Neurons(TWO.layer[:0], TWO.neuron[:0]), "zero", language="fr")
    with pytest.raises(InputError, match="no layer 2"):
        language_direction(levels, 2, source="en", target="fr")
    with pytest.raises(InputError, match="not 2"):
        found_neurons(table, "auroc", "en", n=2)
    with pytest.raises(InputError, match="no method"):
        found_neurons(table, "guess", "en")
    with pytest.raises(ResultError, match="language_neurons"):
        found_neurons(synthetic_neurons.neuron_depth(), "auroc", "en")
