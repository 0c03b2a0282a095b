import numpy as np
import pytest

from interp.languages import TaggedText
from interp.models import load_model
from interp.models.zoo import texts
from interp.neurons.find_switching import find_switching_neurons, found_neurons
from interp.neurons.labelled import label_tokens
from interp.neurons.switch_pairs import pair_switches, replicate_switching
from interp.plots import plot
from tests.interp.neurons.planted_switches import PLANTED, aligned_sentences, planted_model


def test_one_call_finds_and_proves_planted_neurons() -> None:
    found = find_switching_neurons(planted_model(), aligned_sentences(16), aligned_sentences(60, seed=9), n_single=0)
    assert found.earned
    assert set(found.found.neuron) == set(PLANTED)
    kinds = [result.kind for result in found.results]
    assert kinds == ["switching_neurons", "switching_heads", "switching_directions", "switch_events", "switch_tests"]
    assert all(result.has_control for result in found.results)
    for result in found.results:
        if result.kind != "switching_directions":
            assert plot(result).plotly is not None
    assert len(found_neurons(found.neurons, most=3)) == 3


@pytest.mark.slow
def test_polyglot_on_shipped_switches() -> None:
    """Sentences built from the shipped translations, then sentences written with switches in them."""
    model, aligned = load_model("zoo:polyglot"), texts.read_sentences()
    languages = tuple(aligned)
    result = find_switching_neurons(model, {name: lines[:100] for name, lines in aligned.items()}, aligned, n_single=0)
    assert result.neurons.notes["n_found"] > 20
    assert result.neurons.notes["n_significant_before"] == 0
    assert result.neurons.notes["shuffled_found"] <= 0.05
    scores = result.neurons.data["score"].values.ravel(), result.neurons.data["replication"].values.ravel()
    assert np.corrcoef(*scores)[0, 1] > 0.7
    last = result.directions.data.isel(layer=-1)
    assert float(last["score_low"]) > 0.65
    written = [_tagged(one.words, one.languages) for one in texts.read_switched()]
    plain = [_tagged(line.split(), [name] * len(line.split())) for name in languages for line in aligned[name][100:]]
    tokens = label_tokens(model, [*plain, *written], languages=languages)
    again = replicate_switching(model, pair_switches(model, tokens), result.neurons, result.found)
    assert float(again.data["mean_low"]) > 0.5
    assert float(again.data["mean"]) > float(again.data["control_mean_high"])


def _tagged(words: object, languages: object) -> TaggedText:
    written = tuple(words)
    return TaggedText(written, tuple(languages), (True,) * len(written))
