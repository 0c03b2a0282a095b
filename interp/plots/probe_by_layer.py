"""Figure of a probe by layer: held-out accuracy with its interval, over the lines of its controls."""

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.line_panels import Panel, draw_panels, embed_in_words, over_layers, picture_panels, read_curve
from interp.plots.png import encode_png
from interp.results import Result
from interp.results.result import CONTROL

_SAYS = {
    "probe_by_layer": (
        "Probe by layer",
        "The solid line is how often a linear probe on that layer's activations is right on examples it was not fitted "
        "to; the band is its 95 % interval. The other lines are controls: what the same probe reaches where there is "
        "nothing of the model to learn. Only the distance to the highest control speaks for the model. "
        "A high line shows that the information can be read off linearly; it does not show that the model uses it.",
    ),
    "probe_after_erasure": (
        "Probe after erasure",
        "The solid line is how often a new linear probe is right on held-out samples with nothing erased, the line "
        "`erased` the same after the label was erased from samples that the eraser never saw; bands are 95 % "
        "intervals. The erasure worked where `erased` has come down to the majority's line, and it took out the label "
        "rather than just anything where the line of random erasures stays up. What stays above the majority is what "
        "the eraser missed, or what it needs more samples to find. Neither shows that the model uses the label, or "
        "that a reader that is not linear would not still find it.",
    ),
}
"""Title and words, by kind."""
_ERASED = "erased"


def plot_probe_by_layer(result: Result) -> Figure:
    """Draw accuracy over layers with its interval; lines differ in dash and symbol as well as in colour.

    Raises:
        ResultError: no control, or a variable missing.
    """
    title, how_to_read = _SAYS[result.kind]
    lines = {"accuracy": "probe"}
    if result.kind == "probe_after_erasure":
        lines |= {_ERASED: _ERASED}
    contract.check_drawable(result, [f"{name}{end}" for name in lines for end in ("", "_low", "_high")])
    lines |= {name: f"control: {_words(name)}" for name in _control_names(result)}
    layers = contract.layer_numbers(result)
    curves = [read_curve(result.data, name, words) for name, words in lines.items()]
    panels, across = [Panel("", curves, result.unit, (0.0, 1.0))], over_layers(layers)
    controls = ", ".join(_words(name) for name in _control_names(result))
    return Figure(
        title=title,
        how_to_read=how_to_read,
        caption=contract.sentences(
            contract.unit_in_words(result),
            contract.prompts_in_words(result),
            "Band: 95 % interval.",
            _ranks_in_words(result),
            embed_in_words(layers),
            contract.baselines_in_words(result),
        ),
        control=contract.control_in_words(result, f"{controls}: the same probe where there is nothing to learn"),
        png=encode_png(picture_panels(panels, across)),
        plotly=draw_panels(panels, across),
    )


def _control_names(result: Result) -> list[str]:
    names = [str(name) for name in result.data.data_vars]
    return [name for name in names if name.startswith(CONTROL) and not name.endswith(("_low", "_high"))]


def _words(name: str) -> str:
    return name.removeprefix(CONTROL).replace("_", " ").strip() or CONTROL


def _ranks_in_words(result: Result) -> str:
    if "rank" not in result.data:
        return ""
    low, high = int(result.data["rank"].min()), int(result.data["rank"].max())
    return f"Directions erased: {low if low == high else f'{low} to {high}'}."
