"""Figure of a training: what was measured on its snapshots, one panel for each kind of measure, over the steps."""

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float
from plotly.subplots import make_subplots

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.png import Picture, above, beside, draw_curves, encode_png
from interp.plots.theme import DASHES, OKABE_ITO, base_layout
from interp.plots.tokens import plotly_text
from interp.results import Result

_COLUMNS = 2
_PANEL_HEIGHT = 260
_PICTURE = (360, 150)
_HOW_TO_READ = (
    "Each panel is one kind of measure over the steps of the training; the step axis is logarithmic, because most "
    "changes early. Points are snapshots, bars their 95 % intervals. The line across is the control, the untrained "
    "model. One training with one seed: the figure shows when a behaviour came in this run, not what caused it, and "
    "not that it would come at the same step again."
)


def plot_emergence(result: Result) -> Figure:
    """Draw every measure over the steps of a training, by panels; measures differ in dash and symbol, too.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, ["value", "value_low", "value_high", "control", "panel", "unit"])
    places = _panels(result)
    curves = contract.matrix(result, "value", "measure", "step")
    return Figure(
        title="What came when",
        how_to_read=_HOW_TO_READ,
        caption=contract.sentences(
            contract.unit_in_words(result),
            f"{result.data.sizes['step']} snapshots of one training.",
            f"Losses and sinks measured on {result.notes['text']}." if "text" in result.notes else "",
            *(f"{name}: {meaning}" for name, meaning in _meanings(result)),
        ),
        control=contract.control_in_words(result, "the untrained model"),
        png=encode_png(_picture([curves[rows] for rows in places.values()])),
        plotly=_draw(result, places),
    )


def _panels(result: Result) -> dict[str, list[int]]:
    """Places of the measures of each panel, in the order of the result."""
    names = [str(name) for name in result.data["panel"].values]
    return {panel: [i for i, name in enumerate(names) if name == panel] for panel in dict.fromkeys(names)}


def _meanings(result: Result) -> list[tuple[str, str]]:
    """Measures that say something of their own; those of a loss in each language say the same."""
    if "meaning" not in result.data:
        return []
    named = zip(result.data["measure"].values, result.data["meaning"].values, strict=True)
    return [(str(name), str(words)) for name, words in named if ", " not in str(name)]


def _picture(panels: list[Float[np.ndarray, "_ step"]]) -> Picture:
    drawn = [
        draw_curves(
            [(curve, OKABE_ITO[place % len(OKABE_ITO)]) for place, curve in enumerate(curves)],
            float(curves.min()),
            float(curves.max()),
            _PICTURE,
        )
        for curves in panels
    ]
    if len(drawn) % _COLUMNS:
        drawn.append(np.full_like(drawn[0], 255))
    return above([beside(drawn[start : start + _COLUMNS]) for start in range(0, len(drawn), _COLUMNS)])


def _draw(result: Result, panels: dict[str, list[int]]) -> go.Figure:
    rows = -(-len(panels) // _COLUMNS)
    titles = [f"<b>{plotly_text(panel)}</b>" for panel in panels]
    figure = make_subplots(rows, _COLUMNS, subplot_titles=titles, horizontal_spacing=0.1, vertical_spacing=0.3 / rows)
    figure.update_layout(**base_layout(_PANEL_HEIGHT * rows + 60), showlegend=True)
    figure.update_layout(legend={"orientation": "h", "y": -0.12, "x": 0})
    steps = [int(step) for step in result.data["step"].values]
    grid = {"gridcolor": "rgba(128,128,128,0.25)", "zeroline": False}
    # Step 0 has a place, too, one to the left of the first step.
    shown = _ticks(steps)
    figure.update_xaxes(
        type="log", tickvals=[step + 1 for step in shown], ticktext=[str(step) for step in shown], **grid
    )
    for number, places in enumerate(panels.values()):
        where = {"row": number // _COLUMNS + 1, "col": number % _COLUMNS + 1}
        figure.update_yaxes(title_text=plotly_text(str(result.data["unit"].values[places[0]])), **grid, **where)
        if where["row"] == rows:
            figure.update_xaxes(title_text="step", **where)
        for nth, place in enumerate(places):
            figure.add_trace(_curve(result, place, nth), **where)
            figure.add_trace(_control(result, place, nth), **where)
    return figure


def _ticks(steps: list[int]) -> list[int]:
    """Steps far enough apart on a logarithmic axis to be written."""
    shown: list[int] = []
    for step in steps:
        if not shown or (step + 1) >= 2 * (shown[-1] + 1):
            shown.append(step)
    return shown


def _curve(result: Result, place: int, nth: int) -> go.Scatter:
    row = result.data.isel(measure=place)
    value, low, high = (row[name].values.astype(float) for name in ("value", "value_low", "value_high"))
    words = plotly_text(str(row["measure"].item()))
    steps = row["step"].values
    return go.Scatter(
        x=steps + 1,
        y=value,
        name=words,
        mode="lines+markers",
        line={"color": _colour(nth), "width": 2, "dash": DASHES[nth % len(DASHES)]},
        marker={"symbol": nth, "size": 7},
        error_y={"type": "data", "array": high - value, "arrayminus": value - low, "width": 2, "thickness": 1},
        customdata=np.stack([steps, low, high], axis=-1),
        hovertemplate=(
            f"{words}<br>step %{{customdata[0]:.0f}}: %{{y:.4g}} (%{{customdata[1]:.4g}} to %{{customdata[2]:.4g}})"
            "<extra></extra>"
        ),
    )


def _control(result: Result, place: int, nth: int) -> go.Scatter:
    steps = result.data["step"].values
    value = float(result.data["control"].values[place])
    return go.Scatter(
        x=[steps.min() + 1, steps.max() + 1],
        y=[value, value],
        mode="lines",
        line={"color": _colour(nth), "width": 1, "dash": "dot"},
        opacity=0.5,
        hovertemplate="control, untrained: %{y:.4g}<extra></extra>",
        showlegend=False,
    )


def _colour(nth: int) -> str:
    return OKABE_ITO[nth % len(OKABE_ITO)]
