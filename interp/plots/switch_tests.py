"""Figure of the causal tests at switches: every measure on an axis of its own, each edit beside its random draws."""

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from plotly.subplots import make_subplots

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.png import Picture, encode_png
from interp.plots.theme import OKABE_ITO, base_layout
from interp.plots.tokens import plotly_text
from interp.results import Result

_EFFECT, _CONTROL = OKABE_ITO[:2]
_APART = 0.16
_ROW = 30
_GRID = {"gridcolor": "rgba(128,128,128,0.2)", "zeroline": True, "zerolinecolor": "rgba(128,128,128,0.9)"}
_NUMBERS = [f"{name}{end}" for name in ("effect", "control", "above_control") for end in ("", "_low", "_high")]
_HOW_TO_READ = (
    "Each panel is one measure on its own axis, each row one edit: the disc is the change it makes, with its 95 % "
    "interval; the open diamond below is the mean of as many random neurons of the same layers and activity, its bar "
    "from the smallest to the largest draw. A filled diamond in place of the disc marks effects outside all draws "
    "whose interval leaves out zero. The last panel has single neurons, by the edit and measure that decide. "
    "An effect among the draws is disturbance, not evidence that these neurons matter."
)


def plot_switch_tests(result: Result) -> Figure:
    """Draw the set of neurons by measure and edit, then single neurons by the cell that decides.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, [*_NUMBERS, "p", "ran", "stands", "earned", "plain", "unit"])
    data = result.data
    panels = [_panel(data.isel(subject=0, measure=place), "edit") for place in range(data.sizes["measure"])]
    titles = [str(measure) for measure in data["measure"].values]
    if data.sizes["subject"] > 1:
        edit, measure = result.notes["decides"]
        single = data.isel(subject=slice(1, None)).sel(edit=edit, measure=measure)
        panels.append(_panel(single, "subject"))
        titles.append(f"single neurons: {measure}")
    earned = int(data["earned"].values[1:].sum())
    return Figure(
        title="Causal tests of switching neurons",
        how_to_read=_HOW_TO_READ,
        caption=contract.sentences(
            contract.unit_in_words(result),
            contract.prompts_in_words(result),
            f"The set {'earns' if data['earned'].values[0] else 'does not earn'} the name of code-switching neurons"
            + (f"; alone, {earned} of {data.sizes['subject'] - 1} tested do." if data.sizes["subject"] > 1 else "."),
        ),
        control=contract.control_in_words(result, "random neurons of the same layers and activity"),
        png=encode_png(_picture(panels[0])),
        plotly=_draw(panels, titles),
    )


def _panel(data: xr.Dataset, dim: str) -> xr.Dataset:
    return data.isel({dim: np.flatnonzero(data["ran"].values)}).rename({dim: "row"})


def _draw(panels: list[xr.Dataset], titles: list[str]) -> go.Figure:
    heights = [panel.sizes["row"] + 1.5 for panel in panels]
    height = round(_ROW * sum(heights) + 62 * len(panels) + 60)
    figure = make_subplots(
        len(panels),
        1,
        row_heights=heights,
        subplot_titles=[
            f"{plotly_text(title)}: {_unedited(panel)}" for title, panel in zip(titles, panels, strict=True)
        ],
        vertical_spacing=62 / height,
    )
    figure.update_layout(**base_layout(height, top=64), legend={"orientation": "h", "y": 1.0, "yanchor": "bottom"})
    figure.update_layout(margin_l=150, legend_y=1 + 24 / height)
    for number, panel in enumerate(panels, start=1):
        for trace in _traces(panel, shown=number == 1):
            figure.add_trace(trace, row=number, col=1)
        n_rows = panel.sizes["row"]
        names = [plotly_text(str(name)) for name in panel["row"].values]
        figure.update_yaxes(
            tickvals=list(range(n_rows)),
            ticktext=names,
            range=[n_rows - 0.4, -0.6],
            showgrid=False,
            zeroline=False,
            row=number,
            col=1,
        )
        unit = str(np.ravel(panel["unit"].values)[0])
        figure.update_xaxes(title_text=f"change, {plotly_text(unit)}", title_standoff=4, **_GRID, row=number, col=1)
    return figure


def _unedited(panel: xr.Dataset) -> str:
    return f"unedited {float(np.ravel(panel['plain'].values)[0]):.3f}"


def _traces(panel: xr.Dataset, *, shown: bool) -> list[go.Scatter]:
    places, stands = np.arange(panel.sizes["row"]), panel["stands"].values
    boxes = [_box(panel.isel(row=row)) for row in range(panel.sizes["row"])]
    looks = {
        "control": ("random neurons", _CONTROL, ["diamond-open"] * len(places), _APART),
        "effect": ("these neurons", _EFFECT, ["diamond" if one else "circle" for one in stands], -_APART),
    }
    traces = []
    for name, (words, colour, symbols, shift) in looks.items():
        value, low, high = (panel[f"{name}{end}"].values for end in ("", "_low", "_high"))
        bars = {"type": "data", "array": high - value, "arrayminus": value - low, "width": 0, "thickness": 2}
        traces.append(
            go.Scatter(
                x=value,
                y=places + shift,
                name=words,
                legendgroup=words,
                showlegend=shown,
                mode="markers",
                marker={"color": colour, "symbol": symbols, "size": 9, "line": {"color": colour, "width": 2}},
                error_x=bars | {"color": colour},
                hovertext=boxes,
                hovertemplate="%{hovertext}<extra></extra>",
            )
        )
    return traces


def _box(row: xr.Dataset) -> str:
    numbers = {name: [float(row[f"{name}{end}"]) for end in ("", "_low", "_high")] for name in ("effect", "control")}
    above = [float(row[f"above_control{end}"]) for end in ("", "_low", "_high")]
    lines = [
        f"<b>{plotly_text(str(row['row'].item()))}</b>",
        "effect {:+.4g} ({:.4g} to {:.4g})".format(*numbers["effect"]),
        "random {:+.4g} (draws {:.4g} to {:.4g})".format(*numbers["control"]),
        "difference {:+.4g} ({:.4g} to {:.4g})".format(*above),
        f"rank p {float(row['p']):.3g}",
    ]
    return "<br>".join(lines)


def _picture(panel: xr.Dataset, width: int = 420, row_height: int = 14) -> Picture:
    n_rows = max(panel.sizes["row"], 1)
    picture = np.full((n_rows * row_height, width, 3), 255, np.uint8)
    ends = [panel[f"{name}{end}"].values for name in ("effect", "control") for end in ("_low", "_high")]
    every = np.concatenate([[0.0], *ends])
    low, span = float(every.min()), float(np.ptp(every)) or 1.0

    def column(value: float) -> int:
        return round((value - low) / span * (width - 5))

    picture[:, column(0.0)] = 150
    for row in range(panel.sizes["row"]):
        for name, colour, at in (("effect", _EFFECT, 2), ("control", _CONTROL, 8)):
            start, stop = (column(float(panel[f"{name}{end}"].values[row])) for end in ("_low", "_high"))
            top = row * row_height + at
            picture[top : top + 3, start : stop + 4] = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    return picture
