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
from tests.interp.plots.synthetic_probes import PROBE_MAKERS
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
    **PROBE_MAKERS,
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


def test_the_palette_can_be_changed_where_there_is_a_sign() -> None:
    figure = plot(synthetic.patch_sweep(), palette="PuOr")
    assert figure.plotly.layout.coloraxis.colorscale[-1][1] == "#2d004b"
    assert "Purple" in figure.how_to_read
    with pytest.raises(InputError, match="no palette"):
        plot(synthetic.probe_by_layer(), palette="PuOr")


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
