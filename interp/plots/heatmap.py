"""Heatmaps over layers: one panel for the effect, one for its control, on the same colour scale."""

import html
from dataclasses import dataclass

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
    """One heatmap: values over layers and columns."""

    title: str
    values: Float[np.ndarray, "layer x"]
    hover: str
    """Plotly's hover template: `%{hovertext}` says which cell it is, `%{customdata[i]}` is the i-th of `details`."""
    details: Float[np.ndarray, "layer x detail"]
    marked: Bool[np.ndarray, "layer x"] | None = None
    """Cells that carry a symbol."""


@dataclass(frozen=True)
class Axes:
    """What the rows and columns of a heatmap are; drawn at whole numbers, because plotly merges equal labels."""

    layers: list[int]
    columns: list[str]
    """Tick labels, already escaped."""
    places: list[list[str]]
    """What each cell is, for hovering: one row per layer, already escaped."""

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
        """Height in pixels of one panel's cells."""
        return min(max(len(self.layers) * 24, 150), 640)


def head_axes(result: Result) -> Axes:
    """Return the axes of a heatmap over layers and heads; cells are named `LxHy`."""
    layers, heads = contract.layer_numbers(result), result.data["head"].values.tolist()
    places = [[f"<b>L{layer}H{head}</b>" for head in heads] for layer in layers]
    return Axes(layers, [f"H{head}" for head in heads], places)


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
    gap = 1 if len(axes.columns) <= _MOST_LINES else 0
    figure.add_trace(
        go.Heatmap(
            z=panel.values,
            x=np.arange(len(axes.columns)),
            y=np.arange(len(axes.layers)),
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
    if panel.marked is not None and panel.marked.any():
        figure.add_trace(_marks(panel.marked), row=row, col=column)
    n_rows, n_columns = panel.values.shape
    ticks = {"ticks": "", "showgrid": False, "zeroline": False, "ticklabelstandoff": 3, "row": row, "col": column}
    angle = -60 if axes.slanted else 0
    figure.update_xaxes(**ticks, **tick_text(axes.columns, limit=70), range=[-0.5, n_columns - 0.5], tickangle=angle)
    layers = tick_text([str(layer) for layer in axes.layers], limit=26)
    title = "layer" if column == 1 else ""
    figure.update_yaxes(**ticks, **layers, range=[n_rows - 0.5, -0.5], title_text=title)


def ground(panels: list[Panel]) -> str:
    """Return the colour behind the cells: plotly leaves cells that were not run open, and they must not look white."""
    return GREY if any(np.isnan(panel.values).any() for panel in panels) else LINE


def _marks(marked: Bool[np.ndarray, "layer x"]) -> go.Scatter:
    layer, column = np.nonzero(marked)
    ring = {"symbol": "circle", "size": 5, "color": "#ffffff", "line": {"color": "#000000", "width": 1.2}}
    return go.Scatter(x=column, y=layer, mode="markers", marker=ring, hoverinfo="skip", showlegend=False)


def tick_text(labels: list[str], limit: int) -> dict[str, list[str] | list[int] | str]:
    """Return plotly's ticks at whole numbers, leaving out labels beyond `limit` evenly."""
    step = -(-len(labels) // limit)
    return {"tickmode": "array", "tickvals": list(range(0, len(labels), step)), "ticktext": labels[::step]}
