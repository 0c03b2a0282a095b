import pytest

from interp.errors import InputError, ResultError
from interp.plots.circuitsvis import attention_heads
from tests.interp.plots import synthetic


def test_the_heads_of_one_layer_with_their_names() -> None:
    result = synthetic.attention()
    figure = attention_heads(result, prompt=1, layer=2)
    props = figure.viewer["props"]
    assert props["attentionHeadNames"] == ["L2H0", "L2H1", "L2H2", "L2H3"]
    assert props["tokens"][1] == "·upon"
    expected = float(result.data["pattern"].values[1, 2, 3, 4, 1])
    assert props["attention"][3][4][1] == pytest.approx(expected, abs=1e-5)


def test_no_token_is_markup() -> None:
    tokens = attention_heads(synthetic.attention()).viewer["props"]["tokens"]
    assert not any(set("<>\n ") & set(token) for token in tokens)
    assert tokens[3] == "‹s›"


def test_more_than_circuitsvis_draws_is_refused_with_a_way_out() -> None:
    with pytest.raises(InputError, match=r"13 heads by 2 tokens.*interp\.plots\.plot"):
        attention_heads(synthetic.attention([["a", "b"]], n_heads=13))
    with pytest.raises(InputError, match="2 heads by 129 tokens"):
        attention_heads(synthetic.attention([["a"] * 129], n_layers=1, n_heads=2))


def test_what_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="no prompt 7"):
        attention_heads(synthetic.attention(), prompt=7)
    with pytest.raises(InputError, match="layer 9"):
        attention_heads(synthetic.attention(), layer=9)
    with pytest.raises(ResultError, match="lacks"):
        attention_heads(synthetic.head_scores())
