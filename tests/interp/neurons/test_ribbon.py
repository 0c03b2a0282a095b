"""The token ribbon: numbers worked out by hand, planted neurons that show, and models of every family."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from interp.errors import InputError
from interp.languages import TaggedText
from interp.models import encode, load_model, str_tokens
from interp.neurons.labelled import label_tokens
from interp.neurons.masked import masked_losses
from interp.neurons.ribbon import token_ribbon
from interp.neurons.spelled import label_spelled, token_places
from interp.neurons.units import Neurons
from interp.results import Result
from tests.interp.neurons.planted_switches import PLANTED, aligned_sentences, planted_model
from tests.interp.plots.synthetic import HOSTILE

TREEBANK = TaggedText(
    ("Ders", "für", "sözlü", "sınav", ".", "!"),
    ("TR", "DE", "TR", "TR", "OTHER", "OTHER"),
    (True, True, True, False, False, False),
    "one",
)
"""As a treebank writes it: no space before a full stop."""


def _mixed(n: int) -> list[TaggedText]:
    rows = aligned_sentences(n, seed=3)
    texts = []
    for german, french in zip(rows["de"], rows["fr"], strict=True):
        first, second = german.split()[:7], french.split()[7:]
        texts.append(TaggedText((*first, *second), ("de",) * 7 + ("fr",) * len(second), (True,) * 30))
    return [TaggedText(text.words, text.languages, text.spaced[: len(text.words)]) for text in texts]


def _neurons(*pairs: tuple[int, int]) -> Neurons:
    layer, neuron = np.array(pairs).T
    return Neurons(layer, neuron)


@pytest.fixture(scope="module")
def planted() -> Result:
    chosen = Neurons(np.zeros(len(PLANTED), np.int64), PLANTED)
    return token_ribbon(planted_model(), _mixed(6), chosen, background=_mixed(20)[6:])


def test_planted_neurons_show_at_the_switch_and_random_ones_do_not(planted: Result) -> None:
    data = planted.data
    into = data["switch_z"].values[1:12:3]  # of the neurons that fire where French comes after something else
    assert (into > 3).all()
    assert into.mean() > 4 * np.abs(data["control_switch_z"].values).mean()
    there = np.flatnonzero(data["switch"].values)
    assert len(there) == 6
    assert set(data["language"].values[there]) == {"fr"}
    values = data["activation"].values[:, 1]
    assert values[there].min() > np.delete(values, there).max()


def test_surprisal_by_hand(tiny: Any) -> None:
    """Minus the log of what the softmax gives the token, one position before."""
    data = token_ribbon(tiny, [TREEBANK], _neurons((0, 1))).data
    ids = encode(tiny, TREEBANK.text)
    logits = tiny(torch.tensor(ids)[None])[0].double().numpy()
    weights = np.exp(logits - logits.max(1, keepdims=True))
    probability = (weights / weights.sum(1, keepdims=True))[np.arange(len(ids) - 1), ids[1:]]
    np.testing.assert_allclose(data["surprisal_nats"].values[1:], -np.log(probability), rtol=1e-5)
    assert np.isnan(data["surprisal_nats"].values[0])
    assert data["ran"].values.tolist() == [False] + [True] * (len(ids) - 1)
    assert "".join(data["str_token"].values[1:]).startswith("Ders f")


def test_activations_and_their_means_are_those_of_a_full_pass(tiny: Any) -> None:
    chosen = _neurons((2, 5), (0, 3), (2, 1))
    result = token_ribbon(tiny, [TREEBANK], chosen)
    data = result.data
    assert data["neuron"].values.tolist() == ["L0N3", "L2N1", "L2N5"]
    _, cache = tiny.run_with_cache(torch.tensor(encode(tiny, TREEBANK.text))[None])
    wanted = np.stack(
        [cache[f"blocks.{layer}.mlp.hook_post"][0, :, n].numpy() for layer, n in ((0, 3), (2, 1), (2, 5))]
    )
    np.testing.assert_allclose(data["activation"].values, wanted.T, atol=1e-5)
    usual = (data["language"].values != "") & ~data["switch"].values
    np.testing.assert_allclose(data["mean"].values, wanted[:, usual].mean(1), atol=1e-5)
    np.testing.assert_allclose(data["sd"].values, wanted[:, usual].std(1), atol=1e-5)
    at = data["switch"].values
    z = (wanted[:, at].mean(1) - data["mean"].values) / data["sd"].values
    np.testing.assert_allclose(data["switch_z"].values, z, atol=1e-4)
    assert not set(data["control_neuron"].values) & set(data["neuron"].values)
    assert [name[:2] for name in data["control_neuron"].values] == ["L0", "L2", "L2"]


def test_words_that_no_space_parts_have_their_own_tokens(tiny: Any) -> None:
    tokens = label_spelled(tiny, [TREEBANK])
    text = TREEBANK.text
    ids, places = token_places(tiny, text)
    for number, (start, stop) in enumerate(TREEBANK.spans):
        mine = np.flatnonzero(tokens.word[0] == number)
        assert places[mine, 1].max() == stop
        assert text[places[mine, 0].min() : stop].strip() == text[start:stop]
        assert tokens.place_in_word[0, mine].tolist() == list(range(len(mine)))
    assert tokens.word[0, 0] == -1
    assert len(ids) == int(tokens.batch.lengths[0])
    assert [tokens.word[0, place] for place in np.flatnonzero(tokens.switch[0])] == [1, 2]


def test_where_spaces_part_words_both_ways_of_labelling_agree(tiny: Any) -> None:
    texts = [
        TaggedText(tuple(line.split()), ("de",) * 16, (True,) * 16) for line in ("die Katze " * 8, "le chat. " * 8)
    ]
    texts.append(TaggedText(("un", "Hund", "dort"), ("fr", "de", "fr"), (True,) * 3))
    one, two = label_tokens(tiny, texts), label_spelled(tiny, texts)
    for name in ("language", "word", "place_in_word", "switch", "text"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    np.testing.assert_array_equal(one.batch.tokens, two.batch.tokens)
    assert one.languages == two.languages


@pytest.mark.parametrize("name", ["llama", "qwen3", "gemma3", "gpt_neox", "bert"])
def test_every_kind_of_model_has_a_ribbon(name: str, family_model: Callable[[str], Any]) -> None:
    model = family_model(name)
    data = token_ribbon(model, [TREEBANK], _neurons((0, 1), (1, 0))).data
    words = data["word"].values
    assert set(words) - {-1} == set(range(6))
    assert data["ran"].values[words > 0].all()
    assert (data["surprisal_nats"].values[words > 0] > 0).all()


def test_experts_that_share_a_hook_are_refused(family_model: Callable[[str], Any]) -> None:
    from interp.errors import SiteError

    with pytest.raises((SiteError, InputError)):
        token_ribbon(family_model("mixtral"), [TREEBANK], _neurons((0, 1)))


def test_an_encoders_surprisal_is_of_the_masked_token(family_model: Callable[[str], Any]) -> None:
    model = family_model("bert")
    tokens = label_spelled(model, [TREEBANK])
    losses = masked_losses(model, tokens.batch)[0]
    ids = tokens.batch.tokens[0]
    for place in (1, len(ids) - 2):
        masked = ids.copy()
        masked[place] = model.tokenizer.mask_token_id
        wanted = -model(torch.from_numpy(masked)[None])[0, place].log_softmax(-1)[ids[place]]
        assert losses[place] == pytest.approx(float(wanted), rel=1e-4)
    assert np.isnan(losses[[0, -1]]).all()


def test_tokens_are_kept_as_they_are(tiny: Any) -> None:
    text = "Hund </script><s> " + " ".join(HOSTILE[5:9]) + "\n\ttail"
    data = token_ribbon(tiny, [text], _neurons((0, 1)), languages=["en", "de"]).data
    ids = encode(tiny, text)
    assert data["str_token"].values.tolist() == str_tokens(tiny, ids)
    written = "".join(data["str_token"].values[1:]).encode().decode("unicode_escape").encode("latin-1")
    assert written.decode().startswith("Hund </script><s> 👩‍💻 سلام \n")


def test_random_weights_stand_beside_and_must_be_another_model(tiny: Any, family_directory: Callable) -> None:
    random = load_model(f"random:{family_directory('gpt2')}", seed=5)
    result = token_ribbon(tiny, [TREEBANK], _neurons((0, 1)), random_weights=random)
    mine, other = (result.data[name].values[1:] for name in ("surprisal_nats", "control_surprisal_nats"))
    assert np.isfinite(other).all()
    assert not np.allclose(mine, other)
    assert len(result.baselines) == 4
    with pytest.raises(InputError, match="own weights"):
        token_ribbon(tiny, [TREEBANK], _neurons((0, 1)), random_weights=tiny)


def test_a_saved_ribbon_comes_back(planted: Result, tmp_path: Any) -> None:
    again = Result.load(planted.save(tmp_path / "ribbon.safetensors"))
    assert again.data.equals(planted.data)
    assert again.to_dataframe("str_token")["str_token"].tolist() == planted.data["str_token"].values.tolist()


def test_what_cannot_be_shown_is_refused(tiny: Any) -> None:
    with pytest.raises(InputError, match=r"L9N0.*layers below 3"):
        token_ribbon(tiny, [TREEBANK], _neurons((9, 0)))
    with pytest.raises(InputError, match="Give languages="):
        token_ribbon(tiny, ["Der Hund"], _neurons((0, 0)))
    with pytest.raises(InputError, match="No texts"):
        token_ribbon(tiny, [], _neurons((0, 0)))
    silent = TaggedText(("?",), ("OTHER",), (True,))
    with pytest.raises(InputError, match="Expected two or more"):
        token_ribbon(tiny, [silent], _neurons((0, 0)))
