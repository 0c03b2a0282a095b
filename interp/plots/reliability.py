"""Figure of calibration: how often a probe is right in each bin of confidence, beside what it says."""

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.png import Picture, draw_curves, encode_png
from interp.plots.theme import OKABE_ITO, base_layout
from interp.plots.tokens import plotly_text
from interp.results import Result

_HEIGHT, _COUNT_SHARE = 520, 0.22
_PICTURE = (260, 260)
_NUMBERS = ["accuracy", "accuracy_low", "accuracy_high", "confidence", "count"]
_CONTROLS = ["control_calibrated", "control_calibrated_low", "control_calibrated_high"]
_GRID = {"gridcolor": "rgba(128,128,128,0.25)", "zeroline": False}
_PALE = {"thickness": 8, "width": 0, "color": "rgba(213,94,0,0.3)"}
_HOW_TO_READ = (
    "Each dot is one bin of confidence: how often the probe is right (upwards) where it says so much (to the right), "
    "with its 95 % interval; the bars below count the samples in it. On the diagonal the probe is right as often as "
    "it says, below it is too sure. Hollow squares are where the dots would lie if the probabilities were true, with "
    "the ends of 95 % of the draws: a dot outside them is seldom chance, unless the samples of a group are alike. Dots "
    "on the diagonal do not show that the probe is often right, only that it knows how often."
)
_BOX = (
    "confidence %{x:.3f}<br>accuracy %{customdata[0]:.3f} (%{customdata[1]:.3f} to %{customdata[2]:.3f})"
    "<br>if calibrated %{customdata[5]:.3f} (%{customdata[6]:.3f} to %{customdata[7]:.3f})"
    "<br>%{customdata[4]:.0f} samples<extra></extra>"
)


def plot_reliability(result: Result) -> Figure:
    """Draw accuracy over confidence by bins, with the diagonal, what calibrated probabilities give, and the counts.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, [*_NUMBERS, *_CONTROLS])
    numbers = {name: result.data[name].values.astype(float) for name in (*_NUMBERS, *_CONTROLS)}
    outside = (numbers["accuracy"] < numbers["control_calibrated_low"]) | (
        numbers["accuracy"] > numbers["control_calibrated_high"]
    )
    return Figure(
        title="Calibration",
        how_to_read=_HOW_TO_READ,
        caption=contract.sentences(
            contract.unit_in_words(result),
            contract.prompts_in_words(result),
            f"{int(outside.sum())} of {len(outside)} bins lie outside what true probabilities would give.",
            contract.baselines_in_words(result),
        ),
        control=contract.control_in_words(result, "labels drawn from the predicted probabilities"),
        png=encode_png(_picture(numbers)),
        plotly=_draw(numbers, result.unit),
    )


def _draw(numbers: dict[str, np.ndarray], unit: str) -> go.Figure:
    figure = make_subplots(2, 1, shared_xaxes=True, row_heights=[1 - _COUNT_SHARE, _COUNT_SHARE], vertical_spacing=0.05)
    figure.update_layout(**base_layout(_HEIGHT, top=30))
    figure.update_layout(legend={"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0})
    x, box = numbers["confidence"], np.stack([*numbers.values()], -1)
    grey = {"color": "rgba(128,128,128,0.9)", "dash": "dot", "width": 1.5}
    diagonal = go.Scatter(x=[0, 1], y=[0, 1], mode="lines", line=grey, name="right as often as it says")
    figure.add_trace(diagonal.update(hoverinfo="skip"), row=1, col=1)
    # The control's ends are a broad pale stroke behind: both series stand at the same places.
    looks = (
        ("control_calibrated", "control: if calibrated", "square-open", OKABE_ITO[1], _PALE),
        ("accuracy", "probe", "circle", OKABE_ITO[0], {"thickness": 1.4, "width": 4, "color": OKABE_ITO[0]}),
    )
    for name, words, symbol, colour, stroke in looks:
        value, low, high = (numbers[f"{name}{end}"] for end in ("", "_low", "_high"))
        points = go.Scatter(
            x=x,
            y=value,
            mode="markers",
            name=words,
            marker={"symbol": symbol, "size": 9, "color": colour, "line": {"color": colour, "width": 1.5}},
            error_y={"type": "data", "array": high - value, "arrayminus": value - low} | stroke,
            customdata=box,
            hovertemplate=_BOX,
        )
        figure.add_trace(points, row=1, col=1)
    bars = go.Bar(x=x, y=numbers["count"], width=_widths(x), marker={"color": OKABE_ITO[5]}, showlegend=False)
    figure.add_trace(bars.update(customdata=box, hovertemplate=_BOX, name="samples"), row=2, col=1)
    figure.update_xaxes(range=[0, 1.01], **_GRID)
    figure.update_xaxes(title_text="confidence (probability of the answer)", row=2, col=1)
    figure.update_yaxes(title_text=plotly_text(unit), range=[-0.02, 1.04], row=1, col=1)
    figure.update_yaxes(title_text="samples", rangemode="tozero", row=2, col=1)
    return figure.update_yaxes(**_GRID)


def _widths(x: np.ndarray) -> np.ndarray:
    """Bars narrow enough not to cover their neighbours."""
    steps = np.abs(np.diff(np.sort(x)))
    between = float(steps[steps > 0].min()) if (steps > 0).any() else 1.0
    return np.full(len(x), min(0.8 * between, 0.05))


def _picture(numbers: dict[str, np.ndarray]) -> Picture:
    grid = np.linspace(0, 1, 120)
    order = np.argsort(numbers["confidence"])
    x = numbers["confidence"][order]
    lines = [(grid, "#b0b0b0")]
    inside = np.clip(grid, x[0], x[-1])
    for name, colour in (("control_calibrated", OKABE_ITO[1]), ("accuracy", OKABE_ITO[0])):
        lines.append((np.interp(inside, x, numbers[name][order]), colour))
    return draw_curves(lines, 0.0, 1.0, _PICTURE)
