"""Figures of measures over layers: panels of lines beside their controls, filled where a layer stands out."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.line_panels import Panel, draw_panels, embed_in_words, over_layers, picture_panels
from interp.plots.png import encode_png
from interp.results import Result


@dataclass(frozen=True)
class Words:
    """What differs between kinds."""

    title: str
    how_to_read: str
    control: str
    """What the control is, where the result does not say."""
    counted: str
    """What the numbers come from, as sentences of the caption."""


def layer_figure(result: Result, panels: list[Panel], stands: Bool[np.ndarray, " layer"], words: Words) -> Figure:
    """Draw panels over layers, and say in the caption how many layers are filled in the first of them."""
    layers, what = contract.layer_numbers(result), result.notes.get("what")
    across = over_layers(layers)
    return Figure(
        title=words.title if what is None else f"{words.title}: {what}",
        how_to_read=words.how_to_read,
        caption=contract.sentences(
            contract.unit_in_words(result),
            words.counted,
            f"Bands: 95 % interval. Filled in the first panel: {int(stands.sum())} of {len(layers)} layers.",
            embed_in_words(layers),
            contract.baselines_in_words(result),
        ),
        control=contract.control_in_words(result, words.control),
        png=encode_png(picture_panels(panels, across)),
        plotly=draw_panels(panels, across),
    )
