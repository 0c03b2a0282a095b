import dataclasses

import numpy as np
import pytest
import xarray as xr

from interp.errors import ResultError
from interp.plots import plot
from interp.results import Result
from tests.interp.plots import synthetic


def test_the_effect_and_its_control_share_one_scale_with_blue_for_more() -> None:
    figure = plot(synthetic.patch_sweep()).plotly
    heatmaps = [trace for trace in figure.data if trace.type == "heatmap"]
    assert [trace.coloraxis for trace in heatmaps] == ["coloraxis", "coloraxis"]
    axis = figure.layout.coloraxis
    assert axis.cmid == 0
    assert axis.cmin == -axis.cmax
    red, _, blue = (int(axis.colorscale[-1][1][at : at + 2], 16) for at in (1, 3, 5))
    assert blue > red
    result = synthetic.patch_sweep().data
    np.testing.assert_allclose(heatmaps[0].z, result["effect"].values.astype(np.float32))
    np.testing.assert_allclose(heatmaps[1].z, result["control"].values.astype(np.float32))


def test_layer_zero_is_on_top() -> None:
    low, high = plot(synthetic.patch_sweep()).plotly.layout.yaxis.range
    assert low > high


def test_equal_labels_keep_their_own_columns() -> None:
    figure = plot(synthetic.patch_sweep()).plotly
    ticks = figure.layout.xaxis.ticktext
    assert len(ticks) == len(set(ticks)) == len(synthetic.HOSTILE)
    assert "the 10" in ticks
    assert "the 11" in ticks
    assert "⏎ 7" in ticks
    assert "·leading 8" in ticks


def test_no_label_is_markup() -> None:
    figure = plot(synthetic.patch_sweep()).plotly
    assert not any("<" in tick for tick in figure.layout.xaxis.ticktext)
    hover = figure.data[0].hovertext[2][3]
    assert hover == "<b>&lt;s&gt;</b><br>position 3, layer 2"


def _symbols(figure, name: str, panel: int = 0) -> set[tuple[int, int]]:
    """Row and column of each cell of a panel that carries a symbol."""
    axes = [trace.xaxis for trace in figure.plotly.data if trace.type == "heatmap"]
    traces = [trace for trace in figure.plotly.data if trace.name == name and trace.xaxis == axes[panel]]
    return {cell for trace in traces for cell in zip(trace.y, trace.x, strict=True)}


def _cells(where: np.ndarray) -> set[tuple[int, int]]:
    return {tuple(cell) for cell in np.argwhere(where).tolist()}


def test_a_diamond_marks_cells_that_do_more_than_their_placebo_and_a_ring_the_rest_of_those_that_stand_out() -> None:
    result = synthetic.patch_sweep()
    figure, data = plot(result), result.data
    stands_out = (data["q_fdr"] < 0.05).values
    differs = (data["above_control_q_fdr"] < 0.05).values
    more = differs & (np.sign(data["effect"]) == np.sign(data["above_control"])).values
    assert (stands_out & ~differs).any()
    assert (stands_out & differs & ~more).any(), "a placebo that does more than the patch is no point for the patch"
    assert _symbols(figure, "diamond") == _cells(stands_out & more) != set()
    assert _symbols(figure, "ring") == _cells(stands_out & ~more)
    assert not _symbols(figure, "ring", panel=1) | _symbols(figure, "diamond", panel=1)
    assert "Marked: q < 0.05, the false discovery rate of sign-flip tests on 12 prompts" in figure.caption
    assert "no cell can be marked" not in figure.caption


def test_too_few_prompts_to_mark_anything_are_said_to_be() -> None:
    caption = plot(synthetic.patch_sweep(n_prompts=5)).caption
    assert "5 prompts allow no p below 0.0625, so no cell can be marked." in caption


def _with_heads_and_states() -> Result:
    """Two layers of three heads at four positions; some cells equal, one unreachable, one mixed, one not run."""
    shape, dims = (2, 4, 3), ("layer", "pos", "head")
    effect = np.arange(24.0).reshape(shape) - 8
    state = np.zeros((2, *shape), np.int8)
    state[:, :, 0] = 1
    state[:, 1, 2, 1] = 2
    state[0, 1, 3, 2] = 1
    state[1, 0, 3, 0] = 3
    effect[(state != 0).all(0)] = 0
    data = xr.Dataset(
        {
            "effect": (dims, effect),
            "control": (dims, effect / 10),
            "recovered": (dims, effect / 5),
            "state": (("prompt", *dims), state),
        },
        {"prompt": [0, 1], "layer": [0, 1], "pos": np.arange(4), "head": np.arange(3)},
    )
    words = {"labels": ["<s>", "the", "the", "x"], "states": ["computed", "equal", "unreachable", "not_run"]}
    return dataclasses.replace(synthetic.patch_sweep(), data=data, notes={"site": "z", "n_prompts": 2, **words})


def test_heads_of_all_layers_are_rows_and_positions_columns() -> None:
    result = _with_heads_and_states()
    figure = plot(result)
    heatmap, control = (trace for trace in figure.plotly.data if trace.type == "heatmap")
    assert list(figure.plotly.layout.yaxis.ticktext) == ["L0H0", "L0H1", "L0H2", "L1H0", "L1H1", "L1H2"]
    assert figure.plotly.layout.xaxis.ticktext[2] == "the 2"
    assert heatmap.z[5][3] == result.data["effect"].sel(layer=1, head=2, pos=3)
    assert control.z[1][2] == np.float32(result.data["control"].sel(layer=0, head=1, pos=2))
    assert heatmap.hovertext[4][1] == "<b>L1H1</b> at <b>the</b><br>position 1"
    assert figure.title == "Patching z by layer, head and position"
    assert [shape.y0 for shape in figure.plotly.layout.shapes] == [2.5, 2.5], (
        "a line between the layers, in both panels"
    )


def test_a_zero_that_was_not_computed_is_told_from_one_that_was() -> None:
    figure = plot(_with_heads_and_states())
    for panel in (0, 1):
        assert _symbols(figure, "slant", panel) == {(row, 0) for row in range(6)}
        assert _symbols(figure, "level", panel) == {(4, 2)}
    hover = figure.plotly.data[0].hovertext
    assert "both runs hold the same value" in hover[0][0]
    assert "nothing that the metric reads comes after it" in hover[4][2]
    assert "in 1 of 2 prompts: both runs hold" in hover[5][3]
    assert "in 1 of 2 prompts: not run, because the prompt has no such column" in hover[0][3]
    assert "<i>" not in hover[1][2]
    assert "Slanted stroke: both runs" in figure.caption
    assert "Level stroke: nothing" in figure.caption
    plain = plot(synthetic.patch_sweep())
    assert "stroke" not in plain.caption
    whole = _with_heads_and_states()
    drawn = plot(dataclasses.replace(whole, data=whole.data.drop_vars("state")))
    assert drawn.png != figure.png, "the small picture tells them apart, too"


def test_many_heads_keep_readable_rows() -> None:
    heads = synthetic.patch_sweep(dim="head", n_layers=24).data.isel(prompt=0, drop=True).drop_vars("values")
    data = heads.expand_dims(pos=[0, 1])
    figure = plot(
        dataclasses.replace(_with_heads_and_states(), data=data, notes={"labels": ["a", "b"], "n_prompts": 12})
    ).plotly
    assert list(figure.layout.yaxis.ticktext) == [f"L{layer}H0" for layer in range(24)]
    n_rows, margin = 24 * 16, figure.layout.margin
    assert figure.layout.height - margin.t - margin.b >= 4 * n_rows


def test_cells_not_run_are_grey_and_said_to_be() -> None:
    result = synthetic.patch_sweep()
    assert "Grey" not in plot(result).caption
    ran = np.ones(result.data["effect"].shape, bool)
    ran[0, 0] = False
    data = result.data.map(lambda array: array.where(ran) if {"layer", "pos"} <= set(array.dims) else array)
    figure = plot(dataclasses.replace(result, data=data.assign(ran=(("layer", "pos"), ran))))
    assert "Grey: not run." in figure.caption
    assert figure.plotly.layout.plot_bgcolor == "#b0b0b0"


def test_a_single_prompt_has_no_interval_and_no_marks_and_says_so() -> None:
    result = synthetic.patch_sweep()
    figure = plot(
        dataclasses.replace(result, data=result.data.drop_vars(["effect_low", "effect_high", "p_corrected", "q_fdr"]))
    )
    assert not [trace for trace in figure.plotly.data if trace.type == "scatter"]
    assert "corrected p" not in figure.plotly.data[0].hovertemplate
    assert "Too few prompts for an interval or a p." in figure.caption


def test_the_hover_box_reads_the_numbers_in_the_order_it_names_them() -> None:
    result = synthetic.patch_sweep()
    heatmap = plot(result).plotly.data[0]
    names = ["effect", "effect_low", "effect_high", "p", "p_corrected", "q_fdr", "recovered", "control"]
    names += ["above_control", "above_control_low", "above_control_high", "above_control_q_fdr"]
    expected = [float(result.data[name].values[2, 1]) for name in names]
    np.testing.assert_allclose(heatmap.customdata[2, 1], expected, rtol=1e-6)
    words = ["effect", "95 % interval", "to", "p", "corrected p", "q", "recovered", "control"]
    words += ["effect minus control", "95 % interval", "to", "q"]
    for place, word in enumerate(words):
        assert f"{word} %{{customdata[{place}]:" in heatmap.hovertemplate


def test_heads_have_their_names() -> None:
    figure = plot(synthetic.patch_sweep(dim="head")).plotly
    assert figure.layout.xaxis.ticktext[3] == "H3"
    assert figure.data[0].hovertext[2][3] == "<b>L2H3</b>"


def test_a_label_for_every_place_is_demanded() -> None:
    with pytest.raises(ResultError, match="15 labels for 16 places"):
        plot(_with_labels(synthetic.HOSTILE[:-1]))


def _with_labels(labels: list[str]) -> Result:
    result = synthetic.patch_sweep()
    return dataclasses.replace(result, notes=result.notes | {"labels": labels})


def test_only_positions_and_words_say_whose_labels_they_have() -> None:
    captions = [
        plot(synthetic.patch_sweep(dim=dim, labels_are="the longest prompt's")).caption for dim in ("pos", "head")
    ]
    assert ["Labels are" in caption for caption in captions] == [True, False]
