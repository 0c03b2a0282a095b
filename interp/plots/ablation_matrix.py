"""Figure of the ablation matrix: what languages lose when the neurons of one are silenced, beside random neurons."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.heatmap import Axes, Line, Panel, draw_panel, ground, panel_grid, read_out
from interp.plots.png import beside, colour_cells, encode_png
from interp.plots.theme import DIVERGING, diverging_axis
from interp.plots.tokens import plotly_text
from interp.results import RAN, Result

_DIMS = ("edited", "language")
_PIXELS = 24
_MOST_WRITTEN = 8
"""With more languages, numbers no longer fit into the cells."""
_HOW_TO_READ = (
    "Each row is the language whose neurons are held still, each column the language that is read; a cell is how much "
    "worse it is predicted (blue: worse), beside the mean of as many random neurons, as active in the row's language. "
    "A diamond marks changes larger than any random draw's whose interval against the draws leaves out zero. Language "
    "neurons that matter make the diagonal the darkest of its row. Grey: no neurons. "
    "A dark diagonal that the random neurons share is not evidence that these neurons carry the language."
)
_LINES = [
    Line("effect", "change of loss", "+.4f"),
    Line("effect_low", "<br>95 % interval", "+.4f"),
    Line("effect_high", " to", "+.4f"),
    Line("control", "<br>random neurons", "+.4f"),
    Line("control_low", ", draws", "+.4f"),
    Line("control_high", " to", "+.4f"),
    Line("above_control", "<br>difference", "+.4f"),
    Line("above_control_low", ", 95 % interval", "+.4f"),
    Line("above_control_high", " to", "+.4f"),
    Line("p", "<br>rank p", ".3f"),
    Line("q_fdr", ", q", ".3f"),
]


def plot_ablation_matrix(result: Result) -> Figure:
    """Draw the matrix beside that of random neurons, on one scale.

    Raises:
        ResultError: no control, or a variable missing.
    """
    names = [line.variable for line in _LINES]
    contract.check_drawable(result, [*names, "stands", "dominant", "own_minus_others", "n_neurons", RAN])
    details = np.stack([contract.matrix(result, name, *_DIMS) for name in names], axis=-1)
    effect, control = details[..., 0], details[..., names.index("control")]
    stands = result.data["stands"].transpose(*_DIMS).values & result.data[RAN].values[:, None]
    hover, bound = read_out(_LINES), _bound(effect, control)
    panels = [
        Panel("these neurons", effect, hover, details, symbols={"diamond": stands}),
        Panel("random neurons", control, hover, details),
    ]
    return Figure(
        title="What languages lose when one language's neurons are silenced",
        how_to_read=_HOW_TO_READ,
        caption=contract.sentences(
            contract.unit_in_words(result), contract.prompts_in_words(result), _rows_in_words(result)
        ),
        control=contract.control_in_words(result, "random neurons of the same layers and activity"),
        png=encode_png(
            beside([colour_cells(cells, DIVERGING["RdBu"], -bound, bound, _PIXELS) for cells in (effect, control)])
        ),
        plotly=_draw(result, panels, diverging_axis("RdBu", bound, "nats per token")),
    )


def _bound(*matrices: np.ndarray) -> float:
    return max(*(float(np.nanmax(np.abs(cells), initial=0.0)) for cells in matrices), 1e-9)


def _draw(result: Result, panels: list[Panel], colours: dict[str, Any]) -> go.Figure:
    edited, read = ([plotly_text(str(name)) for name in result.data[dim].values] for dim in _DIMS)
    counts = result.data["n_neurons"].values.tolist()
    rows = [f"{name} ({count})" for name, count in zip(edited, counts, strict=True)]
    places = [[f"<b>{row}</b> silenced, <b>{column}</b> read" for column in read] for row in edited]
    axes = Axes(rows, read, places, row_title="neurons of")
    down = not axes.side_by_side
    figure = panel_grid(axes, 2 if down else 1, 1 if down else 2, [panel.title for panel in panels])
    for place, panel in enumerate(panels, start=1):
        draw_panel(figure, panel, axes, (place, 1) if down else (1, place), "coloraxis")
    if len(read) <= _MOST_WRITTEN:
        figure.update_traces(texttemplate="%{z:+.2f}", textfont_size=11, selector={"type": "heatmap"})
        # A diamond in the middle would hide the number.
        figure.for_each_trace(_raise_marks, selector={"type": "scatter"})
    left = 40 + 7 * max(map(len, rows))
    return figure.update_layout(coloraxis=colours, plot_bgcolor=ground(panels), margin_l=left)


def _raise_marks(trace: go.Scatter) -> None:
    trace.y = [row - 0.34 for row in trace.y]


def _rows_in_words(result: Result) -> str:
    ran = result.data[RAN].values
    rows = zip(
        result.data["edited"].values[ran],
        result.data["own_minus_others"].values[ran],
        result.data["dominant"].values[ran],
        strict=True,
    )
    listed = ", ".join(f"{name} {value:+.3f}{' (dominant)' if sure else ''}" for name, value, sure in rows)
    return f"Own language minus the mean of the others: {listed}."
