"""Figure of depth: how many neurons of each layer a method finds for each language."""

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.png import above, draw_curves, encode_png
from interp.plots.theme import OKABE_ITO, base_layout
from interp.plots.tokens import plotly_text
from interp.results import Result

_DIMS = ("method", "language", "layer")
_PATTERNS = ["", "/", ".", "x", "\\", "+", "-", "|"]
_HEIGHT = 170
_HOW_TO_READ = (
    "Each panel is a method, each group of bars a layer, each bar a language: the share of the layer's neurons that "
    "the method finds, with its 95 % interval. A black stroke is the same with shuffled labels, usually at 0. Panels "
    "have scales of their own. Where such neurons lie is not evidence of where the model decides which language to "
    "speak."
)


def plot_neuron_depth(result: Result) -> Figure:
    """Draw the depth profile, one panel for each method; languages differ in pattern, too.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, ["share", "share_low", "share_high", "control", "n_found"])
    shares = contract.matrix(result, "share", *_DIMS)
    pictures = [
        draw_curves([(row, _colour(k)) for k, row in enumerate(rows)], 0.0, max(float(rows.max()), 1e-9), (360, 70))
        for rows in np.repeat(shares, 2, -1)
    ]
    return Figure(
        title="Depth of language neurons",
        how_to_read=_HOW_TO_READ,
        caption=contract.sentences(
            contract.unit_in_words(result), contract.prompts_in_words(result), _totals_in_words(result)
        ),
        control=contract.control_in_words(result, "the same with shuffled labels"),
        png=encode_png(above(pictures)),
        plotly=_draw(result),
    )


def _totals_in_words(result: Result) -> str:
    totals = result.data["n_found"].sum(("layer", "language")).values.tolist()
    named = zip(result.data["method"].values, totals, strict=True)
    listed = ", ".join(f"{str(name).replace('_', ' ')} {int(total)}" for name, total in named)
    return f"Found in all layers: {listed}."


def _draw(result: Result) -> go.Figure:
    methods = [str(name) for name in result.data["method"].values]
    titles = [f"<b>{plotly_text(name.replace('_', ' '))}</b>" for name in methods]
    spacing = 0.4 / len(methods)
    figure = make_subplots(len(methods), 1, subplot_titles=titles, vertical_spacing=spacing, shared_xaxes=True)
    figure.update_layout(**base_layout(_HEIGHT * len(methods) + 80), barmode="group", scattermode="group", bargap=0.25)
    figure.update_layout(legend={"orientation": "h", "y": -60 / (_HEIGHT * len(methods)), "x": 0})
    layers = contract.layer_numbers(result)
    for row in range(len(methods)):
        for place in range(result.data.sizes["language"]):
            for trace in _bars(result, row, place, layers):
                figure.add_trace(trace, row=row + 1, col=1)
        top = float(result.data["share_high"].isel(method=row).max())
        grid = {"gridcolor": "rgba(128,128,128,0.25)", "zeroline": False}
        figure.update_yaxes(title_text="share", range=[-0.03 * top, top * 1.05], **grid, row=row + 1, col=1)
    ticks = layers[:: -(-len(layers) // 40)]
    return figure.update_xaxes(tickvals=ticks).update_xaxes(title_text="layer", row=len(methods), col=1)


def _bars(result: Result, row: int, place: int, layers: list[int]) -> tuple[go.Bar, go.Scatter]:
    cells = result.data.isel(method=row, language=place).transpose("layer")
    share, low, high, control, count = (
        cells[name].values.astype(float) for name in ("share", "share_low", "share_high", "control", "n_found")
    )
    name = plotly_text(str(cells["language"].item()))
    stroke = go.Scatter(
        x=layers,
        y=control,
        mode="markers",
        marker={"symbol": "line-ew", "size": 12, "line": {"color": "#000000", "width": 1.5}},
        offsetgroup=name,
        legendgroup=name,
        showlegend=False,
        hoverinfo="skip",
    )
    bars = go.Bar(
        x=layers,
        y=share,
        name=name,
        legendgroup=name,
        offsetgroup=name,
        showlegend=row == 0,
        marker={
            "color": _colour(place),
            "pattern": {
                "shape": _PATTERNS[place % len(_PATTERNS)],
                "fillmode": "overlay",
                "fgcolor": "#ffffff",
                "size": 7,
            },
            "line": {"width": 0},
        },
        error_y={"type": "data", "array": high - share, "arrayminus": share - low, "width": 2, "thickness": 1},
        customdata=np.stack([count, low, high, control], -1),
        hovertemplate=(
            f"<b>{name}</b>, layer %{{x}}<br>%{{customdata[0]:.0f}} neurons, share %{{y:.3g}} "
            "(%{customdata[1]:.3g} to %{customdata[2]:.3g})<br>shuffled %{customdata[3]:.3g}<extra></extra>"
        ),
    )
    return bars, stroke


def _colour(place: int) -> str:
    return OKABE_ITO[place % len(OKABE_ITO)]
