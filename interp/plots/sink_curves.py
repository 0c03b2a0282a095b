"""Figures of the sink census as curves: Sink^epsilon over its threshold, depth panels, spikes by depth."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.plots import contract
from interp.plots.bands import interval_band
from interp.plots.figure import Figure
from interp.plots.png import above, draw_curves, encode_png
from interp.plots.sink_panels import caption
from interp.plots.theme import DASHES, OKABE_ITO, base_layout
from interp.plots.tokens import plotly_text
from interp.results import Result

_GRID = {"gridcolor": "rgba(128,128,128,0.25)", "zeroline": False}
_GREY = "#8b96a5"
_PUBLISHED = {0.3: "0.3 (Gu et al.)", 0.8: "0.8 (Barbero et al.)"}
_PICTURE = (420, 110)
_READ_EPSILONS = (
    "The thick line is the share of all heads whose received attention at the first token lies above epsilon, with its "
    "95 % interval; thin lines are single layers, the dotted one random weights. Published numbers use the marked "
    "thresholds. A share of heads is not an attention mass, and shares at different T are not comparable."
)
_READ_DEPTH = (
    "Three panels over the same layers: how long the first token's residual stream is beside the others', how evenly "
    "the stream spreads over directions with and without the first token, and how many heads are sinks. Bands are 95 % "
    "intervals, dotted lines random weights. That curves rise and fall together is not evidence of cause."
)
_READ_SPIKES = (
    "The largest magnitudes of the residual stream after each layer, and the median of all; the axis is logarithmic. "
    "Dotted lines are random weights. A star marks layers where, in at least half of the sequences, the largest is "
    "massive: above 100 and 1000 times the median. A spike is not evidence that sinks depend on it."
)


def plot_sink_epsilons(result: Result) -> Figure:
    """Draw Sink^epsilon over epsilon: all layers with their interval, each layer, and random weights.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, ["sink_share", "overall", "overall_low", "overall_high", "control_overall"])
    x = result.data["epsilon"].values.astype(float)
    layers = contract.matrix(result, "sink_share", "layer", "epsilon")
    overall, control = (contract.matrix(result, name, "epsilon") for name in ("overall", "control_overall"))
    figure = go.Figure()
    for layer, values in zip(contract.layer_numbers(result), layers, strict=True):
        hover = f"layer {layer}, epsilon %{{x:.2f}}: %{{y:.3g}}<extra></extra>"
        figure.add_scatter(
            x=x, y=values, mode="lines", line={"color": _GREY, "width": 1}, hovertemplate=hover, showlegend=False
        )
    ends = [contract.matrix(result, f"overall_{end}", "epsilon") for end in ("low", "high")]
    figure.add_trace(interval_band(x, *ends, OKABE_ITO[0]))
    figure.add_trace(_line(x, overall, "all layers", 0))
    figure.add_trace(_dotted(x, control, "random weights", 0))
    for epsilon, words in _PUBLISHED.items():
        figure.add_vline(epsilon, line={"color": _GREY, "dash": "dash", "width": 1}, annotation_text=words)
    figure.update_layout(**base_layout(380, top=56), legend={"orientation": "h", "y": 1.16, "x": 0})
    figure.update_xaxes(title_text="epsilon", range=[0, 1], **_GRID)
    figure.update_yaxes(title_text=plotly_text(result.unit), range=[-0.03, 1.03], **_GRID)
    curves = [(control, _GREY), *((values, _GREY) for values in layers), (overall, OKABE_ITO[0])]
    return Figure(
        title="Sink^epsilon over its threshold",
        how_to_read=_READ_EPSILONS,
        caption=caption(result, "Thin lines: single layers."),
        control=contract.control_in_words(result, "the same architecture with random weights"),
        png=encode_png(draw_curves(curves, 0.0, 1.0)),
        plotly=figure,
    )


def plot_sink_depth(result: Result) -> Figure:
    """Draw norms, matrix entropies and sinks by depth, one panel below the other on one axis.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, ["value", "value_low", "value_high", "control_value", "panel", "unit"])
    panels = list(dict.fromkeys(str(panel) for panel in result.data["panel"].values))
    figure = make_subplots(len(panels), 1, shared_xaxes=True, subplot_titles=panels, vertical_spacing=0.09)
    figure.update_layout(**base_layout(190 * len(panels) + 90), legend={"orientation": "h", "y": -0.1, "x": 0})
    pictures = []
    for row, panel in enumerate(panels, start=1):
        part = result.data.isel(measure=np.flatnonzero(result.data["panel"].values == panel))
        curves = []
        for nth in range(part.sizes["measure"]):
            measure = part.isel(measure=nth).dropna("layer")
            x, name = measure["layer"].values, str(measure["measure"].values)
            place = 2 * (row - 1) + nth
            value, low, high, control = (
                measure[key].values for key in ("value", "value_low", "value_high", "control_value")
            )
            for trace in (
                interval_band(x, low, high, _colour(place)),
                _line(x, value, name, place),
                _dotted(x, control, name, place),
            ):
                figure.add_trace(trace, row=row, col=1)
            # The small picture has one width for all; what was not run keeps the first value.
            curves.append((np.pad(value, (part.sizes["layer"] - len(value), 0), "edge"), _colour(place)))
        unit = plotly_text(str(part["unit"].values[0]))
        figure.update_yaxes(title_text=unit, rangemode="tozero", **_GRID, row=row, col=1)
        top = max(float(curve.max()) for curve, _ in curves)
        pictures.append(draw_curves(curves, 0.0, top or 1.0, _PICTURE))
    figure.update_xaxes(**_GRID, **_layer_ticks(result))
    figure.update_xaxes(title_text="after layer (sinks: of the layer's heads)", row=len(panels), col=1)
    return Figure(
        title="Sinks by depth",
        how_to_read=_READ_DEPTH,
        caption=caption(result, "embed: the residual stream before the first layer."),
        control=contract.control_in_words(result, "the same architecture with random weights"),
        png=encode_png(above(pictures)),
        plotly=figure,
    )


def plot_sink_spikes(result: Result) -> Figure:
    """Draw the largest magnitudes by layer beside the median, on a logarithmic axis.

    Raises:
        ResultError: no control, or a variable missing.
    """
    needed = ["top", "top_low", "top_high", "control_top", "median", "control_median", "ratio", "massive"]
    contract.check_drawable(result, needed)
    x = np.array(contract.layer_numbers(result))
    figure, tops = go.Figure(), contract.matrix(result, "top", "rank", "layer")
    for place, rank in enumerate(result.data["rank"].values):
        figure.add_trace(_spike(result, int(rank), place))
    median = contract.matrix(result, "median", "layer")
    figure.add_trace(_line(x, median, "median", len(tops)))
    control = contract.matrix(result, "control_top", "rank", "layer")[0]
    figure.add_trace(_dotted(x, control, "largest", 0))
    figure.add_trace(_dotted(x, contract.matrix(result, "control_median", "layer"), "median", len(tops)))
    massive = contract.matrix(result, "massive", "layer") >= 0.5
    if massive.any():
        star = {"symbol": "star", "size": 14, "color": "#000000", "line": {"color": "#ffffff", "width": 1}}
        figure.add_scatter(
            x=x[massive], y=tops[0][massive], mode="markers", marker=star, name="massive", hoverinfo="skip"
        )
    figure.update_layout(**base_layout(400, top=56), legend={"orientation": "h", "y": 1.16, "x": 0})
    figure.update_xaxes(title_text="after layer", **_GRID, **_layer_ticks(result))
    figure.update_yaxes(type="log", title_text="magnitude", dtick=1, **_GRID)
    curves = [np.log10(np.maximum(values, 1e-6)) for values in (control, median, *reversed(tops))]
    colours = [_GREY, _colour(len(tops)), *(_colour(place) for place in reversed(range(len(tops))))]
    low, high = (float(f([f(curve) for curve in curves])) for f in (np.min, np.max))
    return Figure(
        title="Spikes of the residual stream by depth",
        how_to_read=_READ_SPIKES,
        caption=caption(result, "embed: the residual stream before the first layer."),
        control=contract.control_in_words(result, "the same architecture with random weights"),
        png=encode_png(draw_curves(list(zip(curves, colours, strict=True)), low, high)),
        plotly=figure,
    )


def _spike(result: Result, rank: int, place: int) -> go.Scatter:
    row = result.data.sel(rank=rank)
    keys = ["top_pos", "top_pos_share", "top_dimension", "top_dimension_share", "ratio", "ratio_low", "ratio_high"]
    trace = _line(row["layer"].values, row["top"].values, f"rank {rank}", place)
    details = np.stack([row[key].values for key in keys], axis=-1)
    return trace.update(
        customdata=details,
        hovertemplate=(
            f"rank {rank}, after layer %{{x}}: %{{y:.4g}}<br>position %{{customdata[0]:.0f}} in "
            "%{customdata[1]:.0%} of sequences<br>dimension %{customdata[2]:.0f} in %{customdata[3]:.0%}<br>"
            "%{customdata[4]:.4g} times the median (%{customdata[5]:.4g} to %{customdata[6]:.4g})<extra></extra>"
        ),
    )


def _line(x: np.ndarray, y: np.ndarray, name: str, place: int) -> go.Scatter:
    return go.Scatter(
        x=x,
        y=y,
        name=plotly_text(name),
        mode="lines+markers",
        line={"color": _colour(place), "width": 2.5, "dash": DASHES[place % 2]},
        marker={"symbol": place, "size": 7},
        hovertemplate=f"{plotly_text(name)} %{{y:.4g}}<extra></extra>",
    )


def _dotted(x: np.ndarray, y: np.ndarray, name: str, place: int) -> go.Scatter:
    words = f"random weights: {plotly_text(name)}" if name != "random weights" else name
    return go.Scatter(
        x=x,
        y=y,
        name=words,
        mode="lines",
        line={"color": _colour(place), "width": 1.5, "dash": "dot"},
        opacity=0.7,
        hovertemplate=f"{words} %{{y:.4g}}<extra></extra>",
        showlegend=name in ("random weights", "largest"),
    )


def _layer_ticks(result: Result) -> dict[str, Sequence[object]]:
    layers = contract.layer_numbers(result)
    shown = layers[:: -(-len(layers) // 24)]
    return {"tickvals": shown, "ticktext": ["embed" if layer < 0 else str(layer) for layer in shown]}


def _colour(place: int) -> str:
    return OKABE_ITO[place % len(OKABE_ITO)]
