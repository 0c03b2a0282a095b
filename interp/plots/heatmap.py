"""Heatmaps over layers: one panel for the effect, one for its control, on the same colour scale."""

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Bool, Float
from plotly.subplots import make_subplots

from interp.plots import contract
from interp.plots.theme import GREY, LINE, base_layout
from interp.results import Result

_TITLE_HEIGHT = 36
_MOST_LINES = 100
"""With more columns, lines between cells would take more room than the cells."""
_WIDE = 16
"""More columns than this and the control stands below the effect instead of beside it."""
_MOST_ROW_LABELS = 26
_GREY_STROKE = {"color": "#b4bdc9", "line": {"color": "#b4bdc9", "width": 1}}
SYMBOLS: dict[str, dict[str, Any]] = {
    "slant": {"symbol": "line-ne-open", "size": 6, **_GREY_STROKE},
    "level": {"symbol": "line-ew-open", "size": 5, **_GREY_STROKE},
    "ring": {"symbol": "circle", "size": 5, "color": "#ffffff", "line": {"color": "#000000", "width": 1.2}},
    "diamond": {"symbol": "diamond", "size": 8, "color": "#000000", "line": {"color": "#ffffff", "width": 1.2}},
}
"""What a cell can carry: grey strokes where no value was computed, a ring or a diamond where it stands out."""


@dataclass(frozen=True)
class Line:
    """One number of the hover box: which variable, the words before it, and d3's format."""

    variable: str
    words: str
    format: str


def read_out(lines: list[Line]) -> str:
    """Return the hover box of a cell: what it is, then the numbers of `details`, in this order."""
    numbers = (f"{line.words} %{{customdata[{place}]:{line.format}}}" for place, line in enumerate(lines))
    return "%{hovertext}<br>" + "".join(numbers)


@dataclass(frozen=True)
class Panel:
    """One heatmap: values over rows and columns."""

    title: str
    values: Float[np.ndarray, "row x"]
    hover: str
    """Plotly's hover template: `%{hovertext}` says which cell it is, `%{customdata[i]}` is the i-th of `details`."""
    details: Float[np.ndarray, "row x detail"]
    marked: Bool[np.ndarray, "row x"] | None = None
    """Cells that carry a ring."""
    symbols: Mapping[str, Bool[np.ndarray, "row x"]] = field(default_factory=dict)
    """Cells that carry another of `SYMBOLS`, by its name."""


@dataclass(frozen=True)
class Axes:
    """What the rows and columns of a heatmap are; drawn at whole numbers, because plotly merges equal labels."""

    rows: list[str]
    """Tick labels: layers, or heads of all layers."""
    columns: list[str]
    """Tick labels, already escaped."""
    places: list[list[str]]
    """What each cell is, for hovering: one list per row, already escaped."""
    row_title: str = "layer"
    rows_per_layer: int = 1

    @property
    def slanted(self) -> bool:
        """Whether the column labels are too long to stand level."""
        return max(map(len, self.columns)) > 4 or len(self.columns) > 24

    @property
    def label_height(self) -> int:
        """Height in pixels to keep free for the column labels."""
        return 24 + 6 * max(len(html.unescape(label)) for label in self.columns) if self.slanted else 30

    @property
    def side_by_side(self) -> bool:
        """Whether two panels fit next to each other."""
        return len(self.columns) <= _WIDE

    @property
    def panel_height(self) -> int:
        """Height in pixels of one panel's cells: no row thinner than four pixels while the figure fits on a page."""
        return min(max(len(self.rows) * 24, 150), max(640, min(len(self.rows) * 4, 1600)))

    @property
    def row_ticks(self) -> dict[str, Any]:
        """Plotly's ticks of the rows; where not all fit, as many in one layer as in the next."""
        step, per_layer = -(-len(self.rows) // _MOST_ROW_LABELS), self.rows_per_layer
        while per_layer % step and step % per_layer:
            step += 1
        return tick_text(self.rows, limit=-(-len(self.rows) // step))


def head_axes(result: Result) -> Axes:
    """Return the axes of a heatmap over layers and heads; cells are named `LxHy`."""
    layers, heads = contract.layer_numbers(result), result.data["head"].values.tolist()
    places = [[f"<b>L{layer}H{head}</b>" for head in heads] for layer in layers]
    return Axes([str(layer) for layer in layers], [f"H{head}" for head in heads], places)


def panel_grid(axes: Axes, rows: int, columns: int, titles: list[str]) -> go.Figure:
    """Return an empty figure with room for panels and their labels."""
    between = axes.label_height + _TITLE_HEIGHT
    height = (axes.panel_height + between) * rows
    figure = make_subplots(
        rows=rows,
        cols=columns,
        subplot_titles=titles,
        shared_yaxes=columns > 1,
        horizontal_spacing=0.04,
        vertical_spacing=between / (height - between) if rows > 1 else 0,
    )
    return figure.update_layout(**base_layout(height, top=_TITLE_HEIGHT, bottom=axes.label_height))


def draw_panel(figure: go.Figure, panel: Panel, axes: Axes, place: tuple[int, int], coloraxis: str) -> None:
    """Add one panel, its symbols and its axes to a figure made by `make_subplots`."""
    row, column = place
    gap = 1 if max(len(axes.columns), len(axes.rows)) <= _MOST_LINES else 0
    figure.add_trace(
        go.Heatmap(
            z=panel.values,
            x=np.arange(len(axes.columns)),
            y=np.arange(len(axes.rows)),
            coloraxis=coloraxis,
            customdata=panel.details,
            hovertext=axes.places,
            hovertemplate=panel.hover + "<extra></extra>",
            hoverongaps=False,
            xgap=gap,
            ygap=gap,
            name=panel.title,
        ),
        row=row,
        col=column,
    )
    symbols = {**panel.symbols, **({} if panel.marked is None else {"ring": panel.marked})}
    for name, where in symbols.items():
        if where.any():
            figure.add_trace(_symbols(name, where), row=row, col=column)
    n_rows, n_columns = panel.values.shape
    for line in range(axes.rows_per_layer, n_rows if axes.rows_per_layer > 1 else 0, axes.rows_per_layer):
        figure.add_hline(line - 0.5, line={"color": "#8b96a5", "width": 1}, row=row, col=column)
    ticks = {"ticks": "", "showgrid": False, "zeroline": False, "ticklabelstandoff": 3, "row": row, "col": column}
    angle = -60 if axes.slanted else 0
    figure.update_xaxes(**ticks, **tick_text(axes.columns, limit=70), range=[-0.5, n_columns - 0.5], tickangle=angle)
    title = axes.row_title if column == 1 else ""
    figure.update_yaxes(**ticks, **axes.row_ticks, range=[n_rows - 0.5, -0.5], title_text=title)


def draw_pair(panels: list[Panel], axes: Axes, coloraxis: dict[str, Any]) -> go.Figure:
    """Draw an effect and its control on one scale, side by side or one over the other as they fit."""
    across = axes.side_by_side
    figure = panel_grid(axes, *((1, 2) if across else (2, 1)), titles=[panel.title for panel in panels])
    figure.update_layout(coloraxis=coloraxis, plot_bgcolor=ground(panels))
    for place, panel in enumerate(panels):
        draw_panel(figure, panel, axes, (1, place + 1) if across else (place + 1, 1), "coloraxis")
    return figure


def ground(panels: list[Panel]) -> str:
    """Return the colour behind the cells: plotly leaves cells that were not run open, and they must not look white."""
    return GREY if any(np.isnan(panel.values).any() for panel in panels) else LINE


def _symbols(name: str, where: Bool[np.ndarray, "row x"]) -> go.Scatter:
    row, column = np.nonzero(where)
    return go.Scatter(
        x=column, y=row, mode="markers", marker=SYMBOLS[name], hoverinfo="skip", showlegend=False, name=name
    )


def tick_text(labels: list[str], limit: int) -> dict[str, list[str] | list[int] | str]:
    """Return plotly's ticks at whole numbers, leaving out labels beyond `limit` evenly."""
    step = -(-len(labels) // limit)
    return {"tickmode": "array", "tickvals": list(range(0, len(labels), step)), "ticktext": labels[::step]}
