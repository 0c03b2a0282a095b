import numpy as np
import pytest
import torch

from interp.errors import PromptError, SiteError
from interp.metrics import METRICS, last_logits
from interp.metrics.metric import reading
from interp.models import encode, facts
from interp.patching import patch_sweep
from interp.prompts import PromptPair, PromptSet, Span, repeated_random_prompts
from interp.run import capture, forward
from interp.sites import Site
from tests.interp.patching.cases import inserted, pair_of, prompts_of

DECODERS = ("gpt2", "llama", "qwen2", "qwen3", "gemma2", "gemma3", "gpt_neox", "mistral", "mixtral", "gpt_oss")


def prompts_for(model, n=3, period=5):
    bos = int(encode(model, "a")[0]) if facts(model).bos else None
    return repeated_random_prompts(n, period, ids=range(10, 200), bos=bos, seed=4)


@pytest.fixture(params=DECODERS)
def decoder(request, family_model):
    return family_model(request.param)


@pytest.mark.parametrize(("kind", "by"), [("resid_pre", "pos"), ("attn_out", "pos"), ("mlp_out", "pos"), ("z", "head")])
def test_every_cell_equals_transformer_lens_patching(decoder, kind, by):
    from transformer_lens import patching

    theirs_of = {
        "resid_pre": patching.get_act_patch_resid_pre,
        "attn_out": patching.get_act_patch_attn_out,
        "mlp_out": patching.get_act_patch_mlp_out,
        "z": patching.get_act_patch_attn_head_out_all_pos,
    }
    prompts = prompts_for(decoder)
    clean, corrupted = (torch.from_numpy(prompts.batch(side).tokens) for side in ("clean", "corrupted"))
    _, cache = decoder.run_with_cache(clean)

    def metric(logits):
        return METRICS["logit_diff"](reading(logits, prompts, "corrupted")).mean()

    with torch.no_grad():
        theirs = theirs_of[kind](decoder, corrupted, cache, metric)
    ours = patch_sweep(decoder, prompts, kind, by=by).data["values"].mean("prompt").values
    assert np.abs(theirs.numpy() - theirs.mean().item()).max() > 1e-3, "cells must differ, or this proves nothing"
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=0, atol=1e-5)


def test_the_first_position_that_differs_at_layer_zero_recovers_everything(decoder):
    prompts = prompts_for(decoder)
    found = patch_sweep(decoder, prompts, "resid_pre").data
    recovered = found["recovered"]
    differs = int(np.flatnonzero((prompts.batch("clean").tokens != prompts.batch("corrupted").tokens).any(0))[0])
    assert recovered[0, differs].item() == pytest.approx(1.0, abs=1e-5)
    apart = abs(found["values"] - found["control_values"])[:, 0, differs]
    assert (apart > 1e-4).all(), "a placebo of the same size must not do what the patch does"
    assert abs(found["effect"] - found["control"])[0, differs] > 1e-3
    moved = found["control_values"].mean("prompt") - found["values"].mean("prompt")
    np.testing.assert_allclose(moved.values, (found["control"] - found["effect"]).values, rtol=0, atol=1e-6)


def test_positions_before_the_first_difference_have_no_effect(decoder):
    prompts = prompts_for(decoder)
    found = patch_sweep(decoder, prompts, "mlp_out").data
    differs = int(np.flatnonzero((prompts.batch("clean").tokens != prompts.batch("corrupted").tokens).any(0))[0])
    # Experts see the tokens of a whole batch together, so their sums depend on its size in the last digit.
    allowed = 1e-6 if "Mixtral" in facts(decoder).architecture else 0
    assert (abs(found["effect"][:, :differs]) <= allowed).all()
    assert (abs(found["control"][:, :differs]) <= allowed).all()
    assert (found["effect"][:, differs:] != 0).any()


def test_in_the_last_layer_only_the_last_position_matters(decoder):
    effect = patch_sweep(decoder, prompts_for(decoder), "mlp_out").data["effect"]
    assert (effect[-1, :-1] == 0).all()
    assert effect[-1, -1] != 0


def test_noising_is_denoising_with_the_prompts_exchanged(tiny):
    prompts = prompts_for(tiny)
    exchanged = PromptSet.of([PromptPair(p.corrupted, p.clean, p.wrong_answer, p.answer) for p in prompts])
    noised = patch_sweep(tiny, prompts, "resid_pre", direction="noising").data["effect"]
    denoised = patch_sweep(tiny, exchanged, "resid_pre", direction="denoising").data["effect"]
    # logit_diff changes its sign with the answers.
    np.testing.assert_allclose(noised.values, -denoised.values, rtol=0, atol=1e-5)


def test_patching_is_exact_in_float64(family_directory):
    from interp.models import load_model

    model = load_model(str(family_directory("llama")), dtype="float64")
    prompts = prompts_for(model, n=2)
    ours = patch_sweep(model, prompts, "attn_out").data["values"]
    clean = torch.from_numpy(prompts.batch("clean").tokens)
    corrupted = torch.from_numpy(prompts.batch("corrupted").tokens)
    _, cache = model.run_with_cache(clean)
    for layer, pos in [(0, 4), (1, 6), (2, clean.shape[1] - 1)]:

        def patch(act, hook, pos=pos, layer=layer):
            act = act.clone()
            act[:, pos] = cache[f"blocks.{layer}.hook_attn_out"][:, pos]
            return act

        with torch.no_grad():
            logits = model.run_with_hooks(corrupted, fwd_hooks=[(f"blocks.{layer}.hook_attn_out", patch)])
        theirs = METRICS["logit_diff"](reading(logits, prompts, "corrupted"))
        np.testing.assert_allclose(ours[:, layer, pos].values, theirs.numpy(), rtol=0, atol=1e-12)


def test_prompts_of_different_lengths_score_as_they_do_alone(decoder):
    long, short = prompts_for(decoder, n=2, period=8), prompts_for(decoder, n=2, period=5)
    together = PromptSet.of([*long, *short])
    both = patch_sweep(decoder, together, "resid_pre").data
    alone = patch_sweep(decoder, short, "resid_pre").data
    n = alone.sizes["pos"]
    np.testing.assert_allclose(both["values"][2:, :, :n].values, alone["values"].values, rtol=0, atol=1e-5)
    assert not both["ran"][2:, n:].any()
    assert both["values"][2:, :, n:].isnull().all()


def test_an_alignment_patches_the_positions_that_stand_for_each_other(tiny):
    clean, corrupted = np.array([0, 20, 30, 40]), np.array([0, 50, 60, 30, 40])
    alignment = ((Span(0, 1), Span(0, 1)), (Span(1, 2), Span(1, 3)), (Span(2, 4), Span(3, 5)))
    prompts = PromptSet.of([PromptPair(clean, corrupted, 7, 8, alignment=alignment)])
    ours = patch_sweep(tiny, prompts, "resid_pre").data["values"]
    assert ours.sizes["pos"] == 4
    source = capture(tiny, prompts.batch("clean"), [Site(1, "resid_pre")])[Site(1, "resid_pre")]

    def patch(act, hook):
        act = act.clone()
        act[:, 2] = source[:, 1]
        return act

    with torch.no_grad():
        logits = tiny.run_with_hooks(torch.from_numpy(corrupted)[None], fwd_hooks=[("blocks.1.hook_resid_pre", patch)])
    expected = (logits[0, -1, 7] - logits[0, -1, 8]).item()
    assert ours[0, 1, 1].item() == pytest.approx(expected, abs=1e-5)


def test_a_word_is_patched_as_one(tiny):
    clean, corrupted = np.array([0, 20, 30, 40]), np.array([0, 50, 60, 40])
    words = (Span(0, 1, "<s>"), Span(1, 3, "naïve"), Span(3, 4, "x"))
    found = patch_sweep(tiny, PromptSet.of([PromptPair(clean, corrupted, 7, 8, words=words)]), "resid_pre", by="word")
    assert found.notes["labels"] == ["<s>", "naïve", "x"]
    assert found.data["recovered"][0].values == pytest.approx([0, 1, 0], abs=1e-5)


def test_one_prompt_gives_no_interval_and_many_give_intervals_that_hold_the_effect(tiny):
    one, many = (patch_sweep(tiny, prompts_for(tiny, n), "z", by="head").data for n in (1, 6))
    assert "effect_low" not in one
    assert (many["effect_low"] <= many["effect"]).all()
    assert (many["effect"] <= many["effect_high"]).all()
    assert many["p_corrected"].min() >= 2 / 2**6


def test_heads_of_keys_and_values_are_those_the_model_has(family_model):
    model = family_model("llama")
    assert patch_sweep(model, prompts_for(model), "v", by="head").data.sizes["head"] == 2


def test_kl_is_zero_for_the_clean_run_and_patching_everything_brings_it_to_zero(tiny):
    prompts = prompts_for(tiny)
    found = patch_sweep(tiny, prompts, "resid_pre", metric="kl")
    assert found.baselines["clean"] == pytest.approx(0, abs=1e-6)
    assert found.baselines["corrupted"] > 0.01
    logits = last_logits(forward(tiny, prompts.batch("clean")), prompts, "clean")
    assert logits.shape == (3, 400)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"metric": "prob"}, "needs 'answer'"),
        ({"kind": "attn_out", "by": "head"}, "has no heads"),
        ({"kind": "resid_pre", "by": "word"}, "no word spans"),
    ],
)
def test_what_cannot_be_swept_is_refused_before_any_pass(tiny, change, says):
    prompts = PromptSet.of([PromptPair(np.array([0, 20]), np.array([0, 30]))])
    settings = {"kind": "resid_pre", "metric": "kl", **change}
    with pytest.raises((PromptError, SiteError), match=says):
        patch_sweep(tiny, prompts, settings.pop("kind"), **settings)


def test_prompts_that_differ_only_in_ways_that_cancel_are_refused(tiny):
    there, back = (np.array([0, 20]), np.array([0, 30])), (np.array([0, 30]), np.array([0, 20]))
    prompts = PromptSet.of([PromptPair(*there, 7, 8), PromptPair(*back, 7, 8)])
    with pytest.raises(PromptError, match="same mean logit_diff"):
        patch_sweep(tiny, prompts, "resid_pre")


def test_prompts_that_score_alike_are_refused(tiny):
    prompts = PromptSet.of([PromptPair(np.array([0, 20]), np.array([0, 30]), 7, 8)])
    with pytest.raises(PromptError, match="nothing to recover"):
        patch_sweep(tiny, prompts, "resid_pre", metric=lambda seen: seen.logits[:, 0] * 0)


def test_patterns_of_prompts_of_different_lengths_can_be_patched_and_shifted_ones_not(tiny):
    ragged = prompts_of(8, 6, 8, 6)
    exact, hooks = (
        patch_sweep(tiny, ragged, "pattern", by="head", engine=engine).data for engine in ("exact", "hooks")
    )
    assert abs(exact["effect"]).max() > 1e-4
    np.testing.assert_allclose(exact["effect"], hooks["effect"], rtol=0, atol=2e-5)
    rng = np.random.default_rng(1)
    with pytest.raises(PromptError, match="relates positions to each other"):
        patch_sweep(tiny, PromptSet.of([inserted(rng, pair_of(rng))]), "pattern")
