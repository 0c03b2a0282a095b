"""Figure of a list of effects: each with its interval, beside its control."""

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, UInt8

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.png import encode_png
from interp.plots.theme import OKABE_ITO, base_layout
from interp.plots.tokens import plotly_text
from interp.results import Result

_ROW, _MOST_ROWS, _PICTURE_WIDTH = 26, 400, 480
_EFFECT, _CONTROL = (0, 114, 178), (213, 94, 0)
_TITLES = {
    "patch_cells": "Patching of single cells",
    "path_patch": "Path patching",
    "direct_paths": "Direct paths",
    "ablate_sweep": "Ablation by layer",
    "steer_sweep": "Steering by layer",
}
_HOW_TO_READ = (
    "Each row is one intervention: the filled dot is what it does to the metric, with its interval where there are two "
    "prompts or more; the hollow square is its control. "
    "A diamond in place of the dot marks effects that also exceed their control (q below 0.05). "
    "An effect no larger than its control is disturbance, not content; a small one does not show that the place is "
    "not used."
)


@dataclass(frozen=True)
class _Rows:
    """The effects, from the top down."""

    names: list[str]
    effect: Float[np.ndarray, " row"]
    low: Float[np.ndarray, " row"]
    """Lower end of the interval; the effect itself where there is none."""
    high: Float[np.ndarray, " row"]
    control: Float[np.ndarray, " row"]
    exceeds: list[bool]
    """Which effects stand out from their control."""


def plot_forest(result: Result) -> Figure:
    """Draw one row per effect, largest on top.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, ["effect", "control"])
    rows = _rows(result)
    n, hidden = len(rows.names), result.data["effect"].size - len(rows.names)
    of = f" from {result.notes['sender']}" if "sender" in result.notes else ""
    return Figure(
        title=f"{_TITLES[result.kind]}{of}",
        how_to_read=_HOW_TO_READ,
        caption=contract.sentences(
            contract.unit_in_words(result),
            contract.prompts_in_words(result),
            "Intervals: 95 % bootstrap over prompts." if "effect_low" in result.data else "Too few for an interval.",
            contract.baselines_in_words(result),
            f"The {n} largest of {n + hidden} effects; the table has all." if hidden else "",
        ),
        control=contract.control_in_words(result, "a matched placebo in place of the edit"),
        png=encode_png(_picture(rows)),
        plotly=_draw(rows, result.unit),
    )


def _rows(result: Result) -> _Rows:
    data, dim = result.data, str(result.data["effect"].dims[0])
    effect = data["effect"].values.astype(float)
    order = np.argsort(-np.abs(effect), kind="stable")[:_MOST_ROWS]
    ends = [data[name].values if name in data else effect for name in ("effect_low", "effect_high")]
    exceeds = np.zeros(len(effect), bool)
    if "above_control_q_fdr" in data:
        sides = np.sign(effect) == np.sign(data["above_control"].values)
        exceeds = (data["above_control_q_fdr"].values < contract.ALPHA) & sides
    prefix = "layer " if dim == "layer" else ""
    names = [f"{prefix}{label}" for label in data[dim].values[order]]
    control = data["control"].values.astype(float)
    return _Rows(names, effect[order], *(end[order] for end in ends), control[order], exceeds[order].tolist())


def _draw(rows: _Rows, unit: str) -> go.Figure:
    places = np.arange(len(rows.names))
    figure = go.Figure(layout=base_layout(_ROW * len(rows.names) + 110, top=24))
    figure.update_xaxes(zeroline=True, zerolinecolor="rgba(128,128,128,0.8)")
    square = {"symbol": "square-open", "size": 8, "color": OKABE_ITO[1], "line": {"width": 1.4}}
    names = [plotly_text(name) for name in rows.names]
    figure.add_trace(
        go.Scatter(
            x=rows.control,
            y=places,
            mode="markers",
            marker=square,
            name="control",
            hovertext=names,
            hovertemplate="<b>%{hovertext}</b><br>control %{x:+.4g}<extra></extra>",
        )
    )
    figure.add_trace(
        go.Scatter(
            x=rows.effect,
            y=places,
            mode="markers",
            marker={
                "symbol": ["diamond" if exceeds else "circle" for exceeds in rows.exceeds],
                "size": [11 if exceeds else 9 for exceeds in rows.exceeds],
                "color": OKABE_ITO[0],
            },
            error_x={
                "type": "data",
                "array": rows.high - rows.effect,
                "arrayminus": rows.effect - rows.low,
                "width": 3,
            },
            name="effect",
            hovertext=names,
            customdata=np.stack([rows.low, rows.high, rows.control], -1),
            hovertemplate=(
                "<b>%{hovertext}</b><br>effect %{x:+.4g}<br>95 % interval %{customdata[0]:+.4g} to "
                "%{customdata[1]:+.4g}<br>control %{customdata[2]:+.4g}<extra></extra>"
            ),
        )
    )
    figure.update_xaxes(title_text=f"change of the metric, {plotly_text(unit)}", gridcolor="rgba(128,128,128,0.25)")
    figure.update_yaxes(
        tickvals=places, ticktext=names, range=[len(names) - 0.5, -0.5], showgrid=False, zeroline=False, automargin=True
    )
    return figure.update_layout(showlegend=True, legend={"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0})


def _picture(rows: _Rows) -> UInt8[np.ndarray, "_ _ 3"]:
    every = np.concatenate([rows.low, rows.high, rows.control, [0.0]])
    low, span = float(every.min()), float(np.ptp(every)) or 1.0

    def column(values: Float[np.ndarray, " row"]) -> list[int]:
        return ((values - low) / span * (_PICTURE_WIDTH - 9) + 4).astype(int).tolist()

    picture = np.full((12 * len(rows.names), _PICTURE_WIDTH, 3), 255, np.uint8)
    picture[:, column(np.zeros(1))[0]] = 160
    for row, (start, stop) in enumerate(zip(column(rows.low), column(rows.high), strict=True)):
        picture[12 * row + 6, start : stop + 1] = _EFFECT
    for values, colour in ((rows.control, _CONTROL), (rows.effect, _EFFECT)):
        for row, x in enumerate(column(values)):
            picture[12 * row + 4 : 12 * row + 9, x - 2 : x + 3] = colour
    return picture
