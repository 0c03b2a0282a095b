"""Figure of a structural probe by layer: how much of syntax trees is given back, over the lines of its controls."""

import numpy as np
from jaxtyping import Bool

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.layer_panels import Words, layer_figure
from interp.plots.line_panels import Panel, read_curve
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
    stands = _stands(result)
    panels = [_panel(result, name, stands if name == measures[0] else None) for name in measures]
    words = Words(
        "Structural probe", _HOW_TO_READ, "the same where there is nothing of the model to find", _counted(result)
    )
    return layer_figure(result, panels, stands, words)


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


def _counted(result: Result) -> str:
    """Say what the numbers come from and what was left out, as far as the result knows."""
    words, sentences = result.notes.get("n_words"), result.notes.get("n_sentences")
    dropped = {why: count for why, count in result.notes.get("dropped", {}).items() if count}
    reasons = ", ".join(f"{why} {count}" for why, count in dropped.items())
    return contract.sentences(
        "" if sentences is None else f"From {words} words of {sentences} sentences.",
        f"Sentences left out: {reasons}." if dropped else "",
        f"Rank of the map: {result.notes['rank']}." if "rank" in result.notes else "",
    )


def _needed(measures: list[str]) -> list[str]:
    lines = [f"{control}{name}" for name in measures for control in ("", *(f"control_{each}_" for each in _CONTROLS))]
    above = [f"above_{control}{end}" for control in _CONTROLS for end in ("", "_p_corrected")]
    return [f"{name}{end}" for name in lines for end in ("", "_low", "_high")] + above
