"""How the cells of a patching sweep lie in its figure, and which of them hold no computed value."""

import numpy as np
from jaxtyping import Bool, Float, Int

from interp.errors import ResultError
from interp.plots import contract
from interp.plots.heatmap import Axes, head_axes
from interp.plots.tokens import hover_label, tick_label
from interp.results import Result

COLUMN = {"pos": "position", "head": "head", "word": "word"}
_STROKES = {"equal": "slant", "unreachable": "level"}
_WHY = {
    "equal": "both runs hold the same value there, so the effect is 0 without computing it",
    "unreachable": "nothing that the metric reads comes after it, so the effect is 0 without computing it",
    "not_run": "not run, because the prompt has no such column",
}


def column_dim(result: Result) -> str:
    """The dimension of the columns; beside it there is `layer`, and with columns `pos` there may be `head`.

    Raises:
        ResultError: other dimensions.
    """
    dims = [str(dim) for dim in result.data["effect"].dims]
    beside = set(dims) - {"layer"}
    if "layer" not in dims or not (len(beside) == 1 or beside == {"pos", "head"}):
        raise ResultError(f"The effect has dimensions {dims}. Expected layer and one other, or layer, pos and head.")
    return "pos" if len(beside) == 2 else beside.pop()


def has_head_rows(result: Result) -> bool:
    """Whether each row is one head of one layer."""
    return result.data["effect"].ndim == 3


def lay_out(result: Result, name: str) -> Float[np.ndarray, "row x"]:
    """Return a variable as it is drawn: rows are layers, or all heads of layer 0, then of layer 1, and so on."""
    dims = ["layer", "head", "pos"] if has_head_rows(result) else ["layer", column_dim(result)]
    values = contract.matrix(result, name, *dims)
    return values.reshape(-1, values.shape[-1])


def sweep_axes(result: Result) -> Axes:
    """Name rows, columns and cells; a cell's name says why it holds no computed value, where it holds none."""
    dim = column_dim(result)
    if dim == "head":
        axes = head_axes(result)
    else:
        labels = contract.axis_labels(result, dim)
        ticks = [tick_label(label, place) for place, label in enumerate(labels)]
        columns = [
            f"<b>{hover_label(label)}</b><br>{COLUMN.get(dim, dim)} {place}" for place, label in enumerate(labels)
        ]
        layers = [str(layer) for layer in contract.layer_numbers(result)]
        axes = Axes(layers, ticks, [[f"{column}, layer {layer}" for column in columns] for layer in layers])
        if has_head_rows(result):
            heads = [f"L{layer}H{head}" for layer in layers for head in result.data["head"].values]
            places = [[f"<b>{head}</b> at {column}" for column in columns] for head in heads]
            axes = Axes(heads, ticks, places, row_title="head", rows_per_layer=result.data.sizes["head"])
    why = _reasons(result)
    places = [[cell + why.get((row, x), "") for x, cell in enumerate(cells)] for row, cells in enumerate(axes.places)]
    return Axes(axes.rows, axes.columns, places, axes.row_title, axes.rows_per_layer)


def skipped_cells(result: Result) -> dict[str, Bool[np.ndarray, "row x"]]:
    """Which cells were computed for no prompt, by the stroke that marks them."""
    counts, skipped = _counts(result), {}
    if not counts:
        return {}
    open_cells = counts["computed"] == 0
    # A cell that is skipped for several reasons carries the commonest one's stroke.
    is_equal = counts["equal"] >= counts["unreachable"]
    skipped["equal"] = open_cells & is_equal & (counts["equal"] > 0)
    skipped["unreachable"] = open_cells & ~is_equal
    return {_STROKES[name]: where for name, where in skipped.items()}


def strokes_in_words(skipped: dict[str, Bool[np.ndarray, "row x"]]) -> str:
    """Say what the strokes of a figure mean."""
    words = {
        "slant": "Slanted stroke: both runs hold the same value there, so there is nothing to patch.",
        "level": "Level stroke: nothing that the metric reads comes after it.",
    }
    return contract.sentences(*(words[name] for name, where in skipped.items() if where.any()))


def _counts(result: Result) -> dict[str, Int[np.ndarray, "row x"]]:
    """Prompts in each state, cell by cell; nothing where the sweep computed every cell it ran."""
    names = result.notes.get("states") or []
    if "state" not in result.data or not names:
        return {}
    dims = ["layer", "head", "pos"] if has_head_rows(result) else ["layer", column_dim(result)]
    state = result.data["state"].transpose("prompt", *dims).values
    state = state.reshape(len(state), -1, state.shape[-1])
    return {name: (state == number).sum(0) for number, name in enumerate(names)}


def _reasons(result: Result) -> dict[tuple[int, int], str]:
    counts = _counts(result)
    if not counts:
        return {}
    n_prompts, found = result.data.sizes["prompt"], {}
    for row, x in zip(*np.nonzero(counts["computed"] < n_prompts), strict=True):
        parts = []
        for name, words in _WHY.items():
            if count := int(counts[name][row, x]):
                of = "" if count == n_prompts else f"in {count} of {n_prompts} prompts: "
                parts.append(f"<br><i>{of}{words}</i>")
        found[int(row), int(x)] = "".join(parts)
    return found
