"""Two ways to stream, one after the published recipe and one by a mask, and the plain model: one set of numbers."""

import dataclasses
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, LlamaConfig, LlamaForCausalLM

from interp.models import facts, load_model
from interp.models.decoder import as_decoder
from interp.prompts import TokenBatch
from interp.run import forward
from interp.streaming.banded import BandedStream
from interp.streaming.cached import CachedStream
from interp.streaming.losses import next_token_losses
from interp.streaming.policy import Policy
from tests import families

APART = ("gpt2", "llama", "qwen2", "qwen3", "gemma2", "gemma3", "gpt_neox", "mistral")
SHIPPED = ("compiled:brackets", "zoo:induction", "zoo:polyglot")
POLICIES = (Policy(12), Policy(12, range(3)), Policy(12, range(5, 8)))


def drawn(decoder, n_streams, length, seed=0):
    width = decoder.w_u()[0].shape[0]
    return torch.randint(0, width, (n_streams, length), generator=torch.Generator().manual_seed(seed))


def with_exact_angles(decoder):
    """The same decoder rotating by angles in double precision: most models keep them in float32.

    There, turning by 40 and back by 39 is not turning by 1, in the sixth digit.
    """

    def exact(rotary):
        if rotary is None:
            return None

        def table(n, dtype):
            cos, sin = (part[1].double() for part in rotary(2, torch.float64))
            angles = torch.arange(n, dtype=torch.float64)[:, None] * torch.atan2(sin, cos)
            return angles.cos().to(dtype), angles.sin().to(dtype)

        return table

    blocks = [
        dataclasses.replace(block, attention=dataclasses.replace(block.attention, rotary=exact(block.attention.rotary)))
        for block in decoder.blocks
    ]
    return dataclasses.replace(decoder, blocks=tuple(blocks), n_positions=None)


def read(stream, tokens, block):
    return torch.cat([stream.advance(part) for part in tokens.split(block, 1)], 1)


def losses(stream, tokens, block):
    rows = read(stream, tokens[:, :-1], block)
    return next_token_losses(stream.decoder, rows, tokens[:, 1:])


@pytest.mark.parametrize("name", APART)
def test_the_cache_and_the_mask_agree_to_the_last_digits(double_model, name):
    decoder = with_exact_angles(as_decoder(double_model(name)))
    tokens = drawn(decoder, 2, 26)
    for policy in POLICIES:
        expected = read(CachedStream(decoder, policy), tokens, 26)
        size = expected.abs().max().item()
        for block in (26, 7):
            found = read(BandedStream(decoder, policy, block=block), tokens, block)
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-11 * size, msg=f"{policy}, {block}")
    # What is kept matters, but where every layer has a narrower window of its own.
    unseen = all(block.attention.window for block in decoder.blocks)
    assert torch.allclose(expected, read(CachedStream(decoder, POLICIES[0]), tokens, 26), rtol=0.01) == unseen


@pytest.mark.parametrize("name", APART)
def test_they_agree_as_loaded(loaded_in_double, family_model, name):
    for model in (loaded_in_double(name), family_model(name)):
        decoder = as_decoder(model)
        tokens = drawn(decoder, 2, 24)
        for policy in POLICIES[1:]:
            expected = losses(CachedStream(decoder, policy), tokens, 24)
            found = losses(BandedStream(decoder, policy, block=12), tokens, 12)
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", [*APART, *SHIPPED])
def test_dense_is_the_plain_model(double_model, name):
    model = double_model(name)
    decoder = as_decoder(model)
    length = min(48, facts(model).n_ctx)
    tokens = drawn(decoder, 2, length)
    logits = forward(model, TokenBatch(tokens.numpy(), np.ones((2, length), bool)))
    size = max(1.0, logits.abs().max().item())
    for block in (length, 9):
        rows = read(BandedStream(decoder, Policy(length), block=block), tokens, block)
        torch.testing.assert_close(decoder.logits(rows), logits, rtol=0, atol=1e-12 * size)
    found = next_token_losses(decoder, rows[:, :-1], tokens[:, 1:])
    expected = torch.nn.functional.cross_entropy(logits[:, :-1].mT, tokens[:, 1:], reduction="none")
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=1e-11 * size)


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma3", "mistral"])
def test_where_nothing_is_evicted_every_arm_is_dense(double_model, name):
    decoder = as_decoder(double_model(name))
    tokens = drawn(decoder, 1, 30)
    dense = read(BandedStream(decoder, Policy(30), block=30), tokens, 30)
    for policy in (Policy(30, range(4)), Policy(33), Policy(30, range(5, 9))):
        for stream, block in ((BandedStream(decoder, policy, block=8), 8), (CachedStream(decoder, policy), 30)):
            torch.testing.assert_close(read(stream, tokens, block), dense, rtol=0, atol=2e-5)


def one_layer(config, build, directory):
    torch.manual_seed(3)
    model = build(config)
    families._spread(model)
    model.save_pretrained(directory)
    families.build_tokenizer("llama").save_pretrained(directory)
    return load_model(str(directory), dtype="float64")


@pytest.mark.parametrize("family", ["llama", "gpt_neox"])
def test_in_one_layer_a_full_cache_is_a_short_text(tmp_path, in_double, family):
    # Keys of a single layer know nothing of what came before them, so the plain model on the cache's tokens is the
    # oracle for what is kept and where it stands.
    if family == "llama":
        model = one_layer(LlamaConfig(**families._GQA | {"num_hidden_layers": 1}), LlamaForCausalLM, tmp_path)
    else:
        settings = families._PLAIN_HEADS | {"num_hidden_layers": 1}
        model = one_layer(GPTNeoXConfig(**settings), GPTNeoXForCausalLM, tmp_path)
    decoder = as_decoder(model)
    tokens = drawn(decoder, 2, 25)
    for policy, last in ((Policy(6), [19, 20, 21, 22, 23, 24]), (Policy(6, range(2)), [0, 1, 21, 22, 23, 24])):
        expected = model(tokens[:, last])[:, -1]
        for stream, block in ((BandedStream(decoder, policy, block=5), 5), (CachedStream(decoder, policy), 25)):
            found = decoder.logits(read(stream, tokens, block))[:, -1]
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    control = decoder.logits(read(CachedStream(decoder, Policy(6, range(3, 5))), tokens, 25))[:, -1]
    torch.testing.assert_close(control, model(tokens[:, [3, 4, 21, 22, 23, 24]])[:, -1], rtol=0, atol=1e-5)
    assert (control - expected).abs().max() > 0.1


def test_a_window_is_a_banded_mask_on_the_plain_model(double_model):
    # Without kept keys no position moves: the model itself, told what to hide, is the oracle through all layers.
    model = double_model("llama")
    decoder, n = as_decoder(model), 30
    tokens = drawn(decoder, 2, n)
    rows, columns = torch.arange(n)[:, None], torch.arange(n)[None]
    seen = (columns <= rows) & (columns > rows - 7)
    mask = torch.zeros(n, n, dtype=torch.float64).masked_fill(~seen, -torch.inf).expand(2, 1, n, n)
    expected = model.original_model(input_ids=tokens, attention_mask=mask).logits
    found = decoder.logits(read(BandedStream(decoder, Policy(7), block=10), tokens, 10))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@settings(max_examples=12, deadline=None)
@given(st.integers(2, 9), st.data(), st.lists(st.integers(1, 8), min_size=1, max_size=12))
def test_blocks_of_any_size_give_the_same(double_decoder, window, data, sizes):
    count = data.draw(st.integers(0, window - 1))
    first = data.draw(st.integers(0, window - count))
    policy = Policy(window, range(first, first + count))
    tokens = drawn(double_decoder, 1, sum(sizes))
    stream = BandedStream(double_decoder, policy, block=max(sizes))
    found = torch.cat([stream.advance(part) for part in tokens.split(sizes, 1)], 1)
    expected = read(CachedStream(double_decoder, policy), tokens, sum(sizes))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-11 * expected.abs().max().item())


@pytest.fixture(scope="module")
def double_decoder(loaded_in_double):
    return with_exact_angles(as_decoder(loaded_in_double("gpt_neox")))


def test_learned_positions_are_slots_and_stay_in_the_context(loaded_in_double):
    model = loaded_in_double("gpt2")
    decoder = as_decoder(model)
    assert decoder.learned_positions
    assert decoder.n_positions == facts(model).n_ctx
    asked = []

    def embed(tokens, positions):
        asked.extend(positions.tolist())
        return decoder.embed(tokens, positions)

    spied = dataclasses.replace(decoder, embed=embed)
    tokens = drawn(decoder, 1, 80)
    read(BandedStream(spied, Policy(5, range(2)), block=30), tokens, 30)
    assert asked == [0, 1, 2, 3, *[4] * 76]
    read(CachedStream(spied, Policy(5, range(2))), tokens, 80)
    assert asked[80:] == asked[:80]


def test_the_cache_holds_its_slots_and_nothing_else(family_model):
    stream = CachedStream(as_decoder(family_model("llama")), Policy(8, range(2)))
    stream.advance(drawn(stream.decoder, 3, 30))
    for held in stream.cache:
        assert held.k.shape == held.v.shape == (3, 8, 2, 8)
        assert held.k.untyped_storage().nbytes() == 3 * 8 * 2 * 8 * 4


@pytest.mark.parametrize("n", [20_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_memory_does_not_grow_with_the_stream(family_model, n):
    block = 250
    decoder = as_decoder(family_model("llama"))
    stream, tokens = BandedStream(decoder, Policy(32, range(4)), block=block), drawn(decoder, 1, n)
    held = []

    def bytes_held():
        return sum(
            part.untyped_storage().nbytes() for held in (*stream.recent, *stream.kept) for part in (held.k, held.v)
        )

    tracemalloc.start()
    for place, part in enumerate(tokens.split(block, 1)):
        stream.advance(part)
        if place in (2_000 // block, n // block - 1):
            held.append((bytes_held(), tracemalloc.get_traced_memory()[0]))
    tracemalloc.stop()
    (early, early_python), (late, late_python) = held
    assert early == late == decoder.n_layers * 2 * (31 + 4) * 2 * 8 * 4, "keys and values of 35 positions, 2 heads of 8"
    assert late_python - early_python < 50_000
