"""Figures of probes as lines: how well and how simply a label is read, and whether the answer follows its direction."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Bool

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.line_panels import (
    Across,
    Panel,
    draw_panels,
    embed_in_words,
    layer_word,
    over_layers,
    over_sizes,
    picture_panels,
    read_curve,
)
from interp.plots.png import encode_png
from interp.plots.probe_measures import OF_CLASSES
from interp.results import Result

_SHARE = (0.0, 1.0)
_MOST_LAYERS = 12
"""Learning curves drawn; of more layers, as many that lie evenly apart."""
_PROBE, _SHUFFLED, _MAJORITY = "probe", "control: shuffled labels", "control: majority"
_TASK, _CALIBRATED = "control: labels drawn by word", "control: if calibrated"
_LENGTH = (
    "The solid line is how many times shorter the labels can be coded by somebody who has that layer's activations and "
    "learns as samples come, with its 95 % interval; the dashed line is the same for labels shuffled between groups. "
    "The thin line across, 1, is a code that knows nothing. Only the distance to the shuffled line speaks for the "
    "layer. A short code shows that the label is easy to learn from the activations; it does not show that the model "
    "uses it."
)
_CONTROL_TASK = (
    "Left, the solid line is how often the probe is right on held-out samples, the dashed line how often the same "
    "probe is right on labels drawn at random for each word; right, selectivity is the difference, each with its 95 % "
    "interval. Near the thin line across, 0, the probe may just know words by heart. High selectivity shows that the "
    "label is read rather than memorised; it does not show that the model uses it."
)
_QUALITY = (
    "Each panel is one measure by layer: the solid line is the probe on held-out samples, with its 95 % interval, the "
    "other lines what the same measure gives where there is nothing to find; an arrow marks measures of which less is "
    "better. Filled marks are layers where more samples are right than by the majority's answer (corrected p below "
    "0.05). A layer encodes the label where the solid line is clear of its controls in accuracies and losses, plainly "
    "where it is in compression and selectivity, too; calibration errors only say whether the probe's confidence can "
    "be trusted. None of this shows that the model uses the label."
)
_EFFICIENCY = (
    "Each panel is a layer: the solid line is how often a probe fitted to so many samples is right on held-out ones, "
    "with its 95 % interval; the axis of samples is logarithmic. The dashed line is the same probe on labels shuffled "
    "between groups, the dotted one the majority's answer. A line that rises early shows a label that is plainly "
    "encoded, one that is still rising at the right end that more samples would find more. This does not show that "
    "the model uses the label."
)
_DOSE = (
    "The solid line is how far the answer moves when so many deviations of the activations are added along the probe's "
    "direction, with its 95 % interval; the other lines are as long steps along other directions, each small dot one "
    "of them. Filled marks in the first panel are sizes at which plus and minus differ by more than along both kinds "
    "of other directions (corrected p below 0.05). Where the loss of the prompts' own tokens has risen far, the model "
    "is broken and its answer with it. A line that rises or falls where the others stay flat shows that the model "
    "reads this direction here, not that it moves along it of itself."
)


@dataclass(frozen=True)
class _Drawn:
    """What differs between kinds."""

    title: str
    how_to_read: str
    panels: list[Panel]
    across: Across
    more: str = ""
    """Further sentences of the caption."""


def plot_probe_lines(result: Result) -> Figure:
    """Draw panels of lines with intervals, each beside its controls.

    Raises:
        ResultError: no control, or a variable missing.
    """
    needed, make = _KINDS[result.kind]
    contract.check_drawable(result, needed)
    drawn = make(result)
    what = result.notes.get("what")
    return Figure(
        title=drawn.title if what is None else f"{drawn.title}: {what}",
        how_to_read=drawn.how_to_read,
        caption=contract.sentences(
            contract.unit_in_words(result),
            contract.prompts_in_words(result),
            "Bands: 95 % interval.",
            drawn.more,
            embed_in_words(contract.layer_numbers(result)) if "layer" in result.data.dims else "",
            contract.baselines_in_words(result),
        ),
        control=contract.control_in_words(result, "the same where there is nothing to find"),
        png=encode_png(picture_panels(drawn.panels, drawn.across)),
        plotly=draw_panels(drawn.panels, drawn.across),
    )


def _description_length(result: Result) -> _Drawn:
    panel = _compression(result.data)
    return _Drawn("Description length", _LENGTH, [panel], over_layers(contract.layer_numbers(result)))


def _control_task(result: Result) -> _Drawn:
    panels, across = _selectivity(result.data), over_layers(contract.layer_numbers(result))
    tested, types = result.notes.get("n_tested"), result.notes.get("n_word_types")
    more = "" if tested is None else f"Tested on {tested} samples whose word was seen, of {types} word types."
    return _Drawn("Control task", _CONTROL_TASK, panels, across, more)


def _quality(result: Result) -> _Drawn:
    data, panels = result.data, []
    above = data["accuracy"].values > data["control_majority_accuracy"].values
    stands = (data["p_corrected"].values < contract.ALPHA) & above
    for name, title in OF_CLASSES.items():
        curves = [read_curve(data, name, _PROBE, stands if name == "accuracy" else None)]
        for words, control in ((_SHUFFLED, "shuffled"), (_MAJORITY, "majority"), (_CALIBRATED, "calibrated")):
            if f"control_{control}_{name}" in data:
                curves.append(read_curve(data, f"control_{control}_{name}", words))
        panels.append(Panel(title, curves, bounds=_SHARE if not title.endswith("↓") else None))
    panels.append(_compression(data))
    if "selectivity" in data:
        panels += _selectivity(data)
    layers = contract.layer_numbers(result)
    number = f"Filled in the first panel: {stands.sum()} of {len(layers)} layers."
    return _Drawn("Probe quality", _QUALITY, panels, over_layers(layers), number)


def _efficiency(result: Result) -> _Drawn:
    data, layers = result.data, contract.layer_numbers(result)
    chosen = np.unique(np.linspace(0, len(layers) - 1, min(len(layers), _MOST_LAYERS)).round().astype(int)).tolist()
    panels = []
    for place in chosen:
        one = data.isel(layer=place)
        names = {"accuracy": _PROBE, "control_shuffled_accuracy": _SHUFFLED, "control_majority_accuracy": _MAJORITY}
        curves = [read_curve(one, name, words) for name, words in names.items()]
        word = layer_word(layers[place])
        panels.append(Panel(f"layer {word}" if word.isdigit() else word, curves, bounds=_SHARE))
    groups = [int(number) for number in data["n_groups"].values]
    more = f"From {groups[0]} to {groups[-1]} groups; the axis is the mean number of samples in them."
    more += f" {len(chosen)} of {len(layers)} layers; the table has all." if len(chosen) < len(layers) else ""
    across = over_sizes(data["n_samples"].values.astype(float), "samples fitted to")
    return _Drawn("Sample efficiency", _EFFICIENCY, panels, across, more)


def _dose(result: Result) -> _Drawn:
    data = result.data.sortby("alpha")
    stands = _follows(data)
    panels = [_steered(data, "effect", "how far the answer moves", result.unit, stands)]
    if "loss_rise" in data:
        panels.append(_steered(data, "loss_rise", "rise of the loss of the prompts' own tokens", "nats per token"))
    if "nie" in data:
        share = Panel("share of the way to the other answer", [read_curve(data, "nie", _ALONG)], "share", level=0.0)
        panels.append(share)
    numbers = [
        f"{words} {float(data[name]):+.3g} ({float(data[f'{name}_low']):+.3g} to {float(data[f'{name}_high']):+.3g})"
        for name, words in (("slope", "slope per deviation"), ("monotonicity", "monotonicity"))
        if name in data
    ]
    more = f"{', '.join(numbers)}.".capitalize() if numbers else ""
    loss = "" if "loss_rise" in data else f"Loss: {result.notes.get('loss_rise', 'not measured')}."
    across = Across(data["alpha"].values.astype(float), "alpha (deviations added along the direction)")
    where = f" at {result.notes['site']}" if "site" in result.notes else ""
    return _Drawn(f"Steering by a probe{where}", _DOSE, panels, across, contract.sentences(more, loss))


_ALONG = "probe's direction"


def _steered(
    data: xr.Dataset, name: str, title: str, unit: str, stands: Bool[np.ndarray, " alpha"] | None = None
) -> Panel:
    curves = [read_curve(data, name, _ALONG, stands)]
    tail = "" if name == "effect" else f"_{name}"
    for kind in ("random", "orthogonal"):
        draws = data.get(f"control_{kind}{tail}_by_draw")
        of = None if draws is None else draws.transpose("alpha", "draw").values.astype(float)
        curves.append(read_curve(data, f"control_{kind}{tail}", f"control: {kind} directions", draws=of))
    return Panel(title, curves, unit, level=0.0)


def _follows(data: xr.Dataset) -> Bool[np.ndarray, " alpha"]:
    """Doses of a size at which the contrast exceeds that of both kinds of other directions."""
    exceeds = np.ones(data.sizes["magnitude"], bool)
    for kind in ("random", "orthogonal"):
        above = data[f"above_{kind}"].values > 0
        exceeds &= above & (data[f"above_{kind}_p_corrected"].values < contract.ALPHA)
    return np.isin(np.abs(data["alpha"].values), data["magnitude"].values[exceeds])


def _compression(data: xr.Dataset) -> Panel:
    names = {"compression": _PROBE, "control_shuffled_compression": _SHUFFLED}
    curves = [read_curve(data, name, words) for name, words in names.items()]
    return Panel("compression", curves, "times shorter", level=1.0)


def _selectivity(data: xr.Dataset) -> list[Panel]:
    names = {"task_accuracy": _PROBE, "control_task_accuracy": _TASK}
    both = [read_curve(data, name, words) for name, words in names.items()]
    difference = [read_curve(data, "selectivity", _PROBE)]
    return [
        Panel("accuracy where the word was seen", both, bounds=_SHARE),
        Panel("selectivity", difference, "difference", level=0.0),
    ]


def _all(*names: str) -> list[str]:
    return [f"{name}{end}" for name in names for end in ("", "_low", "_high")]


_CONTROLS = [f"{name}_{measure}" for name in ("control_shuffled", "control_majority") for measure in OF_CLASSES]
_KINDS: dict[str, tuple[list[str], Callable[[Result], _Drawn]]] = {
    "description_length": (_all("compression", "control_shuffled_compression"), _description_length),
    "control_task": (_all("task_accuracy", "control_task_accuracy", "selectivity"), _control_task),
    "probe_quality": (
        [*_all(*OF_CLASSES, "compression", "control_shuffled_compression"), *_CONTROLS, "p_corrected"],
        _quality,
    ),
    "sample_efficiency": (
        [*_all("accuracy", "control_shuffled_accuracy"), "control_majority_accuracy", "n_samples"],
        _efficiency,
    ),
    "probe_dose": (
        [
            *_all("effect", "control_random", "control_orthogonal"),
            *(f"above_{kind}{end}" for kind in ("random", "orthogonal") for end in ("", "_p_corrected")),
        ],
        _dose,
    ),
}
"""Variables that each kind's figure shows, and what draws them."""
