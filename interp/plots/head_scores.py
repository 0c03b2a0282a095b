"""Figure of head scores: for each detector, every head's score beside the same head of a random-weights model."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.heatmap import Axes, Panel, draw_panel, panel_grid
from interp.plots.png import Picture, above, beside, colour_cells, encode_png
from interp.plots.theme import DIVERGING, LINE, SEQUENTIAL, diverging_axis, sequential_axis
from interp.plots.tokens import plotly_text
from interp.results import Result

_HOVER = (
    "%{hovertext}<br>score %{customdata[0]:.4g}<br>control %{customdata[1]:.4g}"
    "<br>corrected p %{customdata[2]:.3g}<br>threshold %{customdata[3]:.4g}"
)
_CONTROL_HOVER = "%{hovertext}<br>control %{customdata[1]:.4g}<br>score %{customdata[0]:.4g}"
_HOW_TO_READ = (
    "Each cell is one head, layers down and heads across; the score says how much of its attention goes where the "
    "detector looks. Darker is more. A ring marks heads above the threshold, which the same detector on a "
    "random-weights model of the same shape passes by chance in fewer than one map in twenty. "
    "A high score shows where a head looks on these prompts; it does not show that the model uses what it finds there."
)


def plot_head_scores(result: Result) -> Figure:
    """Draw one heatmap per detector and its control on the same scale; heads above the threshold carry a ring.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, ["score", "control", "p_corrected", "threshold"])
    names = [str(name) for name in result.data["detector"].values]
    threshold = contract.matrix(result, "threshold", "detector")
    parts = [contract.matrix(result, name, "detector", "layer", "head") for name in ("score", "control", "p_corrected")]
    details = np.stack([*parts, np.broadcast_to(threshold[:, None, None], parts[0].shape)], axis=-1)
    bounds = [_bounds(details[place, ..., :2]) for place in range(len(names))]
    listed = ", ".join(f"{_words(name)} {value:.3g}" for name, value in zip(names, threshold, strict=True))
    return Figure(
        title="Head scores",
        how_to_read=_HOW_TO_READ,
        caption=contract.sentences(
            f"Unit: {result.unit}. Positive: {result.sign.rstrip('.')}.",
            contract.prompts_in_words(result),
            f"Threshold (corrected critical value of the control): {listed}.",
        ),
        control=contract.control_in_words(result, "the same detector on the same architecture with random weights"),
        png=encode_png(above([_picture(details[place], bounds[place]) for place in range(len(names))])),
        plotly=_draw(result, names, details, bounds),
    )


def _words(name: str) -> str:
    return name.replace("_", " ")


def _bounds(scores: np.ndarray) -> tuple[float, float]:
    top = float(max(np.nanmax(np.abs(scores)), 1e-9))
    return (-top if np.nanmin(scores) < 0 else 0.0), top


def _picture(details: np.ndarray, bounds: tuple[float, float]) -> Picture:
    scale = SEQUENTIAL if bounds[0] == 0 else DIVERGING["RdBu"]
    return beside([colour_cells(details[..., part], scale, *bounds) for part in (0, 1)])


def _draw(result: Result, names: list[str], details: np.ndarray, bounds: list[tuple[float, float]]) -> go.Figure:
    axes = _axes(result)
    titles = [title for name in names for title in (f"<b>{plotly_text(_words(name))}</b>", "control")]
    figure = panel_grid(axes, len(names), 2, titles)
    figure.update_layout(plot_bgcolor=LINE)
    for place, scores in enumerate(details):
        row, coloraxis = place + 1, f"coloraxis{place + 1}"
        marked = scores[..., 0] > scores[..., 3]
        draw_panel(figure, Panel(names[place], scores[..., 0], _HOVER, scores, marked), axes, (row, 1), coloraxis)
        draw_panel(figure, Panel("control", scores[..., 1], _CONTROL_HOVER, scores), axes, (row, 2), coloraxis)
        figure.update_layout({coloraxis: _beside_row(figure, row, _colours(bounds[place], result.unit))})
    return figure


def _colours(bounds: tuple[float, float], unit: str) -> dict[str, Any]:
    return sequential_axis(bounds[1], unit) if bounds[0] == 0 else diverging_axis("RdBu", bounds[1], unit)


def _beside_row(figure: go.Figure, row: int, coloraxis: dict[str, Any]) -> dict[str, Any]:
    low, high = next(figure.select_yaxes(row=row, col=1)).domain
    place = {"y": (low + high) / 2, "len": high - low, "yanchor": "middle"}
    return coloraxis | {"colorbar": coloraxis["colorbar"] | place}


def _axes(result: Result) -> Axes:
    layers, heads = contract.layer_numbers(result), contract.axis_labels(result, "head")
    places = [[f"<b>L{layer}H{head}</b>" for head in heads] for layer in layers]
    return Axes(layers, [f"H{head}" for head in heads], places)
