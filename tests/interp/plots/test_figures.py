import dataclasses
from functools import partial

import numpy as np
import pytest
import xarray as xr

from interp.errors import InputError, ResultError
from interp.plots import plot
from interp.plots.dispatch import KINDS
from interp.results import Result
from tests.interp.plots import synthetic
from tests.interp.plots.synthetic_heads import weight_scores
from tests.interp.plots.synthetic_lab import fit_of_the_word
from tests.interp.plots.synthetic_lens import language_lens
from tests.interp.plots.synthetic_neurons import NEURON_MAKERS
from tests.interp.plots.synthetic_ribbon import script_or_language, token_ribbon
from tests.interp.plots.synthetic_sink_tests import sink_tests
from tests.interp.plots.synthetic_sinks import SINK_MAKERS
from tests.interp.plots.synthetic_steering import ablation_matrix, dose_response
from tests.interp.plots.synthetic_streaming import streaming
from tests.interp.plots.synthetic_switching import switch_events, switch_tests, switching_directions, switching_units
from tests.interp.plots.synthetic_symbols import symbol_study

MAKERS = {
    "patch_sweep": synthetic.patch_sweep,
    "attention_patterns": synthetic.attention,
    "head_scores": synthetic.head_scores,
    "weight_scores": weight_scores,
    "probe_by_layer": synthetic.probe_by_layer,
    "emergence": synthetic.emergence,
    "fit_of_the_word": fit_of_the_word,
    "sink_tests": sink_tests,
    **SINK_MAKERS,
    "streaming": streaming,
    **NEURON_MAKERS,
    "language_lens": language_lens,
    "switching_neurons": switching_units,
    "switching_heads": partial(switching_units, "switching_heads", "head"),
    "switching_directions": switching_directions,
    "switch_tests": switch_tests,
    "switch_events": switch_events,
    "symbol_study": symbol_study,
    "ablation_matrix": ablation_matrix,
    "dose_response": dose_response,
    "token_ribbon": token_ribbon,
    "script_or_language": script_or_language,
    **{kind: partial(synthetic.edit_sweep, kind) for kind in ("ablate_sweep", "steer_sweep", "direct_paths")},
    **{kind: partial(synthetic.effects, kind) for kind in ("patch_cells", "path_patch")},
}


def _without_control(result: Result) -> Result:
    controls = [name for name in result.data.data_vars if str(name).startswith("control")]
    return dataclasses.replace(result, data=result.data.drop_vars(controls))


def test_every_kind_has_a_synthetic_result() -> None:
    # Attribution has results, and a file of tests, of its own.
    assert {*MAKERS, "attribution"} == set(KINDS)


@pytest.mark.parametrize("kind", MAKERS)
def test_every_figure_says_how_to_read_it(kind: str) -> None:
    figure = plot(MAKERS[kind]())
    assert 2 <= figure.how_to_read.count(". ") + 1 <= 5
    assert "not" in figure.how_to_read
    assert "Unit: " in figure.caption
    assert figure.control
    assert figure.png.startswith(b"\x89PNG")
    assert len(figure.png) < 40_000
    assert (figure.plotly is None) != (figure.viewer is None)


@pytest.mark.parametrize("kind", MAKERS)
def test_a_result_without_control_has_no_figure(kind: str) -> None:
    with pytest.raises(ResultError, match=r"no control.*(control=True|with its control)"):
        plot(_without_control(MAKERS[kind]()))


def test_an_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(ResultError, match=r"'nonsense'.*patch_sweep"):
        plot(dataclasses.replace(synthetic.patch_sweep(), kind="nonsense"))


def test_a_missing_variable_is_named() -> None:
    result = synthetic.patch_sweep()
    with pytest.raises(ResultError, match="recovered"):
        plot(dataclasses.replace(result, data=result.data.drop_vars("recovered")))


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


def test_the_palette_can_be_changed_where_there_is_a_sign() -> None:
    figure = plot(synthetic.patch_sweep(), palette="PuOr")
    assert figure.plotly.layout.coloraxis.colorscale[-1][1] == "#2d004b"
    assert "Purple" in figure.how_to_read
    with pytest.raises(InputError, match="no palette"):
        plot(synthetic.probe_by_layer(), palette="PuOr")


def test_a_label_for_every_place_is_demanded() -> None:
    with pytest.raises(ResultError, match="15 labels for 16 places"):
        plot(_with_labels(synthetic.HOSTILE[:-1]))


def _with_labels(labels: list[str]) -> Result:
    result = synthetic.patch_sweep()
    return dataclasses.replace(result, notes=result.notes | {"labels": labels})


def test_heads_above_the_threshold_are_marked() -> None:
    result = synthetic.head_scores()
    figure = plot(result)
    marks = [trace for trace in figure.plotly.data if trace.type == "scatter"]
    expected = int((result.data["score"] > result.data["threshold"]).sum())
    assert 0 < expected == sum(len(trace.x) for trace in marks)
    assert "previous token 0.2" in figure.caption


def test_probe_lines_differ_in_dash_as_well_as_in_colour() -> None:
    lines = [trace for trace in plot(synthetic.probe_by_layer()).plotly.data if trace.mode == "lines+markers"]
    assert len(lines) == 4
    assert len({line.line.dash for line in lines}) == len({line.line.color for line in lines}) == 4


def test_what_enters_the_first_block_is_called_embed() -> None:
    result = synthetic.probe_by_layer(4)
    shifted = dataclasses.replace(result, data=result.data.assign_coords(layer=[-1, 0, 1, 2]))
    axis = plot(shifted).plotly.layout.xaxis
    assert dict(zip(axis.tickvals, axis.ticktext, strict=True)) == {-1: "embed", 0: "0", 1: "1", 2: "2"}
    assert "embed: the residual stream before the first block." in plot(shifted).caption
    assert "embed" not in plot(result).caption


def test_a_colour_bar_has_a_title_that_fits_beside_its_row() -> None:
    figure = plot(synthetic.head_scores()).plotly
    titles = [axis.colorbar.title.text for axis in figure.select_coloraxes()]
    assert titles == ["weight"] * len(synthetic.head_scores().data["detector"])


def test_only_positions_and_words_say_whose_labels_they_have() -> None:
    captions = [
        plot(synthetic.patch_sweep(dim=dim, labels_are="the longest prompt's")).caption for dim in ("pos", "head")
    ]
    assert ["Labels are" in caption for caption in captions] == [True, False]


def test_attention_outside_its_range_is_refused() -> None:
    result = synthetic.attention()
    data = result.data.assign(pattern=result.data["pattern"] * 3)
    with pytest.raises(ResultError, match="not between 0 and 1"):
        plot(dataclasses.replace(result, data=data))


def test_attention_needs_a_string_per_position() -> None:
    result = synthetic.attention([["a", "b", "c"]])
    with pytest.raises(ResultError, match="length 3 and 2 token strings"):
        plot(dataclasses.replace(result, notes={"str_tokens": [["a", "b"]]}))


def test_encoders_keep_the_upper_triangle() -> None:
    assert plot(synthetic.attention(causal=False)).viewer["causal"] is False
    assert plot(synthetic.attention()).viewer["causal"] is True


def test_a_thousand_heads_fit() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 3, (1, 8, 16, 64, 64)).astype(np.float32)
    weights = np.tril(np.exp(logits))
    weights /= weights.sum(-1, keepdims=True)
    dims = ("prompt", "layer", "head", "dest_pos", "src_pos")
    data = xr.Dataset(
        {"pattern": (dims, weights), "control_pattern": (dims, weights), "length": ("prompt", [64])},
        {dim: np.arange(size) for dim, size in zip(dims, weights.shape, strict=True)},
    )
    result = dataclasses.replace(synthetic.attention(), data=data, notes={"str_tokens": [["a"] * 64]})
    packed = plot(result).viewer["prompts"][0]["trained"]
    assert len(packed) / 128 < 2_900, "bytes of base64 per head of 64 tokens"


def test_emergence_has_a_panel_for_each_kind_of_measure_and_step_0_on_its_axis() -> None:
    result = synthetic.emergence()
    figure = plot(result).plotly
    shown = [trace for trace in figure.data if trace.mode == "lines+markers"]
    lines = [trace for trace in figure.data if trace.mode == "lines"]
    assert [trace.xaxis for trace in shown] == ["x", "x2", "x3", "x3"]
    for place, (trace, line) in enumerate(zip(shown, lines, strict=True)):
        np.testing.assert_allclose(trace.y, result.data["value"].values[:, place])
        np.testing.assert_allclose(np.array(trace.x), result.data["step"].values + 1)
        np.testing.assert_allclose(trace.error_y.array, 0.02)
        np.testing.assert_allclose(trace.error_y.arrayminus, 0.01)
        assert set(line.y) == {result.data["value"].values[0, place]}
    assert len({(trace.line.dash, trace.marker.symbol) for trace in shown[2:]}) == 2
    assert figure.layout.xaxis.type == "log"
    assert (figure.layout.xaxis.tickvals[0], figure.layout.xaxis.ticktext[0]) == (1, "0")


def test_a_list_of_effects_has_the_largest_on_top_and_marks_what_exceeds_its_control() -> None:
    result = synthetic.effects()
    control, effect = plot(result).plotly.data
    assert effect.hovertext[0] == "L2 post [7]"
    assert "<img" not in "".join(effect.hovertext)
    sizes = np.abs(effect.x)
    assert (np.diff(sizes) <= 0).all()
    # The second cell is negative and far below its control, the fourth less than its control.
    assert list(effect.marker.symbol) == ["diamond", "circle", "diamond", "circle"]
    by_hand = result.data["effect"].values[2]
    assert (effect.x[0], effect.error_x.array[0], effect.error_x.arrayminus[0]) == pytest.approx((by_hand, 0.2, 0.1))
    assert control.x[0] == -0.1


def test_a_list_without_intervals_says_so() -> None:
    result = synthetic.effects()
    bare = dataclasses.replace(result, data=result.data.drop_vars(["effect_low", "effect_high"]))
    drawn = plot(bare)
    assert "Too few for an interval" in drawn.caption
    assert not np.any(drawn.plotly.data[1].error_x.array)


def test_direct_paths_to_one_receiver_each_layer_are_a_list() -> None:
    result = dataclasses.replace(
        synthetic.effects("direct_paths", "layer"), notes={"sender": "L0H1 z", "n_prompts": 12}
    )
    drawn = plot(result)
    assert drawn.title == "Direct paths from L0H1 z"
    assert drawn.plotly.data[1].hovertext[0].startswith("layer ")
