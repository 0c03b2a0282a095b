"""Figure of head scores: for each detector, every head's score beside the same head of a random-weights model."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.heatmap import Axes, Line, Panel, draw_panel, head_axes, panel_grid, read_out
from interp.plots.png import Picture, above, beside, colour_cells, encode_png
from interp.plots.theme import DIVERGING, LINE, SEQUENTIAL, diverging_axis, sequential_axis
from interp.plots.tokens import plotly_text
from interp.results import Result

_LINES = [
    Line("score", "score", ".4g"),
    Line("score_low", "<br>95 % interval", ".4g"),
    Line("score_high", " to", ".4g"),
    Line("p_corrected", "<br>corrected p", ".3g"),
    Line("threshold", "<br>threshold", ".4g"),
    Line("control", "<br>control", ".4g"),
    Line("control_unrepeated", "<br>where nothing repeats", ".4g"),
]
_DIMS = ("detector", "layer", "head")
_BAR = "weight"
"""Title of the colour bars: the whole unit, which the caption gives, would be longer than a panel is high."""
_HOW_TO_READ = (
    "Each cell is one head, layers down and heads across; the score says how much of its attention goes where the "
    "detector looks. Darker is more. A ring marks heads above the threshold: the critical value of the control, "
    "corrected for looking at every head at once. "
    "A high score shows where a head looks on these prompts; it does not show that the model uses what it finds there."
)


def plot_head_scores(result: Result) -> Figure:
    """Draw one heatmap per detector and its control on the same scale; heads above the threshold carry a ring.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, ["score", "control", "p_corrected", "threshold"])
    names = [str(name) for name in result.data["detector"].values]
    lines = [line for line in _LINES if line.variable in result.data]
    details = np.stack([_spread(result, line.variable) for line in lines], axis=-1)
    score, control, threshold = (_spread(result, name) for name in ("score", "control", "threshold"))
    bounds = [_bounds(np.stack(pair)) for pair in zip(score, control, strict=True)]
    hover = read_out(lines)
    panels = [
        (
            Panel(name, score[place], hover, details[place], score[place] > threshold[place]),
            Panel("control", control[place], hover, details[place]),
        )
        for place, name in enumerate(names)
    ]
    limits = contract.matrix(result, "threshold", "detector")
    listed = ", ".join(f"{_words(name)} {value:.3g}" for name, value in zip(names, limits, strict=True))
    return Figure(
        title="Head scores",
        how_to_read=_HOW_TO_READ,
        caption=contract.sentences(
            contract.unit_in_words(result),
            contract.prompts_in_words(result),
            f"Threshold (corrected critical value of the control): {listed}.",
        ),
        control=contract.control_in_words(result, "the same detector on the same architecture with random weights"),
        png=encode_png(above([_picture(pair, bound) for pair, bound in zip(panels, bounds, strict=True)])),
        plotly=_draw(head_axes(result), panels, [_colours(bound) for bound in bounds]),
    )


def _words(name: str) -> str:
    return name.replace("_", " ")


def _bounds(scores: np.ndarray) -> tuple[float, float]:
    top = float(max(np.nanmax(np.abs(scores)), 1e-9))
    return (-top if np.nanmin(scores) < 0 else 0.0), top


def _spread(result: Result, name: str) -> Float[np.ndarray, "detector layer head"]:
    """Return a variable with a number for every head, also where it has one per detector."""
    array = result.data[name].broadcast_like(result.data["score"])
    return array.transpose(*_DIMS).values.astype(np.float32)


def _picture(pair: tuple[Panel, Panel], bounds: tuple[float, float]) -> Picture:
    scale = SEQUENTIAL if bounds[0] == 0 else DIVERGING["RdBu"]
    return beside([colour_cells(panel.values, scale, *bounds) for panel in pair])


def _draw(axes: Axes, panels: list[tuple[Panel, Panel]], colours: list[dict[str, Any]]) -> go.Figure:
    titles = [title for score, _ in panels for title in (f"<b>{plotly_text(_words(score.title))}</b>", "control")]
    figure = panel_grid(axes, len(panels), 2, titles)
    figure.update_layout(plot_bgcolor=LINE)
    for row, pair in enumerate(panels, start=1):
        coloraxis = f"coloraxis{row}"
        for column, panel in enumerate(pair, start=1):
            draw_panel(figure, panel, axes, (row, column), coloraxis)
        figure.update_layout({coloraxis: _beside_row(figure, row, colours[row - 1])})
    return figure


def _colours(bounds: tuple[float, float]) -> dict[str, Any]:
    return sequential_axis(bounds[1], _BAR) if bounds[0] == 0 else diverging_axis("RdBu", bounds[1], _BAR)


def _beside_row(figure: go.Figure, row: int, coloraxis: dict[str, Any]) -> dict[str, Any]:
    low, high = next(figure.select_yaxes(row=row, col=1)).domain
    place = {"y": (low + high) / 2, "len": high - low, "yanchor": "middle"}
    return coloraxis | {"colorbar": coloraxis["colorbar"] | place}
