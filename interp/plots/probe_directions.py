"""Figures of probes' directions: how alike they are between layers, and samples laid along one of them."""

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float
from plotly.subplots import make_subplots

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.heatmap import Axes, Line, Panel, draw_pair, read_out
from interp.plots.line_panels import layer_word
from interp.plots.png import above, beside, colour_cells, encode_png
from interp.plots.row_marks import Marks, picture_rows
from interp.plots.theme import DIVERGING, OKABE_ITO, base_layout, diverging_axis
from interp.plots.tokens import hover_label, plotly_text
from interp.results import Result

_DIMS = ("layer", "other_layer")
_LINES = [
    Line("cosine", "cosine", "+.3f"),
    Line("cosine_low", "<br>halvings", "+.3f"),
    Line("cosine_high", " to", "+.3f"),
    Line("control_shuffled", "<br>shuffled labels", "+.3f"),
]
_READ_COSINES = (
    "Each cell is the cosine between the direction one layer's probe reads along and another's, fitted to different "
    "halves of the groups. The diagonal says how well a direction is known at all: other cells cannot be expected to "
    "exceed it. The control panel is the same with shuffled labels. Alike directions are not evidence that the model "
    "reads along them."
)
_READ_PROJECTIONS = (
    "Each mark is a sample that the probe was not fitted to, laid along the probe's direction; classes have rows of "
    "their own, and hovering shows the sample in its text. Below, the same samples along a random direction. Classes "
    "that lie apart can be told apart linearly; the picture does not show that the model uses that."
)
_SYMBOLS = ("circle", "square", "diamond", "cross", "x", "triangle-up")


def plot_probe_directions(result: Result) -> Figure:
    """Draw cosines between layers' directions beside those of shuffled labels, on one scale.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, [line.variable for line in _LINES])
    details = np.stack([contract.matrix(result, line.variable, *_DIMS) for line in _LINES], axis=-1)
    cosine, control = (contract.matrix(result, name, *_DIMS) for name in ("cosine", "control_shuffled"))
    names = [layer_word(layer) for layer in contract.layer_numbers(result)]
    axes = Axes(names, names, [[f"layers <b>{one}</b> and <b>{other}</b>" for other in names] for one in names])
    hover = read_out(_LINES)
    panels = [
        Panel("Cosine of directions", cosine, hover, details),
        Panel("Control: shuffled labels", control, hover, details),
    ]
    pictures = [colour_cells(values, DIVERGING["RdBu"], -1.0, 1.0) for values in (cosine, control)]
    return Figure(
        title="Directions of probes, layer by layer",
        how_to_read=_READ_COSINES,
        caption=contract.sentences(contract.unit_in_words(result), contract.prompts_in_words(result)),
        control=contract.control_in_words(result, "the same cosines with shuffled labels"),
        png=encode_png((beside if axes.side_by_side else above)(pictures)),
        plotly=draw_pair(panels, axes, diverging_axis("RdBu", 1.0, "cosine")),
    )


def plot_projections(result: Result) -> Figure:
    """Draw samples along the probe's direction, a row for each class, over the same along a random direction.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, ["projection", "control_random", "class", "context"])
    layer = layer_word(int(result.notes.get("layer", 0)))
    classes = list(dict.fromkeys(sorted(str(name) for name in result.data["class"].values)))
    figure = make_subplots(2, 1, shared_xaxes=True, vertical_spacing=0.12)
    for row, name in enumerate(("projection", "control_random"), start=1):
        for number, label in enumerate(classes):
            figure.add_trace(_strip(result, name, label, number), row=row, col=1)
        ticks = {"tickvals": list(range(len(classes))), "ticktext": [plotly_text(label) for label in classes]}
        title = "probe" if row == 1 else "random"
        figure.update_yaxes(
            **ticks, range=[len(classes) - 0.5, -0.5], title_text=title, zeroline=False, automargin=True, row=row, col=1
        )
    figure.update_layout(**base_layout(150 + 2 * max(80, 46 * len(classes))), showlegend=False)
    figure.update_xaxes(gridcolor="rgba(128,128,128,0.25)")
    figure.update_xaxes(title_text=plotly_text(result.unit), row=2, col=1)
    said = plotly_text(str(result.notes.get("label", "the class")))
    return Figure(
        title=f"Samples along the direction of {result.notes.get('label', 'the class')}, layer {layer}",
        how_to_read=_READ_PROJECTIONS,
        caption=contract.sentences(contract.unit_in_words(result), contract.prompts_in_words(result)),
        control=contract.control_in_words(result, f"the same samples along a random direction, not that of {said}"),
        png=encode_png(picture_rows([_spread(result, name, classes) for name in ("projection", "control_random")])),
        plotly=figure,
    )


def _strip(result: Result, name: str, label: str, number: int) -> go.Scatter:
    chosen = result.data["class"].values.astype(str) == label
    values = result.data[name].values[chosen].astype(float)
    # Spread by a fixed rule, so that the same result is the same picture.
    heights = number + 0.6 * (np.arange(len(values)) * 0.618034 % 1 - 0.5)
    words = [hover_label(str(text)) for text in result.data["context"].values[chosen]]
    kind = "random direction" if name == "control_random" else "probe"
    return go.Scatter(
        x=values,
        y=heights,
        mode="markers",
        name=f"{kind}: {plotly_text(label)}",
        marker={
            "symbol": _SYMBOLS[number % len(_SYMBOLS)],
            "size": 6,
            "opacity": 0.7,
            "color": OKABE_ITO[number % len(OKABE_ITO)],
        },
        hovertext=words,
        hovertemplate=f"<b>%{{hovertext}}</b><br>{plotly_text(label)}, {kind} %{{x:+.3f}}<extra></extra>",
    )


def _spread(result: Result, name: str, classes: list[str]) -> Marks:
    """Middle and middle half of each class, for the plain picture."""
    of = [result.data[name].values[result.data["class"].values.astype(str) == label] for label in classes]
    quartiles: Float[np.ndarray, "class three"] = np.array([np.quantile(each, [0.25, 0.5, 0.75]) for each in of])
    return Marks(name, quartiles[:, 1], quartiles[:, 0], quartiles[:, 2])
