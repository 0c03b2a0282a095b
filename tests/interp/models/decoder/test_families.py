"""A model taken apart computes what the whole computes, activation by activation."""

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, GPTNeoXConfig, GPTNeoXForCausalLM

from interp.models import describe, facts, load_model
from interp.models.decoder import FAMILIES, as_decoder
from interp.patching.engine import run
from interp.patching.engine.entries import original
from interp.prompts import TokenBatch
from interp.run import capture, forward
from interp.sites import Site
from tests import families

APART = ("gpt2", "llama", "qwen2", "qwen3", "gemma2", "gemma3", "gpt_neox", "mistral")
SHIPPED = ("compiled:brackets", "compiled:random-3x4-1", "zoo:modular", "zoo:polyglot")
KINDS = ("resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out", "post", "z", "q", "k", "v", "pattern")
KEPT = {"resid", "rot_q", "rot_k", "attn_raw", *KINDS} - {"resid_pre", "resid_post"}


def tokens_for(model):
    n = min(11, facts(model).n_ctx)
    rng = np.random.default_rng(0)
    return TokenBatch.of(list(rng.integers(5, facts(model).d_vocab, (2, n))))


@pytest.mark.parametrize("name", [*APART, *SHIPPED])
def test_logits_and_every_activation_are_those_of_the_hooked_model(double_model, name):
    model = double_model(name)
    batch, decoder = tokens_for(model), as_decoder(model)
    assert decoder.family in FAMILIES
    kept = run(decoder, torch.from_numpy(batch.tokens), KEPT)
    logits = forward(model, batch)
    allowed = 1e-12 * max(1.0, logits.abs().max().item())
    torch.testing.assert_close(decoder.logits(kept["resid"][-1]), logits, rtol=0, atol=allowed)
    known = [kind for kind in KINDS if describe(model).row(kind).causal and not describe(model).row(kind).needs_flag]
    assert {"resid_pre", "z", "pattern"} <= set(known)
    sites = [Site(layer, kind) for kind in known for layer in range(decoder.n_layers)]
    theirs = capture(model, batch, sites)
    for site in sites:
        ours = original(kept, site.kind, site.layer)
        size = max(1.0, theirs[site].abs().max().item())
        torch.testing.assert_close(ours, theirs[site], rtol=0, atol=1e-12 * size, msg=f"{name}: {site}")


@pytest.mark.parametrize("name", APART)
def test_chosen_logits_are_logits_gathered(double_model, name):
    decoder = as_decoder(double_model(name))
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(3, 2, 32, generator=generator, dtype=torch.float64) * 5
    tokens = torch.tensor([[7, 300, 7], [0, 399, 12]])
    expected = decoder.logits(rows).gather(-1, tokens.expand(3, -1, -1))
    torch.testing.assert_close(decoder.chosen_logits(rows, tokens), expected, rtol=0, atol=1e-12)
    assert (expected[:, 0, 0] - expected[:, 0, 1]).abs().min() > 1e-3


def test_capped_logits_stay_below_the_cap(double_model):
    decoder = as_decoder(double_model("gemma2"))
    assert decoder.softcap == 30
    big = torch.randn(4, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 1e6
    assert decoder.logits(big).abs().max() < 30
    assert as_decoder(double_model("llama")).softcap is None


@pytest.mark.parametrize("name", ["mixtral", "gpt_oss", "bert"])
def test_what_is_no_known_decoder_is_not_taken_apart(family_model, name):
    assert as_decoder(family_model(name)) is None


def hooked(model, directory):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        families._spread(model)
    model.save_pretrained(directory)
    families.build_tokenizer("gpt2").save_pretrained(directory)
    return load_model(str(directory), dtype="float64")


@pytest.mark.parametrize("setting", ["scale_attn_by_inverse_layer_idx", "reorder_and_upcast_attn"])
def test_settings_that_nothing_here_computes_are_left_to_hooks(tmp_path, setting):
    config = GPT2Config(**families._GPT2_SIZE, **{setting: True})
    assert as_decoder(hooked(GPT2LMHeadModel(config), tmp_path)) is None


def test_a_serial_neox_is_left_to_hooks(tmp_path):
    config = GPTNeoXConfig(**families._PLAIN_HEADS, use_parallel_residual=False)
    assert as_decoder(hooked(GPTNeoXForCausalLM(config), tmp_path)) is None


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_any_share_of_a_head_may_be_rotated(tmp_path, share):
    rope = {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": share}
    config = GPTNeoXConfig(**families._PLAIN_HEADS, rope_parameters=rope)
    model = hooked(GPTNeoXForCausalLM(config), tmp_path)
    decoder, batch = as_decoder(model), tokens_for(model)
    assert decoder.blocks[0].attention.rotary(3, torch.float64)[0].shape == (3, int(8 * share))
    kept = run(decoder, torch.from_numpy(batch.tokens), {"resid"})
    torch.testing.assert_close(decoder.logits(kept["resid"][-1]), forward(model, batch), rtol=0, atol=1e-11)


def test_weights_edited_afterwards_are_those_it_computes_with(family_directory):
    model = load_model(str(family_directory("gpt2")), dtype="float64")
    batch, decoder = tokens_for(model), as_decoder(model)
    with torch.no_grad():
        model.original_model.lm_head.weight.mul_(2)
        model.original_model.transformer.h[1].attn.c_proj.weight.mul_(-1)
    kept = run(decoder, torch.from_numpy(batch.tokens), {"resid", "attn_raw", "z"})
    torch.testing.assert_close(decoder.logits(kept["resid"][-1]), forward(model, batch), rtol=0, atol=1e-11)
    attention = decoder.blocks[1].attention
    by_head = torch.einsum("bphe,hed->bpd", kept["z"][1], attention.w_o())
    bias = attention.o.bias
    torch.testing.assert_close(by_head + bias, kept["attn_raw"][1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", APART)
def test_patterns_are_rounded_where_the_model_rounds_them(loaded_in_double, name):
    # Most families compute the softmax in float32, even in a float64 model.
    model = loaded_in_double(name)
    batch, site = tokens_for(model), Site(0, "pattern")
    ours = run(as_decoder(model), torch.from_numpy(batch.tokens), {"pattern"})["pattern"][0]
    theirs = capture(model, batch, [site])[site]
    assert torch.equal(ours, ours.float().double()) == torch.equal(theirs, theirs.float().double())


def test_learned_positions_may_be_given(double_model):
    decoder = as_decoder(double_model("gpt2"))
    tokens = torch.tensor([[7, 7, 9]])
    assert decoder.learned_positions
    assert decoder.n_positions == families.N_CTX
    torch.testing.assert_close(decoder.embed(tokens, torch.arange(3)), decoder.embed(tokens), rtol=0, atol=0)
    moved = decoder.embed(tokens, torch.tensor([5, 5, 5]))[0]
    assert torch.equal(moved[0], moved[1])
    assert not torch.equal(moved[1], decoder.embed(tokens)[0, 1])
    rotary = as_decoder(double_model("llama"))
    assert not rotary.learned_positions
    assert rotary.n_positions is None
    assert torch.equal(rotary.embed(tokens, torch.tensor([5, 5, 5])), rotary.embed(tokens))
