"""Figure of a structural probe by layer: how much of syntax trees is given back, over the lines of its controls."""

import numpy as np
from jaxtyping import Bool

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.line_panels import Panel, draw_panels, embed_in_words, over_layers, picture_panels, read_curve
from interp.plots.png import encode_png
from interp.results import Result

_MEASURES = {"uuas": "edges found (UUAS)", "spearman": "Spearman correlation", "root_accuracy": "roots found"}
"""Title of each panel."""
_CONTROLS = {
    "random_weights": "control: random weights",
    "linear": "control: order of words",
    "shuffled": "control: words shuffled in their sentence",
}
_HOW_TO_READ = (
    "The solid line is how much of the syntax trees of held-out sentences a linear map of that layer's activations "
    "gives back, with its 95 % interval; the other lines are controls: the same probe in random weights, the order of "
    "words alone, without any activations, and the same probe where the vectors of each sentence are shuffled among "
    "its words. Only the distance to the highest of them speaks for what the model has learnt. Filled marks in the "
    "first panel are layers above all three (corrected p below 0.05). A high line shows that trees can be read off "
    "linearly; it does not show that the model builds or uses them."
)


def plot_probe_trees(result: Result) -> Figure:
    """Draw each measure over layers beside its controls.

    Raises:
        ResultError: no control, or a variable missing.
    """
    measures = [name for name in map(str, result.data.data_vars) if name in _MEASURES]
    contract.check_drawable(result, _needed(measures or ["uuas"]))
    layers, stands = contract.layer_numbers(result), _stands(result)
    panels = [_panel(result, name, stands if name == measures[0] else None) for name in measures]
    across, what = over_layers(layers), result.notes.get("what")
    return Figure(
        title="Structural probe" if what is None else f"Structural probe: {what}",
        how_to_read=_HOW_TO_READ,
        caption=contract.sentences(
            contract.unit_in_words(result),
            _sentences_in_words(result),
            f"Rank of the map: {result.notes['rank']}." if "rank" in result.notes else "",
            "Bands: 95 % interval.",
            f"Filled in the first panel: {stands.sum()} of {len(layers)} layers.",
            embed_in_words(layers),
            contract.baselines_in_words(result),
        ),
        control=contract.control_in_words(result, "the same where there is nothing of the model to find"),
        png=encode_png(picture_panels(panels, across)),
        plotly=draw_panels(panels, across),
    )


def _panel(result: Result, name: str, filled: Bool[np.ndarray, " layer"] | None) -> Panel:
    curves = [read_curve(result.data, name, "probe", filled)]
    curves += [read_curve(result.data, f"control_{control}_{name}", words) for control, words in _CONTROLS.items()]
    return Panel(_MEASURES[name], curves, bounds=None if name == "spearman" else (0.0, 1.0))


def _stands(result: Result) -> Bool[np.ndarray, " layer"]:
    """Layers above every control, and not by chance."""
    above = [
        (result.data[f"above_{control}"].values > 0)
        & (result.data[f"above_{control}_p_corrected"].values < contract.ALPHA)
        for control in _CONTROLS
    ]
    return np.all(above, axis=0)


def _sentences_in_words(result: Result) -> str:
    """Say what the numbers come from and what was left out, as far as the result knows."""
    words, sentences = result.notes.get("n_words"), result.notes.get("n_sentences")
    dropped = {why: count for why, count in result.notes.get("dropped", {}).items() if count}
    reasons = ", ".join(f"{why} {count}" for why, count in dropped.items())
    return contract.sentences(
        "" if sentences is None else f"From {words} words of {sentences} sentences.",
        f"Sentences left out: {reasons}." if dropped else "",
    )


def _needed(measures: list[str]) -> list[str]:
    lines = [f"{control}{name}" for name in measures for control in ("", *(f"control_{each}_" for each in _CONTROLS))]
    above = [f"above_{control}{end}" for control in _CONTROLS for end in ("", "_p_corrected")]
    return [f"{name}{end}" for name in lines for end in ("", "_low", "_high")] + above
