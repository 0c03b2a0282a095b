"""Figure of a patching sweep: effect by layer and position, word or head, beside its matched placebo."""

import numpy as np
from jaxtyping import Bool, Float

from interp.errors import ResultError
from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.heatmap import Line, Panel, draw_pair, read_out
from interp.plots.png import above, beside, colour_cells, encode_png, strike
from interp.plots.sweep_grid import (
    COLUMN,
    column_dim,
    has_head_rows,
    lay_out,
    skipped_cells,
    strokes_in_words,
    sweep_axes,
)
from interp.plots.theme import DIVERGING, Palette, diverging_axis
from interp.results import Result

_LINES = [
    Line("effect", "effect", "+.4g"),
    Line("effect_low", "<br>95 % interval", "+.4g"),
    Line("effect_high", " to", "+.4g"),
    Line("p", "<br>p", ".3g"),
    Line("p_corrected", ", corrected p", ".3g"),
    Line("q_fdr", ", q", ".3g"),
    Line("recovered", "<br>recovered", ".4g"),
    Line("control", "<br>control", "+.4g"),
    Line("above_control", "<br>effect minus control", "+.4g"),
    Line("above_control_low", "<br>95 % interval", "+.4g"),
    Line("above_control_high", " to", "+.4g"),
    Line("above_control_q_fdr", ", q", ".3g"),
]


def plot_patch_sweep(result: Result, palette: Palette = "RdBu") -> Figure:
    """Draw effect and control as two heatmaps on one scale: blue positive, red negative, white zero, layer 0 on top.

    A sweep by position and head has one row per head, layer after layer.

    Raises:
        ResultError: no control, a variable missing, or dimensions that are not those of a sweep.
    """
    _require_control(result)
    dim = column_dim(result)
    lines = [line for line in _LINES if line.variable in result.data]
    details = np.stack([lay_out(result, line.variable) for line in lines], axis=-1)
    effect, control = (lay_out(result, name) for name in ("effect", "control"))
    axes, skipped, marks = sweep_axes(result), skipped_cells(result), _marks(result)
    bound, hover = float(max(np.nanmax(np.abs([effect, control])), 1e-9)), read_out(lines)
    panels = [
        Panel("Effect", effect, hover, details, symbols={**skipped, **marks}),
        Panel("Control", control, hover, details, symbols=skipped),
    ]
    pictures = [colour_cells(values, DIVERGING[palette], -bound, bound) for values in (effect, control)]
    for where in skipped.values():
        pictures = [strike(picture, where) for picture in pictures]
    what = f"{'head and ' if has_head_rows(result) else ''}{COLUMN.get(dim, dim)}"
    return Figure(
        title=_title(result, what),
        how_to_read=_how_to_read(what, palette, marks),
        caption=_caption(result, dim, effect, skipped),
        control=contract.control_in_words(result, "the same sweep with a matched placebo in place of the patch"),
        png=encode_png((beside if axes.side_by_side else above)(pictures)),
        plotly=draw_pair(panels, axes, diverging_axis(palette, bound, result.unit)),
    )


def _require_control(result: Result) -> None:
    if not result.has_control:
        raise ResultError(
            "The 'patch_sweep' result has no control, so it has no figure: an effect means little without its placebo. "
            "Run patch_sweep with control=True, or `interp sweep` without --no-control."
        )
    contract.check_drawable(result, ["effect", "control", *(["recovered"] if result.kind == "patch_sweep" else [])])


def _marks(result: Result) -> dict[str, Bool[np.ndarray, "row x"]]:
    """Rings where the effect stands out, diamonds where it also stands out from its placebo's."""
    if "q_fdr" not in result.data:
        return {}
    stands_out = lay_out(result, "q_fdr") < contract.ALPHA
    if "above_control_q_fdr" not in result.data:
        return {"ring": stands_out}
    effect, beyond = (lay_out(result, name) for name in ("effect", "above_control"))
    # A placebo that does more than the patch differs from it, too: that is no point for the patch.
    beats = (lay_out(result, "above_control_q_fdr") < contract.ALPHA) & (np.sign(effect) == np.sign(beyond))
    return {"ring": stands_out & ~beats, "diamond": stands_out & beats}


def _title(result: Result, what: str) -> str:
    site, direction = result.notes.get("site", "activations"), result.notes.get("direction")
    words = f"Patching {site} by layer{',' if ' and ' in what else ' and'} {what}"
    return f"{words} ({direction})" if direction else words


def _how_to_read(what: str, palette: Palette, marks: dict[str, Bool[np.ndarray, "row x"]]) -> str:
    positive, negative = {"RdBu": ("Blue", "red"), "PuOr": ("Purple", "orange")}[palette]
    marked = f"a ring marks cells whose effect stands out (q below {contract.ALPHA}), "
    beats = "a diamond those that also do more than their placebo does"
    marked += beats if "diamond" in marks else "whatever the placebo does"
    return (
        f"Each cell is one intervention: the activation of that layer and {what} is replaced by the "
        "one of the other run, and the metric is compared with the run that was not patched. "
        f"{positive} means the metric rose, {negative} that it fell, white no change"
        f"{f'; {marked}' if marks else ''}. "
        "The control panel shows the same sweep with a placebo: "
        "an effect counts only as far as it exceeds its control. "
        "A strong cell shows that the activation carries what differs between the prompts there; it does not show that "
        "the model computes it there, or that nothing else carries it."
    )


def _caption(
    result: Result, dim: str, effect: Float[np.ndarray, "row x"], skipped: dict[str, Bool[np.ndarray, "row x"]]
) -> str:
    cells = int(np.isfinite(effect).sum())
    return contract.sentences(
        contract.unit_in_words(result),
        contract.prompts_in_words(result),
        _uncertainty_in_words(result, cells - sum(int(where.sum()) for where in skipped.values())),
        f"Labels are {result.notes['labels_are']}." if dim != "head" and "labels_are" in result.notes else "",
        contract.baselines_in_words(result),
        strokes_in_words(skipped),
        "Grey: not run." if cells < effect.size else "",
    )


def _uncertainty_in_words(result: Result, cells: int) -> str:
    if "q_fdr" not in result.data:
        return "Too few prompts for an interval or a p."
    n = int(result.notes["n_prompts"])
    words = (
        f"Intervals: 95 % bootstrap over prompts. Marked: q < {contract.ALPHA}, the false discovery rate of sign-flip "
        f"tests on {n} prompts over {cells} computed cells."
    )
    # With every prompt on one side, only the flip of all signs does as well.
    smallest = 2 / 2**n
    if smallest >= contract.ALPHA:
        words += f" {n} prompts allow no p below {smallest:.3g}, so no cell can be marked."
    return words
