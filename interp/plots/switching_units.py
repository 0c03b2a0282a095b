"""Figure of the search for units that follow code-switching: both halves of the documents, and the shuffled control."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from jaxtyping import Bool, Float
from plotly.subplots import make_subplots

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.png import Picture, encode_png
from interp.plots.theme import GREY, OKABE_ITO, base_layout
from interp.plots.tokens import plotly_text
from interp.results import Result

_NEEDED = ["score", "score_low", "score_high", "control", "q_fdr", "replication", "before", "found", "factor_auroc"]
_TITLES = {"switching_neurons": "Neurons that follow code-switching", "switching_heads": "Heads that follow switches"}
_LETTER = {"neuron": "N", "head": "H"}
_GRID = {"gridcolor": "rgba(128,128,128,0.25)", "zeroline": False}
_MOST_POINTS = 6000
_GROUPS = {
    "not told from chance": (GREY, "circle", 4),
    "follows switches, and something else more": (OKABE_ITO[5], "triangle-up-open", 6),
    "found": (OKABE_ITO[1], "diamond", 8),
}
_HOW_TO_READ = (
    "Left, each mark is one unit: how well it tells switch tokens from matched tokens on half of the documents "
    "(across) and on the other half (upwards); what replicates lies on the diagonal, and 0.5 says nothing. "
    "Diamonds also follow switches more than language, script, frequency, place or surprise. "
    "Right, how many units are farther from 0.5 than a distance, beside the same with shuffled labels. "
    "Following a switch is not doing anything about it: only the causal tests show that."
)


def plot_switching_units(result: Result) -> Figure:
    """Draw every unit by its AUROC on both halves, and all of them beside shuffled labels.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, _NEEDED)
    data = result.data
    groups = _groups(data)
    notes = result.notes
    return Figure(
        title=_TITLES[result.kind],
        how_to_read=_HOW_TO_READ,
        caption=contract.sentences(
            contract.unit_in_words(result),
            contract.prompts_in_words(result),
            f"Of {data['score'].size} units {notes.get('n_significant', '?')} have q below 0.05, "
            f"{notes.get('n_replicated', '?')} replicate, {notes.get('n_found', '?')} are found; just before the "
            f"switch {notes.get('n_found_before', '?')} are.",
            f"Smallest AUROC found with a chance of 0.8: {notes['detectable_auroc']:.3f}."
            if "detectable_auroc" in notes
            else "",
        ),
        control=contract.control_in_words(result, "the same contrast with shuffled labels"),
        png=encode_png(_picture(data, groups["found"])),
        plotly=_draw(data, groups),
    )


def _groups(data: xr.Dataset) -> dict[str, Bool[np.ndarray, " unit"]]:
    found, follows = data["found"].values.ravel(), data["q_fdr"].values.ravel() < contract.ALPHA
    return dict(zip(_GROUPS, (~follows & ~found, follows & ~found, found), strict=True))


def _draw(data: xr.Dataset, groups: dict[str, Bool[np.ndarray, " unit"]]) -> go.Figure:
    figure = make_subplots(1, 2, column_widths=[0.58, 0.42], horizontal_spacing=0.12)
    figure.update_layout(**base_layout(460, top=64), legend={"orientation": "h", "y": 1.16, "x": 0})
    score, replication = data["score"].values.ravel(), data["replication"].values.ravel()
    for name, members in groups.items():
        figure.add_trace(_marks(data, name, _some(members)), row=1, col=1)
    low, high = float(min(score.min(), replication.min())), float(max(score.max(), replication.max()))
    line = {"color": "rgba(128,128,128,0.7)", "dash": "dot", "width": 1}
    figure.add_shape(type="line", x0=low, y0=low, x1=high, y1=high, line=line, row=1, col=1)
    for name, variable, colour, dash in (
        ("units", "score", OKABE_ITO[0], "solid"),
        ("shuffled labels", "control", OKABE_ITO[1], "dot"),
    ):
        distance = np.sort(np.abs(data[variable].values.ravel() - 0.5))[::-1]
        kept = np.unique(np.geomspace(1, len(distance), 300).astype(int)) - 1
        trace = go.Scatter(
            x=distance[kept],
            y=kept + 1,
            name=name,
            mode="lines",
            line={"color": colour, "dash": dash, "width": 2.5},
            hovertemplate=f"%{{y}} {name} farther than %{{x:.3f}}<extra></extra>",
        )
        figure.add_trace(trace, row=1, col=2)
    figure.update_xaxes(title_text="AUROC, first half of the documents", **_GRID, row=1, col=1)
    figure.update_yaxes(title_text="AUROC, other half", **_GRID, row=1, col=1)
    figure.update_xaxes(title_text="distance of the AUROC from 0.5", rangemode="tozero", **_GRID, row=1, col=2)
    figure.update_yaxes(title_text="units that far or farther", type="log", dtick=1, **_GRID, row=1, col=2)
    return figure


def _some(members: Bool[np.ndarray, " unit"]) -> np.ndarray:
    """Places of the members, evenly thinned where there are too many to draw."""
    places = np.flatnonzero(members)
    step = -(-len(places) // _MOST_POINTS) if len(places) else 1
    return places[::step]


def _marks(data: xr.Dataset, name: str, places: np.ndarray) -> go.Scatter:
    colour, symbol, size = _GROUPS[name]
    variables = ("score", "replication", "score_low", "score_high", "q_fdr", "before", "control")
    values = {key: data[key].values.ravel()[places] for key in variables}
    details: list[Any] = [values[key] for key in variables[2:]]
    return go.Scatter(
        x=values["score"],
        y=values["replication"],
        name=name,
        mode="markers",
        marker={"color": colour, "symbol": symbol, "size": size},
        hovertext=_names(data, places),
        customdata=np.stack(details, -1) if len(places) else None,
        hovertemplate=(
            "<b>%{hovertext}</b><br>AUROC %{x:.3f} (%{customdata[0]:.3f} to %{customdata[1]:.3f}), q "
            "%{customdata[2]:.3g}<br>other half %{y:.3f}, before the switch %{customdata[3]:.3f}<br>shuffled "
            "%{customdata[4]:.3f}<extra></extra>"
        ),
    )


def _names(data: xr.Dataset, places: np.ndarray) -> list[str]:
    dim = str(data["score"].dims[1])
    layer, unit = np.unravel_index(places, data["score"].shape)
    factors = data["factor_auroc"].values.reshape(data.sizes["factor"], -1)[:, places]
    names = [plotly_text(str(factor)) for factor in data["factor"].values]
    return [
        f"L{data['layer'].values[one]}{_LETTER[dim]}{data[dim].values[two]}</b><br>"
        + ", ".join(f"{name} {value:.2f}" for name, value in zip(names, column, strict=True))
        + "<b>"
        for one, two, column in zip(layer, unit, factors.T, strict=True)
    ]


def _picture(data: xr.Dataset, found: Bool[np.ndarray, " unit"], size: int = 220) -> Picture:
    score, replication = (data[name].values.ravel().astype(float) for name in ("score", "replication"))
    low, high = min(score.min(), replication.min()), max(score.max(), replication.max())

    def place(values: Float[np.ndarray, " unit"]) -> np.ndarray:
        return ((values - low) / ((high - low) or 1.0) * (size - 5)).astype(int)

    picture = np.full((size, size, 3), 255, np.uint8)
    for members, colour in ((~found, (176, 176, 176)), (found, (213, 94, 0))):
        for x, y in zip(place(score[members]), place(replication[members]), strict=True):
            picture[size - 5 - y : size - 2 - y, x : x + 3] = colour
    return picture
