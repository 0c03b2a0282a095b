"""Tables behind the figures: tidy, limited in size, and harmless in a spreadsheet."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from interp.results import Result

SMALLEST_WEIGHT = 0.01
"""Attention weights up to this are left out of the table."""
MAX_ROWS = 20_000
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@dataclass(frozen=True)
class Tidy:
    """One row per cell of a figure, and what was left out of it."""

    frame: pd.DataFrame
    left_out: str = ""


def tidy(result: Result) -> Tidy:
    """Return the numbers of a result's figure as one table; values of single prompts stay in the result file."""
    if result.kind == "attention_patterns":
        return _attention(result)
    single = [name for name, array in result.data.data_vars.items() if "prompt" in array.dims]
    data = result.data
    if "state" in data:
        # The table has one row per cell: a zero that was computed for no prompt must not look like one that was.
        data = data.assign(computed_prompts=(data["state"] == 0).sum("prompt"))
    frame = replace(result, data=data.drop_vars(single)).to_dataframe()
    labels = result.notes.get("labels")
    if labels is not None:
        dim = _labelled_dim(result, len(labels))
        texts = dict(zip(result.data[dim].values.tolist(), labels, strict=True))
        frame.insert(list(frame.columns).index(dim) + 1, "label", frame[dim].map(texts))
    shortened, left_out = _shortened(frame)
    notes = [left_out, "Values of single prompts are in the result file." if single else ""]
    return Tidy(shortened, " ".join(filter(None, notes)))


def _shortened(frame: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Of a very long table what was found, or its beginning where nothing says what that is."""
    if len(frame) <= MAX_ROWS:
        return frame, ""
    found = frame[frame["found"].astype(bool)] if "found" in frame else frame
    kept, what = found.head(MAX_ROWS), "found" if "found" in frame else "first"
    return kept, f"Holds the {len(kept)} {what} of {len(frame)} rows; the result file holds every row."


def _labelled_dim(result: Result, n: int) -> str:
    """The dimension whose places `notes["labels"]` names."""
    dims = next(array.dims for array in result.data.data_vars.values() if array.dims and "prompt" not in array.dims)
    return next(str(dim) for dim in dims if dim != "layer" and result.data.sizes[dim] == n)


def _attention(result: Result) -> Tidy:
    pattern = result.data["pattern"]
    values = pattern.values
    length = result.data["length"].values.reshape(-1, 1, 1, 1, 1)
    position = np.arange(values.shape[-1])
    inside = (position[:, None] < length) & (position < length)
    places = np.nonzero((values > SMALLEST_WEIGHT) & inside)
    found = len(places[0])
    if found > MAX_ROWS:
        strongest = np.sort(np.argpartition(-values[places], MAX_ROWS)[:MAX_ROWS])
        places = tuple(place[strongest] for place in places)
    columns: dict[str, Any] = {
        str(dim): pattern[dim].values[place] for dim, place in zip(pattern.dims, places, strict=True)
    }
    for dim in ("dest", "src"):
        columns[f"{dim}_token"] = _tokens(result, places, str(dim), list(pattern.dims))
    columns["weight"] = values[places].round(5)
    columns["control_weight"] = result.data["control_pattern"].transpose(*pattern.dims).values[places].round(5)
    kept = f"the {MAX_ROWS} largest of {found}" if found > MAX_ROWS else f"all {found}"
    return Tidy(
        pd.DataFrame(columns), f"Holds {kept} weights above {SMALLEST_WEIGHT}; the result file holds every weight."
    )


def _tokens(result: Result, places: tuple[np.ndarray, ...], end: str, dims: list[object]) -> list[str]:
    texts = result.notes["str_tokens"]
    prompts, positions = places[dims.index("prompt")], places[dims.index(f"{end}_pos")]
    return [str(texts[prompt][position]) for prompt, position in zip(prompts, positions, strict=True)]


def to_csv(frame: pd.DataFrame) -> str:
    """Write a table as CSV in which no text starts a formula: such cells and headings begin with a quote mark."""
    guarded = frame.map(_guard).rename(columns=_guard)
    return guarded.to_csv(index=False, lineterminator="\r\n", float_format="%.6g")


def _guard(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value


def shown_cells(frame: pd.DataFrame, limit: int) -> list[list[tuple[str, bool]]]:
    """Return the first rows as text, each cell with whether it is a number."""
    return [[_cell(value) for value in row] for row in frame.head(limit).itertuples(index=False)]


def _cell(value: object) -> tuple[str, bool]:
    if isinstance(value, bool | np.bool_):
        return ("yes" if value else "no"), False
    if isinstance(value, int | np.integer):
        return f"{value}", True
    if isinstance(value, float | np.floating):
        return ("not run" if np.isnan(value) else f"{value:.4g}"), True
    return ("" if value is None else str(value)), False
