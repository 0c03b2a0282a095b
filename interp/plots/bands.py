"""The band of an interval, behind a curve."""

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float


def interval_band(
    x: np.ndarray | list[int], low: Float[np.ndarray, " x"], high: Float[np.ndarray, " x"], colour: str
) -> go.Scatter:
    """Fill between the ends of an interval, in a light tint of a curve's colour; nothing to hover, no legend.

    Args:
        x: Places of the curve.
        low: Lower ends.
        high: Upper ends.
        colour: `#rrggbb`.
    """
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return go.Scatter(
        x=np.concatenate([x, x[::-1]]),
        y=np.concatenate([high, low[::-1]]),
        mode="lines",
        fill="toself",
        fillcolor=f"rgba({red},{green},{blue},0.18)",
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
    )
