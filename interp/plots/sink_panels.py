"""Pairs of heatmaps for the sink census: each quantity beside its control, on one colour scale."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Bool, Float

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.heatmap import Axes, Line, Panel, draw_panel, panel_grid, read_out
from interp.plots.png import above, beside, colour_cells, encode_png
from interp.plots.theme import LINE, SEQUENTIAL, sequential_axis
from interp.plots.tokens import plotly_text
from interp.results import Result

Cells = Float[np.ndarray, "row x"]
_MOST_PIXELS = 420


@dataclass(frozen=True)
class Pair:
    """One quantity and its control."""

    title: str
    values: Cells
    control: Cells
    details: Float[np.ndarray, "row x detail"]
    """What the hover box reads, in the order of its lines."""
    bar: str = "weight"
    """Title of the colour bar."""
    marked: Bool[np.ndarray, "row x"] | None = None
    """Cells that carry a ring."""


@dataclass(frozen=True)
class Words:
    """What a figure says beside its picture."""

    title: str
    how_to_read: str
    caption: Sequence[str] = ()


def with_interval(variable: str, words: str) -> list[Line]:
    """Lines of the hover box for a variable, its interval and its control."""
    return [
        Line(variable, words, ".4g"),
        Line(f"{variable}_low", "<br>95 % interval", ".4g"),
        Line(f"{variable}_high", " to", ".4g"),
        Line(f"control_{variable}", "<br>control", ".4g"),
    ]


def details_of(result: Result, lines: Sequence[Line], *dims: str) -> Float[np.ndarray, "row x detail"]:
    """Numbers of the hover box, cell by cell."""
    return np.stack([contract.matrix(result, line.variable, *dims) for line in lines], axis=-1)


def figure_of_pairs(result: Result, words: Words, axes: Axes, pairs: Sequence[Pair], lines: Sequence[Line]) -> Figure:
    """Draw pairs of heatmaps, one below the other; the control stands beside, or below where cells are many."""
    return Figure(
        title=words.title,
        how_to_read=words.how_to_read,
        caption=caption(result, *words.caption),
        control=contract.control_in_words(result, "the same architecture with random weights"),
        png=encode_png(above([_picture(pair) for pair in pairs])),
        plotly=draw_pairs([axes, axes], pairs, [read_out([line, *lines[1:]]) for line in lines[:1]] * len(pairs)),
    )


def caption(result: Result, *more: str) -> str:
    """Unit, prompts, policy (T, BOS, epsilon) and reference numbers."""
    return contract.sentences(
        contract.unit_in_words(result),
        contract.prompts_in_words(result),
        *more,
        str(result.notes.get("policy", "")),
        contract.baselines_in_words(result),
    )


def draw_pairs(
    axes: Sequence[Axes], pairs: Sequence[Pair], hovers: Sequence[str], colours: dict[str, Any] | None = None
) -> go.Figure:
    """Draw pairs with axes for the quantity and for its control."""
    columns = 2 if axes[0].side_by_side else 1
    titles = [title for pair in pairs for title in (f"<b>{plotly_text(pair.title)}</b>", "control")]
    figure = panel_grid(axes[0], len(pairs) * 2 // columns, columns, titles)
    figure.update_layout(plot_bgcolor=LINE)
    for place, (pair, hover) in enumerate(zip(pairs, hovers, strict=True)):
        coloraxis = f"coloraxis{place + 1}"
        panels = (
            Panel(plotly_text(pair.title), pair.values, hover, pair.details, pair.marked),
            Panel("control", pair.control, hover, pair.details),
        )
        for side, panel in enumerate(panels):
            draw_panel(figure, panel, axes[side], _place(place, side, columns), coloraxis)
        bounds = sequential_axis(_top(pair), pair.bar) if colours is None else colours
        first, last = (_place(place, side, columns)[0] for side in (0, 1))
        figure.update_layout({coloraxis: _beside_rows(figure, first, last, bounds)})
    return figure


def _place(pair: int, side: int, columns: int) -> tuple[int, int]:
    return (pair + 1, side + 1) if columns == 2 else (2 * pair + side + 1, 1)


def _top(pair: Pair) -> float:
    return float(max(pair.values.max(), pair.control.max(), 1e-9))


def _beside_rows(figure: go.Figure, first: int, last: int, coloraxis: dict[str, Any]) -> dict[str, Any]:
    top, bottom = (next(figure.select_yaxes(row=row, col=1)).domain for row in (first, last))
    place = {"y": (top[1] + bottom[0]) / 2, "len": top[1] - bottom[0], "yanchor": "middle"}
    return coloraxis | {"colorbar": coloraxis["colorbar"] | place}


def _picture(pair: Pair) -> np.ndarray:
    pixels = max(2, min(10, _MOST_PIXELS // pair.values.shape[1]))
    return beside([colour_cells(cells, SEQUENTIAL, 0.0, _top(pair), pixels) for cells in (pair.values, pair.control)])
