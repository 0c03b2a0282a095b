"""Figure of the sink tests: a forest plot, every effect beside its control, and what each did to attention."""

import textwrap
from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from plotly.subplots import make_subplots

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.png import Picture, encode_png
from interp.plots.theme import GREY, OKABE_ITO, base_layout
from interp.plots.tokens import clip, plotly_text, visible
from interp.results import Result

_EFFECT, _CONTROL = OKABE_ITO[:2]
_APART = 0.17
"""Effect and control of a row stand this far from its middle."""
_BEFORE = "#6b7684"
_SIDES = {"effect": (_EFFECT, "circle", -_APART), "control": (_CONTROL, "diamond-open", _APART)}
_AFTER = {"effect": "sink_after", "control": "control_sink_after"}
_ROW = 34
_LABELS = {
    "bos": "BOS off or on",
    "random_tokens": "random tokens",
    "one_token_repeated": "one token repeated",
    "mask_key": "mask key 0",
    "mask_key_equal_mass": "mask key 0, equal weight",
    "zero_value": "zero v₀, attention kept",
    "zero_value_equal_mass": "zero v₀, equal weight",
    "massive_zero": "massive dimensions: zero",
    "massive_mean": "massive dimensions: mean",
    "massive_zero_mean": "massive: zero against mean",
    "spike_neuron": "spike neuron off",
    "move_sink": "a token sees itself only",
}
_NUMBERS = ["effect", "effect_low", "effect_high", "control", "control_low", "control_high", "above_control"]
_ATTENTION = ["sink_before", "sink_after", "control_sink_after"]
_WORDS = ["status", "edit", "control_edit", "reason", "target", "budget_unit", "sample"]
_HOW_TO_READ = (
    "Each row is one test: on the left the change it makes (disc) beside that of an equal edit elsewhere (diamond), "
    "with intervals; the numbers are the difference of the two, bold where it is told from zero. "
    "On the right, attention to the test's target before (line) and after; for heads, how much each looks at the first "
    "token. Rows without a change say why in their box. "
    "Only what exceeds its control speaks for the sink; where the budgets differ, the difference is not proof. "
    "A test shows what this model needs on these prompts, not why it grew a sink."
)


def plot_sink_tests(result: Result) -> Figure:
    """Draw the battery: tests of the sink first, then heads by domain, each group with the largest difference on top.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, [*_NUMBERS, *_ATTENTION, *_WORDS, "ran", "above_control_q_fdr", "n_prompts"])
    data = result.data.isel(test=_order(result.data))
    low, high = result.notes.get("tokens_per_prompt", ["?", "?"])
    skipped = [name for name, status in zip(_names(data), data["status"].values, strict=True) if status == "not run"]
    return Figure(
        title="Sink tests",
        how_to_read=_HOW_TO_READ,
        caption=contract.sentences(
            contract.unit_in_words(result),
            f"{contract.prompts_in_words(result).rstrip('.')} of {low} to {high} tokens, "
            f"{'with' if result.notes.get('bos') else 'without'} BOS.",
            "Intervals: 95 % bootstrap over prompts; bold: q < 0.05 over the tests.",
            f"Not run: {', '.join(skipped)}." if skipped else "",
        ),
        control=contract.control_in_words(result, "the same test with as large an edit of something else"),
        png=encode_png(_picture(data)),
        plotly=_draw(data, result),
    )


def _order(data: xr.Dataset) -> list[int]:
    """Rows from top to bottom."""
    rank = {"measured": 0, "attention only": 1, "not run": 2}
    difference = np.nan_to_num(data["above_control"].values)
    samples = data["sample"].values.tolist()
    group = [int(sample != samples[0]) for sample in samples]
    kind = [rank[str(status)] for status in data["status"].values]
    return sorted(range(len(samples)), key=lambda row: (group[row], kind[row], -difference[row]))


def _names(data: xr.Dataset) -> list[str]:
    known = (_LABELS.get(str(name), str(name)) for name in data["test"].values)
    return [clip(visible(name).replace("·", " "), 30) for name in known]


def _draw(data: xr.Dataset, result: Result) -> go.Figure:
    """One block of rows for the battery, one with a scale of its own for the heads."""
    own = data["sample"].values == result.data["sample"].values[0]
    blocks = [data.isel(test=rows) for rows in (np.flatnonzero(own), np.flatnonzero(~own)) if len(rows)]
    heights = [block.sizes["test"] + 1.0 for block in blocks]
    height = _ROW * sum(heights) + 120
    figure = make_subplots(
        len(blocks),
        2,
        shared_yaxes=True,
        column_widths=[0.64, 0.36],
        row_heights=heights,
        horizontal_spacing=0.19,
        vertical_spacing=80 / height,
    )
    figure.update_layout(**base_layout(round(height) + 60 * (len(blocks) - 1), top=52, bottom=60))
    figure.update_layout(margin_l=200, legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": -0.1})
    for number, block in enumerate(blocks, start=1):
        heads = bool(block["sample"].values[0] != result.data["sample"].values[0])
        _draw_block(figure, block, number, heads=heads)
        _label(figure, block, number, _axis_unit(result), heads=heads)
    return figure


def _axis_unit(result: Result) -> str:
    """The unit without what stands in brackets, for an axis."""
    return plotly_text(result.unit.split(" (")[0])


def _draw_block(figure: go.Figure, data: xr.Dataset, number: int, *, heads: bool) -> None:
    boxes = [_box(data.isel(test=row)) for row in range(data.sizes["test"])]
    places = np.arange(len(boxes))
    # Zeroing a head leaves its pattern as it is: what tells heads apart is how much they look at the first token.
    attention = {"effect": "budget", "control": "control_budget"} if heads else _AFTER
    for name, (colour, symbol, shift) in _SIDES.items():
        look = {"color": colour, "symbol": symbol, "size": 9, "line": {"color": colour, "width": 2}}
        value, low, high = (data[f"{name}{end}"].values for end in ("", "_low", "_high"))
        bars = {"type": "data", "array": high - value, "arrayminus": value - low, "width": 0, "thickness": 2}
        points = _points(value, places + shift, look, boxes, name, shown=number == 1)
        figure.add_trace(points.update(error_x=bars | {"color": colour}), row=number, col=1)
        after = _points(data[attention[name]].values, places + shift, look, boxes, name, shown=False)
        figure.add_trace(after, row=number, col=2)
    open_rows = np.flatnonzero(~data["ran"].values)
    cross = {"color": GREY, "symbol": "x-thin", "size": 8, "line": {"color": GREY, "width": 2}}
    why = _points(
        np.zeros(len(open_rows)), open_rows, cross, [boxes[row] for row in open_rows], "no change", shown=False
    )
    figure.add_trace(why, row=number, col=1)
    if not heads:
        look = {"color": _BEFORE, "symbol": "line-ns", "size": 18, "line": {"color": _BEFORE, "width": 2}}
        before = _points(data["sink_before"].values, places, look, boxes, "attention before", shown=True)
        figure.add_trace(before, row=number, col=2)


def _points(
    x: np.ndarray, y: np.ndarray, look: dict[str, Any], boxes: list[str], name: str, *, shown: bool
) -> go.Scatter:
    return go.Scatter(
        x=x,
        y=y,
        name=name,
        showlegend=shown,
        legendgroup=name,
        mode="markers",
        marker=look,
        hovertext=boxes,
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _label(figure: go.Figure, data: xr.Dataset, number: int, unit: str, *, heads: bool) -> None:
    """Name the rows, write the differences, and say of the others that they have none."""
    n_rows, left = data.sizes["test"], {"row": number, "col": 1}
    grid = {"gridcolor": "rgba(128,128,128,0.2)", "zeroline": True, "zerolinecolor": "rgba(128,128,128,0.9)"}
    names = [plotly_text(name) for name in _names(data)]
    rows = {"range": [n_rows - 0.4, -0.6], "showgrid": False, "zeroline": False}
    figure.update_yaxes(**rows, tickvals=list(range(n_rows)), ticktext=names, row=number)
    figure.update_yaxes(showticklabels=False, row=number, col=2)
    figure.update_xaxes(title_text=unit, **grid, **left)
    whose = "the head's attention to token 0" if heads else "attention to the target, after"
    figure.update_xaxes(title_text=whose, range=[-0.03, 1.03], **grid, row=number, col=2)
    x_axis = next(figure.select_xaxes(**left)).plotly_name.replace("axis", "") + " domain"
    y_axis = next(figure.select_yaxes(**left)).plotly_name.replace("axis", "")
    words = {"xref": x_axis, "yref": y_axis, "x": 1.02, "xanchor": "left", "showarrow": False, "font": {"size": 11}}
    top = {"yref": f"{y_axis} domain", "y": 1.0, "yanchor": "bottom", "text": "effect − control"}
    figure.add_annotation(**words | top)
    for row in range(n_rows):
        here = data.isel(test=row)
        figure.add_annotation(
            **words, y=row, text=_difference(here) if here["ran"] else f"<i>{here['status'].item()}</i>"
        )
        if not here["ran"]:
            dots = {"color": GREY, "width": 1, "dash": "dot"}
            figure.add_shape(type="line", x0=0, x1=1, xref=x_axis, y0=row, y1=row, yref=y_axis, line=dots)


def _difference(row: xr.Dataset) -> str:
    value, low, high = (float(row[f"above_control{end}"]) for end in ("", "_low", "_high"))
    words = f"{value:+.3f} [{low:.3f}, {high:.3f}]"
    return f"<b>{words}</b>" if float(row["above_control_q_fdr"]) < contract.ALPHA else words


def _box(row: xr.Dataset) -> str:
    """Everything that is known of one test."""
    lines = [f"<b>{plotly_text(str(row['test'].item()))}</b>"]
    if row["status"].item() == "not run":
        return "<br>".join([*lines, "<i>not run</i>", *_wrapped(str(row["reason"].item()))])
    lines += _wrapped(f"edit: {row['edit'].item()}")
    lines += _in_numbers(row, "effect")
    lines += _wrapped(f"control: {row['control_edit'].item()}")
    lines += _in_numbers(row, "control")
    if row["ran"]:
        q = float(row["above_control_q_fdr"])
        lines.append(f"difference {_difference(row)}, q {q:.3g}, {int(row['n_prompts'])} prompts")
    before, after, control = (float(row[name]) for name in _ATTENTION)
    lines.append(
        f"attention to {plotly_text(str(row['target'].item()))}: {before:.3f}, then {after:.3f} (control {control:.3f})"
    )
    if np.isfinite(budget := float(row["budget"])):
        unit = str(row["budget_unit"].item())
        lines += _wrapped(f"edited: {budget:.3g} against {float(row['control_budget']):.3g} ({unit})")
    return "<br>".join([*lines, *_wrapped(str(row["reason"].item()))])


def _in_numbers(row: xr.Dataset, name: str) -> list[str]:
    if not row["ran"]:
        return []
    value, low, high = (float(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
    return [f"&nbsp;&nbsp;{value:+.4g} ({low:.4g} to {high:.4g})"]


def _wrapped(text: str) -> list[str]:
    return [plotly_text(line) for line in textwrap.wrap(text, 76)]


def _picture(data: xr.Dataset, width: int = 420, row_height: int = 12) -> Picture:
    """Intervals as lines, effect above control; rows without a change are a grey line."""
    n_rows = data.sizes["test"]
    picture = np.full((n_rows * row_height, width, 3), 255, np.uint8)
    ends = [data[f"{name}{end}"].values for name in ("effect", "control") for end in ("_low", "_high")]
    found = np.concatenate([[0.0], *(values[np.isfinite(values)] for values in ends)])
    low, high = float(found.min()), float(found.max())

    def column(value: float) -> int:
        return round((value - low) / ((high - low) or 1.0) * (width - 5))

    picture[:, column(0.0)] = 150
    for row in range(n_rows):
        if not bool(data["ran"].values[row]):
            picture[row * row_height + row_height // 2, ::4] = 176
            continue
        for name, colour, at in (("effect", _EFFECT, 2), ("control", _CONTROL, 7)):
            start, stop = (column(float(data[f"{name}{end}"].values[row])) for end in ("_low", "_high"))
            top = row * row_height + at
            picture[top : top + 3, start : stop + 4] = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    return picture
