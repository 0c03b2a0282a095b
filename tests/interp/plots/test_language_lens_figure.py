"""The figure of the language lens shows what the result says, where it says it."""

import numpy as np
import pytest

from interp.plots import plot
from tests.interp.plots.synthetic_lens import LANGUAGES, language_lens


def _of(figure, axis: str, *, dash: str | None = None, mode: str = "lines+markers") -> list:
    found = [trace for trace in figure.plotly.data if trace.yaxis == axis and trace.mode == mode]
    return [trace for trace in found if trace.line.dash == dash]


def test_a_panel_for_each_actual_language_holds_the_mass_of_all_and_its_entropy_lies_beneath() -> None:
    result = language_lens()
    figure = plot(result)
    # Panels in reading order: two of mass, two of entropy, the third language's and an empty one.
    for place, (mass, entropy) in enumerate((("y", "y3"), ("y2", "y4"), ("y5", "y7"))):
        lines = _of(figure, mass)
        for language, line in enumerate(lines):
            np.testing.assert_allclose(line.y, result.data["mass"].values[place, language])
            np.testing.assert_allclose(line.customdata[:, 0], result.data["mass_low"].values[place, language])
        assert [line.line.width > 3 for line in lines] == [number == place for number in range(3)]
        np.testing.assert_allclose(_of(figure, entropy)[0].y, result.data["entropy"].values[place])
    layout = figure.plotly.layout
    assert [layout.yaxis5.visible, layout.yaxis6.visible, layout.yaxis8.visible] == [None, False, False]
    titles = [note.text for note in figure.plotly.layout.annotations]
    assert [title for title in titles if title] == [
        "next word: <b>en</b>",
        "next word: <b>&lt;img src=x onerror=alert(1)&gt;</b>",
        "next word: <b>&#36;x^2&#36;</b>",
    ]


def test_languages_differ_in_colour_and_symbol_and_bands_are_the_intervals() -> None:
    result = language_lens()
    figure = plot(result)
    lines = _of(figure, "y")
    assert len({line.line.color for line in lines}) == len({line.marker.symbol for line in lines}) == 3
    band = next(trace for trace in figure.plotly.data if trace.fill == "toself")
    high, low = (result.data[f"mass_{end}"].values[0, 0] for end in ("high", "low"))
    np.testing.assert_allclose(band.y, [*high, *low[::-1]])


def test_the_control_is_dashed_in_the_colour_of_its_language() -> None:
    for random, name in ((True, "control_mass"), (False, "control_shuffled_mass")):
        result = language_lens(random=random)
        figure = plot(result)
        dashed = _of(figure, "y", dash="dash", mode="lines")
        np.testing.assert_allclose([line.y for line in dashed], result.data[name].values[0])
        assert [line.line.color for line in dashed] == [line.line.color for line in _of(figure, "y")]
        assert sum(bool(line.showlegend) for line in dashed) == 1
        assert ("random weights 18.0%" in figure.caption) == random
        assert "shuffled words 27.0%" in figure.caption


def test_a_diamond_marks_where_the_lead_is_taken_with_its_interval() -> None:
    result = language_lens()
    marks = [trace for trace in plot(result).plotly.data if trace.mode == "markers" and trace.yaxis == "y2"]
    hollow, full = marks
    assert (full.marker.symbol, full.x[0], full.y[0]) == ("diamond", 1.2, 0)
    assert (full.error_x.array[0], full.error_x.arrayminus[0]) == pytest.approx((0.02, 0.01))
    assert (hollow.marker.symbol, hollow.x[0]) == ("diamond-open", pytest.approx(0.24))
    assert plot(result).plotly.layout.xaxis.range[1] > 3, "past the last layer there is room for never"


def test_words_say_what_was_left_out_and_how_often_the_language_leads() -> None:
    caption = plot(language_lens()).caption
    assert "3 words left out" in caption
    assert "leads in the output at 90.0% of places (89.0% to 92.0%)" in caption
    assert "Read at the end of 40 prompts." in caption
    assert plot(language_lens()).plotly.layout.xaxis.ticktext[0] == "embed"
    assert len(LANGUAGES) == 3
