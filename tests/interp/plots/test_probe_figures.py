"""Figures of probes draw the result's numbers, and their marks and words say what the result says."""

import dataclasses

import numpy as np
import pytest

from interp.errors import ResultError
from interp.plots import plot
from tests.interp.plots import synthetic_probes as made
from tests.interp.plots.drawn import drawn_lines, drawn_marks, panel_titles, without, words_at_the_right
from tests.interp.plots.synthetic import HOSTILE, probe_by_layer

LINES = [
    "probe_after_erasure",
    "description_length",
    "control_task",
    "probe_quality",
    "sample_efficiency",
    "probe_dose",
    "contrast_probe",
    "probe_measures",
    "structural_probe",
]
ROWS = ["amnesic_probe", "label_swap", "probe_verdict", "interchange", "input_floor"]


@pytest.mark.parametrize("kind", LINES)
def test_lines_are_told_apart_without_colour_and_named_once(kind: str) -> None:
    lines = drawn_lines(plot(made.PROBE_MAKERS[kind]()))
    looks = {line.name: (line.line.dash, line.marker.symbol[0].removesuffix("-open")) for line in lines}
    dashes, symbols = zip(*looks.values(), strict=True)
    assert len(set(dashes)) == len(set(symbols)) == len(looks) > 1
    assert sorted(line.name for line in lines if line.showlegend) == sorted(looks)


@pytest.mark.parametrize("kind", ROWS)
def test_rows_have_the_names_of_the_result_as_text_and_a_symbol_for_each_series(kind: str) -> None:
    result = made.PROBE_MAKERS[kind]()
    figure = plot(result).plotly
    (dim,) = {"site", "subspace", "source"} & set(result.data.dims)
    escaped = [str(name).replace("<", "&lt;").replace(">", "&gt;") for name in result.data[dim].values]
    assert list(figure.layout.yaxis.ticktext) == escaped
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1], "the first row is on top"
    symbols = [trace.marker.symbol for trace in figure.data]
    assert symbols[0] == "circle"
    assert all(symbol.endswith("-open") for symbol in symbols[1:])
    assert len(set(symbols)) == len(symbols)
    assert "<img" not in figure.to_json().replace("\\u003c", "<")


def test_after_an_erasure_the_erased_line_stands_beside_the_plain_one_and_the_controls() -> None:
    result = made.probe_after_erasure()
    figure = plot(result)
    names = {"probe": "accuracy", "erased": "erased", "control: random erasure": "control_random_erasure"}
    names["control: majority"] = "control_majority"
    assert {line.name for line in drawn_lines(figure)} == set(names)
    for words, name in names.items():
        np.testing.assert_allclose(drawn_lines(figure, words)[0].y, result.data[name].values)
    np.testing.assert_allclose(drawn_lines(figure, "erased")[0].customdata[0], [0.48, 0.55])
    assert figure.title == "Probe after erasure"
    assert "Directions erased: 1 to 2." in figure.caption
    assert plot(probe_by_layer()).title == "Probe by layer"
    assert "erased" not in plot(probe_by_layer()).how_to_read
    with pytest.raises(ResultError, match="erased_low"):
        plot(without(result, "erased_low"))


def test_a_code_stands_beside_that_of_shuffled_labels_and_a_line_at_one() -> None:
    result = made.description_length()
    figure = plot(result)
    np.testing.assert_allclose(drawn_lines(figure, "probe")[0].y, result.data["compression"].values)
    control = drawn_lines(figure, "control: shuffled labels")[0]
    np.testing.assert_allclose(control.y, result.data["control_shuffled_compression"].values)
    assert [shape.y0 for shape in figure.plotly.layout.shapes] == [1.0]
    low, high = figure.plotly.layout.yaxis.range
    assert low < 0.87
    assert high > 4.24, "the intervals fit"


def test_selectivity_has_a_panel_and_a_line_at_zero() -> None:
    result = made.control_task()
    figure = plot(result)
    assert panel_titles(figure) == ["accuracy where the word was seen", "selectivity"]
    both = drawn_lines(figure, "probe")
    np.testing.assert_allclose(both[0].y, result.data["task_accuracy"].values)
    np.testing.assert_allclose(both[1].y, result.data["selectivity"].values)
    np.testing.assert_allclose(
        drawn_lines(figure, "control: labels drawn by word")[0].y, result.data["control_task_accuracy"].values
    )
    assert [(shape.y0, shape.yref) for shape in figure.plotly.layout.shapes] == [(0.0, "y2")]
    assert "Tested on 350 samples whose word was seen, of 30 word types." in figure.caption


def test_every_measure_of_quality_has_a_panel_with_its_own_controls() -> None:
    result = made.probe_quality()
    figure = plot(result)
    titles = panel_titles(figure)
    assert len(titles) == len(made.MEASURES) + 3
    assert [title.endswith("↓") for title in titles[:8]] == [False] * 4 + [True] * 4
    probes = drawn_lines(figure, "probe")
    for trace, name in zip(probes, [*made.MEASURES, "compression", "task_accuracy", "selectivity"], strict=True):
        np.testing.assert_allclose(trace.y, result.data[name].values)
    calibrated = drawn_lines(figure, "control: if calibrated")
    assert [trace.yaxis for trace in calibrated] == ["y7", "y8"]
    np.testing.assert_allclose(calibrated[0].customdata[0], [0.04, 0.06])
    assert len(panel_titles(plot(made.probe_quality(selectivity=False)))) == len(made.MEASURES) + 1


def test_a_layer_is_filled_where_more_is_right_than_by_the_majority_and_that_is_no_chance() -> None:
    figure = plot(made.probe_quality())
    first, second = drawn_lines(figure, "probe")[:2]
    # The first layer is significantly worse than the majority, the second better by chance.
    assert list(first.marker.symbol) == ["circle-open", "circle-open", "circle", "circle"]
    assert set(second.marker.symbol) == {"circle"}
    assert "Filled in the first panel: 2 of 4 layers." in figure.caption


def test_learning_curves_run_over_the_logarithm_of_samples_one_panel_for_each_layer() -> None:
    result = made.sample_efficiency()
    figure = plot(result)
    assert panel_titles(figure) == ["embed", "layer 0", "layer 1", "layer 2"]
    for place, trace in enumerate(drawn_lines(figure, "probe")):
        np.testing.assert_allclose(trace.x, result.data["n_samples"].values)
        np.testing.assert_allclose(trace.y, result.data["accuracy"].values[place])
    assert {axis.type for axis in figure.plotly.select_xaxes()} == {"log"}
    assert list(figure.plotly.layout.xaxis.ticktext) == ["20", "50", "120", "300"]
    assert "From 2 to 30 groups" in figure.caption


def test_of_many_layers_the_first_and_the_last_are_among_those_drawn() -> None:
    figure = plot(made.sample_efficiency(40))
    titles = panel_titles(figure)
    assert len(titles) == 12
    assert (titles[0], titles[-1]) == ("embed", "layer 38")
    assert "12 of 40 layers; the table has all." in figure.caption


def test_reliability_has_the_diagonal_both_series_and_the_counts() -> None:
    result = made.reliability()
    figure = plot(result)
    marks, data = drawn_marks(figure), result.data
    assert list(marks["right as often as it says"].x) == list(marks["right as often as it says"].y) == [0, 1]
    for words, name in (("probe", "accuracy"), ("control: if calibrated", "control_calibrated")):
        np.testing.assert_allclose(marks[words].x, data["confidence"].values)
        np.testing.assert_allclose(marks[words].y, data[name].values)
        np.testing.assert_allclose(marks[words].error_y.array, data[f"{name}_high"].values - data[name].values)
        np.testing.assert_allclose(marks[words].error_y.arrayminus, data[name].values - data[f"{name}_low"].values)
    np.testing.assert_allclose(marks["samples"].y, data["count"].values)
    assert marks["probe"].marker.symbol != marks["control: if calibrated"].marker.symbol
    # 0.05 below and 0.03 above what it says: the first bin is within, 0.067 below is not.
    assert "3 of 4 bins lie outside" in figure.caption
    assert "0 of 1 bins lie outside" in plot(made.reliability(1)).caption


def test_amnesic_probing_shows_all_four_edits_and_says_how_sure_it_is() -> None:
    result = made.amnesic_probe()
    figure = plot(result)
    marks = drawn_marks(figure)
    names = {"erased": "effect", "control: random directions": "control"}
    names |= {"right label put back": "reinjected", "everything gone": "everything"}
    for words, name in names.items():
        np.testing.assert_allclose(marks[words].x, result.data[name].values)
    np.testing.assert_allclose(marks["erased"].error_x.array, 0.04)
    np.testing.assert_allclose(marks["erased"].error_x.arrayminus, 0.03)
    assert words_at_the_right(figure) == [
        "+0.7 above random<br>p 0.001 (corrected)",
        "-0.02 above random<br>p 0.9 (corrected)",
    ]


def test_marks_of_one_row_do_not_cover_each_other_and_stay_in_it() -> None:
    marks = list(drawn_marks(plot(made.amnesic_probe())).values())
    heights = np.array([trace.y for trace in marks])
    assert (np.diff(heights, axis=0) > 0.1).all()
    assert (np.abs(heights - [0, 1]) < 0.5).all()


def test_a_swap_is_drawn_beside_both_controls_and_says_which_labels_are_used() -> None:
    result = made.label_swap()
    figure = plot(result)
    marks = drawn_marks(figure)
    np.testing.assert_allclose(marks["wrong label"].x, result.data["swapped"].values)
    for words, arm in (("control: right label", "reinjected"), ("control: random directions", "random")):
        np.testing.assert_allclose(marks[words].x, result.data["control"].sel(arm=arm).values)
    assert np.isnan(marks["control: random directions"].x[2]), "no random directions where the label fills the site"
    assert words_at_the_right(figure) == ["used", "not used", "used"]


def test_a_verdict_stands_in_words_at_the_right_of_its_row_and_has_room_there() -> None:
    figure = plot(made.probe_verdict())
    words = words_at_the_right(figure)
    assert words == [
        "decodable and used, simple<br>accuracy 0.98, majority 0.50",
        "decodable, not used<br>accuracy 0.80, majority 0.50",
        "not decodable<br>accuracy 0.50, majority 0.50",
    ]
    notes = [note for note in figure.plotly.layout.annotations if note.xref == "paper"]
    assert [note.y for note in notes] == [0, 1, 2]
    assert figure.plotly.layout.margin.r > 5.5 * max(len(line) for word in words for line in word.split("<br>"))
    assert figure.title.startswith("Verdict: ")


def test_doses_run_along_both_kinds_of_other_directions_and_are_filled_where_both_are_beaten() -> None:
    result = made.probe_dose()
    figure = plot(result)
    assert panel_titles(figure)[0] == "how far the answer moves"
    assert len(panel_titles(figure)) == 3
    effect = drawn_lines(figure, "probe's direction")[0]
    np.testing.assert_allclose(effect.x, result.data["alpha"].values)
    np.testing.assert_allclose(effect.y, result.data["effect"].values)
    assert list(effect.marker.symbol) == ["circle", "circle-open", "circle-open", "circle-open", "circle"]
    for kind in ("random", "orthogonal"):
        of_effect, of_loss = drawn_lines(figure, f"control: {kind} directions")
        np.testing.assert_allclose(of_effect.y, result.data[f"control_{kind}"].values)
        np.testing.assert_allclose(of_loss.y, result.data[f"control_{kind}_loss_rise"].values)
        draws = drawn_marks(figure)[f"control: {kind} directions, each"]
        np.testing.assert_allclose(draws.y, result.data[f"control_{kind}_by_draw"].values.ravel())
        np.testing.assert_allclose(draws.x, np.repeat(result.data["alpha"].values, 3))
    assert "Slope per deviation +0.4 (+0.37 to +0.44), monotonicity +0.9" in figure.caption


def test_a_contrast_below_that_of_other_directions_is_not_filled_however_sure() -> None:
    result = made.probe_dose()
    turned = dataclasses.replace(result, data=result.data.assign(above_random=-result.data["above_random"]))
    assert set(drawn_lines(plot(turned), "probe's direction")[0].marker.symbol) == {"circle-open"}


def test_doses_are_drawn_in_their_order() -> None:
    result = made.probe_dose()
    mixed = dataclasses.replace(result, data=result.data.isel(alpha=[2, 0, 4, 1, 3]))
    assert plot(mixed).png == plot(result).png
    assert list(drawn_lines(plot(mixed))[0].x) == [-2, -1, 0, 1, 2]


def test_a_loss_that_was_not_measured_is_said_to_be() -> None:
    figure = plot(made.probe_dose(loss=False, nie=False))
    assert panel_titles(figure) == ["how far the answer moves"]
    assert "Loss: not measured: too few tokens." in figure.caption
    assert "Loss:" not in plot(made.probe_dose()).caption


def test_subspaces_stand_beside_placebos_and_the_learned_one_beside_its_controls() -> None:
    result = made.interchange()
    figure = plot(result)
    marks = drawn_marks(figure)
    np.testing.assert_allclose(marks["exchanged"].x, result.data["iia"].values)
    np.testing.assert_allclose(marks["control: random subspaces"].x, result.data["control_placebo"].values)
    np.testing.assert_allclose(marks["everything exchanged"].x, 0.95)
    for words, value in (("learned on arbitrary answers", 0.3), ("learned in random weights", 0.25)):
        np.testing.assert_allclose(marks[f"control: {words}"].x, [value, np.nan, np.nan])
    assert words_at_the_right(figure)[2] == "rank 4, +0.1 above random<br>p 0.6 (corrected)"
    assert "36 pairs held out, 40 learned on." in figure.caption
    assert "das minus arbitrary +0.6, p 0.004 (corrected); das minus untrained +0.65" in figure.caption


@pytest.mark.parametrize("kind", made.PROBE_MAKERS)
def test_no_free_text_is_markup_in_a_picture(kind: str) -> None:
    drawn = plot(made.PROBE_MAKERS[kind]()).plotly.to_json().replace("\\u003c", "<").replace("\\u003e", ">")
    assert not any(text in drawn for text in (HOSTILE[0], HOSTILE[1]))
