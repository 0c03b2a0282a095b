import dataclasses

import numpy as np
import pytest

from interp.errors import ResultError
from interp.plots import plot
from tests.interp.plots.synthetic_sink_tests import DOMAIN, sink_tests


def traces(name: str, axis: str) -> list:
    return [trace for trace in plot(sink_tests()).plotly.data if trace.name == name and (trace.xaxis or "x") == axis]


def notes_in(figure, axis: str) -> list[str]:
    return [note.text for note in figure.layout.annotations if note.yref == axis]


def test_rows_are_sorted_by_what_exceeds_the_control_and_heads_have_a_scale_of_their_own() -> None:
    figure = plot(sink_tests()).plotly
    assert list(figure.layout.yaxis.ticktext) == [
        "mask key 0",
        "zero v₀, attention kept",
        "random tokens",
        "massive dimensions: mean",
    ]
    assert [label.split(" ")[0] for label in figure.layout.yaxis3.ticktext] == ["L0H1", "L1H2"]
    (effect,), (control,) = traces("effect", "x"), traces("control", "x")
    np.testing.assert_allclose(effect.x[:2], [1.1, 0.09])
    np.testing.assert_allclose(control.x[:2], [0.02, 0.03])
    np.testing.assert_allclose(effect.error_x.array[:2], 0.015)
    assert np.isnan(effect.x[2:]).all(), "what was not run is not drawn as a zero"
    assert effect.marker.symbol != control.marker.symbol, "not told apart by colour alone"


def test_attention_is_drawn_before_and_after_and_for_heads_their_own() -> None:
    (before,), (after,), (control,) = (traces(name, "x2") for name in ("attention before", "effect", "control"))
    np.testing.assert_allclose(before.x[:3], 0.6)
    np.testing.assert_allclose(after.x[:3], [0.0, 0.6, 0.55])
    np.testing.assert_allclose(control.x[:3], 0.7)
    assert np.isnan(before.x[3])
    (own,), (others,) = traces("effect", "x4"), traces("control", "x4")
    np.testing.assert_allclose(own.x, [0.5, 0.97])
    np.testing.assert_allclose(others.x, [0.3, 0.2])


def test_differences_are_written_bold_where_they_are_told_from_zero() -> None:
    figure = plot(sink_tests()).plotly
    assert notes_in(figure, "y") == [
        "<b>+1.080 [1.065, 1.095]</b>",
        "+0.060 [0.045, 0.075]",
        "<i>attention only</i>",
        "<i>not run</i>",
    ]
    assert notes_in(figure, "y3") == ["-0.020 [-0.035, -0.005]", "<b>-0.040 [-0.055, -0.025]</b>"]


def test_rows_without_a_change_say_why() -> None:
    (crosses,) = traces("no change", "x")
    assert crosses.x.tolist() == [0.0, 0.0]
    assert crosses.y.tolist() == [2, 3]
    assert "other tokens have another loss" in crosses.hovertext[0]
    assert "<i>not run</i><br>the mean is what stands there already" in crosses.hovertext[1]
    figure = plot(sink_tests())
    assert "Not run: massive dimensions: mean." in figure.caption
    assert "24 prompts of 12 to 26 tokens, with BOS." in figure.caption


def test_a_box_holds_edit_control_attention_and_budgets_and_no_name_is_markup() -> None:
    (effect,) = traces("effect", "x")
    box = effect.hovertext[0]
    assert box.startswith("<b>mask_key</b><br>edit: edit of mask_key<br>")
    assert "control: another edit" in box
    assert "attention to the first token: 0.600, then 0.000 (control 0.700)" in box
    assert "edited: 0.6 against 0.4 (attention weight)" in box
    assert "24 prompts" in box
    figure = plot(sink_tests()).plotly
    for text in [*figure.layout.yaxis3.ticktext, *traces("effect", "x3")[0].hovertext]:
        assert "<b>fr" not in text
        assert "</script>" not in text
    assert DOMAIN not in str(figure.layout)


def test_a_battery_without_domains_has_one_block_and_one_without_signs_needs_no_p() -> None:
    result = sink_tests()
    data = result.data.isel(test=slice(0, 4)).drop_vars(["p", "q_fdr"])
    figure = plot(dataclasses.replace(result, data=data)).plotly
    assert "yaxis3" not in figure.layout
    with pytest.raises(ResultError, match="control_sink_after"):
        plot(dataclasses.replace(result, data=data.drop_vars("control_sink_after")))
