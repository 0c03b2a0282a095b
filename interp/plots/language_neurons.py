"""Figure of language neurons: the neurons that stand out, by language, beside the same under shuffled labels."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Bool, Float

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.heatmap import Axes, Line, Panel, draw_panel, panel_grid, read_out
from interp.plots.png import beside, colour_cells, encode_png
from interp.plots.theme import DIVERGING, LINE, diverging_axis, sequential_axis
from interp.plots.tokens import plotly_text
from interp.results import Result

SHOWN = "auroc"
"""The method whose scores are drawn: its numbers mean the same for every neuron."""
_AGAINST = ("average_precision_bottom",)
"""Methods that find neurons which keep still."""
_MOST_ROWS = 26
"""Rows that all have room for their name."""
_EACH = 8
_DIMS = ("method", "layer", "neuron", "language")
_HOW_TO_READ = (
    "Each row is a neuron (L2N17: layer 2, neuron 17), each column a language; shown are those of each language that "
    "most methods find, by AUROC. Left, how often a neuron fires; middle, AUROC: blue where texts of the language have "
    "the higher activation, red where the lower; right, the same with shuffled labels. A diamond marks what AUROC "
    "finds, a ring what only other methods find. Firing for a language is not evidence that the model speaks it by "
    "that neuron."
)


def plot_language_neurons(result: Result) -> Figure:
    """Draw the neurons that stand out for each language.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, ["score", "control", "found", "q_fdr", "probability", "control_found"])
    methods = [str(name) for name in result.data["method"].values]
    shown = methods.index(SHOWN)
    found = result.data["found"].transpose(*_DIMS).values.astype(bool)
    score, control = (contract.matrix(result, name, *_DIMS) for name in ("score", "control"))
    firing = np.array([name not in _AGAINST for name in methods])
    layer, neuron = _rows(found[firing].sum(0), score[shown])
    axes = _axes(result, layer, neuron)
    details = _details(result, methods, layer, neuron)
    hover = read_out(_lines(methods))
    mine, others = found[shown, layer, neuron], found[firing][:, layer, neuron].any(0)
    marks = {"diamond": mine, "ring": others & ~mine}
    panels = [
        Panel("fires", contract.matrix(result, "probability", *_DIMS[1:])[layer, neuron], hover, details),
        Panel("AUROC", score[shown, layer, neuron], hover, details, symbols=marks),
        Panel("labels shuffled", control[shown, layer, neuron], hover, details),
    ]
    return Figure(
        title="Language neurons",
        how_to_read=_HOW_TO_READ,
        caption=contract.sentences(
            "Unit: share of tokens (fires) and AUROC of a text's mean activation. Larger: more active in the language.",
            contract.prompts_in_words(result),
            _counts_in_words(result, methods, found),
            f"Found: q up to {result.notes.get('alpha', 0.05):g} over all neurons and languages, and what each method "
            "asks besides.",
        ),
        control=contract.control_in_words(result, "the same with shuffled labels"),
        png=encode_png(beside([colour_cells(panel.values, DIVERGING["RdBu"], 0.0, 1.0, 8) for panel in panels[1:]])),
        plotly=_draw(axes, panels),
    )


def _rows(
    methods: Float[np.ndarray, "layer neuron language"] | np.ndarray, score: Float[np.ndarray, "layer neuron language"]
) -> tuple[np.ndarray, np.ndarray]:
    """Layers and numbers of the neurons that are drawn: of each language the best, in order of depth."""
    n_languages = score.shape[-1]
    each = max(1, min(_EACH, _MOST_ROWS // n_languages))
    taken: dict[tuple[int, int], None] = {}
    for language in range(n_languages):
        order = np.lexsort([-score[..., language].ravel(), -methods[..., language].ravel()])[:each]
        cells = zip(*np.unravel_index(np.sort(order), score.shape[:2]), strict=True)
        taken |= dict.fromkeys((int(layer), int(neuron)) for layer, neuron in cells)
    layer, neuron = np.array(list(taken)).T
    return layer, neuron


def _axes(result: Result, layer: np.ndarray, neuron: np.ndarray) -> Axes:
    numbers = contract.layer_numbers(result)
    names = [
        f"L{numbers[place]}N{result.data['neuron'].values[which]}" for place, which in zip(layer, neuron, strict=True)
    ]
    languages = [plotly_text(str(name)) for name in result.data["language"].values]
    places = [[f"<b>{name}</b>, {language}" for language in languages] for name in names]
    return Axes(names, languages, places, row_title="")


def _lines(methods: list[str]) -> list[Line]:
    lines = [Line("probability", "fires", ".3f")]
    for name in methods:
        lines += [
            Line(name, f"<br>{name.replace('_', ' ')}", ".4g"),
            Line(name, " (q", ".2g"),
            Line(name, "), shuffled", ".4g"),
        ]
    return lines


def _details(
    result: Result, methods: list[str], layer: np.ndarray, neuron: np.ndarray
) -> Float[np.ndarray, "row language detail"]:
    columns = [contract.matrix(result, "probability", *_DIMS[1:])[layer, neuron]]
    arrays = [contract.matrix(result, name, *_DIMS) for name in ("score", "q_fdr", "control")]
    for place in range(len(methods)):
        columns += [array[place, layer, neuron] for array in arrays]
    return np.stack(columns, axis=-1)


def _counts_in_words(
    result: Result, methods: list[str], found: Bool[np.ndarray, "method layer neuron language"]
) -> str:
    """Say how many pairs of neuron and language each method finds, and how many when labels are shuffled."""
    shuffled = result.data["control_found"].mean("shuffle").values
    told = [
        f"{name.replace('_', ' ')} {number} ({chance:.2g})"
        for name, number, chance in zip(methods, found.sum((1, 2, 3)).tolist(), shuffled.tolist(), strict=True)
    ]
    return f"Found, and with labels shuffled: {', '.join(told)} of {found[0].size} neuron-language pairs."


def _draw(axes: Axes, panels: list[Panel]) -> go.Figure:
    figure = panel_grid(axes, 1, len(panels), [f"<b>{panel.title}</b>" for panel in panels])
    for column, panel in enumerate(panels, start=1):
        draw_panel(figure, panel, axes, (1, column), "coloraxis" if column == 1 else "coloraxis2")
    return figure.update_layout(
        plot_bgcolor=LINE,
        coloraxis=_beside(sequential_axis(1.0, "share of tokens"), 0),
        coloraxis2=_beside(diverging_axis("RdBu", 1.0, "AUROC") | {"cmin": 0, "cmax": 1, "cmid": 0.5}, 1),
    )


def _beside(axis: dict[str, Any], place: int) -> dict[str, Any]:
    return axis | {"colorbar": axis["colorbar"] | {"x": 1.02 + 0.1 * place}}
