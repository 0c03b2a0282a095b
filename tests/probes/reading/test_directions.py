"""Directions of layers are alike where the label is written alike, and samples lie along them with their texts."""

import numpy as np
import pytest

from interp.errors import InputError
from interp.plots import plot
from probes import LabelledActivations, MeanDifferenceProbe, probe_directions, project_samples
from tests.interp.plots.synthetic import HOSTILE, provenance

N, D = 160, 16


@pytest.fixture(scope="module")
def data():
    """Layers 0 and 1 write the label along one axis, layer 2 along another, layer 3 nowhere."""
    rng = np.random.default_rng(0)
    labels = np.array(["no", "yes"])[rng.integers(0, 2, N)]
    X = rng.normal(size=(4, N, D))
    for layer, axis in ((0, 2), (1, 2), (2, 5)):
        X[layer, :, axis] += 6.0 * (labels == "yes")
    return LabelledActivations(X, labels, np.arange(N))


def test_alike_across_layers_as_planted_and_no_more_than_known(data):
    found = probe_directions(data, provenance(), probe=MeanDifferenceProbe()).data
    cosine = found["cosine"].values
    np.testing.assert_allclose(cosine, cosine.T, atol=1e-12)
    assert min(cosine[0, 0], cosine[1, 1], cosine[2, 2], cosine[0, 1]) > 0.85
    assert np.abs(cosine[[0, 1], 2]).max() < 0.35
    assert cosine[3, 3] < 0.5, "no label, no direction that two halves agree on"
    assert np.abs(found["control_shuffled"].values[:3, :3]).max() < 0.6
    assert (found["cosine_low"] <= found["cosine"]).all()


def test_the_figures_draw_what_the_results_say(data):
    made = probe_directions(data, provenance(), n_halvings=2)
    heatmaps = [trace for trace in plot(made).plotly.data if trace.type == "heatmap"]
    np.testing.assert_allclose(heatmaps[0].z, made.data["cosine"].values, rtol=1e-6)
    laid = project_samples(data, [HOSTILE[0]] * N, provenance(), layer=0)
    drawn = plot(laid).plotly
    shown = np.sort(np.concatenate([trace.x for trace in drawn.data if not trace.name.startswith("random")]))
    np.testing.assert_allclose(shown, np.sort(laid.data["projection"].values), rtol=1e-6)
    assert not any("<script>" in text for trace in drawn.data for text in trace.hovertext)


def test_held_out_samples_lie_apart_along_the_direction_and_not_along_a_random_one(data):
    words = [f"word {n}" for n in range(N)]
    laid = project_samples(data, words, provenance(), layer=2, probe=MeanDifferenceProbe()).data
    yes = laid["class"].values == "yes"
    assert laid["projection"].values[yes].min() > laid["projection"].values[~yes].mean()
    apart = laid["projection"].values[yes].mean() - laid["projection"].values[~yes].mean()
    assert apart == pytest.approx(6, abs=0.7)
    random = laid["control_random"].values
    assert abs(random[yes].mean() - random[~yes].mean()) < 4
    assert laid["context"].values.tolist() == [f"word {row}" for row in laid["sample"].values]


def test_refusals(data):
    with pytest.raises(InputError, match="0 halvings"):
        probe_directions(data, provenance(), n_halvings=0)
    with pytest.raises(InputError, match="no layer 9"):
        project_samples(data, ["a"] * N, provenance(), layer=9)
    with pytest.raises(InputError, match="2 contexts for 160 samples"):
        project_samples(data, ["a", "b"], provenance(), layer=0)
