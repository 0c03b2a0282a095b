"""Figures of ablation and steering sweeps and of direct paths: the grid of a patching sweep in other words."""

from dataclasses import replace

from interp.plots.figure import Figure
from interp.plots.forest import plot_forest
from interp.plots.patch_sweep import plot_patch_sweep
from interp.plots.theme import Palette
from interp.results import Result

_COLOURS = {
    "RdBu": "Blue means the metric rose, red that it fell",
    "PuOr": "Purple means the metric rose, orange that it fell",
}
_READ = {
    "ablate_sweep": (
        "Each cell is one intervention: the activation of that place is replaced by one that knows nothing of the "
        "prompt, and the metric is compared with the plain run. {colours}, white no change, on one scale with the "
        "control: the same places moved by as much in a random direction. A strong cell shows that the run depends on "
        "the activation as it was, and more so the more it exceeds its control; it does not show what the activation "
        "says."
    ),
    "steer_sweep": (
        "Each cell is one intervention: a vector is added to the activation of that place, and the metric is compared "
        "with the plain run. {colours}, white no change, on one scale with the control: the same places moved by as "
        "much in a random direction. A strong cell shows that the vector can move the metric from there; it does not "
        "show that the model uses that direction by itself."
    ),
    "direct_paths": (
        "Each cell is one path: what the sender writes is replaced by what it writes in the other run, and only this "
        "receiver sees it. {colours}, white no change, on one scale with the "
        "control. A strong cell shows that the sender tells this receiver something the metric depends on; "
        "a white one does not show that it tells it nothing by way of others."
    ),
}


def plot_edit_sweep(result: Result, palette: Palette = "RdBu") -> Figure:
    """Draw effect and control as two heatmaps on one scale; a single column of effects as dots with intervals.

    Raises:
        ResultError: no control, or a variable missing.
    """
    if result.data["effect"].ndim == 1:
        return plot_forest(result)
    drawn = plot_patch_sweep(result, palette)
    return replace(drawn, title=_title(result), how_to_read=_READ[result.kind].format(colours=_COLOURS[palette]))


def _title(result: Result) -> str:
    notes = result.notes
    if result.kind == "direct_paths":
        return f"Direct paths from {notes['sender']} to {notes['receiver']} ({notes['direction']})"
    if result.kind == "steer_sweep":
        return f"Steering {notes['site']} by layer"
    return f"Ablating {notes['site']} ({notes['mode']}) by layer"
