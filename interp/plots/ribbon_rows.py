"""The rows of a token ribbon as plotly traces: tokens, surprisal, neurons, random neurons, the chosen one's curve."""

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Bool, Float, Int

from interp.plots import contract
from interp.plots.ribbon_layout import Strip
from interp.plots.theme import GREY, OKABE_ITO
from interp.plots.tokens import hover_label, isolate, plotly_text
from interp.results import Result

Trace = go.Bar | go.Scatter | go.Heatmap
NEURON_MENU = "neuron"
"""Name of the menu whose buttons choose a neuron."""
_PATTERNS = ["/", ".", "x", "\\", "+", "-", "|"]
_INK = "#1b2430"
_AT_SWITCH = "#e69f00"
_MONO = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
_WHAT = "<b>%{customdata[0]}</b> (%{customdata[1]}), %{customdata[2]}<br>surprisal %{customdata[3]}"


@dataclass(frozen=True)
class Ribbon:
    """What is drawn, cut to what a page can carry."""

    strip: Strip
    languages: list[str]
    number: Int[np.ndarray, " token"]
    """Place of the token's language; -1 for none."""
    switch: Bool[np.ndarray, " token"]
    surprisal: Float[np.ndarray, " token"]
    """In nats; NaN where it was not measured."""
    control_surprisal: Float[np.ndarray, " token"] | None
    names: list[str]
    control_names: list[str]
    activation: Float[np.ndarray, "neuron token"]
    control_activation: Float[np.ndarray, "neuron token"]
    z: Float[np.ndarray, "neuron token"]
    control_z: Float[np.ndarray, "neuron token"]
    told: list[list[str]]
    """Of each token what a hover box says: token, position, language, surprisal; escaped."""

    @classmethod
    def of(cls, result: Result, n_tokens: int, n_neurons: int) -> "Ribbon":
        """Take the first tokens and neurons of a `token_ribbon` result."""
        data = result.data.isel(token=slice(n_tokens), neuron=slice(n_neurons))
        tokens = [str(token) for token in data["str_token"].values]
        spoken = [str(name) for name in data["language"].values]
        languages = list(dict.fromkeys(name for name in map(str, result.data["language"].values) if name))
        control = data.get("control_surprisal_nats")
        surprisal, switch = data["surprisal_nats"].values.astype(float), data["switch"].values.astype(bool)
        both = [contract.matrix(result, name, "neuron", "token")[:n_neurons, :n_tokens] for name in _ACTIVATIONS]
        return cls(
            strip=Strip.of(tokens, data["text"].values, data["word"].values),
            languages=languages,
            number=np.array([languages.index(name) if name else -1 for name in spoken]),
            switch=switch,
            surprisal=surprisal,
            control_surprisal=None if control is None else control.values.astype(float),
            names=[str(name) for name in data["neuron"].values],
            control_names=[str(name) for name in data["control_neuron"].values],
            activation=both[0],
            control_activation=both[1],
            z=_in_sd(both[0], data["mean"].values, data["sd"].values),
            control_z=_in_sd(both[1], data["control_mean"].values, data["control_sd"].values),
            told=[
                [hover_label(token), str(pos), _spoken(name, new), _nats(nats)]
                for token, pos, name, new, nats in zip(
                    tokens, data["pos"].values, spoken, switch.tolist(), surprisal.tolist(), strict=True
                )
            ],
        )


_ACTIVATIONS = ("activation", "control")


def _in_sd(
    values: Float[np.ndarray, "neuron token"], mean: Float[np.ndarray, " neuron"], sd: Float[np.ndarray, " neuron"]
) -> Float[np.ndarray, "neuron token"]:
    """Distance from the mean in standard deviations; 0 for a neuron that never changes."""
    return ((values - mean[:, None]) / np.where(sd > 0, sd, np.inf)[:, None]).astype(np.float32)


def _spoken(language: str, new: bool) -> str:
    return (plotly_text(language) or "no language") + (", switch" if new else "")


def _nats(value: float) -> str:
    return f"{value:.2f} nats" if np.isfinite(value) else "not measured"


def colour(place: int) -> str:
    """Colour of a language by its place; grey for none."""
    return GREY if place < 0 else OKABE_ITO[place % len(OKABE_ITO)]


def tint(place: int) -> str:
    """The same, light enough for dark letters."""
    full = np.array([int(colour(place)[at : at + 2], 16) for at in (1, 3, 5)])
    return "#" + "".join(f"{channel:02x}" for channel in (255 - 0.3 * (255 - full)).round().astype(int))


def panels(ribbon: Ribbon) -> list[list[Trace]]:
    """Traces of the four panels above the curve, from the top."""
    shown = [place for place in range(-1, len(ribbon.languages)) if (ribbon.number == place).any()]
    tokens = [trace for place in shown for trace in _tokens(ribbon, place)]
    return [
        [*tokens, _codes(ribbon)],
        _surprisal(ribbon),
        [_heat(ribbon, ribbon.names, ribbon.z, ribbon.activation)],
        [_heat(ribbon, ribbon.control_names, ribbon.control_z, ribbon.control_activation)],
    ]


def _tokens(ribbon: Ribbon, place: int) -> list[go.Bar]:
    """Cells of the tokens of one language, and beneath them a band of its pattern."""
    mine = np.flatnonzero(ribbon.number == place)
    name = plotly_text(ribbon.languages[place]) if place >= 0 else "no language"
    where = {"x": ribbon.strip.centre[mine], "width": ribbon.strip.width[mine], "name": name, "legendgroup": name}
    told = [ribbon.told[token] for token in mine]
    cells = go.Bar(
        **where,
        y=np.full(len(mine), 0.78),
        base=0.28,
        text=[isolate(plotly_text(ribbon.strip.shown[token])) for token in mine],
        textposition="inside",
        insidetextanchor="middle",
        textangle=0,
        textfont={"color": _INK, "size": 12, "family": _MONO},
        marker={"color": tint(place), "line": {"color": "#ffffff", "width": 1}},
        customdata=told,
        hovertemplate=f"{_WHAT}<extra></extra>",
        showlegend=False,
    )
    pattern = {"shape": _PATTERNS[place % len(_PATTERNS)] if place >= 0 else "", "fgcolor": "#ffffff", "size": 6}
    band = go.Bar(
        **where,
        y=np.full(len(mine), 0.24),
        marker={"color": colour(place), "pattern": pattern | {"fillmode": "overlay"}, "line": {"width": 0}},
        hoverinfo="skip",
    )
    return [cells, band]


def _codes(ribbon: Ribbon) -> go.Scatter:
    """The language where it begins, and a mark where it is new."""
    begins = np.flatnonzero(np.diff(ribbon.number, prepend=-2) != 0)
    begins = np.union1d(begins, [line.start for line in ribbon.strip.lines])
    begins = begins[ribbon.number[begins] >= 0]
    marks = ["▼" if ribbon.switch[token] else "" for token in begins]
    names = [plotly_text(ribbon.languages[ribbon.number[token]]) for token in begins]
    return go.Scatter(
        x=ribbon.strip.left[begins],
        y=np.full(len(begins), 1.28),
        mode="text",
        text=[f"{mark}{name}" for mark, name in zip(marks, names, strict=True)],
        textposition="middle right",
        textfont={"size": 11},
        hoverinfo="skip",
        showlegend=False,
    )


def _surprisal(ribbon: Ribbon) -> list[Trace]:
    there = np.flatnonzero(np.isfinite(ribbon.surprisal))
    bars = go.Bar(
        x=ribbon.strip.centre[there],
        width=ribbon.strip.width[there] - 0.3,
        y=ribbon.surprisal[there],
        marker={"color": np.where(ribbon.switch[there], _AT_SWITCH, "#8b96a5").tolist(), "line": {"width": 0}},
        customdata=[ribbon.told[token] for token in there],
        hovertemplate=f"{_WHAT}<extra></extra>",
        name="surprisal",
        showlegend=False,
    )
    if ribbon.control_surprisal is None:
        return [bars]
    strokes = go.Scatter(
        x=ribbon.strip.centre[there],
        y=ribbon.control_surprisal[there],
        mode="markers",
        marker={"symbol": "line-ew", "size": 9, "line": {"color": OKABE_ITO[1], "width": 2}},
        name="surprisal, random weights",
        hovertemplate="random weights: %{y:.2f} nats<extra></extra>",
    )
    return [bars, strokes]


def _heat(
    ribbon: Ribbon,
    names: list[str],
    z: Float[np.ndarray, "neuron token"],
    activation: Float[np.ndarray, "neuron token"],
) -> go.Heatmap:
    edges, token = ribbon.strip.columns()
    gap = token < 0
    raw = [[f"{value:.4g}" for value in row] for row in activation]
    told = [
        [[*ribbon.told[t], row[t], name] if t >= 0 else [""] * 6 for t in token]
        for name, row in zip(names, raw, strict=True)
    ]
    return go.Heatmap(
        z=np.where(gap, np.nan, z[:, token]),
        x=edges,
        y=np.arange(len(names)),
        coloraxis="coloraxis",
        customdata=told,
        hovertemplate="<b>%{customdata[5]}</b> %{customdata[4]}, z %{z:+.2f}<br>" + _WHAT + "<extra></extra>",
        hoverongaps=False,
        xgap=0.5,
        ygap=1,
        meta={"presses": NEURON_MENU},
    )


def curves(ribbon: Ribbon, row: int = 0) -> list[go.Scatter]:
    """The chosen neuron and its random neuron, token by token; broken between lines."""
    _, token = ribbon.strip.columns()
    gap = token < 0
    x = np.where(gap, np.nan, ribbon.strip.centre[token])
    told = [ribbon.told[t] if t >= 0 else [""] * 4 for t in token]
    sides = (
        (ribbon.names[row], ribbon.z, ribbon.activation, OKABE_ITO[0], "solid", "circle"),
        (
            f"random {ribbon.control_names[row]}",
            ribbon.control_z,
            ribbon.control_activation,
            OKABE_ITO[1],
            "dot",
            "diamond-open",
        ),
    )
    return [
        go.Scatter(
            x=x,
            y=np.where(gap, np.nan, z[row, token]).astype(float),
            text=np.where(gap, np.nan, activation[row, token]).astype(float),
            name=name,
            mode="lines+markers",
            line={"color": shade, "width": 2, "dash": dash},
            marker={"symbol": symbol, "size": 6},
            customdata=told,
            hovertemplate="<b>%{fullData.name}</b> %{text:.4g}, z %{y:+.2f}<br>" + _WHAT + "<extra></extra>",
        )
        for name, z, activation, shade, dash, symbol in sides
    ]
