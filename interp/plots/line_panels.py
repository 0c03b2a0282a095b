"""Panels of lines with intervals: the first line of each is the answer, the others are what it is compared with."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from jaxtyping import Bool, Float
from plotly.subplots import make_subplots

from interp.plots.bands import interval_band
from interp.plots.png import Picture, above, beside, draw_curves
from interp.plots.theme import DASHES, OKABE_ITO, base_layout
from interp.plots.tokens import clip, plotly_text

EMBED_WORDS = "embed: the residual stream before the first block."
_EMBEDDING = -1
"""Number of the layer that stands for what enters the first block."""
_SYMBOLS = ("circle", "square", "diamond", "cross", "x", "triangle-up")
_GRID = {"gridcolor": "rgba(128,128,128,0.25)", "zeroline": False}
_PANEL_HEIGHT, _ONE_HEIGHT, _LEGEND = 230, 380, 100
_FEW = 4
"""Up to so many panels stand in two columns, more in three."""
_POINTS = 120
"""Points of a curve in the small picture."""


@dataclass(frozen=True)
class Curve:
    """One line: a number at each place."""

    words: str
    """In the legend, as raw text; lines of the same words look alike in all panels."""
    y: Float[np.ndarray, " x"]
    low: Float[np.ndarray, " x"] | None = None
    high: Float[np.ndarray, " x"] | None = None
    filled: Bool[np.ndarray, " x"] | None = None
    """Points that stand out, drawn full where the others are hollow; without, all are full."""
    draws: Float[np.ndarray, "x draw"] | None = None
    """What the line is a mean of, drawn as small dots."""


@dataclass(frozen=True)
class Panel:
    """Lines that share a number axis."""

    title: str
    curves: list[Curve]
    unit: str = ""
    """Title of the number axis, as raw text."""
    bounds: tuple[float, float] | None = None
    """Ends of the number axis; without, those of the numbers."""
    level: float | None = None
    """Where a dotted line runs across: what nothing at all would score."""

    def ends(self) -> tuple[float, float]:
        """The lowest and the highest number to be shown."""
        parts = [part for curve in self.curves for part in (curve.y, curve.low, curve.high, curve.draws)]
        every = np.concatenate([part.ravel() for part in parts if part is not None])
        numbers = [*every[np.isfinite(every)], *([] if self.level is None else [self.level])]
        low, high = self.bounds or (float("inf"), float("-inf"))
        return min(low, *numbers), max(high, *numbers)


@dataclass(frozen=True)
class Across:
    """What the lines run over; the same in all panels."""

    x: Float[np.ndarray, " x"]
    title: str
    ticks: dict[str, Any] = field(default_factory=dict)
    log: bool = False


def over_layers(layers: list[int]) -> Across:
    """Return the axis of layers, at most 24 of them written; -1 is what enters the first block."""
    shown = layers[:: -(-len(layers) // 24)]
    ticks = {"tickvals": shown, "ticktext": [layer_word(layer) for layer in shown]}
    return Across(np.array(layers, float), "layer", ticks)


def over_sizes(sizes: Float[np.ndarray, " x"], title: str) -> Across:
    """Return a logarithmic axis of growing sizes, of which those far enough apart are written."""
    shown: list[float] = []
    for size in sizes.tolist():
        if not shown or size >= 1.9 * shown[-1]:
            shown.append(size)
    return Across(sizes, title, {"tickvals": shown, "ticktext": [f"{size:.0f}" for size in shown]}, log=True)


def layer_word(layer: int) -> str:
    """Name a layer as the axis does."""
    return "embed" if layer == _EMBEDDING else str(layer)


def embed_in_words(layers: list[int]) -> str:
    """Say what `embed` is, where it is shown."""
    return EMBED_WORDS if _EMBEDDING in layers else ""


def read_curve(
    data: xr.Dataset,
    name: str,
    words: str,
    filled: Bool[np.ndarray, " x"] | None = None,
    draws: Float[np.ndarray, "x draw"] | None = None,
) -> Curve:
    """Read a variable with the ends of its interval; where only the upper end is known, the band begins at the line."""
    y = data[name].values.astype(float)
    high = data[f"{name}_high"].values.astype(float) if f"{name}_high" in data else None
    low = data[f"{name}_low"].values.astype(float) if f"{name}_low" in data else (None if high is None else y)
    return Curve(words, y, low, high, filled, draws)


def draw_panels(panels: list[Panel], across: Across) -> go.Figure:
    """Draw the panels; lines differ in dash and symbol as well as in colour, and each is named once in the legend."""
    columns = _columns(len(panels))
    rows = -(-len(panels) // columns)
    height = (_ONE_HEIGHT if len(panels) == 1 else _PANEL_HEIGHT * rows + 60) + _LEGEND
    titles = [f"<b>{plotly_text(panel.title)}</b>" if panel.title else "" for panel in panels]
    figure = make_subplots(
        rows, columns, subplot_titles=titles, horizontal_spacing=0.09, vertical_spacing=70 / (height - _LEGEND)
    )
    figure.update_layout(**base_layout(height, bottom=_LEGEND), showlegend=True, hovermode="x unified")
    figure.update_layout(legend={"orientation": "h", "yref": "container", "y": 0.01, "yanchor": "bottom", "x": 0})
    places = {words: place for place, words in enumerate(dict.fromkeys(c.words for p in panels for c in p.curves))}
    shown: set[str] = set()
    for number, panel in enumerate(panels):
        where = {"row": number // columns + 1, "col": number % columns + 1}
        for nth, curve in reversed(list(enumerate(panel.curves))):
            style = _Style(places[curve.words], main=nth == 0, named=curve.words not in shown)
            for trace in _traces(curve, across, style):
                figure.add_trace(trace, **where)
            shown.add(curve.words)
        low, high = panel.ends()
        pad = (high - low or 1.0) * 0.04
        if panel.level is not None:
            figure.add_hline(panel.level, line={"dash": "dot", "width": 1, "color": "rgba(128,128,128,0.9)"}, **where)
        figure.update_yaxes(title_text=plotly_text(clip(panel.unit, 38)), range=[low - pad, high + pad], **where)
        below = number + columns >= len(panels)
        figure.update_xaxes(title_text=plotly_text(across.title) if below else "", **where)
    figure.update_xaxes(type="log" if across.log else "linear", **across.ticks, **_GRID)
    return figure.update_yaxes(**_GRID)


def picture_panels(panels: list[Panel], across: Across) -> Picture:
    """Draw the same in plain pixels, for where no HTML is shown."""
    places = {words: place for place, words in enumerate(dict.fromkeys(c.words for p in panels for c in p.curves))}
    size = (480, 220) if len(panels) == 1 else (220, 100)
    x = np.log(across.x) if across.log else across.x
    grid = np.linspace(x.min(), x.max(), _POINTS)
    drawn = []
    for panel in panels:
        curves = [(np.interp(grid, x, curve.y), _colour(places[curve.words])) for curve in reversed(panel.curves)]
        drawn.append(draw_curves(curves, *panel.ends(), size))
    columns = _columns(len(panels))
    return above([beside(drawn[start : start + columns]) for start in range(0, len(drawn), columns)])


@dataclass(frozen=True)
class _Style:
    place: int
    main: bool
    named: bool


def _columns(n: int) -> int:
    return 1 if n == 1 else 2 if n <= _FEW else 3


def _colour(place: int) -> str:
    return OKABE_ITO[place % len(OKABE_ITO)]


def _traces(curve: Curve, across: Across, style: _Style) -> Iterator[go.Scatter]:
    """Band, draws and line, from the back to the front; the first two where the curve has them."""
    colour, symbol = _colour(style.place), _SYMBOLS[style.place % len(_SYMBOLS)]
    words, ends, hover = plotly_text(curve.words), None, "%{y:.4g}"
    if curve.low is not None and curve.high is not None:
        yield interval_band(across.x, curve.low, curve.high, colour)
        ends, hover = np.stack([curve.low, curve.high], -1), "%{y:.4g} (%{customdata[0]:.4g} to %{customdata[1]:.4g})"
    if curve.draws is not None:
        yield go.Scatter(
            x=np.repeat(across.x, curve.draws.shape[1]),
            y=curve.draws.ravel(),
            mode="markers",
            marker={"symbol": symbol, "size": 4, "color": colour, "opacity": 0.6},
            name=f"{words}, each",
            hoverinfo="skip",
            showlegend=False,
        )
    full = np.ones(len(across.x), bool) if curve.filled is None else curve.filled
    yield go.Scatter(
        x=across.x,
        y=curve.y,
        name=words,
        legendgroup=words,
        showlegend=style.named,
        legendrank=style.place + 1,
        mode="lines+markers",
        line={"color": colour, "width": 3 if style.main else 2, "dash": DASHES[style.place % len(DASHES)]},
        marker={
            "symbol": [symbol if stands else f"{symbol}-open" for stands in full],
            "size": 8 if style.main else 6,
            "line": {"color": colour, "width": 1.5},
        },
        customdata=ends,
        hovertemplate=f"{words} {hover}<extra></extra>",
    )
