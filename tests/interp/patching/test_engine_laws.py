"""Laws that the engine keeps: what cannot have an effect has none, and what is patched everywhere is the other run."""

import numpy as np
import pytest
import torch

from interp.metrics.metric import Metric
from interp.models import facts
from interp.models.decoder import as_decoder
from interp.patching import patch_sweep
from interp.patching.engine import CellState
from interp.patching.engine.entries import NEEDS, original
from interp.patching.engine.runs import BASE, no_grad_run
from interp.patching.exact import ExactSweep
from interp.prompts import PromptSet
from interp.run import capture
from interp.sites import Site
from tests.interp.patching import cases
from tests.interp.patching.cases import (
    assert_engine_equals_hooks,
    exact,
    plan_of,
    prompts_of,
)


def activations(model, prompts, kind, side):
    n_layers = facts(model).n_layers
    sites = [Site(layer, kind) for layer in range(n_layers)]
    kept = capture(model, prompts.batch(side), sites)
    return [kept[site] for site in sites]


@pytest.mark.parametrize(
    ("name", "kind", "by"),
    [
        ("gpt2", "attn_out", "pos"),
        ("llama", "k", "pos_head"),
        ("mistral", "z", "head"),
        ("gemma2", "resid_pre", "pos"),
        ("gpt_neox", "q", "pos_head"),
    ],
)
def test_states_say_why_a_cell_has_no_effect(double_model, name, kind, by):
    model = double_model(name)
    # The second half of the differences lies at the end, so that cells between are equal in the first layer.
    rng = np.random.default_rng(5)
    prompts = PromptSet.of([cases.pair_of(rng, length=length, first=2, changed=2) for length in (8, 8, 5)])
    plan = plan_of(model, prompts, kind, by)
    found = exact(model, prompts, plan)
    states, effects = found.states, found.patched - found.unpatched[:, None]
    run = np.broadcast_to(plan.columns.ran[:, None], states.shape)
    np.testing.assert_array_equal(states == CellState.NOT_RUN, ~run)
    assert np.isnan(found.patched[~run]).all()
    assert (effects[(states == CellState.EQUAL) | (states == CellState.UNREACHABLE)] == 0).all()
    for prompt, one in enumerate(prompts):
        alone = PromptSet.of([one])
        clean, corrupted = (
            no_grad_run(as_decoder(model), torch.from_numpy(alone.batch(side).tokens), BASE | NEEDS[kind])
            for side in ("clean", "corrupted")
        )
        for layer in range(facts(model).n_layers):
            differs = (original(clean, kind, layer) != original(corrupted, kind, layer))[0]
            for column, place in enumerate(plan.columns.places[prompt]):
                if len(place):
                    part = differs[place] if not plan.columns.heads else differs[place][:, plan.columns.heads[column]]
                    assert (states[prompt, layer, column] == CellState.EQUAL) == (not part.any())
    theirs = cases.HookedSweep(model, prompts, plan).numbers(placebo=False)
    moved = np.abs(theirs.patched - theirs.unpatched[:, None])
    assert (moved[states == CellState.UNREACHABLE] <= 1e-12).all()
    assert (moved[states == CellState.EQUAL] <= 1e-12).all()
    assert (states == CellState.EQUAL).any() == (by != "head")
    assert (states == CellState.UNREACHABLE).any() == (kind not in ("k", "resid_pre") and by != "head")
    assert (moved[states == CellState.COMPUTED] > 1e-9).mean() > 0.9


def test_equal_activations_are_bit_equal_in_captures(double_model):
    model, prompts = double_model("qwen2"), prompts_of(8, 8, first=4, changed=1)
    states = exact(model, prompts, plan_of(model, prompts, "mlp_out")).states
    clean, corrupted = (torch.stack(activations(model, prompts, "mlp_out", side), 1) for side in ("clean", "corrupted"))
    np.testing.assert_array_equal(states == CellState.EQUAL, (clean == corrupted).all(-1).numpy())


def test_everything_patched_in_any_layer_is_the_clean_run(double_model):
    for name in ("gpt2", "gemma3", "gpt_neox"):
        model, prompts = double_model(name), prompts_of(7, 7)
        spans = PromptSet.of([cases.whole(pair) for pair in prompts])
        for kind in ("resid_pre", "resid_post"):
            found = exact(model, spans, plan_of(model, spans, kind, "word"))
            assert abs(found.clean - found.corrupted).max() > 0.01
            np.testing.assert_allclose(found.patched[..., 0], np.repeat(found.clean[:, None], 3, 1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["resid_mid", "resid_post", "attn_out", "mlp_out", "post", "z", "q", "pattern"])
def test_in_the_last_layer_only_the_last_position_matters(double_model, kind):
    model, prompts = double_model("gemma3"), prompts_of(7, 7)
    found = exact(model, prompts, plan_of(model, prompts, kind))
    effects = found.patched - found.unpatched[:, None]
    assert (effects[:, -1, :-1] == 0).all()
    assert (effects[:, -1, -1] != 0).all()


def test_in_the_last_layer_keys_and_values_matter_everywhere(double_model):
    model, prompts = double_model("gemma3"), prompts_of(5, 5)
    for kind in ("k", "v"):
        found = exact(model, prompts, plan_of(model, prompts, kind))
        assert (np.abs(found.patched - found.unpatched[:, None])[:, -1, 2:] > 1e-9).all(), kind


@pytest.mark.parametrize(("kind", "by"), [("resid_pre", "pos"), ("z", "pos_head"), ("k", "head"), ("pattern", "pos")])
def test_placebos_move_as_far_as_the_patch_and_elsewhere(double_model, kind, by):
    model, prompts = double_model("llama"), prompts_of(6, 6)
    plan = plan_of(model, prompts, kind, by)
    sweep = ExactSweep(model, as_decoder(model), prompts, plan)
    pair = sweep.pair_of([0, 1])
    patch, placebo = sweep.group_of(pair, 0), sweep.group_of(pair, 1)
    for layer in range(3):
        old = original(pair.base, kind, layer)
        moved, turned = patch.new(layer) - old, placebo.new(layer) - old
        torch.testing.assert_close(turned.norm(dim=-1), moved.norm(dim=-1), rtol=1e-6, atol=1e-12)
        assert not torch.allclose(turned, moved)
        assert torch.equal(turned == 0, moved == 0)
        assert torch.equal(placebo.new(layer), old + turned), "the placebo of a layer is one"
    found = sweep.numbers(placebo=True)
    changed = found.states == CellState.COMPUTED
    apart = np.abs(found.placebo - found.patched)
    assert (apart[changed] > 1e-6).mean() > 0.9
    assert (apart[~changed] == 0).all()


def test_placebos_are_those_of_hooks_in_size_of_effect_and_follow_the_seed(double_model):
    model, prompts = double_model("gpt2"), prompts_of(6, 6, 6)
    first, again, other = (
        exact(model, prompts, plan_of(model, prompts, "attn_out", seed=seed), placebo=True).placebo
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    theirs = cases.HookedSweep(model, prompts, plan_of(model, prompts, "attn_out")).numbers().placebo
    ours_size, theirs_size = (np.std(values) for values in (first, theirs))
    assert 0.5 < ours_size / theirs_size < 2


def test_no_control_is_run_or_named_where_none_is_asked_for(double_model):
    found = patch_sweep(double_model("gpt2"), prompts_of(5, 5), "attn_out", control=False, engine="exact")
    assert "control" not in found.data
    assert "control_values" not in found.data


@pytest.mark.parametrize("needs", [("wrong_answer",), ("answer",)])
def test_a_metric_may_read_either_answer_alone(double_model, needs):
    def read(reading):
        ids = reading.answers if needs == ("answer",) else reading.wrong_answers
        return reading.logits.gather(1, ids[:, None])[:, 0]

    metric = Metric("one logit", "logit", "Larger: larger.", read, needs=needs, reads="answers")
    assert_engine_equals_hooks(double_model("gemma2"), prompts_of(6, 6), "attn_out", metric=metric)
