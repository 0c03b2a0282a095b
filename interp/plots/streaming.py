"""Figure of a streaming run: loss along the stream for every arm, and with a full window by tokens kept."""

import math
from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from jaxtyping import Float
from plotly.subplots import make_subplots

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.png import draw_curves, encode_png
from interp.plots.theme import OKABE_ITO, base_layout
from interp.plots.tokens import plotly_text
from interp.results import Result

_HEIGHT = 520
_VARIABLES = ["loss_nats", "control_loss_nats", "ran", "full_loss_nats", "saved_nats", "above_window_nats"]
_DASHES = {"dense": "solid", "window": "dash", "sinks": "solid", "control": "dot", "recompute": "dashdot"}
_SYMBOLS = {"dense": "diamond", "window": "square", "sinks": "circle", "control": "x", "recompute": "triangle-up"}
_FIXED = {"dense": "#808080", "window": OKABE_ITO[1], "recompute": OKABE_ITO[5]}
_ASIDE = 0.2
"""Half the width of a bar."""
_BESIDE_LINE = {"showarrow": False, "xanchor": "left", "xshift": 3}
_TICKS = {"recompute": "re-<br>compute"}
_KEPT = [OKABE_ITO[0], OKABE_ITO[2], OKABE_ITO[3], OKABE_ITO[4]]
"""Colours of the numbers of kept tokens, for sinks and their control alike."""
_HOW_TO_READ = (
    "Left, each line is the loss along the stream for one way to go on when the cache is full, which is at the dashed "
    "vertical line; before it every arm sees everything, so all lines are one. Bands are 95 % intervals over streams. "
    "Dotted lines and striped bars are controls: as many tokens kept, but not the first. Right, the mean over all "
    "positions with a full window, against the plain window in the same streams: below 0 is better. Sinks below their "
    "control show that later tokens rely on the first ones being there, and do not show what they read from them."
)


def plot_streaming(result: Result) -> Figure:
    """Draw loss by position and by tokens kept; arms differ in dash and symbol as well as in colour.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, _VARIABLES)
    arms = [str(arm) for arm in result.data["arm"].values]
    return Figure(
        title="Streaming through a window",
        how_to_read=_HOW_TO_READ,
        caption=contract.sentences(
            contract.unit_in_words(result),
            _in_words(result),
            _best_in_words(result),
            contract.baselines_in_words(result),
            str(result.notes.get("positions", "")),
        ),
        control=contract.control_in_words(result, "as many other tokens kept in a cache of the same size"),
        png=encode_png(_picture(result, arms)),
        plotly=_draw(result, arms),
    )


def _in_words(result: Result) -> str:
    notes = result.notes
    bos = "begins with BOS" if notes.get("begins_with_bos") else "begins without BOS"
    return (
        f"{notes['n_streams']} streams of {notes['n_tokens']} tokens, each {bos}; cache of {notes['window']} keys; "
        f"context of the model {notes['n_ctx']}, dense arm stopped after {notes['dense_stop']} positions."
    )


def _best_in_words(result: Result) -> str:
    sinks = result.data.isel(arm=result.data["kind"].values == "sinks")
    if not sinks.sizes["arm"]:
        return ""
    best = sinks.isel(arm=int(np.argmax(sinks["saved_nats"].values)))
    interval = ""
    if "saved_nats_low" in best:
        interval = f" (95 % {best['saved_nats_low'].item():.3g} to {best['saved_nats_high'].item():.3g})"
    arm, saved, one = best["arm"].item(), best["saved_nats"].item(), int(best["n_kept"].item()) == 1
    return f"{arm} save{'s' * one} {saved:.3g} nats against {'its' if one else 'their'} control{interval}."


def _middles(result: Result) -> Float[np.ndarray, " position"]:
    """Geometric middle of each bin, counted from 1 so that the first position has a place on a logarithmic axis."""
    first, stop = result.data["position"].values, result.data["position_stop"].values
    return np.sqrt((first + 1.0) * stop)


def _colour(row: xr.Dataset, kept: list[int]) -> str:
    kind = str(row["kind"].item())
    return _FIXED[kind] if kind in _FIXED else _KEPT[kept.index(int(row["n_kept"].item())) % len(_KEPT)]


def _kept_numbers(result: Result) -> list[int]:
    return sorted({int(n) for n in result.data["n_kept"].values} - {0})


def _shown(result: Result) -> np.ndarray:
    """Bins that are seen before anybody zooms out: from half of the window on."""
    return result.data["position"].values >= int(result.notes["window"]) // 2


def _range(result: Result) -> tuple[float, float]:
    shown = result.data.isel(position=_shown(result))
    found = [shown[name].values for name in ("loss_nats", "loss_nats_low", "loss_nats_high") if name in shown]
    low, high = float(np.nanmin(np.stack(found))), float(np.nanmax(np.stack(found)))
    pad = 0.04 * (high - low or 1.0)
    return low - pad, high + pad


def _picture(result: Result, arms: list[str]) -> np.ndarray:
    shown, kept = result.data.isel(position=_shown(result)), _kept_numbers(result)
    curves = []
    for arm in reversed(arms):
        row = shown.sel(arm=arm)
        # A curve that ends early is drawn as far as it goes, level from there.
        loss = row["loss_nats"].to_series().ffill().to_numpy(dtype=np.float64)
        curves.append((loss, _colour(row, kept)))
    return draw_curves(curves, *_range(result))


def _draw(result: Result, arms: list[str]) -> go.Figure:
    titles = ["<b>along the stream</b>", "<b>with a full window, above the plain window</b>"]
    figure = make_subplots(1, 2, subplot_titles=titles, column_widths=[0.6, 0.4], horizontal_spacing=0.09)
    kept, middles = _kept_numbers(result), _middles(result)
    places, shaded = _places(result), _shaded(result)
    for arm in arms:
        row = result.data.sel(arm=arm)
        ran = row["ran"].values.astype(bool)
        look = {"colour": _colour(row, kept), "kind": str(row["kind"].item()), "arm": arm}
        if "loss_nats_low" in row and arm in shaded:
            figure.add_trace(_band(row, middles, ran, look), row=1, col=1)
        figure.add_trace(_line(row, middles, ran, look), row=1, col=1)
        figure.add_trace(_bar(row, look, places), row=1, col=2)
    _mark(figure, result)
    grid = {"gridcolor": "rgba(128,128,128,0.25)", "zeroline": False}
    figure.update_layout(
        **base_layout(_HEIGHT, bottom=150), barmode="overlay", legend={"orientation": "h", "y": -0.22, "x": 0}
    )
    begin, end = middles[_shown(result)][[0, -1]]
    span = [math.log10(begin) - 0.02, math.log10(end) + 0.05]
    figure.update_xaxes(type="log", title_text="position in the stream", range=span, row=1, col=1, dtick=1, **grid)
    figure.update_yaxes(title_text=plotly_text(result.unit), range=_range(result), row=1, col=1, **grid)
    figure.update_xaxes(
        title_text="tokens kept",
        tickvals=list(places.values()),
        ticktext=[_TICKS.get(label, label) for label in places],
        tickangle=0,
        row=1,
        col=2,
        **grid,
    )
    figure.update_yaxes(title_text="nats", row=1, col=2, **{**grid, "zeroline": True})
    return figure


def _places(result: Result) -> dict[str, int]:
    """Places of the right panel's columns, by their labels."""
    labels = ["0", *(str(n) for n in _kept_numbers(result))]
    labels += [kind for kind in ("recompute", "dense") if kind in result.data["kind"].values]
    return {label: place for place, label in enumerate(labels)}


def _shaded(result: Result) -> list[str]:
    """Arms whose interval is drawn: of all sinks only the most, since bands of many arms hide one another."""
    kind, n_kept = result.data["kind"].values, result.data["n_kept"].values
    drawn = (kind != "control") & ((kind != "sinks") | (n_kept == n_kept.max()))
    return [str(arm) for arm in result.data["arm"].values[drawn]]


def _mark(figure: go.Figure, result: Result) -> None:
    """Where the cache is full, and where the model's context ends."""
    window, n_ctx, n_tokens = (int(result.notes[name]) for name in ("window", "n_ctx", "n_tokens"))
    words = {window: f"cache full: {window}"} | ({n_ctx: f"context: {n_ctx}"} if window < n_ctx < n_tokens else {})
    for nth, (place, label) in enumerate(words.items()):
        figure.add_vline(
            place, line={"dash": "dash" if not nth else "dot", "width": 1, "color": "#808080"}, row=1, col=1
        )
        # On a logarithmic axis plotly wants an annotation's place as a power of ten, and a line's as it is.
        figure.add_annotation(
            text=label, x=math.log10(place), y=1, xref="x", yref="y domain", yshift=-14 * nth, **_BESIDE_LINE
        )


def _line(row: xr.Dataset, x: Float[np.ndarray, " position"], ran: np.ndarray, look: dict[str, str]) -> go.Scatter:
    words, interval = plotly_text(look["arm"]), "loss_nats_low" in row
    shown = [
        "position",
        "position_stop",
        "control_loss_nats",
        *(["loss_nats_low", "loss_nats_high"] if interval else []),
    ]
    return go.Scatter(
        x=x[ran],
        y=row["loss_nats"].values[ran],
        name=words,
        legendgroup=look["arm"],
        mode="lines+markers",
        line={
            "color": look["colour"],
            "dash": _DASHES[look["kind"]],
            "width": 1.5 if look["kind"] == "control" else 2.5,
        },
        marker={"symbol": _SYMBOLS[look["kind"]], "size": 5},
        customdata=np.stack([row[name].values[ran] for name in shown], axis=-1),
        hovertemplate=(
            f"<b>{words}</b><br>positions %{{customdata[0]:.0f}} to before %{{customdata[1]:.0f}}<br>loss %{{y:.4f}}"
            + (" (%{customdata[3]:.4f} to %{customdata[4]:.4f})" if interval else "")
            + "<br>its control %{customdata[2]:.4f}<extra></extra>"
        ),
    )


def _band(row: xr.Dataset, x: Float[np.ndarray, " position"], ran: np.ndarray, look: dict[str, str]) -> go.Scatter:
    low, high = (row[f"loss_nats_{end}"].values[ran] for end in ("low", "high"))
    red, green, blue = (int(look["colour"][place : place + 2], 16) for place in (1, 3, 5))
    return go.Scatter(
        x=[*x[ran], *x[ran][::-1]],
        y=np.concatenate([high, low[::-1]]),
        mode="lines",
        fill="toself",
        fillcolor=f"rgba({red},{green},{blue},0.10)",
        line={"width": 0},
        hoverinfo="skip",
        legendgroup=look["arm"],
        showlegend=False,
    )


def _bar(row: xr.Dataset, look: dict[str, str], places: dict[str, int]) -> go.Bar:
    above, kind = float(row["above_window_nats"].item()), look["kind"]
    label = kind if kind in ("dense", "recompute") else str(int(row["n_kept"].item()))
    error: dict[str, Any] = {}
    if "above_window_nats_low" in row:
        ends = [row["above_window_nats_high"].item() - above, above - row["above_window_nats_low"].item()]
        bar = {"width": 3, "thickness": 1.5, "color": "#808080"}
        error = {"error_y": {"type": "data", "array": ends[:1], "arrayminus": ends[1:], **bar}}
    words = f"<b>{plotly_text(look['arm'])}</b><br>mean loss {row['full_loss_nats'].item():.4f}"
    words += f"<br>above the plain window %{{y:.4f}}<br>below its control {row['saved_nats'].item():.4f}"
    return go.Bar(
        x=[places[label] + _ASIDE * {"sinks": -1, "control": 1}.get(kind, 0)],
        y=[above],
        width=[2 * _ASIDE],
        marker={"color": look["colour"], "pattern": {"shape": "/" if kind == "control" else ""}},
        hovertemplate=f"{words}<extra></extra>",
        legendgroup=look["arm"],
        showlegend=False,
        **error,
    )
