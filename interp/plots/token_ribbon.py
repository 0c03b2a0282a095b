"""Figure of texts token by token: coloured by language, with surprisal and neurons underneath."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float
from plotly.subplots import make_subplots

from interp.plots import contract, ribbon_rows
from interp.plots.figure import Figure
from interp.plots.png import above, colour_cells, encode_png
from interp.plots.ribbon_rows import Ribbon
from interp.plots.theme import DIVERGING, base_layout, diverging_axis
from interp.plots.tokens import plotly_text
from interp.results import Result

_NEEDED = ["activation", "control", "mean", "sd", "control_mean", "control_sd", "str_token", "text", "pos", "word"]
_NEEDED += ["language", "switch", "surprisal_nats", "control_neuron"]
MOST_NEURONS = 24
MOST_CELLS = 12_000
"""Tokens times neurons: more would make the page heavy."""
_ROW = 19
_TOP, _BETWEEN, _BOTTOM = 100, 30, 24
_LEAST_BOUND, _LARGEST_BOUND = 2.0, 6.0
_BOX = {"bgcolor": "#ffffff", "bordercolor": "#b4bdc9", "font": {"color": "#1b2430"}, "showactive": False}
_MARK = {"type": "rect", "line": {"color": "#e69f00", "width": 2.5}, "fillcolor": "rgba(0,0,0,0)"}
_STILL = {"showgrid": False, "zeroline": False, "fixedrange": True, "ticks": ""}
_HOW_TO_READ = (
    "Tokens are coloured by language, with a pattern beneath and a code above; ▼ and an upright line mark the first "
    "token of a new language. Below: surprisal, then one row for each neuron (blue: more active than usual for it, in "
    "standard deviations; red: less), then as many random neurons. Choose a text above; choose a neuron there or click "
    "its row, and its curve is drawn beside its random neuron's. "
    "What a neuron does in a few texts is an example, not evidence of what it is for."
)


def plot_token_ribbon(result: Result) -> Figure:
    """Draw the texts, one line at a time: choose a text or a neuron, hover or click a cell.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, _NEEDED)
    n_neurons = min(result.data.sizes["neuron"], MOST_NEURONS)
    n_tokens = min(result.data.sizes["token"], MOST_CELLS // n_neurons)
    ribbon = Ribbon.of(result, n_tokens, n_neurons)
    panels = _Panels.of(ribbon)
    return Figure(
        title="Token ribbon",
        how_to_read=_HOW_TO_READ,
        caption=contract.sentences(
            f"Unit: {result.unit}; z is standard deviations from the neuron's mean over tokens that are no switch, "
            f"colours end at {panels.bound:.2g}.",
            _counts(result, n_tokens, n_neurons),
            contract.baselines_in_words(result),
            "Grey or empty: not measured.",
        ),
        control=contract.control_in_words(result, "as many random neurons of the same layers"),
        png=encode_png(_picture(ribbon, panels)),
        plotly=_draw(ribbon, panels),
    )


def _counts(result: Result, n_tokens: int, n_neurons: int) -> str:
    data = result.data
    first = data["switch"].values & (data["word"].values >= 0)
    told = f"{len(np.unique(data['text'].values))} texts, {data.sizes['token']} tokens, {int(first.sum())} switches."
    if n_tokens < data.sizes["token"]:
        told += f" The first {n_tokens} tokens are drawn."
    if n_neurons < data.sizes["neuron"]:
        told += f" The first {n_neurons} of {data.sizes['neuron']} neurons are drawn."
    return told


@dataclass(frozen=True)
class _Panels:
    """Heights of the five panels in pixels, from the top: tokens, surprisal, neurons, random neurons, curve."""

    heights: list[int]
    bound: float
    """Where the colours end."""

    @classmethod
    def of(cls, ribbon: Ribbon) -> "_Panels":
        rows = max(len(ribbon.names) * _ROW, 28)
        largest = float(np.quantile(np.abs(np.concatenate([ribbon.z, ribbon.control_z])), 0.995))
        return cls([70, 84, rows, rows, 130], min(max(largest, _LEAST_BOUND), _LARGEST_BOUND))

    @property
    def inside(self) -> int:
        """Height of the plots without the margins."""
        return sum(self.heights) + 4 * _BETWEEN

    def middle(self, first: int, last: int) -> tuple[float, float]:
        """Middle and height of some panels together, as shares of the inside."""
        above_it = sum(self.heights[:first]) + first * _BETWEEN
        own = sum(self.heights[first : last + 1]) + (last - first) * _BETWEEN
        return 1 - (above_it + own / 2) / self.inside, own / self.inside


def _draw(ribbon: Ribbon, panels: _Panels) -> go.Figure:
    titles = ["", "surprisal (nats)", "chosen neurons (z)", "random neurons of the same layers (z)", ""]
    figure = make_subplots(
        5,
        1,
        shared_xaxes=True,
        row_heights=panels.heights,
        vertical_spacing=_BETWEEN / panels.inside,
        subplot_titles=titles,
    )
    figure.update_annotations(font_size=12, xanchor="left", x=0)
    # First, so that the arrow keys walk along it.
    figure.add_traces(ribbon_rows.curves(ribbon), rows=[5, 5], cols=[1, 1])
    for row, traces in enumerate(ribbon_rows.panels(ribbon), start=1):
        for trace in traces:
            figure.add_trace(trace, row=row, col=1)
    _lay_out(figure, ribbon, panels)
    figure.update_layout(shapes=[*_marks(0), *_switches(ribbon)], updatemenus=_menus(ribbon))
    return figure


def _lay_out(figure: go.Figure, ribbon: Ribbon, panels: _Panels) -> None:
    middle, length = panels.middle(2, 3)
    axis = diverging_axis("RdBu", panels.bound, "z")
    figure.update_layout(
        **base_layout(panels.inside + _TOP + _BOTTOM, top=_TOP, bottom=_BOTTOM),
        coloraxis=axis | {"colorbar": axis["colorbar"] | {"y": middle, "len": length, "x": 1.01}},
        barmode="overlay",
        bargap=0,
        dragmode="pan",
        legend={"orientation": "h", "y": 1 + 8 / panels.inside, "yanchor": "bottom", "x": 0},
        legend_itemclick=False,
        legend_itemdoubleclick=False,
    )
    figure.update_layout(margin={"l": 84})
    grid = {"gridcolor": "rgba(128,128,128,0.25)", "zeroline": False, "fixedrange": True}
    figure.update_xaxes(range=ribbon.strip.range_of(0), showticklabels=False, showgrid=False, zeroline=False, ticks="")
    figure.update_yaxes(visible=False, range=[0, 1.5], fixedrange=True, row=1, col=1)
    figure.update_yaxes(rangemode="tozero", nticks=4, **grid, row=2, col=1)
    for row, names in ((3, ribbon.names), (4, ribbon.control_names)):
        ticks = {"tickvals": list(range(len(names))), "ticktext": [plotly_text(name) for name in names]}
        figure.update_yaxes(range=[len(names) - 0.5, -0.5], **ticks, **_STILL, row=row, col=1)
    figure.update_yaxes(title_text="z", **grid, row=5, col=1)


def _marks(row: int) -> list[dict[str, Any]]:
    """Frames around a neuron's row and its random neuron's."""
    place = {"x0": 0, "x1": 1, "y0": row - 0.5, "y1": row + 0.5}
    return [_MARK | place | {"xref": f"x{panel} domain", "yref": f"y{panel}"} for panel in (3, 4)]


def _switches(ribbon: Ribbon) -> list[dict[str, Any]]:
    line = {"type": "line", "xref": "x", "yref": "paper", "y0": 0, "y1": 1, "line": {"color": "#6b7685", "width": 1.2}}
    return [line | {"x0": at, "x1": at} for at in ribbon.strip.left[ribbon.switch].tolist()]


def _menus(ribbon: Ribbon) -> list[dict[str, Any]]:
    strip = ribbon.strip
    texts = [
        {
            "label": plotly_text(line.name),
            "method": "relayout",
            "args": [{f"xaxis{axis}.range": strip.range_of(place) for axis in ("", 2, 3, 4, 5)}],
        }
        for place, line in enumerate(strip.lines)
    ]
    neurons = [
        {"label": plotly_text(name), "method": "update", "args": [*_chosen(ribbon, row), [0, 1]]}
        for row, name in enumerate(ribbon.names)
    ]
    place = {"type": "dropdown", "xanchor": "left", "yanchor": "top", "y": 1, "pad": {"t": -94}} | _BOX
    return [
        place | {"name": "text", "buttons": texts, "x": 0},
        place | {"name": ribbon_rows.NEURON_MENU, "buttons": neurons, "x": 0.62},
    ]


def _chosen(ribbon: Ribbon, row: int) -> list[dict[str, Any]]:
    """What to change for another neuron: the two curves, and the frames around the rows."""
    drawn = ribbon_rows.curves(ribbon, row)
    curves = {key: [_listed(trace[key]) for trace in drawn] for key in ("y", "text")}
    frames = {f"shapes[{n}].{end}": mark[end] for n, mark in enumerate(_marks(row)) for end in ("y0", "y1")}
    return [curves | {"name": [trace.name for trace in drawn]}, frames]


def _listed(values: Float[np.ndarray, " point"]) -> list[float | None]:
    return [None if np.isnan(value) else float(f"{value:.5g}") for value in np.asarray(values, float)]


def _picture(ribbon: Ribbon, panels: _Panels) -> np.ndarray:
    line = slice(ribbon.strip.lines[0].start, ribbon.strip.lines[0].stop)
    number = ribbon.number[line].astype(float)
    tints = [ribbon_rows.tint(place) for place in range(-1, len(ribbon.languages))]
    first = colour_cells(number[None].repeat(2, 0), tints, -1.0, float(len(tints) - 2), 8)
    heat = [colour_cells(z[:, line], DIVERGING["RdBu"], -panels.bound, panels.bound, 8) for z in _both(ribbon)]
    return above([first, *heat], gap=8)


def _both(ribbon: Ribbon) -> tuple[Float[np.ndarray, "neuron token"], Float[np.ndarray, "neuron token"]]:
    return ribbon.z, ribbon.control_z
