"""Figures of agreement: which share of the neurons two methods, or two languages, have in common."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.heatmap import Axes, Line, Panel, draw_panel, ground, panel_grid, read_out
from interp.plots.png import Picture, above, beside, colour_cells, encode_png
from interp.plots.theme import DIVERGING, SEQUENTIAL, diverging_axis, sequential_axis
from interp.plots.tokens import plotly_text
from interp.results import Result

_READ_METHODS = (
    "Top: of the pairs of neuron and language that two methods find, how many both find, as a share of the smaller "
    "set; beside it what as many random neurons in every layer would share. Bottom: rank correlation of all neurons' "
    "scores, beside that under shuffled labels; its diagonal is a method against itself on the other half of the "
    "texts. Grey: a method found nothing. Agreement is not evidence that what methods find is right."
)
_READ_LANGUAGES = (
    "Each row of panels is a method; each cell the neurons found for two languages, as a share of the smaller set, "
    "beside what as many random neurons in every layer would share. Grey: nothing found for one of them. Each language "
    "is scored against all others, so a low overlap is not evidence that languages share nothing."
)
_PIXELS = 12


def plot_neuron_agreement(result: Result) -> Figure:
    """Draw overlap and rank correlation between methods, each beside its control.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(
        result, ["overlap", "control", "rank_correlation", "control_rank_correlation", "reliability"]
    )
    dims = ("method", "other")
    lines = [*_OVERLAP, Line("rank_correlation", "<br>rank correlation", ".3f"), _SHUFFLED]
    details, names = _details(result, lines, *dims), _names(result, "method")
    axes = _axes(names, names)
    correlation = contract.matrix(result, "rank_correlation", *dims).copy()
    np.fill_diagonal(correlation, contract.matrix(result, "reliability", "method"))
    pairs = [
        _Pair("overlap", *(contract.matrix(result, name, *dims) for name in ("overlap", "control")), details),
        _Pair("rank correlation", correlation, contract.matrix(result, "control_rank_correlation", *dims), details),
    ]
    colours = [sequential_axis(1.0, "share"), diverging_axis("RdBu", 1.0, "correlation")]
    figure = _draw(axes, pairs, ["by chance", "labels shuffled"], read_out(lines), colours)
    return Figure(
        title="Agreement between methods",
        how_to_read=_READ_METHODS,
        caption=_caption(result),
        control=contract.control_in_words(result, "what random neurons would give, as many in every layer"),
        png=encode_png(above([_picture(pairs[0], SEQUENTIAL, 0.0), _picture(pairs[1], DIVERGING["RdBu"], -1.0)])),
        plotly=figure,
    )


def plot_neuron_overlap(result: Result) -> Figure:
    """Draw which neurons languages share, one row of panels for each method.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, ["overlap", "control", "overlap_low", "overlap_high", "jaccard", "n_found"])
    dims = ("method", "language", "other")
    details, languages = _details(result, _OVERLAP, *dims), _names(result, "language")
    axes = _axes(languages, languages)
    overlap, control = (contract.matrix(result, name, *dims) for name in ("overlap", "control"))
    pairs = [_Pair(*each) for each in zip(_names(result, "method"), overlap, control, details, strict=True)]
    colours = [sequential_axis(1.0, "share")] * len(pairs)
    return Figure(
        title="Neurons that languages share",
        how_to_read=_READ_LANGUAGES,
        caption=_caption(result),
        control=contract.control_in_words(result, "what random neurons would give, as many in every layer"),
        png=encode_png(above([_picture(pair, SEQUENTIAL, 0.0) for pair in pairs])),
        plotly=_draw(axes, pairs, ["by chance"] * len(pairs), read_out(_OVERLAP), colours),
    )


_OVERLAP = [
    Line("overlap", "overlap", ".3f"),
    Line("overlap_low", "<br>95 % interval", ".3f"),
    Line("overlap_high", " to", ".3f"),
    Line("control", "<br>by chance", ".3f"),
    Line("jaccard", "<br>Jaccard", ".3f"),
]
_SHUFFLED = Line("control_rank_correlation", ", shuffled", ".3f")


@dataclass(frozen=True)
class _Pair:
    """One row of panels: values and what stands beside them."""

    title: str
    values: Float[np.ndarray, "row column"]
    control: Float[np.ndarray, "row column"]
    details: Float[np.ndarray, "row column detail"]


def _draw(
    axes: Axes, pairs: list[_Pair], beside_them: list[str], hover: str, colours: list[dict[str, Any]]
) -> go.Figure:
    titles = [
        title for pair, words in zip(pairs, beside_them, strict=True) for title in (f"<b>{pair.title}</b>", words)
    ]
    figure = panel_grid(axes, len(pairs), 2, titles)
    panels = [
        [Panel(pair.title, cells, hover, pair.details) for cells in (pair.values, pair.control)] for pair in pairs
    ]
    for row, both in enumerate(panels, start=1):
        for column, panel in enumerate(both, start=1):
            draw_panel(figure, panel, axes, (row, column), f"coloraxis{row}")
        low, high = next(figure.select_yaxes(row=row, col=1)).domain
        bar = colours[row - 1]["colorbar"] | {"y": (low + high) / 2, "len": high - low, "yanchor": "middle"}
        figure.update_layout({f"coloraxis{row}": colours[row - 1] | {"colorbar": bar}})
    left = 24 + 6 * max(map(len, axes.rows))
    return figure.update_layout(plot_bgcolor=ground([panel for both in panels for panel in both]), margin_l=left)


def _picture(pair: _Pair, scale: list[str], low: float) -> Picture:
    return beside([colour_cells(cells, scale, low, 1.0, _PIXELS) for cells in (pair.values, pair.control)])


def _details(result: Result, lines: list[Line], *dims: str) -> Float[np.ndarray, "..."]:
    return np.stack([contract.matrix(result, line.variable, *dims) for line in lines], axis=-1)


def _names(result: Result, dim: str) -> list[str]:
    return [plotly_text(str(name).replace("_", " ")) for name in result.data[dim].values]


def _axes(rows: list[str], columns: list[str]) -> Axes:
    places = [[f"<b>{row}</b> and <b>{column}</b>" for column in columns] for row in rows]
    return Axes(rows, columns, places, row_title="")


def _caption(result: Result) -> str:
    dims = [dim for dim in ("method", "language") if dim in result.data["n_found"].dims]
    counts = result.data["n_found"].sum([dim for dim in dims if dim != "method"]).values.tolist()
    listed = ", ".join(f"{name} {int(count)}" for name, count in zip(_names(result, "method"), counts, strict=True))
    return contract.sentences(
        contract.unit_in_words(result), contract.prompts_in_words(result), f"Found: {listed} neuron-language pairs."
    )
