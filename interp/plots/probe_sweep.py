"""Figure of a sweep of probes: held-out accuracy by layer and site or position, beside its control on one scale."""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.heatmap import Axes, Line, Panel, draw_panel, ground, panel_grid, read_out
from interp.plots.line_panels import embed_in_words, layer_word
from interp.plots.png import Picture, above, beside, colour_cells, encode_png
from interp.plots.theme import SEQUENTIAL, sequential_axis
from interp.plots.tokens import hover_label, plotly_text
from interp.results import Result

_RANDOM = "control_random_weights"
_WORDS = {"accuracy": "accuracy", "r2": "R squared"}
_BESIDE = [
    Line("control_shuffled", "<br>shuffled labels", ".4f"),
    Line("control_shuffled_low", "<br>95 % interval", ".4f"),
    Line("control_shuffled_high", " to", ".4f"),
    Line(_RANDOM, "<br>random weights", ".4f"),
    Line("control_majority", "<br>majority", ".4f"),
    Line("p_corrected", "<br>corrected p", ".3g"),
    Line("q_fdr", ", q", ".3g"),
]
_HOW_TO_READ = (
    "Each cell is one probe: {what}, from the activations of that layer and place. White is {floor}, dark blue {best}; "
    "a ring marks cells that beat the shuffled labels (corrected p below 0.05). The control panels are the same probe "
    "on labels shuffled between groups and, where there was such a model, on random weights: only what exceeds both "
    "speaks for what the model learnt. A dark cell shows that the label can be read off there linearly; it does not "
    "show that the model uses it."
)
_READS = {
    "accuracy": {
        "what": "how often it is right on held-out samples",
        "floor": "no more than the majority's answer",
        "best": "always right",
    },
    "r2": {
        "what": "which share of the variance of held-out numbers it tells",
        "floor": "no better than always giving their mean",
        "best": "every number told",
    },
}


def plot_probe_sweep(result: Result) -> Figure:
    """Draw the measure and its controls as heatmaps on one scale, layer 0 on top; rings mark what stands out.

    A grid over site, layer and position has such heatmaps for each site, one site below the other.

    Raises:
        ResultError: no control, or a variable missing.
    """
    measure = "r2" if "r2" in result.data else "accuracy"
    floor = "control_mean" if measure == "r2" else "control_majority"
    contract.check_drawable(result, [measure, "control_shuffled", floor, "p_corrected"])
    parts = _parts(result)
    rows, axes = [_row(title, part, measure) for title, part in parts], _axes(parts[0][1])
    low, n = float(result.data[floor].min()), len(rows[0])
    panels = [panel for row in rows for panel in row]
    marked = sum(int(row[0].marked.sum()) for row in rows if row[0].marked is not None)
    across, values = axes.side_by_side, np.stack([row[0].values for row in rows])
    figure = panel_grid(axes, *((len(rows), n) if across else (len(panels), 1)), [panel.title for panel in panels])
    scale = sequential_axis(1.0, _WORDS[measure]) | {"cmin": low}
    figure.update_layout(coloraxis=scale, plot_bgcolor=ground(panels))
    for place, panel in enumerate(panels):
        draw_panel(figure, panel, axes, (place // n + 1, place % n + 1) if across else (place + 1, 1), "coloraxis")
    return Figure(
        title=f"Probes by {', '.join(str(dim) for dim in ('layer', *_columns(result)))}",
        how_to_read=_HOW_TO_READ.format(**_READS[measure]),
        caption=_caption(result, values, marked),
        control=contract.control_in_words(result, "the same probe on labels shuffled between groups"),
        png=encode_png(above([_picture(row, low, across=across) for row in rows])),
        plotly=figure,
    )


def _parts(result: Result) -> list[tuple[str, Result]]:
    """The whole of a sweep; of a grid the part of each site, with its name."""
    if result.kind != "probe_grid":
        return [("", result)]
    sites = [str(site) for site in result.data["site"].values]
    return [(site, replace(result, data=result.data.sel(site=site, drop=True))) for site in sites]


def _columns(result: Result) -> list[str]:
    """Dimensions beside the layer, the one across last."""
    return {"probe_grid": ["site", "position"], "probe_positions": ["position"]}.get(result.kind, ["site"])


def _row(title: str, part: Result, measure: str) -> list[Panel]:
    """The measure and its controls over layers and columns."""
    dims = "layer", _columns(part)[-1]
    ends = [Line(measure, _WORDS[measure], ".4f")]
    ends += [
        Line(f"{measure}_low", "<br>95 % interval", ".4f"),
        Line(f"{measure}_high", " to", ".4f"),
    ]
    lines = [line for line in (*ends, *_BESIDE) if line.variable in part.data]
    details = np.stack([contract.matrix(part, line.variable, *dims) for line in lines], axis=-1)
    values, shuffled, p = (contract.matrix(part, name, *dims) for name in (measure, "control_shuffled", "p_corrected"))
    # Right more often than the shuffled control; the test alone has two sides.
    marked: Bool[np.ndarray, "layer column"] = (p < contract.ALPHA) & (values > shuffled)
    of, hover = f"{plotly_text(title)}: " if title else "", read_out(lines)
    panels = [
        Panel(f"{of}held-out {_WORDS[measure]}", values, hover, details, marked),
        Panel("control: shuffled labels", shuffled, hover, details),
    ]
    if _RANDOM in part.data:
        panels.append(Panel("control: random weights", contract.matrix(part, _RANDOM, *dims), hover, details))
    return panels


def _picture(row: list[Panel], low: float, *, across: bool) -> Picture:
    pictures = [colour_cells(panel.values, SEQUENTIAL, low, 1.0) for panel in row]
    return (beside if across else above)(pictures)


def _axes(part: Result) -> Axes:
    layers = [layer_word(layer) for layer in contract.layer_numbers(part)]
    dim = _columns(part)[-1]
    across = [str(label) for label in part.data[dim].values]
    words = [f"position {label}" if dim == "position" else hover_label(label) for label in across]
    places = [[f"<b>{word}</b>, layer {layer}" for word in words] for layer in layers]
    return Axes(layers, [plotly_text(label) for label in across], places)


def _caption(result: Result, values: Float[np.ndarray, "part layer column"], marked: int) -> str:
    cells, tested = int(np.isfinite(values).sum()), result.notes.get("n_tested")
    return contract.sentences(
        contract.unit_in_words(result),
        contract.prompts_in_words(result),
        f"{tested} samples are held out." if tested is not None else "",
        "Columns are positions, each named by the first of its bin." if "position" in result.data.dims else "",
        f"Rings: {marked} of {cells} cells. Intervals: 95 % bootstrap over groups.",
        embed_in_words(contract.layer_numbers(result)),
        contract.baselines_in_words(result),
        "Grey: not run." if cells < values.size else "",
    )
