"""Figure of directions: how well one direction of the residual stream tells switches, layer by layer."""

import numpy as np
import plotly.graph_objects as go

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.png import draw_curves, encode_png
from interp.plots.theme import DASHES, OKABE_ITO, base_layout
from interp.plots.tokens import plotly_text
from interp.results import Result

_HEIGHT = 340
_LINES = {
    "score": "at the switch",
    "before": "just before the switch",
    "control": "control: directions of exchanged labels, mean",
    "control_farthest": "control: the farthest of them",
}
_HOW_TO_READ = (
    "The solid line is how well one direction of the residual stream after each block, made on half of the documents, "
    "tells switch tokens from matched ones on the other half; 0.5 is chance, and the bars are 95 % intervals. Dashed "
    "lines are the same just before the switch, and directions made from exchanged labels. That a direction tells "
    "switches does not show that the model uses it."
)


def plot_switching_directions(result: Result) -> Figure:
    """Draw AUROC over layers with its interval, the search before the switch, and the controls.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, [*_LINES, "score_low", "score_high", "q_fdr"])
    curves = [np.repeat(contract.matrix(result, name, "layer"), 2) for name in _LINES]
    low, high = min(0.4, *(float(c.min()) for c in curves)), max(0.8, *(float(c.max()) for c in curves))
    told = [
        layer
        for layer, q in zip(contract.layer_numbers(result), result.data["q_fdr"].values, strict=True)
        if q < contract.ALPHA
    ]
    named = ", ".join(map(str, told)) or "none"
    return Figure(
        title="Directions of code-switching",
        how_to_read=_HOW_TO_READ,
        caption=contract.sentences(
            contract.unit_in_words(result), contract.prompts_in_words(result), f"q < 0.05 after blocks: {named}."
        ),
        control=contract.control_in_words(result, "directions made with exchanged labels"),
        png=encode_png(draw_curves([(c, OKABE_ITO[i]) for i, c in reversed(list(enumerate(curves)))], low, high)),
        plotly=_draw(result, (low, high)),
    )


def _draw(result: Result, bounds: tuple[float, float]) -> go.Figure:
    layers, figure = contract.layer_numbers(result), go.Figure()
    score, low, high = (contract.matrix(result, f"score{end}", "layer") for end in ("", "_low", "_high"))
    for place, (name, words) in enumerate(_LINES.items()):
        main = name == "score"
        figure.add_trace(
            go.Scatter(
                x=layers,
                y=contract.matrix(result, name, "layer"),
                name=plotly_text(words),
                mode="lines+markers",
                line={"color": OKABE_ITO[place], "width": 3 if main else 2, "dash": DASHES[place % len(DASHES)]},
                marker={"symbol": place, "size": 8 if main else 6},
                error_y={"type": "data", "array": high - score, "arrayminus": score - low, "visible": main},
                hovertemplate=f"{plotly_text(words)} %{{y:.3f}}<extra></extra>",
            )
        )
    figure.add_hline(y=0.5, line={"color": "#888888", "width": 1, "dash": "dot"})
    figure.update_layout(**base_layout(_HEIGHT), hovermode="x unified", legend={"orientation": "h", "y": 1.16, "x": 0})
    grid = {"gridcolor": "rgba(128,128,128,0.25)", "zeroline": False}
    figure.update_xaxes(title_text="after block", tickvals=layers[:: -(-len(layers) // 24)], **grid)
    return figure.update_yaxes(title_text="AUROC, held out", range=[bounds[0] - 0.02, bounds[1] + 0.05], **grid)
