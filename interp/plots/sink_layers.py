"""Figures of the sink census over layers and something else: positions, distances, lives of tokens, dimensions."""

from dataclasses import replace

import numpy as np

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.heatmap import Axes, Line, read_out
from interp.plots.png import beside, colour_cells, encode_png
from interp.plots.sink_panels import Pair, Words, caption, details_of, draw_pairs, figure_of_pairs, with_interval
from interp.plots.theme import SEQUENTIAL, sequential_axis
from interp.plots.tokens import hover_label, tick_label
from interp.results import Result

_READ_KEYS = (
    "Each column is a position, each row a layer; darker means that the position receives more attention from the "
    "queries that can see it, as a mean over heads or as the share of heads above epsilon. A sink is a dark column. "
    "Received attention is not evidence that the position's content is used."
)
_READ_DISTANCES = (
    "Each row is a layer; darker means that more attention goes to tokens that far from the query, as a mean over "
    "heads. Bins double in width, so an even spread grows to the right. "
    "Where attention goes is not evidence of what it moves."
)
_READ_SECONDARY = (
    "Each cell counts later tokens whose residual stream begins after that layer to point where the first token's "
    "does, and how many layers that lasts. Sinks like BOS live through most layers, secondary sinks through some. "
    "Pointing the same way is not evidence of being attended to: see the received attention by position."
)
_READ_MAP = (
    "Each row is a token, each column one of the dimensions with the largest magnitudes; colour is the logarithm of "
    "the magnitude. A massive activation is a dark cell at one token, usually the first. The control shows the same "
    "tokens in the dimensions that are largest under random weights, which are not the same ones."
)


def plot_sink_keys(result: Result) -> Figure:
    """Draw received attention by layer and position.

    Raises:
        ResultError: no control, or a variable missing.
    """
    return _by_layer(
        result,
        "pos",
        {"alpha_mean": "received attention, mean over heads", "alpha_above": "share of heads above epsilon"},
        Words("Who receives attention", _READ_KEYS),
    )


def plot_sink_distances(result: Result) -> Figure:
    """Draw how far attention reaches, layer by layer.

    Raises:
        ResultError: no control, or a variable missing.
    """
    # A mean of interval ends is no interval.
    kept = replace(result, data=result.data.mean("head").drop_vars(["weight_low", "weight_high"]))
    return _by_layer(
        kept, "distance", {"weight": "weight by distance"}, Words("How far attention reaches", _READ_DISTANCES)
    )


def plot_sink_secondary(result: Result) -> Figure:
    """Draw later tokens that look like the first, by layer of creation and life.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, ["tokens", "control_tokens"])
    lines = with_interval("tokens", "tokens in a sequence")
    values, control = (contract.matrix(result, name, "created", "life") for name in ("tokens", "control_tokens"))
    created = [_layer_name(layer) for layer in result.data["created"].values.tolist()]
    lives = [str(life) for life in result.data["life"].values]
    places = [[f"<b>from {layer}</b>, through {life} layers" for life in lives] for layer in created]
    pair = Pair("tokens like the first", values, control, details_of(result, lines, "created", "life"), "tokens")
    notes = result.notes
    told = (
        f"Across: life in layers; a secondary sink lives through more than {notes.get('secondary_from', 0):.3g}, one "
        f"like BOS through {notes.get('like_bos_from', 0):.3g} or more."
    )
    grows, shrinks = notes.get("sink_window", (0, 0))
    window = f"The first token's norm grows most in layer {grows} and shrinks most, or grows least, in layer {shrinks}."
    words = Words("Secondary sinks", _READ_SECONDARY, (told, window if "sink_window" in notes else ""))
    return figure_of_pairs(result, words, Axes(created, lives, places, row_title="after layer"), [pair], lines)


def plot_sink_map(result: Result) -> Figure:
    """Draw the spikes of one sequence: tokens by dimensions, on a logarithmic scale.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, ["magnitude", "control", "dimension", "control_dimension"])
    ours, control = (contract.matrix(result, name, "pos", "place") for name in ("magnitude", "control"))
    labels = contract.axis_labels(result, "pos")
    axes = [_map_axes(labels, result.data[name].values.tolist()) for name in ("dimension", "control_dimension")]
    lines = [Line("magnitude", "magnitude", ".4g"), Line("control", "<br>control, same rank", ".4g")]
    details = details_of(result, lines, "pos", "place")
    pair = Pair("magnitude", _log(ours), _log(control), details, "magnitude")
    top = float(max(pair.values.max(), pair.control.max()))
    marks = [0.0, *(10.0**power for power in range(int(np.log10(max(ours.max(), 1.0))) + 1))]
    colours = sequential_axis(top, "magnitude")
    colours["colorbar"] |= {
        "tickvals": _log(np.array(marks)).tolist(),
        "ticktext": [f"{m:g}" for m in marks],
    }
    layer = _layer_name(result.notes.get("after_layer", 0))
    where = "the embedding" if layer == "embed" else f"layer {layer}"
    told = f"One sequence, after {where}, where the largest stands out most."
    picture = beside([colour_cells(cells, SEQUENTIAL, 0.0, top, 6) for cells in (pair.values, pair.control)])
    return Figure(
        title="Spikes: token by dimension",
        how_to_read=_READ_MAP,
        caption=caption(result, told),
        control=contract.control_in_words(result, "the same tokens through random weights"),
        png=encode_png(picture),
        plotly=draw_pairs(axes, [pair], [read_out(lines)], colours),
    )


def _by_layer(result: Result, dim: str, quantities: dict[str, str], words: Words) -> Figure:
    """Heatmaps over layers and another dimension."""
    contract.check_drawable(result, [name for quantity in quantities for name in (quantity, f"control_{quantity}")])
    wanted = [line for name, said in quantities.items() for line in with_interval(name, f"<br>{said}")]
    lines = [line for line in wanted if line.variable in result.data]
    details = details_of(result, lines, "layer", dim)
    pairs = []
    for (name, said), bar in zip(quantities.items(), ("weight", "share"), strict=False):
        values, control = (contract.matrix(result, key, "layer", dim) for key in (name, f"control_{name}"))
        pairs.append(Pair(said, values, control, details, bar))
    layers = [str(layer) for layer in contract.layer_numbers(result)]
    columns = [str(value) for value in result.data[dim].values]
    what = {"pos": "position", "distance": "distance"}[dim]
    places = [[f"<b>{what} {column}</b>, layer {layer}" for column in columns] for layer in layers]
    return figure_of_pairs(result, words, Axes(layers, columns, places), pairs, lines)


def _map_axes(labels: list[str], dimensions: list[int]) -> Axes:
    names = [str(dimension) for dimension in dimensions]
    places = [
        [f"<b>{hover_label(label)}</b><br>position {pos}, dimension {name}" for name in names]
        for pos, label in enumerate(labels)
    ]
    rows = [tick_label(label, pos) for pos, label in enumerate(labels)]
    return Axes(rows, names, places, row_title="token")


def _log(cells: np.ndarray) -> np.ndarray:
    return np.log10(1 + cells)


def _layer_name(layer: int) -> str:
    return "embed" if layer < 0 else str(layer)
