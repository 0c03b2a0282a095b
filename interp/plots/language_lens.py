"""Figure of the language lens: mass on each language by layer, a panel for each actual language, entropy beneath."""

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from plotly.subplots import make_subplots

from interp.plots import contract
from interp.plots.bands import interval_band
from interp.plots.figure import Figure
from interp.plots.png import Picture, above, beside, draw_curves, encode_png
from interp.plots.theme import OKABE_ITO, base_layout
from interp.plots.tokens import plotly_text
from interp.results import Result

_COLUMNS = 2
_HEIGHT, _GAP = 330, 48
"""Pixels of a row of panels with its strips, and of the space below a panel and below a strip."""
_TOP, _BOTTOM = 80, 56
_GRID = {"gridcolor": "rgba(128,128,128,0.25)", "zeroline": False}
_ENTROPY, _CONTROL = "#000000", "#8b96a5"
_PICTURE = (230, 110)
_SHUFFLED = "control_shuffled_mass"
_NEEDED = ("mass", "top", "entropy", "decided", "decided_at", "overall_decided")
_HOW_TO_READ = (
    "Each panel holds the places whose next word is of one language (bold line): the probability that the lens puts on "
    "the words of every language, layer by layer, with 95 % intervals; beneath, the entropy of all its predictions. "
    "Dashed is the control. The diamond is where the actual language takes the lead for good, on average over places; "
    "past the last layer means hardly ever. "
    "A language that leads in the middle is not thereby one the model thinks in, and a lens that sees none in early "
    "layers does not show that none is there."
)


def plot_language_lens(result: Result) -> Figure:
    """Draw mass on each language by layer, one panel for each actual language, over a strip of entropy.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, [f"{name}{end}" for name in _NEEDED for end in ("", "_low", "_high")])
    panels = [result.data.isel(actual=place) for place in range(result.data.sizes["actual"])]
    return Figure(
        title="Language by layer, read by the logit lens",
        how_to_read=_HOW_TO_READ,
        caption=contract.sentences(
            contract.unit_in_words(result),
            contract.prompts_in_words(result),
            f"Read at {plotly_text(str(result.notes['read_at']))}." if "read_at" in result.notes else "",
            _dropped_in_words(result),
            _decided_in_words(result.data),
            "embed: the residual stream before the first layer; the last layer is the model's own output.",
        ),
        control=contract.control_in_words(result, "the same architecture with random weights"),
        png=encode_png(_picture(panels)),
        plotly=_draw(result, panels),
    )


def _dropped_in_words(result: Result) -> str:
    n = result.notes.get("n_dropped", 0)
    return f"{n} words left out: a token could begin them in two languages." if n else ""


def _decided_in_words(data: xr.Dataset) -> str:
    """Say at how many places the actual language leads in the end, and how many in the controls."""
    ends = [float(data[f"overall_decided{end}"].values[-1]) for end in ("", "_low", "_high")]
    told = [f"The actual language leads in the output at {ends[0]:.1%} of places ({ends[1]:.1%} to {ends[2]:.1%})"]
    for words, name in (("random weights", "control"), ("shuffled words", "control_shuffled")):
        if (variable := f"{name}_overall_decided") in data:
            told.append(f"{words} {float(data[variable].values[-1]):.1%}")
    return f"{', '.join(told)}."


def _draw(result: Result, panels: list[xr.Dataset]) -> go.Figure:
    names = [plotly_text(str(name)) for name in result.data["actual"].values]
    n_rows = -(-len(panels) // _COLUMNS)
    titles = [f"next word: <b>{name}</b>" for name in names] + [""] * (-len(names) % _COLUMNS)
    rows = [titles[start : start + _COLUMNS] + [""] * _COLUMNS for start in range(0, len(titles), _COLUMNS)]
    figure = make_subplots(
        2 * n_rows,
        _COLUMNS,
        subplot_titles=[title for row in rows for title in row],
        row_heights=[0.72, 0.28] * n_rows,
        vertical_spacing=_GAP / (_HEIGHT * n_rows),
        horizontal_spacing=0.1,
    )
    legend = {"orientation": "h", "x": 0, "y": 1 + 30 / (_HEIGHT * n_rows), "yanchor": "bottom"}
    figure.update_layout(**base_layout(_HEIGHT * n_rows + _TOP + _BOTTOM, _TOP, _BOTTOM), legend=legend)
    layers = contract.layer_numbers(result)
    for place, panel in enumerate(panels):
        row, column = 1 + 2 * (place // _COLUMNS), 1 + place % _COLUMNS
        for trace in _mass(panel, place, layers, shown=place == 0):
            figure.add_trace(trace, row=row, col=column)
        for trace in _entropy(panel, layers):
            figure.add_trace(trace, row=row + 1, col=column)
    _axes(figure, result, layers, n_rows)
    return figure


def _axes(figure: go.Figure, result: Result, layers: list[int], n_rows: int) -> None:
    shown = layers[:: -(-len(layers) // 12)]
    words = ["embed" if layer < 0 else str(layer) for layer in shown]
    # Room on the right for a language that takes the lead past the last layer: never.
    figure.update_xaxes(tickvals=shown, ticktext=words, range=[layers[0] - 0.3, layers[-1] + 1.3], **_GRID)
    top = max(float(result.data[name].max()) for name in ("mass_high", *_control_of(result.data)))
    bits = max(float(result.data[name].max()) for name in ("entropy_high", "control_entropy") if name in result.data)
    for row in range(n_rows):
        figure.update_xaxes(showticklabels=False, row=2 * row + 1)
        figure.update_yaxes(title_text="mass", range=[-0.06 * top, 1.05 * top], **_GRID, row=2 * row + 1)
        figure.update_yaxes(title_text="bits", range=[-0.05 * bits, 1.1 * bits], nticks=4, **_GRID, row=2 * row + 2)
    figure.update_xaxes(title_text="layer", row=2 * n_rows)
    for row in (2 * n_rows - 1, 2 * n_rows) if result.data.sizes["actual"] % _COLUMNS else ():
        figure.update_xaxes(visible=False, row=row, col=_COLUMNS).update_yaxes(visible=False, row=row, col=_COLUMNS)


def _control_of(data: xr.Dataset) -> list[str]:
    """The mass that is drawn dashed: of random weights, else of shuffled words."""
    return [name for name in ("control_mass", _SHUFFLED) if name in data][:1]


def _mass(panel: xr.Dataset, actual: int, layers: list[int], *, shown: bool) -> list[go.Scatter]:
    bands, lines = [], []
    control = _control_of(panel)
    for place, language in enumerate(panel["language"].values):
        one, name = panel.isel(language=place), plotly_text(str(language))
        low, value, high = (one[f"mass{end}"].values for end in ("_low", "", "_high"))
        bands.append(interval_band(layers, low, high, _colour(place)))
        beside_it = one[control[0]].values if control else np.full(len(layers), np.nan)
        details = np.stack([low, high, one["top"].values, one["decided"].values, beside_it], -1)
        decided = "<br>decided by here at %{customdata[3]:.1%}" if place == actual else ""
        lines.append(
            go.Scatter(
                x=layers,
                y=value,
                name=name,
                legendgroup=name,
                showlegend=shown,
                mode="lines+markers",
                line={"color": _colour(place), "width": 3.5 if place == actual else 1.5},
                marker={"symbol": place, "size": 8 if place == actual else 6},
                customdata=details,
                hovertemplate=(
                    f"<b>{name}</b>, layer %{{x}}: %{{y:.4g}} (%{{customdata[0]:.4g}} to %{{customdata[1]:.4g}})<br>"
                    f"most probable token %{{customdata[2]:.3g}}{decided}<br>control %{{customdata[4]:.4g}}"
                    "<extra></extra>"
                ),
            )
        )
        if control:
            lines.append(_dashed(layers, beside_it, _colour(place), shown=shown and place == actual))
    return [*bands, *lines, *_lead(panel)]


def _lead(panel: xr.Dataset) -> list[go.Scatter]:
    """Where the actual language takes the lead for good, on the ground of the panel; hollow for the control."""
    marks = []
    for name in ("control_decided_at", "decided_at"):
        if name not in panel:
            continue
        low, at, high = (float(panel[f"{name}{end}"]) for end in ("_low", "", "_high"))
        own = name == "decided_at"
        words = "takes the lead" if own else "control takes the lead"
        marks.append(
            go.Scatter(
                x=[at],
                y=[0],
                mode="markers",
                marker={
                    "symbol": "diamond" if own else "diamond-open",
                    "size": 11,
                    "color": _ENTROPY if own else _CONTROL,
                },
                error_x={"type": "data", "array": [high - at], "arrayminus": [at - low], "width": 3},
                showlegend=False,
                hovertemplate=f"{words} at %{{x:.2f}} ({low:.2f} to {high:.2f})<extra></extra>",
            )
        )
    return marks


def _entropy(panel: xr.Dataset, layers: list[int]) -> list[go.Scatter]:
    low, value, high = (panel[f"entropy{end}"].values for end in ("_low", "", "_high"))
    line = go.Scatter(
        x=layers,
        y=value,
        mode="lines+markers",
        line={"color": _ENTROPY, "width": 2},
        marker={"size": 5},
        showlegend=False,
        customdata=np.stack([low, high], -1),
        hovertemplate=(
            "entropy, layer %{x}: %{y:.3g} bits (%{customdata[0]:.3g} to %{customdata[1]:.3g})<extra></extra>"
        ),
    )
    traces = [interval_band(layers, low, high, _ENTROPY), line]
    if "control_entropy" in panel:
        traces.append(_dashed(layers, panel["control_entropy"].values, _CONTROL, shown=False))
    return traces


def _dashed(layers: list[int], values: np.ndarray, colour: str, *, shown: bool) -> go.Scatter:
    return go.Scatter(
        x=layers,
        y=values,
        name="control",
        legendgroup="control",
        legendrank=2000,  # after all languages
        showlegend=shown,
        mode="lines",
        line={"color": colour, "width": 1.5, "dash": "dash"},
        hovertemplate="control %{y:.4g}<extra></extra>",
    )


def _picture(panels: list[xr.Dataset]) -> Picture:
    top = max(float(panel["mass"].max()) for panel in panels) or 1.0
    drawn = []
    for actual, panel in enumerate(panels):
        curves = list(enumerate(panel["mass"].transpose("language", "layer").values.astype(float)))
        ordered = [curve for curve in curves if curve[0] != actual] + [curves[actual]]
        drawn.append(draw_curves([(values, _colour(place)) for place, values in ordered], 0.0, top, _PICTURE))
    return above([beside(drawn[start : start + _COLUMNS]) for start in range(0, len(drawn), _COLUMNS)])


def _colour(place: int) -> str:
    return OKABE_ITO[place % len(OKABE_ITO)]
