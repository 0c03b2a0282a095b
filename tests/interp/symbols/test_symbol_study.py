"""A model in which the emoji is the word, since its embedding is; and every measure worked out once by hand."""

import dataclasses

import numpy as np
import pytest
import torch

from interp.errors import InputError
from interp.languages.symbol_sets import Carrier, SymbolSet, read_symbol_sets
from interp.models import load_model, native
from interp.neurons.units import Neurons
from interp.plots import plot
from interp.results import Result
from interp.symbols import symbol_study
from interp.symbols.material import slots_of
from interp.symbols.reading import cosines, overlaps, shares_in_set
from interp.symbols.study import Against

N = 24
"""Concepts."""
WORDS = [f"thing{number}" for number in range(N)]
EMOJI = ["🧑‍🌾", "☁️", *(chr(0x1F400 + number) for number in range(N - 2))]
"""One with a joiner, one with a variation selector."""
HEBREW = ["".join(chr(0x05D0 + (7 * number + place) % 27) for place in range(3)) for number in range(N)]
"""Written from right to left."""
CARRIERS = (Carrier("we saw the {} again today"), Carrier("the {} was there"))
_REST = ["we", "saw", "the", "again", "today", "was", "there"]


def _sets() -> list[SymbolSet]:
    return [
        SymbolSet(word, {"word": word, "emoji": emoji, "hebrew": hebrew})
        for word, emoji, hebrew in zip(WORDS, EMOJI, HEBREW, strict=True)
    ]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The embedding of each emoji is set to that of its word; those of the Hebrew words are drawn apart."""
    vocabulary = [native.UNKNOWN, native.BOS, *WORDS, *EMOJI, *HEBREW, *_REST]
    settings = {
        "d_model": 32,
        "d_head": 16,
        "n_heads": 2,
        "n_layers": 2,
        "d_mlp": 64,
        "n_ctx": 10,
        "d_vocab": len(vocabulary),
        "act_fn": "gelu",
        "normalization_type": "RMS",
    }
    state = native.build(settings, seed=3).state_dict()
    state["tok_embed.weight"][2 + N : 2 + 2 * N] = state["tok_embed.weight"][2 : 2 + N]
    directory = tmp_path_factory.mktemp("symbols") / "planted"
    native.write_directory(directory, settings, state, vocabulary)
    return load_model(str(directory)), load_model(f"random:{directory}", seed=5)


@pytest.fixture(scope="module")
def result(models) -> Result:
    model, control = models
    chosen = Neurons(np.array([0, 0, 1]), np.array([1, 2, 3]))
    return symbol_study(model, _sets(), control=control, carriers=CARRIERS, neuron_sets={"some": chosen}, strongest=0.1)


def test_what_is_embedded_like_its_word_is_its_word_in_every_layer(result: Result) -> None:
    data = result.data.sel(form="emoji")
    np.testing.assert_allclose(data["cosine"], 1, atol=1e-5)
    np.testing.assert_allclose(data["overlap"], 1)
    np.testing.assert_allclose(data["after_change"], 0, atol=1e-6)
    assert (data["control_cosine"] < 0.9).all()
    assert (data["cosine_above_low"] > 0.1).all()
    assert (data["control_overlap"] < 0.9).all()
    np.testing.assert_allclose(result.data["lens"].sel(form="emoji"), result.data["lens"].sel(form="word"), atol=1e-5)


def test_what_is_embedded_apart_is_no_more_like_its_word_than_like_others(result: Result) -> None:
    data = result.data.sel(form="hebrew")
    assert (np.abs(data["cosine_above"]) < data["cosine_detectable"]).all()
    assert (data["cosine_detectable"] < 0.15).all(), "what the emoji has would have been seen, or this proves nothing"
    assert (np.abs(data["after_change"]) > 1e-4).all(), "another token does change what follows"


def test_random_weights_do_not_know_the_emoji(result: Result) -> None:
    random = result.data["control_random_cosine_above"].sel(form="emoji")
    assert (np.abs(random) < 0.2).all()
    assert (result.data["cosine_above"].sel(form="emoji") > 0.3).all()


def test_surprisal_and_the_change_after_it_are_the_models_own_losses(result: Result, models) -> None:
    model, _ = models
    tokens = {name: model.tokenizer.convert_tokens_to_ids(name) for name in [*WORDS, *HEBREW, *_REST]}
    surprisal, after = [], []
    for word, hebrew in zip(WORDS, HEBREW, strict=True):
        for before, rest in ((["we", "saw", "the"], ["again", "today"]), (["the"], ["was", "there"])):
            losses = []
            for symbol in (hebrew, word):
                ids = torch.tensor([[1, *(tokens[each] for each in [*before, symbol, *rest])]])
                log_probs = model(ids).log_softmax(-1)
                losses.append([-log_probs[0, i, ids[0, i + 1]].item() for i in range(ids.shape[1] - 1)])
            surprisal.append(losses[0][len(before)])
            after.append(np.mean(losses[0][len(before) + 1 :]) - np.mean(losses[1][len(before) + 1 :]))
    data = result.data.sel(form="hebrew")
    assert data["surprisal"].item() == pytest.approx(np.mean(surprisal), rel=1e-4)
    assert data["surprisal_per_token"].item() == pytest.approx(np.mean(surprisal), rel=1e-4)
    assert data["after_change"].item() == pytest.approx(np.mean(after), abs=1e-5)


def test_the_last_layer_of_the_lens_is_what_the_model_predicts(result: Result, models) -> None:
    model, _ = models
    expected = []
    for number in range(len(WORDS)):
        first = 2 + 3 * N
        for before in ([first, first + 1, first + 2], [first + 2]):
            ids = torch.tensor([[1, *before, 2 + 2 * N + number]])
            expected.append(model(ids).log_softmax(-1)[0, -1, 2 + number].item())
    assert result.data["lens"].sel(form="hebrew").values[-1] == pytest.approx(np.mean(expected), rel=1e-4)


def test_cosines_and_overlaps_by_hand() -> None:
    states = np.zeros((2, 2, 1, 1, 2), np.float32)
    states[0, :, 0, 0] = [[1, 0], [0, 2]]
    states[1, :, 0, 0] = [[3, 4], [0, -1]]
    np.testing.assert_allclose(cosines(states)[1, :, :, 0], [[0.6, 0.8], [0, -1]], atol=1e-6)
    strongest = np.zeros((2, 2, 1, 1, 4), bool)
    strongest[0, 0, 0, 0, [0, 1]] = strongest[0, 1, 0, 0, [2, 3]] = True
    strongest[1, 0, 0, 0, [0, 2]] = strongest[1, 1, 0, 0, [2, 3]] = True
    np.testing.assert_allclose(overlaps(strongest, 2)[1, :, :, 0], [[0.5, 0.5], [0, 1]])
    chosen = np.array([[True, False, False, True]])
    np.testing.assert_allclose(shares_in_set(strongest, chosen), [[0.5, 0.5], [0.5, 0.5]])


def test_neither_a_form_near_every_word_nor_a_word_near_every_form_is_a_match() -> None:
    form, word = np.array([5.0, 1.0, 0.0]), np.array([0.0, 2.0, 4.0])
    additive = (form[:, None] + word)[None, :, :, None]
    every = np.ones((3, 3), bool)
    above = Against.of(additive + 0.5 * np.eye(3)[None, :, :, None], every).above
    # By hand, first concept: own 5.5; with other words (7 + 9) / 2 = 8, other forms with it (1 + 0) / 2 = 0.5, the mean
    # of all six 4: expected 4.5. The means off the diagonal leave a concept out, so only the mean of all is exact.
    assert above[0, 0, 0] == pytest.approx(1.0)
    assert above.mean() == pytest.approx(0.5)
    shuffled = Against.of(additive, every).above
    assert shuffled.mean() == pytest.approx(0)


def test_words_that_begin_alike_are_not_each_others_control() -> None:
    values = np.arange(9.0).reshape(1, 3, 3, 1)
    counts = np.array([[True, False, True], [False, True, True], [True, True, True]])
    found = Against.of(values, counts).expected[:, 0, 0]
    # Forms: 2, 5, 6.5; words: 6, 7, 3.5; mean of both means 5.
    np.testing.assert_allclose(found, [2 + 6 - 5, 5 + 7 - 5, 6.5 + 3.5 - 5])
    with pytest.raises(InputError, match="cannot tell them apart"):
        Against.of(values, np.eye(3, dtype=bool))


def test_the_share_in_a_set_stands_beside_chance(result: Result) -> None:
    np.testing.assert_allclose(result.data["control_in_set"], 3 / 128)
    shares = result.data["in_set"].sel(set="some")
    assert ((shares >= 0) & (shares <= 3 / 12 + 1e-9)).all()
    assert float(shares.sel(form="emoji")) == float(shares.sel(form="word"))


def test_symbols_of_many_bytes_and_from_right_to_left_are_counted_by_byte_level_tokens() -> None:
    model = load_model("zoo:polyglot")
    sets = [
        SymbolSet("a", {"word": "dog", "joined": "🧑‍🌾", "hebrew": "כלב", "overridden": "\u202edog"}),
        SymbolSet("b", {"word": "cat", "joined": "👩‍💻", "hebrew": "חתול", "overridden": "\u202ecat"}),
    ]
    slots = slots_of(model, sets, CARRIERS)
    assert slots.n_bytes[:, 0].tolist() == [3, 11, 6, 6]
    assert (slots.n_tokens <= slots.n_bytes + 1).all()
    assert slots.n_tokens[0].max() <= 2
    assert slots.n_tokens[1].min() >= 4
    for row, (start, stop) in enumerate(zip(slots.start, slots.stop, strict=True)):
        form, concept, _ = np.unravel_index(row, slots.shape)
        text = model.tokenizer.decode(slots.batch.tokens[row, start:stop])
        assert text == f" {sets[concept].forms[slots.forms[form]]}"
        assert slots.batch.mask[row, stop], "the sentence goes on"


def test_a_result_is_saved_read_again_and_drawn(result: Result, tmp_path) -> None:
    again = Result.load(result.save(tmp_path / "symbols.result"))
    figure = plot(again)
    lines = [trace for trace in figure.plotly.data if trace.type == "scatter" and trace.name == "emoji"]
    np.testing.assert_allclose(lines[0].y, result.data["cosine_above"].sel(form="emoji"))
    assert f"{N} concepts in 2 sentences" in figure.caption
    assert "found four times in five" in figure.caption
    bare = dataclasses.replace(again, data=again.data.drop_vars(["in_set", "in_set_low", "in_set_high"]))
    assert "known sets" not in str(plot(bare).plotly.layout.annotations)


def test_what_cannot_be_compared_is_refused(models) -> None:
    model, control = models
    sets, wrong = _sets(), Neurons(np.array([2]), np.array([0]))
    with pytest.raises(InputError, match="own weights"):
        symbol_study(model, sets, control=model, carriers=CARRIERS)
    with pytest.raises(InputError, match="two concepts"):
        symbol_study(model, sets[:1], control=control, carriers=CARRIERS)
    unlike = SymbolSet("moon", {"word": "moon"})
    with pytest.raises(InputError, match="are not those of"):
        symbol_study(model, [*sets, unlike], control=control, carriers=CARRIERS)
    with pytest.raises(InputError, match="reaches past"):
        symbol_study(model, sets, control=control, carriers=CARRIERS, neuron_sets={"no": wrong})
    with pytest.raises(InputError, match="Expected some, and not all"):
        symbol_study(model, sets, control=control, carriers=CARRIERS, strongest=1.0)


@pytest.mark.slow
def test_the_polyglot_does_not_know_emoji_it_never_saw() -> None:
    result = symbol_study(load_model("zoo:polyglot"), read_symbol_sets(), control=load_model("random:zoo:polyglot"))
    emoji, nonsense, word = (result.data.sel(form=form) for form in ("emoji", "nonsense", "word"))
    assert float(emoji["n_tokens"]) == pytest.approx(float(nonsense["n_tokens"]), rel=0.2)
    assert float(word["surprisal_high"]) < float(emoji["surprisal_low"])
    assert (emoji["cosine_q"] > 0.05).all()
    assert (emoji["cosine_detectable"] < 0.04).all(), "a tenth of what the word has would have been seen"
    assert (word["cosine_above_low"] > 0.35).all()
