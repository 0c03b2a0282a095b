"""Figure of a patching sweep: effect by layer and position, head or word, beside its matched placebo."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from interp.errors import ResultError
from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.heatmap import Axes, Panel, draw_panel, ground, panel_grid
from interp.plots.png import above, beside, colour_cells, encode_png
from interp.plots.theme import DIVERGING, Palette, diverging_axis
from interp.plots.tokens import hover_label, tick_label
from interp.results import Result

_VARIABLES = ["effect", "effect_low", "effect_high", "p_corrected", "recovered", "control"]
_EFFECT_HOVER = (
    "%{hovertext}<br>effect %{customdata[0]:+.4g}<br>95 % interval %{customdata[1]:+.4g} to %{customdata[2]:+.4g}"
    "<br>corrected p %{customdata[3]:.3g}<br>recovered %{customdata[4]:.4g}<br>control %{customdata[5]:+.4g}"
)
_CONTROL_HOVER = "%{hovertext}<br>control %{customdata[5]:+.4g}<br>effect %{customdata[0]:+.4g}"
_COLUMN = {"pos": "position", "head": "head", "word": "word"}


def plot_patch_sweep(result: Result, palette: Palette = "RdBu") -> Figure:
    """Draw effect and control as two heatmaps on one scale: blue positive, red negative, white zero, layer 0 on top.

    Raises:
        ResultError: no control, a variable missing, or more than one dimension beside `layer`.
    """
    contract.check_drawable(result, _VARIABLES)
    dim = _column_dim(result)
    details = np.stack([contract.matrix(result, name, "layer", dim) for name in _VARIABLES], axis=-1)
    effect, control = details[..., 0], details[..., 5]
    axes = _axes(result, dim)
    bound = float(max(np.nanmax(np.abs(details[..., [0, 5]])), 1e-9))
    panels = [
        Panel("Effect", effect, _EFFECT_HOVER, details, marked=details[..., 3] < contract.ALPHA),
        Panel("Control", control, _CONTROL_HOVER, details),
    ]
    pictures = [colour_cells(values, DIVERGING[palette], -bound, bound) for values in (effect, control)]
    return Figure(
        title=_title(result, dim),
        how_to_read=_how_to_read(dim, palette),
        caption=_caption(result, effect),
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


def _axes(result: Result, dim: str) -> Axes:
    layers, labels, name = contract.layer_numbers(result), contract.axis_labels(result, dim), _COLUMN.get(dim, dim)
    if dim == "head" and "labels" not in result.notes:
        places = [[f"<b>L{layer}H{label}</b>" for label in labels] for layer in layers]
        return Axes(layers, [f"H{label}" for label in labels], places)
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


def _caption(result: Result, effect: Float[np.ndarray, "layer x"]) -> str:
    cells = int(np.isfinite(effect).sum())
    return contract.sentences(
        f"Unit: {result.unit}. Positive: {result.sign.rstrip('.')}.",
        contract.prompts_in_words(result),
        f"Intervals: 95 % bootstrap over prompts; p corrected over {cells} cells.",
        contract.baselines_in_words(result),
        "Grey: not run." if cells < effect.size else "",
    )
