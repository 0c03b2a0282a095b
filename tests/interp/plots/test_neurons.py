"""Figures of language neurons show what the result says, where it says it."""

import numpy as np

from interp.plots import plot
from tests.interp.plots import synthetic_neurons


def _heatmaps(figure) -> list:
    return [trace for trace in figure.plotly.data if trace.type == "heatmap"]


def test_rows_are_the_neurons_that_stand_out_and_columns_languages():
    result = synthetic_neurons.language_neurons()
    figure = plot(result)
    fires, score, control = _heatmaps(figure)
    names = list(figure.plotly.layout.yaxis.ticktext)
    assert {"L1N10", "L1N11", "L1N12", "L0N5"} <= set(names)
    assert len(names) == len(set(names)) <= 26
    row = names.index("L1N11")
    np.testing.assert_allclose(score.z[row], result.data["score"].values[4, 1, 11], rtol=1e-6)
    np.testing.assert_allclose(control.z[row], result.data["control"].values[4, 1, 11], rtol=1e-6)
    np.testing.assert_allclose(fires.z[row], result.data["probability"].values[1, 11], rtol=1e-6)
    assert figure.plotly.layout.xaxis.ticktext[1:] == ("&lt;b&gt;fr&lt;/b&gt;", "&#36;de&#36;")
    assert score.hovertext[row][0] == "<b>L1N11</b>, en"


def test_half_is_white_and_score_and_control_share_one_scale():
    figure = plot(synthetic_neurons.language_neurons())
    assert [trace.coloraxis for trace in _heatmaps(figure)] == ["coloraxis", "coloraxis2", "coloraxis2"]
    axis = figure.plotly.layout.coloraxis2
    assert (axis.cmin, axis.cmid, axis.cmax) == (0, 0.5, 1)


def test_a_diamond_for_auroc_and_a_ring_for_what_other_methods_find():
    figure = plot(synthetic_neurons.language_neurons())
    names = list(figure.plotly.layout.yaxis.ticktext)
    marked = {}
    for trace in figure.plotly.data:
        if trace.type == "scatter":
            marked[trace.name] = {(names[row], column) for row, column in zip(trace.y, trace.x, strict=True)}
    # What keeps still for a language carries no mark.
    assert marked == {"diamond": {("L1N10", 0), ("L1N11", 1), ("L1N12", 2)}, "ring": {("L0N5", 1)}}


def test_the_caption_counts_what_is_found_and_what_shuffled_labels_find():
    caption = plot(synthetic_neurons.language_neurons()).caption
    assert "lape 1 (1)" in caption
    assert "auroc 3 (1) of 240 neuron-language pairs" in caption


def test_bars_of_languages_differ_in_pattern_and_the_control_is_drawn():
    result = synthetic_neurons.neuron_depth()
    figure = plot(result).plotly
    bars = [trace for trace in figure.data if trace.type == "bar"]
    assert len(bars) == 15
    assert len({bar.marker.pattern.shape for bar in bars}) == len({bar.marker.color for bar in bars}) == 3
    np.testing.assert_allclose(bars[4].y, result.data["share"].values[1, :, 1])
    np.testing.assert_allclose(
        bars[4].error_y.array, (result.data["share_high"] - result.data["share"]).values[1, :, 1]
    )
    strokes = [trace for trace in figure.data if trace.type == "scatter"]
    np.testing.assert_allclose(strokes[4].y, result.data["control"].values[1, :, 1])
    assert strokes[4].offsetgroup == bars[4].offsetgroup


def test_a_set_without_members_is_grey_not_zero():
    for result in (synthetic_neurons.neuron_agreement(), synthetic_neurons.neuron_overlap()):
        figure = plot(result)
        assert figure.plotly.layout.plot_bgcolor == "#b0b0b0"
        assert np.isnan(_heatmaps(figure)[2 if result.kind == "neuron_overlap" else 0].z).any()


def test_the_diagonal_of_rank_correlations_is_the_other_half():
    result = synthetic_neurons.neuron_agreement()
    correlation = _heatmaps(plot(result))[2].z
    np.testing.assert_allclose(np.diag(correlation), result.data["reliability"].values, rtol=1e-6)
    assert correlation[0][1] == np.float32(-0.2)


def test_each_method_has_its_row_of_overlaps():
    result = synthetic_neurons.neuron_overlap()
    panels = _heatmaps(plot(result))
    assert len(panels) == 10
    np.testing.assert_allclose(panels[6].z, result.data["overlap"].values[3], rtol=1e-6)
    np.testing.assert_allclose(panels[7].z, result.data["control"].values[3], rtol=1e-6)
