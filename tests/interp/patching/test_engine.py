"""The engine gives what full hooked forward passes give, on every family, kind, layout, direction, metric and shape."""

import numpy as np
import pytest
import torch
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

from interp.errors import SiteError
from interp.models import facts, load_model
from interp.models.compiled import compiled_prompts
from interp.models.decoder import as_decoder
from interp.patching import patch_sweep
from interp.patching.cells import aligned_order
from interp.patching.engine import Cell, Group
from interp.patching.engine.entries import NEEDS, original
from interp.patching.engine.runs import BASE, no_grad_run
from interp.prompts import PromptPair, PromptSet, Span
from interp.run import Patch, Where, capture, forward, intervene
from interp.sites import Site
from tests import families
from tests.interp.patching import cases
from tests.interp.patching.cases import (
    FAMILIES,
    HEADS,
    SHIPPED,
    SWEEPS,
    VECTORS,
    assert_engine_equals_hooks,
    has,
    prompts_of,
)

METRICS = ("logit_diff", "log_prob", "kl", "opaque")
DIRECTIONS = ("denoising", "noising")
SMALL = {name: value for name, value in families._GQA.items() if name != "num_key_value_heads"}


def spread(reading):
    """A metric that reads every logit and says so nowhere."""
    return reading.logits.std(-1) + reading.logits[:, 7]


def examples(n):
    # Without the explain phase, whose tracing makes every line of a forward pass slow.
    phases = (Phase.explicit, Phase.generate, Phase.shrink)
    return settings(max_examples=n, derandomize=True, deadline=None, database=None, phases=phases)


SWEPT = st.tuples(
    st.sampled_from([*SWEEPS, *((kind, "word") for kind in (*VECTORS, "z", "k"))]),
    st.sampled_from(METRICS),
    st.sampled_from(DIRECTIONS),
)


def check(model, drawn, swept):
    (kind, by), metric, direction = swept
    assume(has(model, kind))
    assume(kind != "pattern" or not drawn.shifted)
    prompts = drawn.prompts(facts(model).d_vocab)
    metric = spread if metric == "opaque" else metric
    assert_engine_equals_hooks(model, prompts, kind, by, metric=metric, direction=direction)


@pytest.mark.parametrize("name", FAMILIES)
def test_any_sweep_of_any_prompts_equals_the_hooked_one(double_model, name):
    model = double_model(name)

    @examples(3)
    @given(cases.drawn(), SWEPT)
    def law(drawn, swept):
        check(model, drawn, swept)

    law()


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_any_sweep_of_any_prompts_equals_the_hooked_one_many_times(double_model, name):
    model = double_model(name)

    @examples(80)
    @given(cases.drawn(longest=16), SWEPT)
    def law(drawn, swept):
        check(model, drawn, swept)

    law()


@pytest.mark.parametrize("number", range(len(SWEEPS)), ids=["-".join(sweep) for sweep in SWEEPS])
def test_every_sweep_equals_the_hooked_one_on_some_family(double_model, number):
    (kind, by), direction = SWEEPS[number], DIRECTIONS[number % 2]
    # GPT-NeoX has no `resid_mid`; the stride meets every family with most kinds.
    model = double_model([name for name in FAMILIES if name != "gpt_neox" or kind != "resid_mid"][number * 3 % 7])
    found = assert_engine_equals_hooks(model, prompts_of(7, 5), kind, by, direction=direction)
    assert np.nanmax(np.abs(found.patched - found.unpatched[:, None])) > 1e-3, "cells must have effects"


def prompts_for(model, name):
    """Prompts that the model tells apart: a compiled one attends to its own task alone."""
    if name.startswith("compiled:"):
        return compiled_prompts(name, 2)
    length = min(6, facts(model).n_ctx)
    return prompts_of(length, length, d_vocab=facts(model).d_vocab, seed=3)


@pytest.mark.slow
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("name", [*FAMILIES, *SHIPPED])
def test_every_sweep_equals_the_hooked_one_on_every_model(double_model, name, direction):
    model = double_model(name)
    prompts = prompts_for(model, name)
    for kind, by in SWEEPS:
        if has(model, kind):
            for metric in ("logit_diff", "kl"):
                assert_engine_equals_hooks(model, prompts, kind, by, direction=direction, metric=metric)


@pytest.mark.parametrize("name", SHIPPED)
def test_models_that_ship_are_patched_exactly(double_model, name):
    model = double_model(name)
    prompts = prompts_for(model, name)
    for kind, by in (("resid_pre", "pos"), ("k", "head")):
        assert_engine_equals_hooks(model, prompts, kind, by, direction=DIRECTIONS[len(name) % 2])


@pytest.mark.parametrize("number", range(8))
def test_float32_agrees_as_far_as_float32_goes(family_model, number):
    kind, by = SWEEPS[number * 5 % len(SWEEPS)]
    assert_engine_equals_hooks(family_model(FAMILIES[number]), prompts_of(7, 5), kind, by)


def built(model, directory):
    """A tiny model of a configuration that no family of the tests has."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        families._spread(model)
    model.save_pretrained(directory)
    families.build_tokenizer("gpt2").save_pretrained(directory)
    return load_model(str(directory), dtype="float64")


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_any_number_of_key_value_heads(in_double, tmp_path, kv_heads):
    model = built(LlamaForCausalLM(LlamaConfig(**SMALL, num_key_value_heads=kv_heads)), tmp_path)
    for kind, by in (("q", "pos_head"), ("k", "pos_head"), ("v", "head")):
        found = assert_engine_equals_hooks(model, prompts_of(7, 7), kind, by)
        if by == "head":
            assert found.patched.shape[-1] == (kv_heads if kind == "v" else 4)


WINDOWED = [
    ("resid_pre", "pos"),
    ("q", "head"),
    ("k", "pos_head"),
    ("z", "pos_head"),
    ("v", "pos"),
    ("attn_out", "pos"),
]


@pytest.mark.parametrize(
    ("window", "sweeps"),
    [(2, WINDOWED[:3]), *(pytest.param(window, WINDOWED, marks=pytest.mark.slow) for window in (1, 3, 5))],
)
def test_windows_smaller_than_the_prompt(in_double, tmp_path, window, sweeps):
    kinds = ["sliding_attention", "full_attention", "sliding_attention"]
    settings = SMALL | {"num_key_value_heads": 2, "use_sliding_window": True, "sliding_window": window}
    model = built(Qwen3ForCausalLM(Qwen3Config(**settings, layer_types=kinds)), tmp_path)
    for kind, by in sweeps:
        # A window of one leaves nothing to choose, so queries and keys do not matter there.
        if has(model, kind):
            assert_engine_equals_hooks(model, prompts_of(7, changed=4), kind, by)


def test_unscaled_scores_are_computed_or_left_to_hooks(in_double, tmp_path):
    config = GPT2Config(**families._GPT2_SIZE, initializer_range=0.2, scale_attn_weights=False)
    model = built(GPT2LMHeadModel(config), tmp_path)
    if as_decoder(model) is not None:
        assert_engine_equals_hooks(model, prompts_of(7), "z", "head")


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize(("kind", "by"), [("resid_post", "pos"), ("z", "word"), ("v", "head")])
def test_positions_that_stand_for_others_and_words(double_model, kind, by, direction):
    rng = np.random.default_rng(0)
    pairs = [cases.with_words(rng, cases.inserted(rng, pair)) for pair in prompts_of(6, 6, 4)]
    assert all(len(pair.clean) != len(pair.corrupted) for pair in pairs)
    metric = "kl" if by == "word" else "logit_diff"
    assert_engine_equals_hooks(double_model("qwen2"), PromptSet.of(pairs), kind, by, direction=direction, metric=metric)


@pytest.mark.parametrize("metric", ["logit_diff", "log_prob", "kl", spread])
def test_every_prompt_of_a_pass_is_read_with_its_own_answers_and_reference(double_model, metric):
    rng = np.random.default_rng(4)
    # Of one length, so that they share a run, but not all of them every pass.
    prompts = PromptSet.of([cases.pair_of(rng, length=6, first=first) for first in (4, 1, 4, 1, 0)])
    assert_engine_equals_hooks(double_model("gpt2"), prompts, "resid_pre", metric=metric)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_clean_prompts_of_one_length_with_corrupted_ones_of_several(double_model, direction):
    straight = prompts_of(5, 5).pairs
    longer = np.insert(straight[1].corrupted, 3, 9)
    spans = ((0, 1, 0, 1), (1, 2, 1, 2), (2, 3, 2, 3), (3, 4, 3, 5), (4, 5, 5, 6))
    alignment = tuple((Span(a, b), Span(c, d)) for a, b, c, d in spans)
    pairs = [straight[0], PromptPair(straight[1].clean, longer, 7, 8, alignment=alignment)]
    assert_engine_equals_hooks(double_model("gpt2"), PromptSet.of(pairs), "resid_pre", direction=direction)


@pytest.mark.parametrize("name", ["qwen3", "gemma3"])
def test_queries_and_keys_that_are_normed(double_model, name):
    for kind, by in (("q", "pos"), ("k", "head")):
        assert has(double_model(name), kind)
        assert_engine_equals_hooks(double_model(name), prompts_of(6), kind, by)


@pytest.mark.parametrize("kind", [*VECTORS, *HEADS])
def test_a_difference_in_the_last_position_alone(double_model, kind):
    model = double_model("gemma2")
    assert_engine_equals_hooks(model, prompts_of(6, 6, first=5), kind)


def test_prompts_of_one_position(double_model):
    for kind, by in (("resid_pre", "pos"), ("resid_post", "pos"), ("z", "head"), ("v", "pos_head"), ("pattern", "pos")):
        assert_engine_equals_hooks(double_model("llama"), prompts_of(1, 1, 1), kind, by)


def test_more_prompts_than_are_kept_at_once(double_model, monkeypatch):
    monkeypatch.setattr("interp.patching.exact.PROMPTS_AT_ONCE", 2)
    assert_engine_equals_hooks(double_model("gpt2"), prompts_of(5, 7, 5, 5, 7, 5, 5), "attn_out")


def test_logits_of_a_large_vocabulary_come_in_parts(double_model, monkeypatch):
    monkeypatch.setattr("interp.patching.exact.LOGIT_BYTES", 8 * 400 * 4)
    assert_engine_equals_hooks(double_model("gemma2"), prompts_of(6, 6), "resid_pre", metric="kl")


def print_nothing(n_done):
    """Stands where a progress bar is told how far a sweep is."""


def group_of(model, prompts, kind, cells, rows_per_pass):
    """Cells of prompts of one length, clean into corrupted, scored by a sum over the last residual stream."""
    decoder = as_decoder(model)
    base, source = (
        no_grad_run(decoder, torch.from_numpy(prompts.batch(side).tokens), BASE | NEEDS[kind] | {"resid"})
        for side in ("corrupted", "clean")
    )
    weights = torch.arange(1.0, 33.0, dtype=torch.float64)
    return Group(
        decoder=decoder,
        base=base,
        kind=kind,
        new=lambda layer: original(source, kind, layer),
        score=lambda rows, _: (rows * weights).sum(-1),
        cells=cells,
        rows_per_pass=rows_per_pass,
    )


@pytest.mark.parametrize("kind", ["resid_pre", "resid_post", "mlp_out", "z", "k"])
def test_the_size_of_a_pass_changes_no_value(double_model, kind):
    prompts = prompts_of(7, 7, 7)
    places = [(0,), (2,), (3,), (6,), (2, 3), (0, 4, 6), tuple(range(7))]
    cells = [Cell(layer, column, place) for layer in range(3) for column, place in enumerate(places)]
    results = []
    for rows in (1, 5, 64, 100_000):
        group = group_of(double_model("qwen3"), prompts, kind, [cells] * 3, rows)
        found = sorted(
            (prompt, cell.layer, cell.column, value) for prompt, cell, value, _ in group.values(print_nothing)
        )
        assert [row[:3] for row in found] == [(p, c.layer, c.column) for p in range(3) for c in cells]
        results.append(np.array([row[3] for row in found]))
    for found in results[1:]:
        np.testing.assert_allclose(found, results[0], rtol=0, atol=1e-12)
    assert np.isnan(results[0]).any()
    assert np.isfinite(results[0]).sum() > 20


def test_single_neurons_are_patched_alone(double_model):
    model, prompts = double_model("llama"), prompts_of(6)
    base, source = (
        no_grad_run(as_decoder(model), torch.from_numpy(prompts.batch(side).tokens), {"post"})
        for side in ("corrupted", "clean")
    )
    cells = [Cell(1, number, (position,), unit) for number, (position, unit) in enumerate([(2, 0), (5, 7), (5, 47)])]
    values = {
        cell.column: value
        for _, cell, value, _ in group_of(model, prompts, "post", [cells], 1000).values(print_nothing)
    }
    weights = torch.arange(1.0, 33.0, dtype=torch.float64)
    site, last = Site(1, "post"), Site(2, "resid_post")
    for cell in cells:
        chosen = torch.zeros_like(base["post"][1], dtype=torch.bool)
        chosen[:, cell.positions[0], cell.unit] = True
        new = torch.where(chosen, source["post"][1], base["post"][1])
        with intervene(model, {site: Patch(new)}):
            expected = (capture(model, prompts.batch("corrupted"), [last])[last][0, -1] * weights).sum().item()
        assert values[cell.column] == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("name", ["mixtral", "gpt_oss"])
def test_models_that_cannot_be_taken_apart_are_swept_by_hooks_and_refused_by_name(family_model, name):
    model, prompts = family_model(name), prompts_of(5, 5)
    assert patch_sweep(model, prompts, "resid_post", control=False).notes["path"] == "hooks"
    with pytest.raises(SiteError, match=r"exact engine.*engine='auto'"):
        patch_sweep(model, prompts, "resid_post", engine="exact")


def test_the_path_taken_is_in_the_result(family_model):
    model, prompts = family_model("gpt2"), prompts_of(5, 5)
    auto, exactly, hooks = (
        patch_sweep(model, prompts, "attn_out", engine=engine, control=False) for engine in ("auto", "exact", "hooks")
    )
    assert [found.notes["path"] for found in (auto, exactly, hooks)] == ["exact", "exact", "hooks"]
    assert "state" not in hooks.data
    np.testing.assert_array_equal(auto.data["values"], exactly.data["values"])
    np.testing.assert_allclose(hooks.data["values"], exactly.data["values"], rtol=0, atol=2e-5)


def test_a_parallel_block_has_no_resid_mid_for_either_path(family_model):
    with pytest.raises(SiteError):
        patch_sweep(family_model("gpt_neox"), prompts_of(5), "resid_mid")


def test_no_graph_is_kept_and_the_model_is_left_as_it_was(family_directory):
    model = load_model(str(family_directory("gpt2")))
    model.requires_grad_(True)
    before = {name: weight.detach().clone() for name, weight in model.original_model.named_parameters()}
    prompts, kept = prompts_of(5, 5), []

    def watching(reading):
        kept.append(reading.logits)
        return reading.logits[:, 0]

    patch_sweep(model, prompts, "attn_out", metric=watching, engine="exact")
    assert kept
    assert not any(logits.requires_grad for logits in kept)

    def failing(reading):
        if len(kept) > 3:
            raise KeyError("broken")
        kept.append(reading.logits)
        return reading.logits[:, 0]

    kept.clear()
    with pytest.raises(KeyError, match="broken"):
        patch_sweep(model, prompts, "attn_out", metric=failing, engine="exact")
    assert all(weight.grad is None for weight in model.parameters())
    assert all(torch.equal(weight, before[name]) for name, weight in model.original_model.named_parameters())
    assert not any(point.fwd_hooks or point.bwd_hooks for point in model.hook_dict.values())
    assert torch.is_grad_enabled()


def test_order_says_which_source_position_stands_for_each(double_model):
    rng = np.random.default_rng(2)
    prompts = PromptSet.of([cases.inserted(rng, pair) for pair in prompts_of(6, 6)])
    for one in prompts:
        for base, (to, frm) in (("clean", (0, 1)), ("corrupted", (1, 0))):
            order = aligned_order(PromptSet.of([one]), base)[0]
            stands = {int(row[to]): int(row[frm]) for row in one.aligned_positions}
            assert order.tolist() == [stands.get(pos, -1) for pos in range(len(getattr(one, base)))]


def test_a_hand_made_patch_is_what_the_engine_answers(double_model):
    model = double_model("gpt2")
    prompts = PromptSet.of([PromptPair(np.array([9, 20, 30, 40]), np.array([9, 21, 30, 40]), 7, 8)])
    site = Site(1, "z")
    source = capture(model, prompts.batch("clean"), [site])[site]
    chosen = torch.zeros(1, 4, 4, dtype=torch.bool)
    chosen[0, 2, 3] = True
    with intervene(model, {site: Where(Patch(source), chosen)}):
        logits = forward(model, prompts.batch("corrupted"))[0, -1]
    found = patch_sweep(model, prompts, "z", by="pos_head", engine="exact").data["values"]
    assert found.sel(layer=1, pos=2, head=3).item() == pytest.approx((logits[7] - logits[8]).item(), abs=1e-12)
