"""Figure of a sweep of probes: held-out accuracy by layer and site or position, beside its control on one scale."""

import numpy as np
from jaxtyping import Bool, Float

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.heatmap import Axes, Line, Panel, draw_pair, read_out
from interp.plots.line_panels import embed_in_words, layer_word
from interp.plots.png import above, beside, colour_cells, encode_png
from interp.plots.theme import SEQUENTIAL, sequential_axis
from interp.plots.tokens import hover_label, plotly_text
from interp.results import Result

_LINES = [
    Line("accuracy", "accuracy", ".4f"),
    Line("accuracy_low", "<br>95 % interval", ".4f"),
    Line("accuracy_high", " to", ".4f"),
    Line("control_shuffled", "<br>shuffled labels", ".4f"),
    Line("control_shuffled_low", "<br>95 % interval", ".4f"),
    Line("control_shuffled_high", " to", ".4f"),
    Line("control_random_weights", "<br>random weights", ".4f"),
    Line("control_majority", "<br>majority", ".4f"),
    Line("p_corrected", "<br>corrected p", ".3g"),
    Line("q_fdr", ", q", ".3g"),
]
_HOW_TO_READ = (
    "Each cell is one probe: how often it is right on held-out samples, from the activations of that layer and place. "
    "White is no more than the majority's answer, dark blue always right; a ring marks cells that beat the shuffled "
    "labels (corrected p below 0.05). The control panel is the same probe on labels shuffled between groups: only what "
    "exceeds it speaks for the activations. A dark cell shows that the label can be read off there linearly; it does "
    "not show that the model uses it."
)


def plot_probe_sweep(result: Result) -> Figure:
    """Draw accuracy and its shuffled control as two heatmaps on one scale, layer 0 on top; rings mark what stands out.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, ["accuracy", "control_shuffled", "control_majority", "p_corrected"])
    lines = [line for line in _LINES if line.variable in result.data]
    details = np.stack([contract.matrix(result, line.variable, *_dims(result)) for line in lines], axis=-1)
    accuracy, control = (contract.matrix(result, name, *_dims(result)) for name in ("accuracy", "control_shuffled"))
    axes, hover, marked = _axes(result), read_out(lines), _marks(result)
    majority = float(result.data["control_majority"].min())
    panels = [
        Panel("Held-out accuracy", accuracy, hover, details, marked),
        Panel("Control: shuffled labels", control, hover, details),
    ]
    pictures = [colour_cells(values, SEQUENTIAL, majority, 1.0) for values in (accuracy, control)]
    return Figure(
        title=f"Probes by layer and {_dims(result)[1]}",
        how_to_read=_HOW_TO_READ,
        caption=_caption(result, accuracy, marked),
        control=contract.control_in_words(result, "the same probe on labels shuffled between groups"),
        png=encode_png((beside if axes.side_by_side else above)(pictures)),
        plotly=draw_pair(panels, axes, sequential_axis(1.0, "accuracy") | {"cmin": majority}),
    )


def _marks(result: Result) -> Bool[np.ndarray, "layer site"]:
    """Cells right more often than the shuffled control; the test alone has two sides."""
    accuracy, control, p = (
        contract.matrix(result, name, *_dims(result)) for name in ("accuracy", "control_shuffled", "p_corrected")
    )
    return (p < contract.ALPHA) & (accuracy > control)


def _axes(result: Result) -> Axes:
    layers = [layer_word(layer) for layer in contract.layer_numbers(result)]
    dim = _dims(result)[1]
    across = [str(label) for label in result.data[dim].values]
    words = [f"position {label}" if dim == "position" else label for label in across]
    places = [[f"<b>{hover_label(word)}</b>, layer {layer}" for word in words] for layer in layers]
    return Axes(layers, [plotly_text(label) for label in across], places)


def _dims(result: Result) -> tuple[str, str]:
    """What goes down and what goes across."""
    return "layer", "position" if result.kind == "probe_positions" else "site"


def _caption(result: Result, accuracy: Float[np.ndarray, "layer site"], marked: Bool[np.ndarray, "layer site"]) -> str:
    cells = int(np.isfinite(accuracy).sum())
    tested = result.notes.get("n_tested")
    return contract.sentences(
        contract.unit_in_words(result),
        contract.prompts_in_words(result),
        f"{tested} samples are held out." if tested is not None else "",
        f"Rings: {int(marked.sum())} of {cells} cells. Intervals: 95 % bootstrap over groups.",
        embed_in_words(contract.layer_numbers(result)),
        contract.baselines_in_words(result),
        "Grey: not run." if cells < accuracy.size else "",
    )
