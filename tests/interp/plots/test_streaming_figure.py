import dataclasses

import numpy as np
import pytest

from interp.errors import ResultError
from interp.plots import plot
from tests.interp.plots.synthetic_streaming import streaming


def traces(figure, kind):
    return [trace for trace in figure.plotly.data if trace.type == kind]


def lines_of(figure):
    return {trace.name: trace for trace in traces(figure, "scatter") if trace.mode == "lines+markers"}


def test_every_arm_has_a_line_of_its_bins_and_a_bar_of_its_mean():
    result = streaming()
    figure, data = plot(result), result.data
    lines, bars = lines_of(figure), traces(figure, "bar")
    assert list(lines) == data["arm"].values.tolist()
    for arm, line in lines.items():
        row = data.sel(arm=arm)
        ran = row["ran"].values
        np.testing.assert_allclose(line.y, row["loss_nats"].values[ran])
        edges = row["position"].values[ran], row["position_stop"].values[ran]
        assert ((line.x > edges[0]) & (line.x <= edges[1])).all()
        np.testing.assert_allclose(line.customdata[:, 2], row["control_loss_nats"].values[ran])
    assert len(lines["dense"].x) == len(lines["window"].x) - 2, "what was not run is not drawn"
    np.testing.assert_allclose([bar.y[0] for bar in bars], data["above_window_nats"])
    np.testing.assert_allclose([bar.error_y.array[0] for bar in bars], 0.2)
    np.testing.assert_allclose([bar.error_y.arrayminus[0] for bar in bars], 0.1)


def test_kinds_of_arm_differ_in_dash_and_symbol_and_a_control_has_its_arm_s_colour():
    lines = lines_of(plot(streaming()))
    looks = {name: (line.line.dash, line.marker.symbol) for name, line in lines.items()}
    assert looks["4 sinks"] == looks["1 sink"]
    apart = [looks[name] for name in ("dense", "window", "4 sinks", "control: 4 from 5", "recompute")]
    assert len(set(apart)) == 5
    colours = {name: line.line.color for name, line in lines.items()}
    assert colours["4 sinks"] == colours["control: 4 from 5"] != colours["1 sink"] == colours["control: 1 from 5"]
    assert len(set(colours.values())) == 5


def test_a_sinks_bar_stands_beside_its_control():
    figure = plot(streaming())
    places = {trace.legendgroup: trace.x[0] for trace in traces(figure, "bar")}
    assert places["4 sinks"] < 2 < places["control: 4 from 5"]
    assert figure.plotly.layout.xaxis2.ticktext == ("0", "1", "4", "re-<br>compute", "dense")
    striped = [trace.legendgroup for trace in traces(figure, "bar") if trace.marker.pattern.shape == "/"]
    assert striped == ["control: 1 from 5", "control: 4 from 5"]


def test_lines_mark_where_the_cache_is_full_and_the_context_ends():
    layout = plot(streaming()).plotly.layout
    assert [shape.x0 for shape in layout.shapes] == [32, 100]
    words = {note.text: note.x for note in layout.annotations if note.text.startswith(("cache", "context"))}
    assert words == {"cache full: 32": pytest.approx(np.log10(32)), "context: 100": pytest.approx(2)}
    assert layout.xaxis.type == "log"


def test_the_caption_says_what_was_streamed_and_what_helped_most():
    caption = plot(streaming()).caption
    assert "8 streams of 400 tokens, each begins with BOS; cache of 32 keys" in caption
    assert "1 sink saves 1.4 nats against its control (95 % 1.3 to 1.6)" in caption
    assert "dense, positions 50 to 99 3.2" in caption


def test_without_intervals_there_are_no_bands():
    with_bands, without = plot(streaming()), plot(streaming(intervals=False))
    bands = [trace for trace in traces(with_bands, "scatter") if trace.fill == "toself"]
    assert [band.legendgroup for band in bands] == ["dense", "window", "4 sinks", "recompute"]
    assert not [trace for trace in traces(without, "scatter") if trace.fill == "toself"]
    assert traces(without, "bar")[0].error_y.array is None
    assert "95 %" not in without.caption


def test_no_control_no_figure():
    result = streaming()
    names = [str(name) for name in result.data if str(name).startswith("control")]
    with pytest.raises(ResultError, match="no control"):
        plot(dataclasses.replace(result, data=result.data.drop_vars(names)))
