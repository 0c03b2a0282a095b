"""Figure of a dose-response: every measure against the strength of every edit, beside random edits."""

from collections.abc import Iterator

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from plotly.subplots import make_subplots

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.png import Picture, above, draw_curves, encode_png
from interp.plots.theme import OKABE_ITO, base_layout
from interp.plots.tokens import plotly_text
from interp.results import RAN, Result

_HEIGHT = 150
_GRID = {"gridcolor": "rgba(128,128,128,0.2)", "zeroline": False}
_SYMBOLS = ["circle", "square", "diamond", "cross", "x", "triangle-up"]
_VALUES = ["value", "value_low", "value_high", "control", "control_low", "control_high"]
_MORE = ["change", "above_control", "above_control_low", "above_control_high", "p", "q_fdr", "n"]
_HOW_TO_READ = (
    "Each row of panels is a measure, each column an edit; the solid line is the measure against the strength, with "
    "its 95 % interval, and the dashed line of the same colour the mean of as large random edits, its bars from the "
    "smallest to the largest draw. Strength 0 is the unedited run; lines of one panel differ in the number of neurons, "
    "or in the layer. Filled marks are changes larger than any draw's whose interval against the draws leaves out "
    "zero. More of the target language at the price of loss and meaning is not evidence of a handle on the language."
)

_BOX = (
    "<br>{value:.4g} ({value_low:.4g} to {value_high:.4g}), change {change:+.4g}"
    "<br>random {control:.4g} (draws {control_low:.4g} to {control_high:.4g})"
    "<br>difference {above_control:+.4g} ({above_control_low:+.4g} to {above_control_high:+.4g})"
    "<br>rank p {p:.3g}, q {q_fdr:.3g}, {n:.0f} documents"
)


def plot_dose_response(result: Result) -> Figure:
    """Draw one panel for each measure and edit.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, [*_VALUES, *_MORE, "stands", "edit", "unit", RAN])
    data = result.data
    data = data.isel(measure=np.flatnonzero(data[RAN].any(("setting", "strength")).values))
    pair = [str(result.notes.get(name, name)) for name in ("source", "target")]
    return Figure(
        title=f"Steering from {pair[0]} to {pair[1]}",
        how_to_read=_HOW_TO_READ,
        caption=contract.sentences(
            contract.unit_in_words(result), contract.prompts_in_words(result), contract.baselines_in_words(result)
        ),
        control=contract.control_in_words(result, "random edits of the same size"),
        png=encode_png(above([_picture(data.isel(measure=place)) for place in range(min(4, data.sizes["measure"]))])),
        plotly=_draw(data),
    )


def _draw(data: xr.Dataset) -> go.Figure:
    edits = list(dict.fromkeys(str(edit) for edit in data["edit"].values))
    measures = [str(name) for name in data["measure"].values]
    height = _HEIGHT * len(measures) + 110
    figure = make_subplots(
        len(measures),
        len(edits),
        shared_xaxes=True,
        shared_yaxes="rows",
        column_titles=[f"<b>{plotly_text(edit)}</b>" for edit in edits],
        vertical_spacing=0.25 / len(measures),
        horizontal_spacing=0.02,
    )
    figure.update_layout(**base_layout(height, top=48, bottom=80), legend={"orientation": "h", "y": -56 / height})
    figure.update_layout(margin_l=120)
    shown: set[str] = set()
    for column, edit in enumerate(edits, start=1):
        of_edit = data.isel(setting=np.flatnonzero(data["edit"].values.astype(str) == edit))
        for row in range(len(measures)):
            for trace in _traces(of_edit.isel(measure=row), shown):
                figure.add_trace(trace, row=row + 1, col=column)
        figure.update_xaxes(title_text="strength", row=len(measures), col=column)
    for row, name in enumerate(measures, start=1):
        figure.update_yaxes(title_text=_broken(plotly_text(name)), title_font_size=11, row=row, col=1)
    return figure.update_xaxes(**_GRID).update_yaxes(**_GRID)


def _broken(words: str) -> str:
    """A long title on two lines, so that it fits beside its panel."""
    cut = words.find(" in ") if " in " in words else words.find(" on ")
    return words if cut < 0 else f"{words[:cut]}<br>{words[cut + 1 :]}"


def _traces(data: xr.Dataset, shown: set[str]) -> Iterator[go.Scatter]:
    """Curve and control of every setting of one edit, in one panel."""
    for place in range(data.sizes["setting"]):
        one = data.isel(setting=place)
        one = one.isel(strength=np.flatnonzero(one[RAN].values))
        name, colour = plotly_text(str(one["setting"].item())), OKABE_ITO[place % len(OKABE_ITO)]
        symbol = _SYMBOLS[place % len(_SYMBOLS)]
        marks = [symbol if stands else f"{symbol}-open" for stands in one["stands"].values]
        boxes = _boxes(one, name)
        for prefix, dash, words in (("control", "dash", f"random: {name}"), ("value", "solid", name)):
            value, low, high = (one[f"{prefix}{end}"].values for end in ("", "_low", "_high"))
            yield go.Scatter(
                x=one["strength"].values,
                y=value,
                name=words,
                legendgroup=words,
                showlegend=words not in shown,
                mode="lines+markers" if prefix == "value" else "lines",
                line={"color": colour, "dash": dash, "width": 2 if prefix == "value" else 1.5},
                marker={"symbol": marks, "size": 7, "color": colour, "line": {"color": colour, "width": 1.5}},
                error_y={
                    "type": "data",
                    "array": high - value,
                    "arrayminus": value - low,
                    "width": 0 if prefix == "value" else 3,
                    "thickness": 1,
                    "color": colour,
                },
                hovertext=boxes,
                hovertemplate="%{hovertext}<extra></extra>",
            )
            shown.add(words)


def _boxes(one: xr.Dataset, name: str) -> list[str]:
    numbers = {key: one[key].values for key in (*_VALUES, *_MORE)}
    boxes = []
    for place, strength in enumerate(one["strength"].values):
        told = _BOX.format(**{key: float(values[place]) for key, values in numbers.items()})
        boxes.append(f"<b>{name}</b>, strength {strength:g}{told}")
    return boxes


def _picture(data: xr.Dataset) -> Picture:
    """Curves of all settings of one measure, those of random edits in grey."""
    curves, every = [], []
    for place in range(data.sizes["setting"]):
        one = data.isel(setting=place)
        there = one[RAN].values
        pair = [one[name].values[there] for name in ("control", "value")]
        if there.any():
            curves += [(pair[0], "#b0b0b0"), (pair[1], OKABE_ITO[place % len(OKABE_ITO)])]
            every += pair
    joined = np.concatenate(every)
    return draw_curves(curves, float(joined.min()), float(joined.max()), (360, 70))
