"""Figure of labels of any kind read off by layer: one panel for each measure, beside its controls."""

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.layer_panels import Words, layer_figure
from interp.plots.line_panels import Panel, read_curve
from interp.results import Result

OF_CLASSES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "auroc": "AUROC",
    "log_loss_nats": "log-loss in nats ↓",
    "brier": "Brier score ↓",
    "ece": "calibration error ↓",
    "ece_adaptive": "adaptive calibration error ↓",
}
"""Titles of the panels of a classifier; those without an arrow are shares."""
_OF_NUMBERS = {"r2": "R squared", "pearson": "Pearson's correlation", "spearman": "Spearman's correlation"}
_MEASURES = _OF_NUMBERS | OF_CLASSES | {"exact_match": "all labels right"}
"""Title of each panel, in the order of panels."""
_CONTROLS = {
    "control_shuffled": "control: shuffled labels",
    "control_random_weights": "control: random weights",
    "control_random_direction": "control: random directions",
    "control_majority": "control: majority",
    "control_mean": "control: mean",
}
_NO_FLOOR = ("pearson", "spearman")
"""Measures that are 0 where nothing is known."""
_HOW_TO_READ = (
    "Each panel is one measure by layer: the solid line is the probe on held-out samples, with its 95 % interval, the "
    "other lines what the same probe reaches where there is nothing of the model, or nothing at all, to read; an arrow "
    "marks measures of which less is better. Filled marks in the first panel are layers that beat the shuffled labels "
    "(corrected p below 0.05). Only the distance to the highest control speaks for the model. None of this shows that "
    "the model uses the label."
)


def plot_probe_measures(result: Result) -> Figure:
    """Draw every measure over layers with its interval and its controls.

    Raises:
        ResultError: no control, no measure that is known, or a variable missing.
    """
    data, names = result.data, [name for name in _MEASURES if name in result.data]
    drawn = [f"{name}{end}" for name in names or ["accuracy"] for end in ("", "_low", "_high")]
    contract.check_drawable(result, [*drawn, *(f"control_shuffled_{name}" for name in names), "p_corrected"])
    first = names[0]
    above = data[first].values > data[f"control_shuffled_{first}"].values
    stands = (data["p_corrected"].values < contract.ALPHA) & above
    panels = []
    for name in names:
        curves = [read_curve(data, name, "probe", stands if name == first else None)]
        beside = {f"{control}_{name}": words for control, words in _CONTROLS.items()}
        curves += [read_curve(data, variable, words) for variable, words in beside.items() if variable in data]
        panels.append(Panel(_MEASURES[name], curves, level=0.0 if name in _NO_FLOOR else None))
    counted, control = contract.prompts_in_words(result), "the same probe where there is nothing to learn"
    return layer_figure(result, panels, stands, Words("Probe by layer", _HOW_TO_READ, control, counted))
