from interp.plots import plot
from tests.interp.plots.synthetic_heads import found_heads, weight_scores


def rings(figure) -> int:
    return sum(len(trace.x) for trace in figure.plotly.data if trace.type == "scatter")


def test_found_heads_carry_the_ring_where_the_result_knows_them() -> None:
    result = found_heads()
    figure = plot(result)
    expected = int(result.data["found"].sum())
    assert 0 < expected < int((result.data["score"] > result.data["threshold"]).sum())
    assert rings(figure) == expected
    assert "heads that are found: a p of at most 0.05, corrected over all heads" in figure.how_to_read
    assert "lies above: previous token 0.4" in figure.caption
    assert "q (false discovery rate)" in figure.plotly.data[0].hovertemplate


def test_results_of_earlier_versions_still_mark_the_threshold() -> None:
    result = found_heads()
    earlier = result.data.drop_vars(["found", "found_above", "q_fdr"])
    figure = plot(type(result)(**{**vars(result), "data": earlier}))
    assert rings(figure) == int((earlier["score"] > earlier["threshold"]).sum())
    assert "above the threshold" in figure.how_to_read
    assert "Threshold (corrected critical value of the control): previous token 0.2" in figure.caption


def test_weight_scores_have_a_sign_and_their_own_words() -> None:
    figure = plot(weight_scores())
    assert figure.title == "Weight scores"
    assert "copying" in figure.how_to_read
    assert "attention" not in figure.how_to_read
    copying, *others = (figure.plotly.layout[f"coloraxis{row}"] for row in range(1, 5))
    assert copying.cmin == -copying.cmax < 0
    assert [other.cmin for other in others] == [0, 0, 0]
    assert "(token pairs)" in figure.how_to_read
    assert "with tokens exchanged" in figure.plotly.data[0].hovertemplate
