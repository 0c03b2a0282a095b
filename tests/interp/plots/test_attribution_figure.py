import dataclasses
from typing import Any

import numpy as np
import pytest
import xarray as xr

from interp.errors import ResultError
from interp.plots import plot
from interp.results import Result
from tests.interp.plots import synthetic

AGREEMENT = {"rho": 0.731, "low": 0.52, "high": 0.88, "cells": 16}


def estimated(*, exact: str = "", **notes: object) -> Result:
    """An estimate of a sweep by position; with `exact` over the `grid` or for the three largest (`top`)."""
    result = synthetic.patch_sweep(labels=["<s>", " the", "the", "$x$"])
    data = result.data.assign(graddrop=abs(result.data["effect"]))
    if exact == "grid":
        data = data.assign(exact=data["effect"] * 2)
    if exact == "top":
        top = np.argsort(-np.abs(data["effect"].values).ravel())[:3]
        layer, pos = np.unravel_index(top, data["effect"].shape)
        cells = {"verified_layer": ("verified", layer), "verified_pos": ("verified", pos)}
        found = {"exact": ("verified", 2 * data["effect"].values[layer, pos])}
        data = data.assign(cells | found).assign_coords(verified=np.arange(3))
    return dataclasses.replace(
        result,
        kind="attribution",
        data=data,
        notes=result.notes | {"method": "atp*", "rank_correlation": AGREEMENT} | notes,
    )


def points(result: Result) -> dict[str, Any]:
    return {trace.name: trace for trace in plot(result).plotly.data}


def test_every_cell_is_one_point_with_its_estimate_above_its_exact_effect() -> None:
    result = estimated(exact="grid")
    found = points(result)
    estimate, control = found["AtP* estimate"], found["control (placebo)"]
    np.testing.assert_allclose(estimate.x, result.data["exact"].values.ravel())
    np.testing.assert_allclose(estimate.y, result.data["effect"].values.ravel())
    np.testing.assert_allclose(control.x, estimate.x)
    np.testing.assert_allclose(control.y, result.data["control"].values.ravel())
    assert estimate.marker.symbol != control.marker.symbol, "not told apart by colour alone"
    assert found["equal"].x == found["equal"].y
    assert len(found["equal"].x) == 2


def test_a_point_names_its_cell_and_no_token_is_markup() -> None:
    names = points(estimated(exact="grid"))["AtP* estimate"].hovertext
    assert names[0] == "<b>L0 resid_pre</b>, position 0 &lt;s&gt;"
    assert names[1 * 4 + 2] == "<b>L1 resid_pre</b>, position 2 the"
    assert names[3] == "<b>L0 resid_pre</b>, position 3 &#36;x&#36;"


def test_only_verified_cells_are_drawn_where_only_they_were_patched() -> None:
    result = estimated(exact="top", verified="The 3 cells with the largest estimates were patched for real.")
    estimate = points(result)["AtP* estimate"]
    np.testing.assert_allclose(estimate.x, result.data["exact"].values)
    np.testing.assert_allclose(2 * np.array(estimate.y), estimate.x)
    assert "patched for real" in plot(result).caption


def test_heads_are_written_as_the_field_writes_them() -> None:
    result = synthetic.patch_sweep(labels=["a", "b"], dim="head")
    data = result.data.assign(exact=result.data["effect"])
    result = dataclasses.replace(result, kind="attribution", data=data, notes=result.notes | {"site": "k"})
    assert points(result)["estimate estimate"].hovertext[3] == "<b>L1H1 k</b>"


def test_positions_and_heads_are_both_named() -> None:
    values = np.arange(12.0).reshape(2, 3, 2)
    dims = ("layer", "pos", "head")
    coords = {"layer": [0, 1], "pos": np.arange(3), "head": np.arange(2)}
    data = xr.Dataset(dict.fromkeys(("effect", "exact", "control"), (dims, values)), coords)
    notes = {"method": "atp", "site": "q", "labels": ["x", "y", "z"], "n_prompts": 1}
    result = dataclasses.replace(estimated(), data=data, notes=notes)
    names = points(result)["AtP estimate"].hovertext
    assert names[1 * 6 + 2 * 2 + 1] == "<b>L1H1 q</b>, position 2 z"
    assert "too few, or too alike" in plot(result).caption


def test_the_rank_correlation_stands_in_the_caption_with_its_interval() -> None:
    caption = plot(estimated(exact="grid")).caption
    assert "over 16 cells: 0.73 (95 % bootstrap over prompts 0.52 to 0.88)" in caption
    alone = {name: AGREEMENT[name] for name in ("rho", "cells")}
    assert "too few prompts for an interval" in plot(estimated(exact="grid", rank_correlation=alone)).caption
    assert "GradDrop score and the size of the exact effect: 0.44" in (
        plot(estimated(exact="grid", graddrop_rank_correlation=0.44)).caption
    )


def test_the_figure_says_how_to_read_it() -> None:
    for result in (estimated(exact="grid"), estimated()):
        figure = plot(result)
        assert 2 <= figure.how_to_read.count(". ") + 1 <= 5
        assert "not" in figure.how_to_read
        assert "Unit: " in figure.caption
        assert figure.control
        assert figure.png.startswith(b"\x89PNG")
        assert len(figure.png) < 40_000


def test_estimates_alone_are_heatmaps_that_say_nothing_was_patched() -> None:
    figure = plot(estimated())
    assert [trace.type for trace in figure.plotly.data].count("heatmap") == 2
    assert "nothing was patched" in figure.how_to_read
    assert figure.title.startswith("AtP*: estimated effect")


def test_a_result_without_control_has_no_figure() -> None:
    result = estimated(exact="grid")
    with pytest.raises(ResultError, match="no control"):
        plot(dataclasses.replace(result, data=result.data.drop_vars("control")))
