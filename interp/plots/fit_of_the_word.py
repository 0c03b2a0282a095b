"""Figure of the fit of the word: switches against fitting words, the closed form, controls, and the inside."""

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from jaxtyping import Float
from plotly.subplots import make_subplots

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.png import Picture, beside, draw_curves, encode_png
from interp.plots.theme import DASHES, OKABE_ITO, base_layout
from interp.plots.tokens import plotly_text
from interp.results import Result

_SHARES = ("", "_low", "_high")
_VARIABLES = [f"share{end}" for end in _SHARES] + ["predicted", "control", "control_shuffled", "curve_n", "curve_share"]
_INSIDE = ["held_out", "generated", "generated_predicted", "lens", "control_lens", "transition"]
_GRID = {"gridcolor": "rgba(128,128,128,0.25)", "zeroline": False}
_PICTURE = (220, 160)
_HOW_TO_READ = (
    "Top left: at each number of fitting words in the text's own language, how often the model would say the other "
    "language's word instead; lines are the closed form of a calibrated model, marks with 95 % bars what was measured. "
    "Top right, on the same scale: dotted with crosses random weights, dashed with open marks the same places with the "
    "fit dealt out anew, which must be flat. Below, where measured: what never switches in training, free generation, "
    "and the mass on the other language by layer. Marks on the lines show calibration, and are not evidence that the "
    "model prefers to switch."
)


def plot_fit_of_the_word(result: Result) -> Figure:
    """Draw the switch rate against the fit at every temperature, beside the closed form and the controls.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, _VARIABLES)
    data = result.data
    inside = all(name in data for name in _INSIDE)
    return Figure(
        title="Fit of the word",
        how_to_read=_HOW_TO_READ,
        caption=contract.sentences(
            contract.unit_in_words(result),
            f"{result.notes['n_samples']} places; {_counts(data)}.",
            contract.baselines_in_words(result),
            _transition(result) if inside else "",
        ),
        control=contract.control_in_words(result, "the same architecture with random weights"),
        png=encode_png(_picture(data)),
        plotly=_draw(data, inside),
    )


def _counts(data: xr.Dataset) -> str:
    if "n" not in data:
        return f"{data.sizes['n_words']} numbers of fitting words"
    each = zip(data["n_words"].values, data["n"].values, strict=True)
    return "by number of fitting words " + ", ".join(f"{n}: {count}" for n, count in each)


def _transition(result: Result) -> str:
    parts = []
    for document in result.data["document"].values:
        value, low, high = (float(result.data[f"transition{end}"].sel(document=document)) for end in _SHARES)
        parts.append(f"in {document} documents {value:.3g} ({low:.3g} to {high:.3g})")
    return f"Probability of the concept that follows in B only: {', '.join(parts)}."


def _picture(data: xr.Dataset) -> Picture:
    panels = []
    for name in ("share", "control"):
        curves = [(of.astype(float), _colour(i)) for i, of in enumerate(data[name].values)]
        panels.append(draw_curves(curves, 0.0, 1.0, _PICTURE))
    return beside(panels)


def _draw(data: xr.Dataset, inside: bool) -> go.Figure:
    titles = ["<b>switches and closed form</b>", "<b>controls</b>"]
    titles += ["<b>held out; free generation</b>", "<b>other language by layer</b>"] if inside else []
    rows = 2 if inside else 1
    figure = make_subplots(rows, 2, subplot_titles=titles, horizontal_spacing=0.1, vertical_spacing=0.2)
    figure.update_layout(**base_layout(330 * rows + 60, bottom=96), showlegend=True)
    figure.update_layout(legend={"orientation": "h", "y": -0.14 if inside else -0.25, "x": 0})
    for trace in _measured(data):
        figure.add_trace(trace, row=1, col=1)
    for trace in _controls(data):
        figure.add_trace(trace, row=1, col=2)
    sizes = data["n_words"].values
    ticks = {"type": "log", "tickvals": sizes, "ticktext": [str(n) for n in sizes], **_GRID}
    figure.update_yaxes(range=[-0.03, 1.03], **_GRID)
    figure.update_xaxes(title_text="fitting words of the own language", **ticks)
    figure.update_yaxes(title_text="share of the other language", col=1)
    if inside:
        for trace in _extras(data):
            figure.add_trace(trace, row=2, col=1)
        for trace in _lens(data):
            figure.add_trace(trace, row=2, col=2)
        layers = [int(layer) for layer in data["layer"].values]
        names = ["embed" if layer < 0 else str(layer) for layer in layers]
        figure.update_xaxes(type="linear", tickvals=layers, ticktext=names, title_text="layer", row=2, col=2)
        figure.update_yaxes(range=None, rangemode="tozero", title_text="probability of its words", row=2, col=2)
    return figure


def _measured(data: xr.Dataset) -> list[go.Scatter]:
    traces = []
    for place, temperature in enumerate(data["temperature"].values):
        part = data.isel(temperature=place)
        look = {"color": _colour(place), "dash": DASHES[place % len(DASHES)]}
        traces.append(
            go.Scatter(
                x=part["curve_n"].values,
                y=part["curve_share"].values,
                mode="lines",
                line={**look, "width": 1.5},
                legendgroup=f"{place}",
                showlegend=False,
                hovertemplate=f"closed form, T {temperature:g}: %{{y:.3f}}<extra></extra>",
            )
        )
        name = f"T {temperature:g}"
        traces.append(_points(part, "share", name, place, predicted=part["predicted"].values))
    return traces


def _points(
    part: xr.Dataset, variable: str, name: str, nth: int, *, predicted: Float[np.ndarray, " n"] | None = None
) -> go.Scatter:
    """Marks with intervals over the first dimension of a variable."""
    value, low, high = (part[f"{variable}{end}"].values.astype(float) for end in _SHARES)
    details = np.stack([low, high, value if predicted is None else predicted], -1)
    words = plotly_text(name)
    beside_it = "" if predicted is None else "<br>closed form %{customdata[2]:.3f}"
    return go.Scatter(
        x=part[part[variable].dims[0]].values,
        y=value,
        name=words,
        legendgroup=str(nth),
        mode="markers",
        marker={"symbol": nth, "size": 9, "color": _colour(nth)},
        error_y={"type": "data", "array": high - value, "arrayminus": value - low, "width": 3, "thickness": 1.2},
        customdata=details,
        hovertemplate=(
            f"{words}, %{{x}}: %{{y:.3f}}<br>95 % interval %{{customdata[0]:.3f}} to %{{customdata[1]:.3f}}"
            f"{beside_it}<extra></extra>"
        ),
    )


def _controls(data: xr.Dataset) -> list[go.Scatter]:
    traces = []
    kinds = {
        "control": ("random weights", "dot", "x"),
        "control_shuffled": ("fit dealt out anew", "dash", "circle-open"),
    }
    if "control_unigram" in data:
        kinds["control_unigram"] = ("frequencies alone", "solid", "triangle-up-open")
    for variable, (words, dash, symbol) in kinds.items():
        for place, temperature in enumerate(data["temperature"].values):
            traces.append(
                go.Scatter(
                    x=data["n_words"].values,
                    y=data[variable].values[place].astype(float),
                    name=words,
                    legendgroup=words,
                    showlegend=place == 0,
                    mode="lines+markers",
                    line={"color": _colour(place), "dash": dash, "width": 1.2},
                    marker={"symbol": symbol, "size": 7},
                    hovertemplate=f"{words}, T {temperature:g}, n %{{x}}: %{{y:.3f}}<extra></extra>",
                )
            )
    return traces


def _extras(data: xr.Dataset) -> list[go.Scatter]:
    line = go.Scatter(
        x=data["n_words"].values,
        y=data["generated_predicted"].values,
        mode="lines",
        line={"color": _colour(4), "width": 1.5},
        name="closed form",
        showlegend=False,
        hovertemplate="closed form, n %{x}: %{y:.3f}<extra></extra>",
    )
    generated = _points(data, "generated", "free generation", 4, predicted=data["generated_predicted"].values)
    return [line, generated, _points(data, "held_out", "held-out concepts", 5)]


def _lens(data: xr.Dataset) -> list[go.Scatter]:
    control = go.Scatter(
        x=data["layer"].values,
        y=data["control_lens"].values,
        mode="lines+markers",
        line={"color": "#808080", "dash": "dot", "width": 1.2},
        marker={"symbol": "x", "size": 7},
        name="random weights",
        showlegend=False,
        hovertemplate="random weights, layer %{x}: %{y:.3f}<extra></extra>",
    )
    return [control, _points(data, "lens", "mass on the other language", 0)]


def _colour(nth: int) -> str:
    return OKABE_ITO[nth % len(OKABE_ITO)]
