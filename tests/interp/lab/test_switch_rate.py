"""The closed form by hand, and a model whose probabilities are set by hand measured against it."""

import dataclasses

import numpy as np
import pytest
import torch

from interp.errors import InputError
from interp.lab.fit_of_the_word import fit_of_the_word
from interp.lab.switch_rate import TEMPERATURES, Choice, choice_from_text, closed_form, share_of_other, switch_rate
from interp.models import load_model, native
from interp.plots import plot
from interp.results import Result

SIZES, EPSILON = (1, 2, 4, 8, 16), 0.15
N_CONTEXTS = 4
"""Contexts of each number of synonyms: each has its own words."""


@pytest.mark.parametrize(
    ("n", "temperature", "expected"),
    [
        # .15^2 / (.15^2 + 8 (.85/8)^2) = .0225 / (.0225 + .0903125)
        (8, 0.5, 0.19945),
        (16, 0.3, 0.6651),
        (1, 0.5, 0.03020),
        (2, 0.5, 0.05863),
        (4, 0.3, 0.0730),
        (8, 0.3, 0.2834),
        (16, 0.5, 0.33256),
        (4, 0.0, 0.0),
        (5, 0.0, 0.0),
        (6, 0.0, 1.0),
        (16, 0.0, 1.0),
    ],
)
def test_the_closed_form_by_hand(n: int, temperature: float, expected: float) -> None:
    assert float(closed_form(n, temperature, EPSILON)) == pytest.approx(expected, abs=6e-4 * (expected not in (0, 1)))


def test_at_temperature_one_the_fit_does_not_matter() -> None:
    np.testing.assert_allclose(closed_form(np.array(SIZES), 1.0, EPSILON), EPSILON)


def test_the_limit_at_zero_is_a_limit_and_a_tie_is_shared() -> None:
    np.testing.assert_allclose(closed_form(np.array(SIZES), 1e-3, EPSILON), [0, 0, 0, 1, 1], atol=1e-12)
    assert float(closed_form(3, 0.0, 0.25)) == pytest.approx(0.25)
    assert float(closed_form(2, 0.0, 0.5, n_other=2)) == pytest.approx(0.5)


def test_several_words_of_the_other_language_are_each_less_probable() -> None:
    # Two words of .1 against two of .4: .02 / (.02 + .32)
    assert float(closed_form(2, 0.5, 0.2, n_other=2)) == pytest.approx(0.02 / 0.34)


@pytest.mark.parametrize(("n", "temperature", "epsilon"), [(0, 1.0, 0.1), (1, -1.0, 0.1), (1, 1.0, 0.0), (1, 1.0, 1.0)])
def test_numbers_that_mean_nothing_are_refused(n: int, temperature: float, epsilon: float) -> None:
    with pytest.raises(InputError, match="epsilon"):
        closed_form(n, temperature, epsilon)


def test_ties_at_zero_are_shared_by_the_words_that_tie() -> None:
    assert share_of_other(np.log([0.3, 0.2, 0.3]), 2, 0.0) == 0.5
    assert share_of_other(np.log([0.3, 0.2, 0.1]), 2, 0.0) == 0.0


def _planted(directory, *, flip: bool = False):
    """A model that says exactly what is set: its logits are a row of the embedding, chosen by the last token.

    Tokens: contexts, then each context's words, the other language's last.
    """
    n_words = [n for n in SIZES for _ in range(N_CONTEXTS)]
    first = len(n_words) + np.cumsum([0, *(n + 1 for n in n_words)])
    d_vocab = int(first[-1]) + 1
    settings = {
        "d_model": d_vocab,
        "d_head": 2,
        "n_heads": 1,
        "n_layers": 1,
        "n_ctx": 4,
        "d_vocab": d_vocab,
        "attn_only": True,
        "normalization_type": None,
        "positional_embedding_type": "rotary",
    }
    state = {name: torch.zeros_like(of) for name, of in native.build(settings).state_dict().items()}
    state["head.weight"] = torch.eye(d_vocab)
    table = torch.full((d_vocab, d_vocab), -20.0)
    choices = []
    for context, (n, start) in enumerate(zip(n_words, first, strict=False)):
        # The concept has half of the mass, the rest lies elsewhere: shares must not depend on it.
        said = 1 - EPSILON if flip else EPSILON
        table[context, start : start + n] = float(np.log(0.5 * (1 - said) / n))
        table[context, start + n] = float(np.log(0.5 * said))
        table[context, -1] = float(np.log(0.5))
        home = tuple((int(start) + i,) for i in range(n))
        choices.append(Choice(np.array([context]), home, ((int(start) + n,),)))
    state["tok_embed.weight"] = table
    words = [*(f"w{i}" for i in range(d_vocab - 1)), native.UNKNOWN]
    native.write_directory(directory, settings, state, words)
    return str(directory), choices


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    name, choices = _planted(tmp_path_factory.mktemp("planted") / "model")
    return load_model(name), load_model(f"random:{name}"), choices


@pytest.fixture(scope="module")
def result(planted) -> Result:
    model, control, choices = planted
    return fit_of_the_word(model, choices, control=control, epsilon=EPSILON)


def test_a_calibrated_model_is_measured_as_the_closed_form_says(planted) -> None:
    model, _, choices = planted
    found = switch_rate(model, choices)
    n = np.array([len(choice.home) for choice in choices])
    for temperature, share in zip(TEMPERATURES, found.share, strict=True):
        np.testing.assert_allclose(share, closed_form(n, temperature, EPSILON), atol=1e-6)
    np.testing.assert_allclose(found.fitting, 0.5, atol=1e-5)
    assert not found.greedy.any(), "the token elsewhere is the most probable of all"


def test_the_result_holds_rate_prediction_and_controls(result: Result) -> None:
    data = result.data
    np.testing.assert_allclose(data["share"], data["predicted"], atol=1e-6)
    assert data["share"].sel(n_words=8, temperature=0.5).item() == pytest.approx(0.199, abs=5e-4)
    assert (data["share_low"] <= data["share"] + 1e-9).all()
    assert (data["share"] <= data["share_high"] + 1e-9).all()
    assert data["n"].values.tolist() == [N_CONTEXTS] * len(SIZES)
    at_zero = data.sel(temperature=0.0)
    assert float(at_zero["share_high"].sel(n_words=1)) > 0.4, "nothing in four is no proof of never"
    assert result.baselines["switches greedily from n"] == pytest.approx(5.667, abs=1e-3)


def test_the_fit_dealt_out_anew_is_flat(result: Result) -> None:
    real, dealt = (result.data[name].sel(temperature=0.3) for name in ("share", "control_shuffled"))
    assert float(real.max() - real.min()) > 0.6, "the effect must be there, or this proves nothing"
    assert float(dealt.max() - dealt.min()) < 0.03


def test_without_an_epsilon_the_models_own_share_at_one_is_taken(planted) -> None:
    model, control, choices = planted
    found = fit_of_the_word(model, choices, control=control)
    assert found.notes["epsilon"] == pytest.approx(EPSILON, abs=1e-6)
    with pytest.raises(InputError, match="leave out 1"):
        fit_of_the_word(model, choices, control=control, temperatures=[0.5])


def test_frequencies_alone_are_a_control(planted) -> None:
    model, control, choices = planted
    frequent = np.zeros(len(model.original_model.tok_embed.weight))
    for choice in choices:
        for word in choice.home:
            frequent[word[0]] = 9_999.5 / len(choice.home) - 0.5 * (1 - 1 / len(choice.home))
        frequent[choice.other[0][0]] = 9_999.5
    found = fit_of_the_word(model, choices, control=control, epsilon=EPSILON, unigram=frequent)
    expected = closed_form(np.array(SIZES), 0.5, 0.5)
    np.testing.assert_allclose(found.data["control_unigram"].sel(temperature=0.5), expected, atol=1e-3)


def test_a_word_of_several_tokens_has_the_product_of_their_chances(tiny) -> None:
    context, home, other = np.array([3, 5]), ((7,), (8, 9)), ((10, 11, 12),)
    found = switch_rate(tiny, [Choice(context, home, other)], temperatures=[1.0])
    logits = tiny(torch.tensor([[3, 5, 8, 9], [3, 5, 10, 11]])).double().log_softmax(-1)
    by_hand = np.exp(
        [logits[0, 1, 7], logits[0, 1, 8] + logits[0, 2, 9], logits[1, 1, 10] + logits[1, 2, 11] + logits[1, 3, 12]]
    )
    assert found.share[0, 0] == pytest.approx(by_hand[2] / by_hand.sum(), rel=1e-5)
    assert found.fitting[0] == pytest.approx(by_hand.sum(), rel=1e-5)


def test_a_choice_is_read_with_the_models_own_tokenizer() -> None:
    model = load_model("zoo:polyglot")
    choice = choice_from_text(model, "Le soir, il", [" mange", " dort"], [" eats"])
    assert choice.context[0] == model.tokenizer.bos_token_id
    assert model.tokenizer.decode(choice.home[1]) == " dort"
    assert 0 < switch_rate(model, [choice]).share[0, 0] < 0.5


@pytest.mark.parametrize(
    ("home", "other"), [((), ((1,),)), (((1,),), ()), (((1,),), ((1,),)), (((1, 2),), ((1,),)), (((),), ((1,),))]
)
def test_words_whose_chances_overlap_or_are_missing_are_refused(home: tuple, other: tuple) -> None:
    with pytest.raises(InputError, match=r"Expected at least one|overlap"):
        Choice(np.array([0]), home, other)


def test_what_cannot_have_an_interval_or_is_no_control_is_refused(planted) -> None:
    model, control, choices = planted
    with pytest.raises(InputError, match="two or more"):
        fit_of_the_word(model, choices[:1], control=control)
    with pytest.raises(InputError, match="own weights"):
        fit_of_the_word(model, choices, control=model)
    with pytest.raises(InputError, match="at least one"):
        switch_rate(model, [])


def test_the_figure_draws_closed_form_and_marks(result: Result) -> None:
    figure = plot(result)
    marks = [trace for trace in figure.plotly.data if trace.name == "T 0.3"]
    np.testing.assert_allclose(marks[0].y, result.data["share"].sel(temperature=0.3))
    np.testing.assert_allclose(marks[0].customdata[:, 2], result.data["predicted"].sel(temperature=0.3))
    assert "epsilon 0.15" in figure.caption
    bare = dataclasses.replace(result, data=result.data.drop_vars("control_shuffled_low"))
    assert plot(bare).plotly is not None
