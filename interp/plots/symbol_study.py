"""Figure of symbols instead of words: how much more like its own word each form is, and what it costs to read."""

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from plotly.subplots import make_subplots

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.png import Picture, beside, draw_curves, encode_png
from interp.plots.theme import DASHES, OKABE_ITO, base_layout
from interp.plots.tokens import plotly_text
from interp.results import Result

_ENDS = ("", "_low", "_high")
_LINES = {
    "cosine": ("representation", "cosine, own word minus others"),
    "lens": ("word under the lens", "nats, own word minus others"),
    "overlap": ("strongest neurons", "share shared, own word minus others"),
}
_BARS = {
    "surprisal": ("surprisal of the symbol", "nats, whole symbol"),
    "after_change": ("sentence after it", "nats per token, minus after the word"),
}
_VARIABLES = [
    *(f"{name}_above{end}" for name in _LINES for end in _ENDS),
    *(f"control_random_{name}_above" for name in _LINES),
    *(f"{name}{end}" for name in _BARS for end in _ENDS),
    *(f"control_random_{name}" for name in _BARS),
    *(f"{name}_{what}" for name in _LINES for what in ("q", "detectable")),
]
_GRID = {"gridcolor": "rgba(128,128,128,0.25)", "zeroline": True, "zerolinecolor": "rgba(128,128,128,0.8)"}
_PICTURE = (200, 150)
_HOW_TO_READ = (
    "Lines: for each form in the plain word's place, how much more it is like its own word than like the words of "
    "other concepts, by layer; 0 is no difference, filled marks have q < 0.05, bars are 95 % intervals over concepts. "
    "Grey dots are the same forms under random weights; the nonsense symbol has as many bytes as the emoji. Below, "
    "what the symbol costs to predict, what it does to the rest of the sentence and, where given, how many of its "
    "strongest neurons are in known sets. A form that is close to its word is not evidence that it is understood."
)
_RANDOM = "#808080"


def plot_symbol_study(result: Result) -> Figure:
    """Draw every form by layer and by cost, beside mismatched concepts, nonsense and random weights.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, _VARIABLES)
    data = result.data
    return Figure(
        title="Symbols instead of words",
        how_to_read=_HOW_TO_READ,
        caption=contract.sentences(
            contract.unit_in_words(result),
            f"{result.notes['n_concepts']} concepts in {result.notes['n_carriers']} sentences.",
            _lengths(data),
            _ceiling(data),
            _power(data),
            contract.baselines_in_words(result),
        ),
        control=contract.control_in_words(result, "other concepts, nonsense, and random weights"),
        png=encode_png(_picture(data)),
        plotly=_draw(data),
    )


def _lengths(data: xr.Dataset) -> str:
    if "n_tokens" not in data:
        return ""
    each = zip(data["form"].values, data["n_bytes"].values, data["n_tokens"].values, strict=True)
    return f"Mean bytes / tokens: {', '.join(f'{form} {size:.3g} / {n:.3g}' for form, size, n in each)}."


def _ceiling(data: xr.Dataset) -> str:
    """Say what the plain word itself has in the last layer: no form can have more."""
    last = {name: float(data[f"{name}_above"].isel(form=0).values[-1]) for name in _LINES}
    words = ", ".join(f"{name} {value:.2g}" for name, value in last.items())
    return f"The word itself, last layer (click it in the legend to draw it): {words}."


def _power(data: xr.Dataset) -> str:
    """Say what would have been found, so that a line at zero can be told from one too uncertain to see."""
    largest = {name: float(data[f"{name}_detectable"].isel(form=slice(1, None)).max()) for name in _LINES}
    words = ", ".join(f"{name} {value:.2g}" for name, value in largest.items())
    return f"A difference of this size is found four times in five, in the worst cell: {words}."


def _picture(data: xr.Dataset) -> Picture:
    panels = []
    for name in _LINES:
        values = data[f"{name}_above"].transpose("form", ...).values.astype(float)
        curves = [(of, _look(nth)[0]) for nth, of in enumerate(values) if nth]
        shown = values[1:]
        panels.append(draw_curves(curves, min(0.0, float(shown.min())), float(shown.max()), _PICTURE))
    return beside(panels)


def _draw(data: xr.Dataset) -> go.Figure:
    sets = "in_set" in data
    titles = [f"<b>{words}</b>" for words, _ in (*_LINES.values(), *_BARS.values())]
    titles += ["<b>strongest neurons in known sets</b>"] if sets else []
    figure = make_subplots(2, 3, subplot_titles=titles, horizontal_spacing=0.09, vertical_spacing=0.2)
    figure.update_layout(**base_layout(700, bottom=110), showlegend=True)
    figure.update_layout(legend={"orientation": "h", "y": -0.2, "x": 0})
    for column, (name, (_, unit)) in enumerate(_LINES.items(), start=1):
        dim = _layer_dim(data, name)
        for nth in range(data.sizes["form"]):
            for trace in _line(data.isel(form=nth), name, dim, nth, shown=column == 1):
                figure.add_trace(trace, row=1, col=column)
        layers = [int(layer) for layer in data[dim].values]
        figure.update_xaxes(
            tickvals=layers,
            ticktext=["embed" if layer < 0 else str(layer) for layer in layers],
            title_text="layer",
            row=1,
            col=column,
        )
        figure.update_yaxes(title_text=unit, row=1, col=column)
    for column, (name, (_, unit)) in enumerate(_BARS.items(), start=1):
        for trace in _bars(data, name, shown=column == 1):
            figure.add_trace(trace, row=2, col=column)
        figure.update_yaxes(title_text=unit, row=2, col=column)
    if sets:
        for trace in _sets(data):
            figure.add_trace(trace, row=2, col=3)
        figure.update_yaxes(title_text="share of the strongest", row=2, col=3)
    figure.update_xaxes(showgrid=False, zeroline=False)
    return figure.update_yaxes(**_GRID)


def _layer_dim(data: xr.Dataset, name: str) -> str:
    return next(str(dim) for dim in data[f"{name}_above"].dims if dim != "form")


def _line(one: xr.Dataset, name: str, dim: str, nth: int, *, shown: bool) -> list[go.Scatter]:
    value, low, high = (one[f"{name}_above{end}"].values.astype(float) for end in _ENDS)
    words, (colour, dash) = plotly_text(str(one["form"].item())), _look(nth)
    layers = one[dim].values
    # Open and filled marks of one shape: plotly numbers the open one 100 higher.
    symbols = [nth if q < contract.ALPHA else nth + 100 for q in one[f"{name}_q"].values]
    # The word against itself is the ceiling; drawn, it would press all other lines together.
    visible = "legendonly" if nth == 0 else True
    random = go.Scatter(
        x=layers,
        y=one[f"control_random_{name}_above"].values.astype(float),
        mode="markers",
        marker={"color": _RANDOM, "size": 4, "symbol": nth},
        hovertemplate=f"{words}, random weights: %{{y:.3f}}<extra></extra>",
        legendgroup=words,
        showlegend=False,
        visible=visible,
    )
    line = go.Scatter(
        x=layers,
        y=value,
        name=words,
        legendgroup=words,
        showlegend=shown,
        visible=visible,
        mode="lines+markers",
        line={"color": colour, "dash": dash, "width": 1.8},
        marker={"symbol": symbols, "size": 8},
        error_y={"type": "data", "array": high - value, "arrayminus": value - low, "width": 2, "thickness": 1},
        customdata=np.stack([low, high, one[f"{name}_q"].values, one[f"{name}_detectable"].values], -1),
        hovertemplate=(
            f"{words}, layer %{{x}}: %{{y:.3f}}<br>95 % interval %{{customdata[0]:.3f}} to %{{customdata[1]:.3f}}"
            "<br>q %{customdata[2]:.2g}<br>detectable %{customdata[3]:.2g}<extra></extra>"
        ),
    )
    return [random, line]


def _bars(data: xr.Dataset, name: str, *, shown: bool) -> list[go.Bar | go.Scatter]:
    value, low, high = (data[f"{name}{end}"].values.astype(float) for end in _ENDS)
    forms = _names(data)
    bar = go.Bar(
        x=forms,
        y=value,
        marker={"color": [_look(nth)[0] for nth in range(len(forms))]},
        error_y={"type": "data", "array": high - value, "arrayminus": value - low, "width": 2, "thickness": 1},
        customdata=np.stack([low, high], -1),
        hovertemplate="%{x}: %{y:.3f}<br>95 % interval %{customdata[0]:.3f} to %{customdata[1]:.3f}<extra></extra>",
        showlegend=False,
    )
    random = go.Scatter(
        x=forms,
        y=data[f"control_random_{name}"].values.astype(float),
        mode="markers",
        marker={"color": _RANDOM, "symbol": "x", "size": 8},
        name="random weights",
        showlegend=shown,
        hovertemplate="%{x}, random weights: %{y:.3f}<extra></extra>",
    )
    return [bar, random]


def _sets(data: xr.Dataset) -> list[go.Scatter]:
    traces, forms = [], _names(data)
    for nth, name in enumerate(data["set"].values):
        words, (colour, dash) = plotly_text(str(name)), _look(nth)
        for variable, shape, meaning in (("in_set", "solid", words), ("control_in_set", "dot", f"{words}, chance")):
            traces.append(
                go.Scatter(
                    x=forms,
                    y=data[variable].values[nth].astype(float),
                    mode="lines+markers" if shape == "solid" else "lines",
                    line={"color": colour, "dash": dash if shape == "solid" else shape, "width": 1.5},
                    marker={"symbol": nth, "size": 7},
                    name=meaning,
                    showlegend=shape == "solid",
                    hovertemplate=f"{meaning}, %{{x}}: %{{y:.3f}}<extra></extra>",
                )
            )
    return traces


def _names(data: xr.Dataset) -> list[str]:
    return [plotly_text(str(form)) for form in data["form"].values]


def _look(nth: int) -> tuple[str, str]:
    """Colour and dash; the dash moves on when colours begin again, so that no two forms look alike."""
    return OKABE_ITO[nth % len(OKABE_ITO)], DASHES[(nth + nth // len(OKABE_ITO)) % len(DASHES)]
