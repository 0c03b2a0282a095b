"""Colours and layout shared by all figures: readable on light and dark ground, and without full colour vision."""

from typing import Any, Literal

from interp.plots.tokens import plotly_text

Palette = Literal["RdBu", "PuOr"]

# ColorBrewer, lowest value first. Plotly's own "RdBu" runs the other way, with blue for negative numbers.
DIVERGING: dict[str, list[str]] = {
    "RdBu": [
        "#67001f",
        "#b2182b",
        "#d6604d",
        "#f4a582",
        "#fddbc7",
        "#ffffff",
        "#d1e5f0",
        "#92c5de",
        "#4393c3",
        "#2166ac",
        "#053061",
    ],
    "PuOr": [
        "#7f3b08",
        "#b35806",
        "#e08214",
        "#fdb863",
        "#fee0b6",
        "#ffffff",
        "#d8daeb",
        "#b2abd2",
        "#8073ac",
        "#542788",
        "#2d004b",
    ],
}
"""Negative to positive with white at zero: red to blue, or orange to purple."""
SEQUENTIAL = ["#ffffff", "#deebf7", "#c6dbef", "#9ecae1", "#6baed6", "#4292c6", "#2171b5", "#08519c", "#08306b"]
"""Zero to one, white to dark blue."""
OKABE_ITO = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]
"""Line colours told apart by colour-blind readers."""
DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"]
"""Line styles, so that no line is told by colour alone."""
GREY = "#b0b0b0"
"""Cells that were not run."""
LINE = "#e4e8ed"
"""Lines between cells."""
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"


def plotly_scale(colours: list[str]) -> list[list[Any]]:
    """Return colours as plotly's list of places between 0 and 1."""
    return [[place / (len(colours) - 1), colour] for place, colour in enumerate(colours)]


def base_layout(height: int, top: int = 36, bottom: int = 56) -> dict[str, Any]:
    """Return the layout every plotly figure starts from, `height` pixels high with these margins in pixels.

    The ground is transparent, so that the page decides between light and dark.
    """
    return {
        "template": "none",
        "height": height,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": 12},
        "margin": {"l": 56, "r": 16, "t": top, "b": bottom},
        "hoverlabel": {"bgcolor": "#1b2430", "bordercolor": "#1b2430", "align": "left", "font": {"color": "#ffffff"}},
    }


def diverging_axis(palette: Palette, bound: float, unit: str) -> dict[str, Any]:
    """Return a colour axis from `-bound` to `bound` with white in the middle, to be shared by effect and control."""
    scale = plotly_scale(DIVERGING[palette])
    return {"colorscale": scale, "cmin": -bound, "cmax": bound, "cmid": 0, "colorbar": _colour_bar(unit)}


def sequential_axis(top: float, unit: str) -> dict[str, Any]:
    """Return a colour axis from zero to `top`."""
    return {"colorscale": plotly_scale(SEQUENTIAL), "cmin": 0, "cmax": top, "colorbar": _colour_bar(unit)}


def _colour_bar(unit: str) -> dict[str, Any]:
    title = {"text": plotly_text(unit), "side": "right"}
    return {"title": title, "thickness": 12, "outlinewidth": 0, "tickformat": "~g", "ypad": 0}
