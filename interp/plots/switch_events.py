"""Figure of what happens around a switch: one panel for each measure, beside matched words that are no switch."""

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from plotly.subplots import make_subplots

from interp.plots import contract
from interp.plots.bands import interval_band
from interp.plots.figure import Figure
from interp.plots.png import above, draw_curves, encode_png
from interp.plots.theme import OKABE_ITO, base_layout
from interp.plots.tokens import plotly_text
from interp.results import Result

_GRID = {"gridcolor": "rgba(128,128,128,0.25)", "zeroline": False}
_SIDES = {
    "value": ("switch", OKABE_ITO[0], "solid", "circle"),
    "control": ("no switch", OKABE_ITO[1], "dot", "diamond-open"),
}
_HOW_TO_READ = (
    "Each panel is one measure by word around the switch; 0 is the first word of the new language. Solid with discs is "
    "the switch, dotted with diamonds the matched words that are none; bands are 95 % intervals. "
    "What differs before 0 foresees the switch, what differs after it follows. "
    "That curves move together is not evidence of cause."
)


def plot_switch_events(result: Result) -> Figure:
    """Draw every measure by offset, the switch beside its match.

    Raises:
        ResultError: no control, or a variable missing.
    """
    names = [f"{name}{end}" for name in ("value", "control") for end in ("", "_low", "_high")]
    contract.check_drawable(result, [*names, "n", "ran", "unit"])
    measures = [result.data.isel(measure=place) for place in range(result.data.sizes["measure"])]
    figure = make_subplots(
        len(measures),
        1,
        shared_xaxes=True,
        subplot_titles=[plotly_text(str(one["measure"].item())) for one in measures],
        vertical_spacing=0.07,
    )
    figure.update_layout(**base_layout(190 * len(measures) + 90, top=60), legend={"orientation": "h", "y": 1.05})
    pictures = []
    for row, one in enumerate(measures, start=1):
        for trace in [trace for side in _SIDES for trace in _curve(one, side, shown=row == 1)]:
            figure.add_trace(trace, row=row, col=1)
        figure.update_yaxes(title_text=plotly_text(str(one["unit"].item())), **_GRID, row=row, col=1)
        pictures.append(_picture(one))
    figure.add_vline(0, line={"color": "rgba(128,128,128,0.8)", "dash": "dash", "width": 1})
    figure.update_xaxes(**_GRID, dtick=2)
    figure.update_xaxes(title_text="words from the switch", row=len(measures), col=1)
    chosen = result.notes.get("neurons", [])
    return Figure(
        title="Around a switch",
        how_to_read=_HOW_TO_READ,
        caption=contract.sentences(
            contract.unit_in_words(result),
            contract.prompts_in_words(result),
            f"Chosen neurons: {len(chosen)}." if chosen else "",
        ),
        control=contract.control_in_words(result, "matched words that are no switch"),
        png=encode_png(above(pictures)),
        plotly=figure,
    )


def _curve(one: xr.Dataset, side: str, *, shown: bool) -> list[go.Scatter]:
    name, colour, dash, symbol = _SIDES[side]
    part = one.isel(offset=np.flatnonzero(one["ran"].values))
    x = part["offset"].values
    value, low, high = (part[f"{side}{end}"].values for end in ("", "_low", "_high"))
    band = interval_band(x, low, high, colour)
    line = go.Scatter(
        x=x,
        y=value,
        name=name,
        legendgroup=name,
        showlegend=shown,
        mode="lines+markers",
        line={"color": colour, "width": 2.5, "dash": dash},
        marker={"symbol": symbol, "size": 7},
        customdata=np.stack([low, high, part["n"].values], -1),
        hovertemplate=(
            f"{name}, word %{{x}}: %{{y:.4g}}<br>95 % interval %{{customdata[0]:.4g}} to %{{customdata[1]:.4g}}, "
            "%{customdata[2]:.0f} switches<extra></extra>"
        ),
    )
    return [band, line]


def _picture(one: xr.Dataset) -> np.ndarray:
    part = one.isel(offset=np.flatnonzero(one["ran"].values))
    if not part.sizes["offset"]:
        return np.full((90, 420, 3), 255, np.uint8)
    curves = [(part[side].values.astype(float), words[1]) for side, words in reversed(_SIDES.items())]
    every = np.concatenate([values for values, _ in curves])
    return draw_curves(curves, float(every.min()), float(every.max()), (420, 90))
