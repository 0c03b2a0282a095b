"""Figure of language neurons when script or order is taken away: a panel for each language, a mark for each version."""

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.png import colour_cells, encode_png
from interp.plots.theme import DIVERGING, OKABE_ITO, base_layout
from interp.plots.tokens import plotly_text
from interp.results import Result

_GRID = {"gridcolor": "rgba(128,128,128,0.25)", "zeroline": False}
_NEEDED = ["auroc", "auroc_low", "auroc_high", "control", "kept", "n_found", "ran"]
_HOW_TO_READ = (
    "Each panel is a language. Discs are its neurons, found on other lines as they are written: how well they still "
    "tell its lines from all others in each version, with a 95 % interval; hollow squares are random neurons, and 0.5 "
    "says nothing. Discs that fall to the squares when romanised follow the script; discs that fall when letters are "
    "shuffled follow words or pieces of them. Standing is not evidence that the model uses a neuron."
)


def plot_script_or_language(result: Result) -> Figure:
    """Draw every language with neurons, version by version, beside random neurons.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, _NEEDED)
    shown = [place for place, n in enumerate(result.data["n_found"].values.tolist()) if n]
    silent = [
        str(name)
        for name, n in zip(result.data["language"].values, result.data["n_found"].values, strict=True)
        if not n
    ]
    return Figure(
        title="Script or language",
        how_to_read=_HOW_TO_READ,
        caption=contract.sentences(
            contract.unit_in_words(result),
            contract.prompts_in_words(result),
            f"Neurons: {', '.join(_counted(result, place) for place in shown)}.",
            f"No neuron was found for {', '.join(silent)}." if silent else "",
        ),
        control=contract.control_in_words(result, "random neurons of the same layers"),
        png=encode_png(
            colour_cells(contract.matrix(result, "auroc", "language", "version"), DIVERGING["RdBu"], 0.0, 1.0, 24)
        ),
        plotly=_draw(result, shown),
    )


def _counted(result: Result, place: int) -> str:
    return f"{result.data['language'].values[place]} {int(result.data['n_found'].values[place])}"


def _draw(result: Result, shown: list[int]) -> go.Figure:
    titles = [f"<b>{plotly_text(_counted(result, place))}</b>" for place in shown]
    figure = make_subplots(1, len(shown), shared_yaxes=True, subplot_titles=titles, horizontal_spacing=0.03)
    figure.update_layout(**base_layout(400, top=70, bottom=110), legend={"orientation": "h", "y": 1.22, "x": 0})
    versions = [plotly_text(str(name)) for name in result.data["version"].values]
    for column, place in enumerate(shown, start=1):
        for trace in _marks(result, place, first=column == 1):
            figure.add_trace(trace, row=1, col=column)
        ticks = {"tickvals": list(range(len(versions))), "ticktext": versions, "tickangle": -45}
        figure.update_xaxes(**ticks, **_GRID, range=[-0.5, len(versions) - 0.5], row=1, col=column)
    figure.add_hline(0.5, line={"color": "rgba(128,128,128,0.8)", "dash": "dash", "width": 1})
    figure.update_yaxes(**_GRID)
    return figure.update_yaxes(title_text="AUROC", row=1, col=1)


def _marks(result: Result, place: int, *, first: bool) -> list[go.Scatter]:
    one = result.data.isel(language=place).transpose("version")
    score, low, high, control, kept = (one[name].values.astype(float) for name in _NEEDED[:5])
    x = np.arange(len(score))
    found = go.Scatter(
        x=x,
        y=score,
        error_y={"type": "data", "array": high - score, "arrayminus": score - low, "width": 3, "thickness": 1.5},
        mode="lines+markers",
        name="found neurons",
        marker={"color": OKABE_ITO[0], "size": 10},
        line={"color": OKABE_ITO[0], "width": 1},
        customdata=np.stack([low, high, kept], -1),
        hovertemplate=(
            "found: %{y:.3f} (%{customdata[0]:.3f} to %{customdata[1]:.3f})<br>%{customdata[2]:.0%} still reach the "
            "AUROC they were found by<extra></extra>"
        ),
        legendgroup="found",
        showlegend=first,
    )
    random = go.Scatter(
        x=x,
        y=control,
        mode="markers",
        name="random neurons",
        marker={"color": OKABE_ITO[1], "size": 10, "symbol": "square-open", "line": {"width": 2}},
        hovertemplate="random: %{y:.3f}<extra></extra>",
        legendgroup="random",
        showlegend=first,
    )
    return [found, random]
