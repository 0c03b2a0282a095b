"""Figure of attribution patching: estimates against exact effects, or, where nothing was patched, the estimates."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, UInt8

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.patch_sweep import plot_patch_sweep
from interp.plots.png import encode_png
from interp.plots.theme import OKABE_ITO, base_layout
from interp.plots.tokens import hover_label, plotly_text
from interp.results import Result

_METHODS = {"atp": "AtP", "atp*": "AtP*"}
_HEIGHT, _PICTURE = 520, 240
_SCATTER = (
    "Each filled point is one cell of the sweep: to the right its effect when it is patched for real, upwards the "
    "estimate from gradients; on the line across both are equal. A point far to the side and near zero height is an "
    "effect that the estimate misses, a high point in the middle one that is not there. Open squares are the control: "
    "the same estimate for the placebo of that cell. "
    "Agreement here does not show that the estimate holds for cells, sites or prompts that were not patched."
)
_ALONE = (
    "Each cell is an estimate from gradients of what patching that place would do; nothing was patched. "
    "Colour is the estimated change of the metric, white no change, on one scale with the control panel, the same "
    "estimate for a placebo. Saturated attention hides effects from AtP, and from AtP* all but those of the head's own "
    "queries and keys; a white cell is not evidence that nothing is there. Patch the cells that matter for real "
    "(verify_top)."
)


def plot_attribution(result: Result) -> Figure:
    """Draw estimated against exact effects, one point per cell; as heatmaps where no cell was patched for real.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, ["effect", "control"])
    name = _METHODS.get(str(result.notes.get("method")), "estimate")
    if steps := result.notes.get("ig_steps"):
        name += f" over {steps} steps"
    site, direction = result.notes.get("site", "activations"), result.notes.get("direction")
    of = f"{site} ({direction})" if direction else str(site)
    control = contract.control_in_words(result, "the same estimate for a matched placebo in place of the patch")
    if "exact" not in result.data:
        drawn = plot_patch_sweep(replace(result, data=result.data.drop_vars("graddrop", errors="ignore")))
        return replace(drawn, title=f"{name}: estimated effect of patching {of}", how_to_read=_ALONE, control=control)
    points = _points(result)
    return Figure(
        title=f"{name} against patching, {of}",
        how_to_read=_SCATTER,
        caption=contract.sentences(
            contract.unit_in_words(result),
            contract.prompts_in_words(result),
            _agreement_in_words(result, len(points.exact)),
            str(result.notes.get("verified", "")),
            contract.baselines_in_words(result),
        ),
        control=control,
        png=encode_png(_picture(points)),
        plotly=_draw(points, name, result.unit),
    )


@dataclass(frozen=True)
class _Points:
    """Cells that were estimated and patched."""

    names: list[str]
    """What each cell is, already escaped."""
    exact: Float[np.ndarray, " cell"]
    estimate: Float[np.ndarray, " cell"]
    control: Float[np.ndarray, " cell"]

    @property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest number, with room around them; zero is among them."""
        every = np.concatenate([self.exact, self.estimate, self.control, [0.0]])
        room = 0.06 * (np.ptp(every) or 1.0)
        return float(every.min() - room), float(every.max() + room)


def _points(result: Result) -> _Points:
    data = result.data
    dims = [str(dim) for dim in data["effect"].dims]
    if "verified" in data["exact"].dims:
        places = [data.indexes[dim].get_indexer(data[f"verified_{dim}"].values) for dim in dims]
    else:
        places = [place.ravel() for place in np.indices(data["effect"].shape)]
    chosen = tuple(places)
    exact = data["exact"].values if "verified" in data["exact"].dims else data["exact"].values[chosen]
    estimate, control = (data[name].transpose(*dims).values[chosen] for name in ("effect", "control"))
    return _Points(_names(result, dict(zip(dims, places, strict=True))), exact, estimate, control)


def _names(result: Result, places: dict[str, np.ndarray]) -> list[str]:
    """Cells as the field writes them: `L3H2 k`, then the position or word and its text."""
    site, texts = str(result.notes.get("site", "")), result.notes.get("labels")
    names = []
    for place in zip(*places.values(), strict=True):
        at = dict(zip(places, place, strict=True))
        values = {dim: result.data[dim].values[index] for dim, index in at.items()}
        head = f"H{values['head']}" if "head" in values else ""
        where = next((dim for dim in ("pos", "word") if dim in at), None)
        text = "" if where is None or texts is None else f" {hover_label(str(texts[at[where]]))}"
        words = "" if where is None else f", {'position' if where == 'pos' else where} {values[where]}{text}"
        names.append(f"<b>L{values['layer']}{head} {plotly_text(site)}</b>{words}")
    return names


def _agreement_in_words(result: Result, n_cells: int) -> str:
    found = result.notes.get("rank_correlation")
    if not found:
        return f"{n_cells} cells: too few, or too alike, for a rank correlation."
    interval = (
        f"95 % bootstrap over prompts {found['low']:.2f} to {found['high']:.2f}"
        if "low" in found
        else "too few prompts for an interval"
    )
    drops = result.notes.get("graddrop_rank_correlation")
    return (
        f"Rank correlation (Spearman) of estimate and exact effect over {found['cells']} cells: "
        f"{found['rho']:.2f} ({interval})."
        + ("" if drops is None else f" Of the GradDrop score and the size of the exact effect: {drops:.2f}.")
    )


def _picture(points: _Points) -> UInt8[np.ndarray, "_ _ 3"]:
    low, high = points.bounds
    picture = np.full((_PICTURE, _PICTURE, 3), 255, np.uint8)
    line = np.arange(_PICTURE)
    picture[_PICTURE - 1 - line, line] = 160
    for heights, colour in ((points.control, (213, 94, 0)), (points.estimate, (0, 114, 178))):
        column, row = (((v - low) / (high - low) * (_PICTURE - 5)).astype(int) for v in (points.exact, heights))
        for across in range(4):
            for down in range(4):
                picture[_PICTURE - 5 - row + down, column + across] = colour
    return picture


def _draw(points: _Points, name: str, unit: str) -> go.Figure:
    low, high = points.bounds
    figure = go.Figure(layout=base_layout(_HEIGHT, top=24))
    identity: dict[str, Any] = {"color": "rgba(128,128,128,0.9)", "width": 1, "dash": "dash"}
    figure.add_trace(
        go.Scatter(x=[low, high], y=[low, high], mode="lines", line=identity, hoverinfo="skip", name="equal")
    )
    hollow = {"symbol": "square-open", "size": 7, "color": OKABE_ITO[1], "line": {"width": 1.2}}
    figure.add_trace(_cells(points, points.control, "control (placebo)", hollow))
    figure.add_trace(
        _cells(points, points.estimate, f"{name} estimate", {"symbol": "circle", "size": 8, "color": OKABE_ITO[0]})
    )
    grid = {"gridcolor": "rgba(128,128,128,0.25)", "zerolinecolor": "rgba(128,128,128,0.6)", "range": [low, high]}
    figure.update_xaxes(title_text=f"exact effect, {plotly_text(unit)}", **grid)
    figure.update_yaxes(title_text="estimated effect", **grid)
    return figure.update_layout(showlegend=True, legend={"orientation": "h", "y": 1.06, "x": 0})


def _cells(points: _Points, heights: Float[np.ndarray, " cell"], name: str, marker: dict[str, Any]) -> go.Scatter:
    return go.Scatter(
        x=points.exact,
        y=heights,
        mode="markers",
        marker=marker,
        name=name,
        hovertext=points.names,
        hovertemplate="%{hovertext}<br>exact %{x:+.4g}<br>" + name + " %{y:+.4g}<extra></extra>",
    )
