"""Figures of the sink census as points: value drain against attention, neurons that write the spike."""

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.heatmap import Line, read_out
from interp.plots.png import encode_png
from interp.plots.sink_panels import caption, with_interval
from interp.plots.theme import OKABE_ITO, SEQUENTIAL, base_layout, plotly_scale
from interp.results import Result

_GRID = {"gridcolor": "rgba(128,128,128,0.25)", "zeroline": False}
_GREY = "#8b96a5"
_SIZE = (420, 220)
_READ_VALUES = (
    "Each point is one head: how much attention the first token gets, against the length of what its value writes, as "
    "a multiple of the other tokens'. A sink that does nothing lies at the lower right: much attention, little value. "
    "Grey squares are the same heads with random weights. A short value is not evidence that the head is unused."
)
_READ_NEURONS = (
    "Each filled point is one of the neurons that write most at the first token: how long what it writes is. A hollow "
    "point is the same neuron at the other tokens, the dotted line the strongest neuron with random weights. The "
    "vertical line marks the layer where the first token's norm grows most. "
    "The first neuron there is a candidate for the writer of the spike, not proof: ablate it."
)


def plot_sink_values(result: Result) -> Figure:
    """Draw what the first token's value writes against the attention it gets, one point per head.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, ["first", "written_ratio", "control_first", "control_written_ratio"])
    wanted = [
        *with_interval("first", "attention to the first token"),
        *with_interval("written_ratio", "<br>length behind W_O over the others'"),
        *with_interval("value_ratio", "<br>length of the value over the others'"),
        Line("key_ratio", "<br>length of the key over the others'", ".4g"),
        Line("cos_first", "<br>cosine of queries with the first key", ".4g"),
        Line("cos_others", ", with other keys", ".4g"),
    ]
    lines = [line for line in wanted if line.variable in result.data]
    details = np.stack([_flat(result, line.variable) for line in lines], axis=-1)
    heads, layers = result.data["head"].values, contract.layer_numbers(result)
    names = [f"<b>L{layer}H{head}</b>" for layer in layers for head in heads]
    numbers = np.repeat(layers, len(heads))
    x, y, x_control, y_control = (
        _flat(result, name) for name in ("first", "written_ratio", "control_first", "control_written_ratio")
    )
    figure = go.Figure()
    figure.add_scatter(
        x=x_control,
        y=y_control,
        mode="markers",
        name="random weights",
        marker={"symbol": "square-open", "size": 7, "color": _GREY},
        hovertext=names,
        hovertemplate="%{hovertext}, random weights<br>attention %{x:.4g}, length %{y:.4g}<extra></extra>",
    )
    marker = {"size": 9, "color": numbers, "colorscale": plotly_scale(SEQUENTIAL[3:]), "line": {"width": 1}}
    marker["colorbar"] = {"title": {"text": "layer", "side": "right"}, "thickness": 12, "outlinewidth": 0} | {
        "tickvals": layers[:: -(-len(layers) // 12)]
    }
    figure.add_scatter(
        x=x,
        y=y,
        mode="markers",
        name="heads",
        marker=marker,
        hovertext=names,
        customdata=details,
        hovertemplate=read_out(lines) + "<extra></extra>",
    )
    figure.add_hline(1, line={"color": _GREY, "dash": "dash", "width": 1})
    figure.update_layout(**base_layout(420, top=48), legend={"orientation": "h", "y": 1.12, "x": 0})
    figure.update_xaxes(title_text="attention to the first token", range=[-0.03, 1.03], **_GRID)
    figure.update_yaxes(title_text="first token's value behind W_O,<br>over the others'", rangemode="tozero", **_GRID)
    return Figure(
        title="Value drain against attention",
        how_to_read=_READ_VALUES,
        caption=caption(result, str(result.notes.get("no_cosines", ""))),
        control=contract.control_in_words(result, "the same architecture with random weights"),
        png=encode_png(_dots([(x_control, y_control, _GREY), (x, y, OKABE_ITO[0])], (0.0, 1.0))),
        plotly=figure,
    )


def plot_sink_neurons(result: Result) -> Figure:
    """Draw the neurons of each layer that write most at the first token, beside the same neurons elsewhere.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, ["written", "written_low", "written_high", "control_written", "others", "neuron"])
    layers, ranks = np.array(contract.layer_numbers(result)), result.data["rank"].values
    shift = (np.arange(len(ranks)) - (len(ranks) - 1) / 2) * 0.12
    x = (layers[:, None] + shift).ravel()
    written, others, control = (
        contract.matrix(result, name, "layer", "rank") for name in ("written", "others", "control_written")
    )
    keys = ["neuron", "written_low", "written_high", "others"]
    details = np.stack([contract.matrix(result, key, "layer", "rank").ravel() for key in keys], axis=-1)
    figure = go.Figure()
    figure.add_scatter(
        x=x,
        y=others.ravel(),
        mode="markers",
        name="the same neuron at other tokens",
        hoverinfo="skip",
        marker={"symbol": "circle-open", "size": 7, "color": OKABE_ITO[1]},
    )
    figure.add_scatter(
        x=x,
        y=written.ravel(),
        mode="markers",
        name="at the first token",
        customdata=details,
        marker={"size": 8, "color": OKABE_ITO[0]},
        hovertemplate=(
            "neuron %{customdata[0]:.0f}: %{y:.4g} (%{customdata[1]:.4g} to %{customdata[2]:.4g})<br>"
            "at other tokens %{customdata[3]:.4g}<extra></extra>"
        ),
    )
    figure.add_scatter(
        x=layers,
        y=control[:, 0],
        mode="lines",
        name="strongest neuron, random weights",
        line={"color": _GREY, "dash": "dot", "width": 2},
        hovertemplate="random weights %{y:.4g}<extra></extra>",
    )
    if "spike_layer" in result.notes:
        figure.add_vline(result.notes["spike_layer"], line={"color": _GREY, "dash": "dash", "width": 1})
    figure.update_layout(**base_layout(400, top=56), legend={"orientation": "h", "y": 1.16, "x": 0})
    figure.update_xaxes(title_text="layer", tickvals=layers[:: -(-len(layers) // 24)], **_GRID)
    figure.update_yaxes(title_text="length written", rangemode="tozero", **_GRID)
    dots = [(np.repeat(layers, len(ranks)), others.ravel(), OKABE_ITO[1]), (x, written.ravel(), OKABE_ITO[0])]
    told = ""
    if "spike_neuron" in result.notes:
        told = (
            f"Layer of largest growth: {result.notes['spike_layer']}, its first neuron {result.notes['spike_neuron']}."
        )
    return Figure(
        title="Neurons that write at the first token",
        how_to_read=_READ_NEURONS,
        caption=caption(result, told),
        control=contract.control_in_words(result, "the same architecture with random weights"),
        png=encode_png(_dots(dots, (float(layers[0]) - 0.5, float(layers[-1]) + 0.5))),
        plotly=figure,
    )


def _flat(result: Result, name: str) -> Float[np.ndarray, " point"]:
    return contract.matrix(result, name, "layer", "head").ravel()


def _dots(series: list[tuple[np.ndarray, np.ndarray, str]], x_range: tuple[float, float]) -> np.ndarray:
    """Draw points on white: the picture without JavaScript."""
    width, height = _SIZE
    picture = np.full((height, width, 3), 255, np.uint8)
    top = max(float(y.max()) for _, y, _ in series) or 1.0
    for x, y, colour in series:
        columns = ((x - x_range[0]) / (x_range[1] - x_range[0]) * (width - 5)).round().astype(int).clip(0, width - 5)
        rows = ((1 - y / top) * (height - 5)).round().astype(int).clip(0, height - 5)
        rgb = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
        for row, column in zip(rows, columns, strict=True):
            picture[row : row + 5, column : column + 5] = rgb
    return picture
