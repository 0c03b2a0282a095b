"""Figures of the sink census: every number stands where its cell or point says, beside its control."""

from typing import Any

import numpy as np
import pytest

from interp.plots import plot
from tests.interp.plots import synthetic_sinks as synthetic


def heatmaps(figure: Any) -> list[Any]:
    return [trace for trace in figure.plotly.data if trace.type == "heatmap"]


@pytest.mark.parametrize("kind", synthetic.SINK_MAKERS)
def test_captions_state_t_and_epsilon_and_no_token_becomes_markup(kind: str) -> None:
    figure = plot(synthetic.SINK_MAKERS[kind]())
    assert "T = 64" in figure.caption
    assert "epsilon = 0.3" in figure.caption
    assert "<script" not in figure.plotly.to_json().replace("\\u003c", "<")


def test_sink_heads_are_marked_and_stand_beside_their_control() -> None:
    result = synthetic.heads()
    figure = plot(result)
    first, control, alpha, alpha_control = heatmaps(figure)
    np.testing.assert_allclose(first.z, result.data["first"], rtol=1e-6)
    np.testing.assert_allclose(alpha.z, result.data["alpha"], rtol=1e-6)
    assert control.z[2][1] == alpha_control.z[2][1] == np.float32(0.05)
    assert first.coloraxis == control.coloraxis != alpha.coloraxis
    (ring,) = (trace for trace in figure.plotly.data if trace.name == "ring")
    assert (list(ring.x), list(ring.y)) == ([1], [2])
    assert ring.xaxis == alpha.xaxis
    assert "<b>L2H1</b>" in first.hovertext[2][1]


def test_learned_sinks_get_a_panel_of_their_own() -> None:
    assert len(heatmaps(plot(synthetic.heads()))) == 4
    learned = heatmaps(plot(synthetic.heads(learned=True)))
    assert len(learned) == 6
    assert "no token" in learned[4].name


def test_classes_and_domains_have_a_pair_each() -> None:
    figure = plot(synthetic.classes())
    assert [trace.name for trace in heatmaps(figure)][::2] == ["bos (uniform 0.06)", "other (uniform 0.94)"]
    result = synthetic.domains()
    figure = plot(result)
    shown = heatmaps(figure)
    np.testing.assert_allclose(shown[2].z, result.data["first"][1], rtol=1e-6)
    assert shown[3].z[0][0] == np.float32(0.4)
    rings = [trace for trace in figure.plotly.data if trace.name == "ring"]
    assert [(list(ring.x), list(ring.y)) for ring in rings] == [([1], [2])] * 2


def test_the_sweep_of_epsilon_has_all_layers_each_layer_and_the_control() -> None:
    result = synthetic.epsilons()
    traces = plot(result).plotly.data
    thick = next(trace for trace in traces if trace.name == "all layers")
    np.testing.assert_allclose(thick.y, result.data["overall"], rtol=1e-6)
    assert sum(trace.line.width == 1 for trace in traces if trace.mode == "lines") == synthetic.N_LAYERS
    assert next(trace for trace in traces if trace.name == "random weights").y.max() == 0


def test_positions_and_distances_lie_across_layers() -> None:
    result = synthetic.keys()
    mean, control, above, _ = heatmaps(plot(result))
    np.testing.assert_allclose(mean.z, result.data["alpha_mean"], rtol=1e-6)
    assert np.asarray(control.z).max() == np.float32(0.05)
    assert "position 0" in above.hovertext[0][0]
    result = synthetic.distances()
    figure = plot(result)
    (weight, _) = heatmaps(figure)
    np.testing.assert_allclose(weight.z, result.data["weight"].mean("head").T, rtol=1e-6)
    assert list(figure.plotly.layout.xaxis.ticktext) == ["0", "1", "2", "3-4", "5-8"]
    assert "interval" not in weight.hovertemplate


def test_lives_of_secondary_sinks_are_counted_by_layer() -> None:
    result = synthetic.secondary()
    figure = plot(result)
    cells, _ = heatmaps(figure)
    np.testing.assert_allclose(cells.z, result.data["tokens"], rtol=1e-6)
    assert figure.plotly.layout.yaxis.ticktext[0] == "embed"
    assert "more than 0.33" in figure.caption
    assert "grows most in layer 1 and shrinks most, or grows least, in layer 3" in figure.caption


def test_the_map_of_spikes_is_logarithmic_and_names_each_models_own_dimensions() -> None:
    figure = plot(synthetic.spike_map())
    shown, control = heatmaps(figure)
    assert shown.z[0][0] == pytest.approx(np.log10(2501), rel=1e-5)
    assert shown.customdata[0][0][0] == 2500
    assert "dimension 2533" in shown.hovertext[0][0]
    assert "dimension 0" in control.hovertext[0][0]
    assert list(figure.plotly.layout.coloraxis.colorbar.ticktext) == ["0", "1", "10", "100", "1000"]


def test_depth_leaves_out_what_was_not_run_and_shares_one_axis() -> None:
    result = synthetic.depth()
    figure = plot(result).plotly
    lines = {trace.name: trace for trace in figure.data if trace.mode == "lines+markers"}
    assert list(lines["sinks"].x) == [0, 1, 2, 3]
    assert list(lines["first norm"].x) == [-1, 0, 1, 2, 3]
    np.testing.assert_allclose(lines["matrix entropy"].y, result.data["value"][2])
    assert {lines[name].yaxis for name in ("first norm", "matrix entropy", "sinks")} == {"y", "y2", "y3"}
    assert figure.layout.xaxis.matches == "x3"
    assert figure.layout.xaxis3.ticktext[0] == "embed"


def test_massive_layers_carry_a_star() -> None:
    figure = plot(synthetic.spikes()).plotly
    (star,) = (trace for trace in figure.data if trace.name == "massive")
    assert list(star.x) == [1, 2]
    assert list(star.y) == [900, 950]
    first = next(trace for trace in figure.data if trace.name == "rank 1")
    assert list(first.customdata[2]) == pytest.approx([0, 1, 39, 0.5, 1800, 1620, 1980.01])
    assert figure.layout.yaxis.type == "log"


def test_every_head_is_a_point_with_its_value_and_attention() -> None:
    result = synthetic.values()
    control, points = plot(result).plotly.data
    np.testing.assert_allclose(points.x, result.data["first"].values.ravel(), rtol=1e-6)
    np.testing.assert_allclose(points.y, result.data["written_ratio"].values.ravel(), rtol=1e-6)
    assert points.hovertext[7] == "<b>L2H1</b>"
    assert control.marker.symbol != points.marker.symbol
    assert set(control.y) == {1.0}


def test_neurons_stand_beside_themselves_elsewhere() -> None:
    result = synthetic.neurons()
    elsewhere, written, control = plot(result).plotly.data
    np.testing.assert_allclose(written.y, result.data["written"].values.ravel(), rtol=1e-6)
    np.testing.assert_allclose(elsewhere.y, result.data["others"].values.ravel(), rtol=1e-6)
    assert list(written.customdata[:, 0]) == list(range(8))
    assert set(control.y) == {1.0}
    assert "its first neuron 2" in plot(result).caption
