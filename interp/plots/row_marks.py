"""Rows of marks with intervals: several numbers for each row, the first filled and the others hollow."""

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, UInt8

from interp.plots.theme import OKABE_ITO, base_layout
from interp.plots.tokens import plotly_text

_ROW, _ROW_PER_MARK = 30, 10
_SYMBOLS = ("circle", "square-open", "diamond-open", "triangle-up-open", "cross-open", "x-open")
_PICTURE_ROW, _PICTURE_WIDTH = 14, 480
_SPREAD = 0.2
"""How far the outermost marks of a row stand from its middle, in rows: their intervals must not hide each other."""
_LETTER, _LINES_OF_WORDS = 6.2, 13
"""Width of a letter, and height of a line, of the words at the right, in pixels."""


@dataclass(frozen=True)
class Marks:
    """One number for each row, with its interval; NaN where there is no number, or no interval."""

    name: str
    value: Float[np.ndarray, " row"]
    low: Float[np.ndarray, " row"]
    high: Float[np.ndarray, " row"]


def draw_rows(names: list[str], series: list[Marks], title: str, extra: list[str] | None = None) -> go.Figure:
    """Draw every series in every row, from the top down.

    Args:
        names: Of the rows, as raw text.
        series: What is marked; the first is the answer, the others are controls.
        title: Of the number axis, as raw text.
        extra: Words at the right end of each row, as raw text; a line break begins a new line.
    """
    figure, places = go.Figure(), np.arange(len(names), dtype=float)
    for number, marks in enumerate(series):
        shift = (2 * number / max(1, len(series) - 1) - 1) * _SPREAD if len(series) > 1 else 0.0
        colour = OKABE_ITO[number % len(OKABE_ITO)]
        figure.add_trace(
            go.Scatter(
                x=marks.value,
                y=places + shift,
                mode="markers",
                name=plotly_text(marks.name),
                marker={"symbol": _SYMBOLS[number % len(_SYMBOLS)], "size": 9 if number else 10, "color": colour},
                error_x={
                    "type": "data",
                    "array": marks.high - marks.value,
                    "arrayminus": marks.value - marks.low,
                    "width": 3,
                    "thickness": 1.4,
                    "color": colour,
                },
                hovertext=_boxes(names, marks),
                hovertemplate="%{hovertext}<extra></extra>",
            )
        )
    lines = [words.split("\n") for words in extra or []]
    row = max(_ROW, _ROW_PER_MARK * len(series), _LINES_OF_WORDS * max(map(len, lines), default=0) + 6)
    figure.update_layout(**base_layout(row * len(names) + 120, top=30))
    figure.update_layout(legend={"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0})
    figure.update_xaxes(title_text=plotly_text(title), gridcolor="rgba(128,128,128,0.25)", zeroline=True)
    figure.update_yaxes(
        tickvals=places,
        ticktext=[plotly_text(name) for name in names],
        range=[len(names) - 0.5, -0.5],
        showgrid=False,
        zeroline=False,
        automargin=True,
    )
    for place in places[1:].tolist():
        figure.add_hline(place - 0.5, line={"color": "rgba(128,128,128,0.25)", "width": 1})
    for place, words in zip(places, lines, strict=False):
        text = "<br>".join(plotly_text(line) for line in words)
        at = {"x": 1, "xref": "paper", "xanchor": "left", "xshift": 8, "y": place}
        figure.add_annotation(**at, text=text, align="left", showarrow=False, font={"size": 11})
    if lines:
        figure.update_layout(margin_r=round(16 + _LETTER * max(len(line) for words in lines for line in words)))
    return figure


def _boxes(names: list[str], marks: Marks) -> list[str]:
    boxes = []
    for name, value, low, high in zip(names, marks.value, marks.low, marks.high, strict=True):
        box = f"<b>{plotly_text(name)}</b><br>{plotly_text(marks.name)} {value:.4g}"
        boxes.append(f"{box}<br>95 % interval {low:.4g} to {high:.4g}" if np.isfinite(low) else box)
    return boxes


def picture_rows(series: list[Marks]) -> UInt8[np.ndarray, "_ _ 3"]:
    """Draw the same in plain pixels, for where no HTML is shown."""
    ends = np.concatenate([[0.0], *([marks.low, marks.high, marks.value] for marks in series)], axis=None)
    ends = ends[np.isfinite(ends)]
    low, span = float(ends.min()), float(np.ptp(ends)) or 1.0
    picture = np.full((_PICTURE_ROW * len(series[0].value), _PICTURE_WIDTH, 3), 255, np.uint8)
    for number, marks in reversed(list(enumerate(series))):
        colour = [int(OKABE_ITO[number % len(OKABE_ITO)][place : place + 2], 16) for place in (1, 3, 5)]
        for row in np.flatnonzero(np.isfinite(marks.value)).tolist():
            at = [
                int((each[row] - low) / span * (_PICTURE_WIDTH - 9)) + 4
                for each in (np.fmin(marks.low, marks.value), marks.value, np.fmax(marks.high, marks.value))
            ]
            top = _PICTURE_ROW * row + 3 + 2 * (number % 4)
            picture[top + 1, at[0] : at[2] + 1] = colour
            picture[top : top + 4, at[1] - 2 : at[1] + 3] = colour
    return picture
