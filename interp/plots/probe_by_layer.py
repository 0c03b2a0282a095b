"""Figure of a probe by layer: held-out accuracy with its interval, over the lines of its controls."""

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from interp.plots import contract
from interp.plots.bands import interval_band
from interp.plots.figure import Figure
from interp.plots.png import draw_curves, encode_png
from interp.plots.theme import DASHES, OKABE_ITO, base_layout
from interp.plots.tokens import plotly_text
from interp.results import Result
from interp.results.result import CONTROL

_HEIGHT = 380
_EMBEDDING = -1
"""Number of the layer that stands for what enters the first block."""
_EMBED_WORDS = "embed: the residual stream before the first block."
_HOW_TO_READ = (
    "The solid line is how often a linear probe on that layer's activations is right on examples it was not fitted to; "
    "the band is its 95 % interval. The other lines are controls: what the same probe reaches where there is nothing "
    "of the model to learn. Only the distance to the highest control speaks for the model. "
    "A high line shows that the information can be read off linearly; it does not show that the model uses it."
)


def plot_probe_by_layer(result: Result) -> Figure:
    """Draw accuracy over layers with its interval; controls differ in dash and symbol as well as in colour.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, ["accuracy", "accuracy_low", "accuracy_high"])
    names = ["accuracy", *_control_names(result)]
    curves = [contract.matrix(result, name, "layer") for name in names]
    low = min(0.0, *(float(curve.min()) for curve in curves))
    high = max(1.0, *(float(curve.max()) for curve in curves))
    controls = ", ".join(_words(name) for name in names[1:])
    return Figure(
        title="Probe by layer",
        how_to_read=_HOW_TO_READ,
        caption=contract.sentences(
            contract.unit_in_words(result),
            contract.prompts_in_words(result),
            "Band: 95 % interval.",
            _EMBED_WORDS if _EMBEDDING in contract.layer_numbers(result) else "",
            contract.baselines_in_words(result),
        ),
        control=contract.control_in_words(result, f"{controls}: the same probe where there is nothing to learn"),
        png=encode_png(draw_curves([(c, _colour(i)) for i, c in reversed(list(enumerate(curves)))], low, high)),
        plotly=_draw(result, names, curves, (low, high)),
    )


def _control_names(result: Result) -> list[str]:
    names = [str(name) for name in result.data.data_vars]
    return [name for name in names if name.startswith(CONTROL) and not name.endswith(("_low", "_high"))]


def _words(name: str) -> str:
    return name.removeprefix(CONTROL).replace("_", " ").strip() or CONTROL


def _colour(place: int) -> str:
    return OKABE_ITO[place % len(OKABE_ITO)]


def _draw(
    result: Result, names: list[str], curves: list[Float[np.ndarray, " layer"]], bounds: tuple[float, float]
) -> go.Figure:
    layers = contract.layer_numbers(result)
    figure = go.Figure()
    for place, (name, curve) in enumerate(zip(names, curves, strict=True)):
        if f"{name}_low" in result.data and f"{name}_high" in result.data:
            figure.add_trace(_band(result, name, layers, _colour(place)))
        figure.add_trace(_line(name, curve, layers, place))
    figure.update_layout(**base_layout(_HEIGHT), hovermode="x unified", legend={"orientation": "h", "y": 1.12, "x": 0})
    pad = (bounds[1] - bounds[0]) * 0.03
    grid = {"gridcolor": "rgba(128,128,128,0.25)", "zeroline": False}
    shown = layers[:: -(-len(layers) // 24)]
    words = ["embed" if layer == _EMBEDDING else str(layer) for layer in shown]
    figure.update_xaxes(title_text="layer", tickvals=shown, ticktext=words, **grid)
    figure.update_yaxes(title_text=plotly_text(result.unit), range=[bounds[0] - pad, bounds[1] + pad], **grid)
    return figure


def _line(name: str, curve: Float[np.ndarray, " layer"], layers: list[int], place: int) -> go.Scatter:
    main = name == "accuracy"
    words = plotly_text("probe" if main else f"control: {_words(name)}")
    return go.Scatter(
        x=layers,
        y=curve,
        name=words,
        mode="lines+markers",
        line={"color": _colour(place), "width": 3 if main else 2, "dash": DASHES[place % len(DASHES)]},
        marker={"symbol": place, "size": 8 if main else 6},
        hovertemplate=f"{words} %{{y:.4f}}<extra></extra>",
    )


def _band(result: Result, name: str, layers: list[int], colour: str) -> go.Scatter:
    low, high = (contract.matrix(result, f"{name}_{end}", "layer") for end in ("low", "high"))
    return interval_band(layers, low, high, colour)
