"""Figure of a patching sweep: effect by layer and position, head or word, beside its matched placebo."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Bool, Float

from interp.errors import ResultError
from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.heatmap import Axes, Line, Panel, draw_panel, ground, head_axes, panel_grid, read_out
from interp.plots.png import above, beside, colour_cells, encode_png
from interp.plots.theme import DIVERGING, Palette, diverging_axis
from interp.plots.tokens import hover_label, tick_label
from interp.results import Result

_LINES = [
    Line("effect", "effect", "+.4g"),
    Line("effect_low", "<br>95 % interval", "+.4g"),
    Line("effect_high", " to", "+.4g"),
    Line("p_corrected", "<br>corrected p", ".3g"),
    Line("recovered", "<br>recovered", ".4g"),
    Line("control", "<br>control", "+.4g"),
]
_COLUMN = {"pos": "position", "head": "head", "word": "word"}


def plot_patch_sweep(result: Result, palette: Palette = "RdBu") -> Figure:
    """Draw effect and control as two heatmaps on one scale: blue positive, red negative, white zero, layer 0 on top.

    Raises:
        ResultError: no control, a variable missing, or more than one dimension beside `layer`.
    """
    contract.check_drawable(result, ["effect", "control", "recovered"])
    dim = _column_dim(result)
    lines = [line for line in _LINES if line.variable in result.data]
    details = np.stack([contract.matrix(result, line.variable, "layer", dim) for line in lines], axis=-1)
    effect, control = (contract.matrix(result, name, "layer", dim) for name in ("effect", "control"))
    axes = _axes(result, dim)
    bound = float(max(np.nanmax(np.abs([effect, control])), 1e-9))
    hover = read_out(lines)
    panels = [
        Panel("Effect", effect, hover, details, marked=_significant(result, dim)),
        Panel("Control", control, hover, details),
    ]
    pictures = [colour_cells(values, DIVERGING[palette], -bound, bound) for values in (effect, control)]
    return Figure(
        title=_title(result, dim),
        how_to_read=_how_to_read(dim, palette),
        caption=_caption(result, dim, effect),
        control=contract.control_in_words(result, "the same sweep with a matched placebo in place of the patch"),
        png=encode_png((beside if axes.side_by_side else above)(pictures)),
        plotly=_draw(panels, axes, diverging_axis(palette, bound, result.unit)),
    )


def _column_dim(result: Result) -> str:
    dims = [str(dim) for dim in result.data["effect"].dims if dim != "layer"]
    if len(dims) != 1:
        raise ResultError(
            f"The effect has dimensions {list(result.data['effect'].dims)}. Expected layer and one other."
        )
    return dims[0]


def _significant(result: Result, dim: str) -> Bool[np.ndarray, "layer x"] | None:
    if "p_corrected" not in result.data:
        return None
    return contract.matrix(result, "p_corrected", "layer", dim) < contract.ALPHA


def _axes(result: Result, dim: str) -> Axes:
    layers, labels, name = contract.layer_numbers(result), contract.axis_labels(result, dim), _COLUMN.get(dim, dim)
    if dim == "head":
        return head_axes(result)
    ticks = [tick_label(label, place) for place, label in enumerate(labels)]
    columns = [f"<b>{hover_label(label)}</b><br>{name} {place}" for place, label in enumerate(labels)]
    return Axes(layers, ticks, [[f"{column}, layer {layer}" for column in columns] for layer in layers])


def _draw(panels: list[Panel], axes: Axes, coloraxis: dict[str, Any]) -> go.Figure:
    across = axes.side_by_side
    figure = panel_grid(axes, *((1, 2) if across else (2, 1)), titles=[panel.title for panel in panels])
    figure.update_layout(coloraxis=coloraxis, plot_bgcolor=ground(panels))
    for place, panel in enumerate(panels):
        draw_panel(figure, panel, axes, (1, place + 1) if across else (place + 1, 1), "coloraxis")
    return figure


def _title(result: Result, dim: str) -> str:
    site, direction = result.notes.get("site", "activations"), result.notes.get("direction")
    words = f"Patching {site} by layer and {_COLUMN.get(dim, dim)}"
    return f"{words} ({direction})" if direction else words


def _how_to_read(dim: str, palette: Palette) -> str:
    positive, negative = {"RdBu": ("Blue", "red"), "PuOr": ("Purple", "orange")}[palette]
    return (
        f"Each cell is one intervention: the activation of that layer and {_COLUMN.get(dim, dim)} is replaced by the "
        "one of the other run, and the metric is compared with the run that was not patched. "
        f"{positive} means the metric rose, {negative} that it fell, white no change; a ring marks cells whose "
        f"corrected p is below {contract.ALPHA}. The control panel shows the same sweep with a placebo: an effect "
        "counts only as far as it exceeds its control. "
        "A strong cell shows that the activation carries what differs between the prompts there; it does not show that "
        "the model computes it there, or that nothing else carries it."
    )


def _caption(result: Result, dim: str, effect: Float[np.ndarray, "layer x"]) -> str:
    cells = int(np.isfinite(effect).sum())
    return contract.sentences(
        contract.unit_in_words(result),
        contract.prompts_in_words(result),
        f"Intervals: 95 % bootstrap over prompts; p corrected over {cells} cells."
        if "p_corrected" in result.data
        else "Too few prompts for an interval or a p.",
        f"Labels are {result.notes['labels_are']}." if dim != "head" and "labels_are" in result.notes else "",
        contract.baselines_in_words(result),
        "Grey: not run." if cells < effect.size else "",
    )
