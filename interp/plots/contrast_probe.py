"""Figure of contrast-consistent search: what a direction found without labels tells, and how consistent it is."""

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.layer_panels import Words, layer_figure
from interp.plots.line_panels import Panel, read_curve
from interp.results import Result

_LINES = {
    "accuracy": "found without labels",
    "supervised": "ceiling: fitted to the labels",
    "first_component": "first principal component",
    "control_random_direction": "control: random directions",
    "control_random_weights": "control: random weights",
    "control_shuffled": "control: shuffled labels",
}
_LOSSES = {"loss": "accuracy", "control_random_weights_loss": "control_random_weights"}
_KNOWS_NOTHING = 0.2
"""Contrast loss of the best constant."""
_HOW_TO_READ = (
    "Left, the solid line is how often the most consistent contrast of pairs, found without labels, is right on pairs "
    "that it was not fitted to; labels decide its sign alone. It speaks for the search where it is clear of random "
    "directions, whose sign is decided the same way (filled: corrected p below 0.05), and for the model where it is "
    "clear of random weights, too; the thin line across is the majority's answer. Where the first principal component "
    "does as well, consistency adds nothing, and where the ceiling, a probe fitted to the labels and no control, is "
    "high and the solid line is not, another contrast stands out. Right, the contrast loss of held-out pairs: 0 is "
    "consistent and sure, the thin line what is reached without looking, and above it the direction was learnt by "
    "heart. None of this shows that the model uses the label."
)


def plot_contrast_probe(result: Result) -> Figure:
    """Draw accuracy and contrast loss over layers, beside controls and the ceiling.

    Raises:
        ResultError: no control, or a variable missing.
    """
    drawn = [f"{name}{end}" for name in (*_LINES, *_LOSSES) for end in ("", "_low", "_high")]
    contract.check_drawable(result, [*drawn, "above_random_direction", "p_corrected", "control_majority"])
    data = result.data
    stands = (data["above_random_direction"].values > 0) & (data["p_corrected"].values < contract.ALPHA)
    told = [read_curve(data, name, words, stands if name == "accuracy" else None) for name, words in _LINES.items()]
    losses = [read_curve(data, name, _LINES[line]) for name, line in _LOSSES.items()]
    panels = [
        Panel("held-out accuracy", told, "share of pairs", (0.0, 1.0), float(data["control_majority"].max())),
        Panel("held-out contrast loss ↓", losses, "loss", level=_KNOWS_NOTHING),
    ]
    words = Words(
        "Contrast-consistent search",
        _HOW_TO_READ,
        "random directions, random weights and shuffled labels",
        contract.prompts_in_words(result),
    )
    return layer_figure(result, panels, stands, words)
