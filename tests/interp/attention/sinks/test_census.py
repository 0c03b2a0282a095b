"""The census on models: planted sinks and spikes are found, random weights have none, every family can be read."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import GPT2LMHeadModel

from interp.attention import attention_patterns, sink_census
from interp.attention.sinks import SinkCensus, stream, vectors
from interp.attention.sinks.token_classes import token_classes
from interp.errors import InputError
from interp.models import encode, facts, load_model
from interp.prompts import TokenBatch
from interp.run import capture
from interp.sites import Site
from tests import families

TEXT = " ".join(families.SENTENCES)
SPIKE_LAYER, NEURON, DIMENSION = 1, 21, 7
ODD = ("gpt2", "gemma3", "gpt_oss", "bert")
"""Families that differ most in what their patterns are: plain, windowed, with learned sinks, bidirectional."""
EVERY = [pytest.param(name, marks=[] if name in ODD else [pytest.mark.slow]) for name in families.FAMILIES]


def texts(model: Any, n: int = 4, lengths: tuple[int, ...] = (26, 22, 30, 19)) -> TokenBatch:
    """Texts that begin as the model wants and end after so many tokens."""
    ids = encode(model, TEXT)
    start = ids[:1] if facts(model).bos else ids[:0]
    body = ids[len(start) :]
    return TokenBatch.of([np.r_[start, body[5 * i : 5 * i + lengths[i % 4] - len(start)]] for i in range(n)])


def words(low: int, high: int, n: int, seed: int = 0) -> list[np.ndarray]:
    """Sequences of the sink models: BOS, then words between two ids."""
    rng = np.random.default_rng(seed)
    return [np.r_[1, rng.integers(low, high, 31)] for _ in range(n)]


@pytest.fixture(scope="session")
def sink_models() -> tuple[Any, Any]:
    return load_model("zoo:sink-softmax-0"), load_model("random:zoo:sink-softmax-0", seed=1)


@pytest.fixture(scope="session")
def control_of(family_directory: Callable[[str], Path]) -> Callable[[str], Any]:
    made: dict[str, Any] = {}
    return lambda name: made.setdefault(name, load_model(f"random:{family_directory(name)}", seed=3))


@pytest.fixture(scope="session")
def census_of(
    family_model: Callable[[str], Any], control_of: Callable[[str], Any]
) -> Callable[[str], tuple[Any, TokenBatch, SinkCensus]]:
    made: dict[str, Any] = {}

    def census(name: str) -> tuple[Any, TokenBatch, SinkCensus]:
        if name not in made:
            model = family_model(name)
            batch = texts(model)
            made[name] = model, batch, sink_census(model, batch, control_of(name), n_detailed=3)
        return made[name]

    return census


def test_a_trained_sink_is_found_and_random_weights_have_none(sink_models: tuple[Any, Any]) -> None:
    census = sink_census(sink_models[0], TokenBatch.of(words(2, 130, 6)), sink_models[1])
    heads = census.heads.data
    assert heads["first"].item() > 0.98
    assert heads["first_low"].item() <= heads["first"].item() <= heads["first_high"].item()
    assert heads["sink_share"].item() == 1
    assert heads["control_sink_share"].item() == 0
    assert heads["control_alpha"].item() < 0.2
    assert heads["entropy"].item() < 0.2
    epsilons = census.epsilons.data.sel(epsilon=[0.3, 0.8], method="nearest")
    assert epsilons["overall"].values.tolist() == [1, 1]
    assert epsilons["control_overall"].values.tolist() == [0, 0]
    assert census.values.data["written_ratio"].item() < 0.3 < census.values.data["control_written_ratio"].item()
    assert census.neurons is None
    assert census.classes.data.sel(token_class="bos")["weight"].item() == pytest.approx(heads["first"].item())
    assert len(census.results) == 10


def test_a_head_that_rests_on_one_domain_only_is_told_from_one_that_does_not(sink_models: tuple[Any, Any]) -> None:
    contents, triggers = words(2, 130, 8), words(130, 258, 8)
    labels = ["contents"] * 8 + ["triggers"] * 8
    told = sink_census(sink_models[0], TokenBatch.of([*contents, *triggers]), sink_models[1], domains=labels).domains
    assert "shuffled" in told.notes["control"]
    assert told is not None
    first = told.data["first"].values.ravel()
    assert first[0] > 0.98
    assert first[1] < 0.05
    assert told.data["p_corrected"].item() < 0.01
    assert told.data["control_spread"].item() < 0.5 * told.data["spread"].item()
    few = sink_census(sink_models[0], TokenBatch.of([*contents, *triggers]), sink_models[1], n_detailed=4)
    assert few.values.data["first"].item() == pytest.approx(first.mean(), abs=0.02), "two of each domain"
    alike = TokenBatch.of(words(2, 130, 16))
    same = sink_census(sink_models[0], alike, sink_models[1], domains=labels).domains
    assert same is not None
    assert same.data["p_corrected"].item() > 0.05


@pytest.fixture(scope="module")
def spiked(family_directory: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A GPT-2 of which one neuron, open at position 0 alone, writes a spike into one dimension."""
    directory = tmp_path_factory.mktemp("spiked")
    model = GPT2LMHeadModel.from_pretrained(family_directory("gpt2"))
    with torch.no_grad():
        model.transformer.wpe.weight[0, 3] += 60
        block = model.transformer.h[SPIKE_LAYER]
        block.ln_2.weight.fill_(1)
        block.mlp.c_fc.weight[:, NEURON] = 0
        block.mlp.c_fc.weight[3, NEURON] = 5
        block.mlp.c_fc.bias[NEURON] = -20
        block.mlp.c_proj.weight[NEURON] = 0
        block.mlp.c_proj.weight[NEURON, DIMENSION] = 2000
    model.save_pretrained(directory)
    families.build_tokenizer("gpt2").save_pretrained(directory)
    return load_model(str(directory))


def test_a_planted_spike_is_found_with_its_place_and_its_neuron(spiked: Any, control_of: Callable[[str], Any]) -> None:
    census = sink_census(spiked, texts(spiked), control_of("gpt2"))
    top = census.spikes.data.sel(rank=1)
    assert top["massive"].values.tolist() == [0, 0, 1, 1]
    assert top["control_massive"].values.tolist() == [0, 0, 0, 0]
    after = top.sel(layer=SPIKE_LAYER)
    assert (after["top_pos"].item(), after["top_dimension"].item()) == (0, DIMENSION)
    assert after["top_pos_share"].item() == after["top_dimension_share"].item() == 1
    assert after["ratio"].item() > 1000
    assert census.neurons is not None
    assert (census.neurons.notes["spike_layer"], census.neurons.notes["spike_neuron"]) == (SPIKE_LAYER, NEURON)
    writer = census.neurons.data.sel(layer=SPIKE_LAYER, rank=1)
    assert writer["written"].item() > 100 * max(writer["others"].item(), writer["control_written"].item())
    assert census.secondary.notes["sink_window"][0] == SPIKE_LAYER
    assert int(census.neurons.data["growth"].values.argmax()) == SPIKE_LAYER
    assert census.spike_map.notes["after_layer"] in (SPIKE_LAYER, SPIKE_LAYER + 1)
    assert census.spike_map.data["magnitude"].argmax(...)["pos"].item() == 0
    assert census.spike_map.data["dimension"].values[0] == DIMENSION
    depth = census.depth.data["value"].sel(layer=SPIKE_LAYER)
    assert depth.sel(measure="matrix entropy").item() < 0.05
    assert depth.sel(measure="matrix entropy without the first token").item() > 0.3


@pytest.mark.parametrize("name", EVERY)
def test_streamed_numbers_equal_those_of_kept_patterns(
    name: str, census_of: Callable[[str], Any], control_of: Callable[[str], Any]
) -> None:
    model, batch, census = census_of(name)
    kept = attention_patterns(model, batch, control_of(name)).data["pattern"].values.astype(float)
    first = np.stack([kept[i, ..., 1:length, 0].mean(-1) for i, length in enumerate(batch.lengths)])
    np.testing.assert_allclose(census.heads.data["first"], first.mean(0), atol=1e-6)
    causal, shortest = census.heads.notes["causal"], batch.lengths.min()
    alpha = np.stack(
        [kept[i, ..., : shortest if causal else length, 0].mean(-1) for i, length in enumerate(batch.lengths)]
    )
    np.testing.assert_allclose(census.heads.data["alpha"], alpha.mean(0), atol=1e-6)
    np.testing.assert_allclose(census.heads.data["sink_share"], (alpha > 0.3).mean(0), atol=1e-6)
    sums = np.stack([kept[i, ..., 1:length, :].sum(-1).mean(-1) for i, length in enumerate(batch.lengths)])
    np.testing.assert_allclose(census.heads.data["learned"], (1 - sums).mean(0), atol=1e-6)
    np.testing.assert_allclose(census.classes.data["weight"].sum("token_class"), sums.mean(0), atol=1e-6)
    np.testing.assert_allclose(census.distances.data["weight"].sum("distance"), sums.mean(0), atol=1e-6)
    by_layer = census.epsilons.data["sink_share"].sel(epsilon=0.3, method="nearest")
    np.testing.assert_allclose(by_layer, (alpha > 0.3).mean((0, 2)), atol=1e-6)


@pytest.mark.parametrize("name", EVERY)
def test_every_family_has_every_result_that_its_parts_allow(name: str, census_of: Callable[[str], Any]) -> None:
    _, _, census = census_of(name)
    experts = name in ("mixtral", "gpt_oss")
    assert (census.neurons is None) == experts
    assert ("cos_first" in census.values.data) == (not experts)
    assert all(result.has_control for result in census.results)
    assert all(str(census.heads.notes["n_tokens"]) in result.method for result in census.results)
    assert census.heads.notes["causal"] == (name != "bert")
    assert ("learned_sinks", name == "gpt_oss") in census.heads.notes.items()
    assert (census.heads.data["learned"].max().item() > 0.05) == (name == "gpt_oss")


def test_encoders_have_their_own_classes_of_token(census_of: Callable[[str], Any]) -> None:
    _, batch, census = census_of("bert")
    assert {"cls", "other", "punctuation"} <= set(census.classes.data["token_class"].values)
    cls = census.classes.data["weight"].sel(token_class="cls")
    np.testing.assert_allclose(cls, census.heads.data["first"], atol=1e-7)
    assert len(census.keys.data["pos"]) == batch.lengths.min()


def test_learned_sinks_take_what_their_logit_says(
    family_model: Callable[[str], Any], census_of: Callable[[str], Any]
) -> None:
    model, batch, census = census_of("gpt_oss")
    layer, found = 1, []  # full attention
    scores = capture(model, batch, [Site(layer, "attn_scores")])[Site(layer, "attn_scores")]
    sinks = model.blocks[layer].attn.original_component.sinks
    for prompt, length in zip(scores, batch.lengths, strict=True):
        lse = (
            prompt[:, :length, :length].masked_fill(torch.ones(length, length).triu(1).bool(), -torch.inf).logsumexp(-1)
        )
        found.append(torch.sigmoid(sinks[:, None] - lse)[:, 1:].mean(1))
    expected = torch.stack(found).mean(0).detach().numpy()
    np.testing.assert_allclose(census.heads.data["learned"].sel(layer=layer), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["gpt2", "qwen3", "gpt_neox", "bert"])
def test_turned_queries_and_keys_make_the_pattern(name: str, family_model: Callable[[str], Any]) -> None:
    model = family_model(name)
    batch = texts(model, 1)
    kept = capture(model, batch, [Site(1, kind) for kind in ("q", "k", "pattern")])
    turns = vectors.turns(model)
    assert turns is not None
    q, k = (turn(kept[Site(1, kind)][0]) for turn, kind in zip(turns[1], "qk", strict=True))
    k = k.repeat_interleave(q.shape[1] // k.shape[1], 1)
    scores = torch.einsum("qhd,khd->hqk", q, k) * q.shape[-1] ** -0.5
    if name != "bert":
        scores = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), -torch.inf)
    torch.testing.assert_close(scores.softmax(-1), kept[Site(1, "pattern")][0], atol=1e-5, rtol=1e-4)
    split = vectors.reduce_queries_and_keys(q, k)
    cosine = torch.nn.functional.cosine_similarity(q[:, None], k[None], dim=-1)
    torch.testing.assert_close(split["cos_first"], cosine[1:, 0].mean(0), atol=1e-6, rtol=1e-4)
    others = [cosine[i, 1 : i + 1].mean(0) for i in range(1, len(q))]
    torch.testing.assert_close(split["cos_others"], torch.stack(others).mean(0), atol=1e-6, rtol=1e-4)


def test_values_are_compared_behind_w_o(family_model: Callable[[str], Any]) -> None:
    model = family_model("llama")
    v = capture(model, texts(model, 1), [Site(0, "v")])[Site(0, "v")][0]
    found = vectors.reduce_values(v, vectors.written_gram(model, 0))
    written = torch.einsum("phd,hdm->phm", v.repeat_interleave(2, 1), model.blocks[0].attn.W_O).norm(dim=-1)
    torch.testing.assert_close(found["written_ratio"], written[0] / written[1:].mean(0))
    lengths = v.norm(dim=-1).repeat_interleave(2, 1)
    torch.testing.assert_close(found["value_ratio"], lengths[0] / lengths[1:].mean(0))


@pytest.mark.parametrize("name", ["gpt2", "bert"])
def test_neither_padding_nor_batches_change_a_number(
    name: str, census_of: Callable[[str], Any], control_of: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, batch, census = census_of(name)
    other = TokenBatch(np.where(batch.mask, batch.tokens, 17), batch.mask)
    monkeypatch.setattr(stream, "PATTERN_BYTES", 4 * 4 * batch.tokens.shape[1] ** 2 + 1)
    assert stream.rows_at_once(model, batch) == 1
    again = sink_census(model, other, control_of(name), n_detailed=3)
    for before, after in zip(census.results, again.results, strict=True):
        for variable, values in before.data.items():
            np.testing.assert_allclose(
                values, after.data[variable], atol=2e-5, rtol=1e-4, err_msg=f"{before.kind} {variable}"
            )


def test_tokens_are_sorted_into_classes(tiny: Any) -> None:
    ids = encode(tiny, "The cat. \n ?! end")
    batch = TokenBatch.of([ids, ids[:3]])
    classes = token_classes(tiny, batch)
    names = [classes.names[number] for number in classes.numbers[0]]
    assert names[0] == "bos"
    assert {"bos", "punctuation", "newline", "other"} == set(names)
    assert (classes.numbers[1, 3:] == classes.numbers[1, 0]).all()


def test_what_cannot_be_counted_is_refused(tiny: Any, control_of: Callable[[str], Any]) -> None:
    batch, control = texts(tiny), control_of("gpt2")
    with pytest.raises(InputError, match="no interval"):
        sink_census(tiny, batch[:1], control)
    with pytest.raises(InputError, match="Expected more than 16 tokens"):
        sink_census(tiny, batch, control, n_tokens=12)
    with pytest.raises(InputError, match="3 domain labels for 4 sequences"):
        sink_census(tiny, batch, control, domains=["a", "b", "a"])
    with pytest.raises(InputError, match="cannot be compared"):
        sink_census(tiny, batch, control, domains=["a", "b", "a", "a"])
    with pytest.raises(InputError, match="own weights"):
        sink_census(tiny, batch, tiny)


def test_results_keep_through_a_file(census_of: Callable[[str], Any], tmp_path: Path) -> None:
    _, _, census = census_of("gpt2")
    for result in census.results:
        again = type(result).load(result.save(tmp_path / f"{result.kind}.safetensors"))
        assert again.to_dataframe().shape == result.to_dataframe().shape
        assert dataclasses.replace(again, data=result.data) == dataclasses.replace(result, data=result.data)
