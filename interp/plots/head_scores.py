"""Figure of head scores: for each detector, every head's score beside the same head of a random-weights model.

Scores of patterns and scores of weights have the same dimensions and controls, and are drawn alike.
"""

from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Bool, Float

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
    Line("q_fdr", "<br>q (false discovery rate)", ".3g"),
    Line("p_corrected", "<br>corrected p", ".3g"),
    Line("found_above", "<br>found from", ".4g"),
    Line("threshold", "<br>threshold of the control", ".4g"),
    Line("control", "<br>control", ".4g"),
    Line("control_unrepeated", "<br>where nothing repeats", ".4g"),
    Line("control_permuted", "<br>with tokens exchanged", ".4g"),
]
_DIMS = ("detector", "layer", "head")
_SAYS = {
    "head_scores": (
        "Head scores",
        "weight",
        "the score says how much of its attention goes where the detector looks.",
        "A high score shows where a head looks on these prompts; it does not show that the model uses what it finds "
        "there.",
    ),
    "weight_scores": (
        "Weight scores",
        "score",
        "the score says how far its weights raise (copying) or lower (copy suppression) the token it looks at, or how "
        "few tokens they make it look at: whatever the query (key tokens), or from a certain one (token pairs). Red is "
        "below 0: it lowers what it looks at.",
        "A high score shows what a head would write, or where it would look if its layer read bare embeddings; it does "
        "not show that it ever does.",
    ),
}
"""Title, name of the colour bars (the whole unit would be longer than a panel is high), and words, by kind."""
_FOUND = (
    "A ring marks heads that are found: a p of at most 0.05, corrected over all heads and detectors, and an interval "
    "that clears every control."
)
_ABOVE = (
    "A ring marks heads above the threshold: the critical value of the control, corrected for looking at every head at "
    "once."
)


def plot_head_scores(result: Result) -> Figure:
    """Draw one heatmap per detector and its control on the same scale; found heads carry a ring.

    Results of earlier versions say which heads are above a threshold, not which are found; there those carry the ring.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, ["score", "control", "p_corrected", "threshold"])
    names = [str(name) for name in result.data["detector"].values]
    lines = [line for line in _LINES if line.variable in result.data]
    details = np.stack([_spread(result, line.variable) for line in lines], axis=-1)
    score, control, ringed = _spread(result, "score"), _spread(result, "control"), _ringed(result)
    title, bar, what, but = _SAYS[result.kind]
    bounds = [_bounds(np.stack(pair)) for pair in zip(score, control, strict=True)]
    hover = read_out(lines)
    panels = [
        (
            Panel(name, score[place], hover, details[place], ringed[place]),
            Panel("control", control[place], hover, details[place]),
        )
        for place, name in enumerate(names)
    ]
    rule = _FOUND if "found" in result.data else _ABOVE
    return Figure(
        title=title,
        how_to_read=contract.sentences(
            "Each cell is one head, layers down and heads across;", what, "Darker is more.", rule, but
        ),
        caption=contract.sentences(
            contract.unit_in_words(result),
            contract.prompts_in_words(result),
            _limits_in_words(result, names),
        ),
        control=contract.control_in_words(result, "the same detector on the same architecture with random weights"),
        png=encode_png(above([_picture(pair, bound) for pair, bound in zip(panels, bounds, strict=True)])),
        plotly=_draw(head_axes(result), panels, [_colours(bound, bar) for bound in bounds]),
    )


def _ringed(result: Result) -> Bool[np.ndarray, "detector layer head"]:
    if "found" in result.data:
        return result.data["found"].transpose(*_DIMS).values.astype(bool)
    return _spread(result, "score") > _spread(result, "threshold")


def _limits_in_words(result: Result, names: list[str]) -> str:
    """Say which score each detector asks for."""
    variable, words = "threshold", "Threshold (corrected critical value of the control)"
    if "found_above" in result.data:
        variable, words = "found_above", "Scores that a found head's interval lies above"
    limits = contract.matrix(result, variable, "detector")
    listed = ", ".join(f"{_words(name)} {value:.3g}" for name, value in zip(names, limits, strict=True))
    return f"{words}: {listed}."


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


def _colours(bounds: tuple[float, float], bar: str) -> dict[str, Any]:
    return sequential_axis(bounds[1], bar) if bounds[0] == 0 else diverging_axis("RdBu", bounds[1], bar)


def _beside_row(figure: go.Figure, row: int, coloraxis: dict[str, Any]) -> dict[str, Any]:
    low, high = next(figure.select_yaxes(row=row, col=1)).domain
    place = {"y": (low + high) / 2, "len": high - low, "yanchor": "middle"}
    return coloraxis | {"colorbar": coloraxis["colorbar"] | place}
