"""Figures of sweeps, floors, and measures over layers draw the result's numbers, and mark what the result says."""

import dataclasses

import numpy as np
import pytest

from interp.errors import ResultError
from interp.plots import plot
from tests.interp.plots import synthetic_probes as made
from tests.interp.plots.drawn import drawn_lines, drawn_marks, panel_titles, without
from tests.interp.plots.synthetic import HOSTILE


def test_accuracy_of_a_sweep_and_its_control_share_a_scale_that_begins_at_the_majority() -> None:
    result = made.probe_sweep()
    figure = plot(result)
    accuracy, control = (trace for trace in figure.plotly.data if trace.type == "heatmap")
    assert accuracy.coloraxis == control.coloraxis == "coloraxis"
    axis = figure.plotly.layout.coloraxis
    assert (axis.cmin, axis.cmax) == (0.5, 1.0)
    np.testing.assert_allclose(accuracy.z, result.data["accuracy"].values.T, rtol=1e-6)
    np.testing.assert_allclose(control.z, result.data["control_shuffled"].values.T, rtol=1e-6)
    assert list(figure.plotly.layout.yaxis.ticktext) == ["embed", "0", "1", "2"]
    assert accuracy.hovertext[3][0] == "<b>resid_post</b>, layer 2"
    expected = [float(result.data[name].values[0, 3]) for name in ("accuracy", "accuracy_low", "accuracy_high")]
    np.testing.assert_allclose(accuracy.customdata[3, 0, :3], expected, rtol=1e-6)
    assert "corrected p %{customdata[7]" in accuracy.hovertemplate
    np.testing.assert_allclose(accuracy.customdata[1, 0, 7], 0.3, rtol=1e-6)


def test_rings_are_where_more_is_right_than_by_the_control_and_cells_not_run_are_grey() -> None:
    figure = plot(made.probe_sweep())
    (rings,) = (trace for trace in figure.plotly.data if trace.type == "scatter")
    cells = set(zip(rings.y.tolist(), rings.x.tolist(), strict=True))
    everywhere = {(layer, site) for layer in range(4) for site in range(3)}
    assert everywhere - cells == {(0, 0), (1, 0), (0, 1)}, "worse than its control, by chance, not run"
    assert "Rings: 9 of 11 cells." in figure.caption
    assert "Grey: not run." in figure.caption
    assert figure.plotly.layout.plot_bgcolor == "#b0b0b0"
    whole = plot(made.probe_sweep(whole=True))
    assert "Grey" not in whole.caption
    assert "Rings: 10 of 12 cells." in whole.caption


def test_a_grid_has_a_pair_of_heatmaps_for_each_site_and_counts_all_of_their_cells() -> None:
    result = made.probe_grid()
    figure = plot(result)
    panels = [trace for trace in figure.plotly.data if trace.type == "heatmap"]
    assert len(panels) == 4
    for place, trace in enumerate(panels):
        name = "accuracy" if place % 2 == 0 else "control_shuffled"
        np.testing.assert_allclose(trace.z, result.data[name].values[place // 2].T, rtol=1e-6)
    assert [title.partition(": ")[0] for title in panel_titles(figure)] == [
        "resid_post",
        "control",
        "&lt;img src=x onerror=alert(1)&gt;",
        "control",
    ]
    assert panels[0].hovertext[1][2] == "<b>position 30</b>, layer 0"
    assert "Rings: 18 of 21 cells." in figure.caption
    assert "Grey: not run." in figure.caption
    assert figure.title == "Probes by layer, site, position"
    beside = dataclasses.replace(result, data=result.data.assign(control_random_weights=0.9 * result.data["accuracy"]))
    panels = [trace for trace in plot(beside).plotly.data if trace.type == "heatmap"]
    assert len(panels) == 6
    np.testing.assert_allclose(panels[5].z, beside.data["control_random_weights"].values[1].T, rtol=1e-6)


def test_numbers_have_a_scale_from_their_mean_on() -> None:
    given = made.probe_sweep()
    names = {"accuracy": "r2", "control_majority": "control_mean"}
    data = given.data.rename(names | {f"accuracy{end}": f"r2{end}" for end in ("_low", "_high")})
    result = dataclasses.replace(given, data=data.assign(control_mean=0 * data["control_mean"]))
    figure = plot(result)
    assert (figure.plotly.layout.coloraxis.cmin, figure.plotly.layout.coloraxis.cmax) == (0.0, 1.0)
    assert panel_titles(figure)[0] == "held-out R squared"
    assert "always giving their mean" in figure.how_to_read


def test_every_measure_of_a_number_stands_beside_its_controls_and_fills_what_beats_shuffled() -> None:
    result = made.probe_numbers()
    figure = plot(result)
    assert panel_titles(figure) == ["R squared", "Pearson's correlation", "Spearman's correlation"]
    probes = drawn_lines(figure, "probe")
    for trace, name in zip(probes, ("r2", "pearson", "spearman"), strict=True):
        np.testing.assert_allclose(trace.y, result.data[name].values)
    assert list(probes[0].marker.symbol) == ["circle-open", "circle-open", "circle", "circle-open"]
    assert len(drawn_lines(figure, "control: mean")) == 1
    np.testing.assert_allclose(
        drawn_lines(figure, "control: random weights")[1].y, result.data["control_random_weights_pearson"].values
    )
    assert "Filled in the first panel: 1 of 4 layers." in figure.caption


def test_a_floor_shows_both_readers_and_the_majority_without_an_interval() -> None:
    result = made.input_floor()
    figure = plot(result)
    marks = drawn_marks(figure)
    np.testing.assert_allclose(marks["reader of the input"].x, result.data["accuracy"].values)
    np.testing.assert_allclose(marks["control: shuffled labels"].x, result.data["control_shuffled"].values)
    np.testing.assert_allclose(marks["control: majority"].x, 0.52)
    assert "95 % interval 0.67 to 0.74" in marks["reader of the input"].hovertext[0]
    assert "interval" not in marks["control: majority"].hovertext[0]
    assert "12.5 % of the samples have a token that their reader never met." in figure.caption


def test_a_contrast_stands_beside_its_controls_and_a_ceiling_that_is_called_none() -> None:
    result = made.contrast_probe()
    figure = plot(result)
    assert panel_titles(figure) == ["held-out accuracy", "held-out contrast loss ↓"]
    names = {"found without labels": "accuracy", "ceiling: fitted to the labels": "supervised"}
    names |= {"first principal component": "first_component", "control: random directions": "control_random_direction"}
    names |= {"control: random weights": "control_random_weights", "control: shuffled labels": "control_shuffled"}
    assert {line.name for line in drawn_lines(figure)} == set(names)
    for words, name in names.items():
        np.testing.assert_allclose(drawn_lines(figure, words)[0].y, result.data[name].values)
    for words, name in (("found without labels", "loss"), ("control: random weights", "control_random_weights_loss")):
        accuracy, loss = drawn_lines(figure, words)
        np.testing.assert_allclose(loss.y, result.data[name].values)
        assert (accuracy.yaxis, loss.yaxis) == ("y", "y2")
    assert [(shape.y0, shape.yref) for shape in figure.plotly.layout.shapes] == [(0.52, "y"), (0.2, "y2")]
    with pytest.raises(ResultError, match="supervised_low"):
        plot(without(result, "supervised_low"))


def test_a_contrast_is_filled_only_where_it_is_above_random_directions_for_certain() -> None:
    figure = plot(made.contrast_probe())
    symbols = list(drawn_lines(figure, "found without labels")[0].marker.symbol)
    assert symbols == ["circle-open", "circle-open", "circle-open", "circle"]
    assert "Filled in the first panel: 1 of 4 layers." in figure.caption


def test_trees_stand_beside_three_controls_and_are_filled_where_all_are_beaten() -> None:
    result = made.structural_probe()
    figure = plot(result)
    assert panel_titles(figure) == ["edges found (UUAS)", "Spearman correlation"]
    names = {"probe": "", "control: random weights": "control_random_weights_"}
    names |= {"control: order of words": "control_linear_"}
    names |= {"control: words shuffled in their sentence": "control_shuffled_"}
    assert {line.name for line in drawn_lines(figure)} == set(names)
    for words, control in names.items():
        for line, measure in zip(drawn_lines(figure, words), ("uuas", "spearman"), strict=True):
            np.testing.assert_allclose(line.y, result.data[f"{control}{measure}"].values)
    edges, correlation = drawn_lines(figure, "probe")
    assert list(edges.marker.symbol) == ["circle-open", "circle-open", "circle", "circle-open"]
    assert set(correlation.marker.symbol) == {"circle"}
    np.testing.assert_allclose(edges.customdata[0], [0.27, 0.34])


def test_the_caption_of_trees_counts_sentences_and_what_was_left_out() -> None:
    result = made.structural_probe()
    caption = plot(result).caption
    assert "From 1800 words of 90 sentences." in caption
    assert f"Sentences left out: too few words 2, {HOSTILE[0]} 1." in caption
    assert "Rank of the map: 16." in caption
    assert "Filled in the first panel: 1 of 4 layers." in caption
    whole = dataclasses.replace(result, notes=result.notes | {"dropped": {"too long": 0}})
    assert "left out" not in plot(whole).caption
    with pytest.raises(ResultError, match="above_linear_p_corrected"):
        plot(without(result, "above_linear_p_corrected"))
