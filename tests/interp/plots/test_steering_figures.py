"""Figures of edited language neurons show what the result says, where it says it."""

import numpy as np

from interp.plots import plot
from tests.interp.plots.synthetic_steering import ablation_matrix, dose_response


def test_rows_are_the_silenced_language_and_the_control_stands_beside_on_one_scale():
    result = ablation_matrix()
    figure = plot(result).plotly
    effect, control = (trace for trace in figure.data if trace.type == "heatmap")
    assert effect.coloraxis == control.coloraxis == "coloraxis"
    assert effect.z[0][1] == np.float32(result.data["effect"].sel(edited="en").values[1])
    assert control.z[2][0] == np.float32(result.data["control"].sel(edited="de", language="en"))
    assert figure.layout.yaxis.ticktext[0] == "en (12)"
    assert effect.hovertext[2][0] == "<b>de</b> silenced, <b>en</b> read"
    axis = figure.layout.coloraxis
    assert (axis.cmin, axis.cmid) == (-axis.cmax, 0)


def test_the_box_of_a_cell_reads_its_numbers_in_the_order_it_names_them():
    result = ablation_matrix()
    effect = plot(result).plotly.data[0]
    names = ["effect", "effect_low", "effect_high", "control", "control_low", "control_high"]
    names += ["above_control", "above_control_low", "above_control_high", "p", "q_fdr"]
    expected = [float(result.data[name].values[0, 2]) for name in names]
    np.testing.assert_allclose(effect.customdata[0, 2], expected, rtol=1e-6)


def test_a_language_without_neurons_is_grey_and_marks_stand_where_the_result_has_them():
    figure = plot(ablation_matrix())
    assert figure.plotly.layout.plot_bgcolor == "#b0b0b0"
    assert np.isnan(figure.plotly.data[0].z[1]).all()
    (marks,) = (trace for trace in figure.plotly.data if trace.type == "scatter")
    assert list(marks.x) == [0, 2]
    assert [round(row) for row in marks.y] == [0, 2]
    assert "en +0.425 (dominant), de +0.295." in figure.caption


def test_a_column_for_each_edit_a_row_for_each_measure_that_ran_and_controls_dashed():
    result = dose_response()
    figure = plot(result).plotly
    titles = [note.text for note in figure.layout.annotations]
    assert titles == ["<b>add</b>", "<b>direction</b>"]
    curves = [trace for trace in figure.data if trace.line.dash == "solid"]
    controls = [trace for trace in figure.data if trace.line.dash == "dash"]
    assert len(curves) == len(controls) == 3 * 2, "meaning did not run"
    np.testing.assert_allclose(curves[0].y, result.data["value"].values[0, :, 0])
    np.testing.assert_allclose(controls[0].y, result.data["control"].values[0, :, 0])
    np.testing.assert_allclose(curves[0].error_y.array, 0.08)
    np.testing.assert_allclose(curves[0].error_y.arrayminus, 0.05)
    assert list(curves[0].marker.symbol) == ["circle-open", "circle-open", "circle"]
    assert curves[0].line.color == controls[0].line.color != curves[1].line.color


def test_names_are_text_and_each_stands_once_in_the_legend():
    figure = plot(dose_response()).plotly
    legend = [trace.name for trace in figure.data if trace.showlegend]
    assert len(legend) == len(set(legend)) == 6
    assert not any("<img" in name for name in legend)
    assert "direction {after} block 2" in legend
