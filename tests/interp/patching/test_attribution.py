"""Attribution patching against finite differences, TransformerLens, exact sweeps and circuits that are known."""

from typing import Any

import numpy as np
import pytest
import torch

from interp.metrics import as_metric
from interp.metrics.metric import reading
from interp.models import facts, load_model
from interp.models.compiled import compiled_model, compiled_prompts
from interp.models.decoder import as_decoder
from interp.patching import patch_sweep
from interp.patching.attribution import AttributionSweep
from interp.patching.attribution.changes import Changes, tap_of
from interp.patching.attribution.score import PromptScore
from interp.patching.cells import chosen_positions, columns_of
from interp.patching.plan import SweepPlan
from interp.prompts import PromptPair, PromptSet, Span
from interp.run import Where, capture, forward, intervene
from interp.sites import Site
from tests.interp.patching.cases import hooked, repeated_prompts

VECTORS = ("resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out", "post")
HEADS = ("z", "q", "k", "v", "pattern")
GRID = [(kind, "pos") for kind in (*VECTORS, *HEADS)] + [(kind, by) for kind in HEADS for by in ("head", "pos_head")]


class Towards:
    """Move the activation a share of the way to another."""

    def __init__(self, target: torch.Tensor, share: float):
        self.target, self.share = target, share

    def __call__(self, activation: torch.Tensor) -> torch.Tensor:
        return activation + self.share * (self.target.to(activation) - activation)


def plan_for(model, prompts, kind, by, direction="denoising"):
    known = facts(model)
    n_heads = known.n_kv_heads if kind in ("k", "v") else known.n_heads
    columns = columns_of(prompts, kind, by, n_heads)
    return SweepPlan(kind, columns, as_metric("logit_diff"), direction, 0, tuple(range(known.n_layers)))


def slope(model, prompts, plan, layer, column, step):
    """Derivative of the metric along the patch, by central differences through hooks."""
    site = Site(layer, plan.kind)
    target = capture(model, prompts.batch(plan.source), [site])[site]
    rows = [(prompt, column) for prompt in range(len(prompts))]
    batch = prompts.batch(plan.base)
    chosen = chosen_positions(prompts, plan.columns, rows, plan.base, batch.tokens.shape[1])

    def at(share):
        with intervene(model, {site: Where(Towards(target, share), chosen)}, times=1):
            return plan.metric(reading(forward(model, batch), prompts, plan.base)).double().numpy()

    return (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12 * step)


@pytest.mark.parametrize(("family_name", "direction"), [("gpt2", "denoising"), ("gpt_neox", "noising")])
def test_an_estimate_is_the_slope_of_the_metric_along_the_patch(wide, family_name, direction):
    model = wide(family_name)
    decoder, prompts, rng = as_decoder(model), repeated_prompts(model), np.random.default_rng(0)
    compared = 0
    for kind, by in GRID if family_name == "gpt2" else GRID[::2]:
        if kind == "resid_mid" and decoder.blocks[0].parallel:
            continue
        plan = plan_for(model, prompts, kind, by, direction)
        numbers = AttributionSweep(model, decoder, prompts, plan, star=False).estimates(placebo=False).numbers
        ours = (numbers.patched - numbers.unpatched[:, None]).transpose(1, 2, 0)
        layer, column = np.argwhere(np.abs(ours).max(-1) > 1e-3)[rng.integers(np.sum(np.abs(ours).max(-1) > 1e-3))]
        theirs = slope(model, prompts, plan, int(layer), int(column), 1e-3)
        np.testing.assert_allclose(ours[layer, column], theirs, rtol=1e-5, atol=1e-8, err_msg=f"{kind} by {by}")
        compared += 1
    assert compared >= 10


@pytest.mark.parametrize("family_name", ["llama", "gemma2"])
def test_norms_caps_windows_and_shared_keys_keep_the_slope(wide, family_name):
    # These families compute norms in float32, whatever the model's dtype: a coarser step, a coarser answer.
    model = wide(family_name)
    decoder, prompts = as_decoder(model), repeated_prompts(model)
    for kind, by in [("attn_out", "pos"), ("q", "head"), ("k", "head")]:
        plan = plan_for(model, prompts, kind, by)
        numbers = AttributionSweep(model, decoder, prompts, plan, star=False).estimates(placebo=False).numbers
        ours = (numbers.patched - numbers.unpatched[:, None])[:, 1]
        column = int(np.abs(np.nan_to_num(ours)).max(0).argmax())
        theirs = slope(model, prompts, plan, 1, column, 5e-3)
        np.testing.assert_allclose(ours[:, column], theirs, rtol=5e-3, atol=1e-4, err_msg=f"{kind} by {by}")


@pytest.mark.parametrize("family_name", ["gpt2", "llama"])
def test_estimates_agree_with_transformer_lens(family_directory, family_name):
    from transformer_lens.tools.analysis import attribution_patching as theirs

    # A model of its own: theirs needs parameters that take gradients.
    model = load_model(str(family_directory(family_name))).requires_grad_(True)
    prompts = repeated_prompts(model, n=3)
    ours = {
        "attn_head_out": patch_sweep(model, prompts, "z", by="pos_head", method="atp", control=False).data["effect"],
        "mlp_out": patch_sweep(model, prompts, "mlp_out", method="atp", control=False).data["effect"],
    }
    scores: dict[Any, float] = {}
    for pair in prompts:
        tokens = [torch.from_numpy(side)[None] for side in (pair.clean, pair.corrupted)]
        answer, wrong = pair.answer, pair.wrong_answer

        def metric(logits, answer=answer, wrong=wrong):
            return logits[0, -1, answer] - logits[0, -1, wrong]

        for node, score in theirs.attribution_patch(model, *tokens, metric).node_scores.items():
            scores[node] = scores.get(node, 0) + score / len(prompts)
    compared = 0
    for node, score in scores.items():
        if node.kind in ours:
            at = ours[node.kind][node.layer, node.position]
            mine = at[node.head].item() if node.kind == "attn_head_out" else at.item()
            assert mine == pytest.approx(score, abs=1e-5)
            compared += abs(score) > 1e-3
    assert compared > 20, "nodes must have effects, or this proves nothing"


@pytest.mark.parametrize(("kind", "by"), [("attn_out", "pos"), ("resid_post", "pos"), ("z", "head"), ("v", "head")])
def test_where_the_metric_is_linear_the_estimate_is_exact(kind, by):
    model, prompts = hooked("copy"), compiled_prompts("copy", 4)
    exact, estimate = (
        patch_sweep(model, prompts, kind, by=by, method=method, control=False).data["values"].values[:, -1]
        for method in ("exact", "atp")
    )
    assert np.ptp(exact) > 1, "cells must differ, or this proves nothing"
    np.testing.assert_allclose(estimate, exact, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("kind", "by"), [(kind, by) for kind in ("q", "k", "pattern") for by in ("pos", "head", "pos_head")]
)
def test_the_fixed_softmax_is_exact_for_every_cell_of_the_last_layer(kind, by):
    model, prompts = hooked("copy"), compiled_prompts("copy", 4)
    exact = patch_sweep(model, prompts, kind, by=by, control=False).data["values"][:, -1]
    estimate = patch_sweep(model, prompts, kind, by=by, method="atp*", control=False).data["values"][:, -1]
    assert np.nanmax(exact) - np.nanmin(exact) > 1, "cells must differ, or this proves nothing"
    np.testing.assert_allclose(estimate, exact, rtol=0, atol=1e-10)


@pytest.mark.parametrize("direction", ["denoising", "noising"])
def test_atp_star_finds_the_planted_key_that_saturated_attention_hides_from_atp(direction):
    model, prompts = hooked("induction"), compiled_prompts("induction", 6)
    site = compiled_model("induction").key.node("induction").site

    def sweep(**how):
        return patch_sweep(model, prompts, "k", by="pos_head", direction=direction, **how).data

    exact, atp, star = sweep(), sweep(method="atp"), sweep(method="atp*")
    planted = {"layer": site.layer, "head": site.head or 0}
    place = int(np.abs(exact["effect"].sel(planted).values).argmax())
    largest = abs(exact["effect"]).max().item()
    assert abs(exact["effect"].sel(planted)[place]).item() == largest > 4
    assert abs(atp["effect"]).max().item() < 1e-6
    assert abs(star["effect"]).argmax(...)["layer"].item() == site.layer
    assert star["effect"].sel(planted)[place].item() == pytest.approx(
        exact["effect"].sel(planted)[place].item(), abs=1e-8
    )
    assert star["graddrop"].sel(planted)[place].item() == pytest.approx(largest, abs=1e-8)


def test_over_all_positions_the_planted_key_stands_alone_and_above_its_placebo():
    model, prompts = hooked("induction"), compiled_prompts("induction", 6)
    found = {how: patch_sweep(model, prompts, "k", by="head", method=how).data for how in ("exact", "atp", "atp*")}
    assert found["exact"]["effect"].values == pytest.approx(np.array([[0], [20]]), abs=1e-8)
    assert abs(found["atp"]["effect"]).max() < 1e-6
    assert found["atp*"]["effect"].values == pytest.approx(np.array([[0], [20]]), abs=1e-8)
    assert found["atp*"]["graddrop"].values == pytest.approx(np.array([[0], [20]]), abs=1e-8)
    np.testing.assert_allclose(found["atp*"]["control"], found["exact"]["control"], rtol=0, atol=1e-8)
    assert found["atp*"]["control"][1, 0] < 15


def test_atp_star_finds_the_queries_of_movers_and_suppressor():
    model, prompts, key = hooked("copy"), compiled_prompts("copy", 4), compiled_model("copy").key
    found = {
        method: patch_sweep(model, prompts, "q", by="head", method=method, control=False).data["effect"]
        for method in ("exact", "atp", "atp*")
    }
    for name in ("mover_a", "mover_b", "suppressor"):
        at = {"layer": key.node(name).site.layer, "head": key.node(name).site.head}
        assert found["exact"].sel(at).item() > 5
        assert abs(found["atp"].sel(at).item()) < 1e-6
        assert found["atp*"].sel(at).item() == pytest.approx(found["exact"].sel(at).item(), abs=1e-8)


@pytest.mark.parametrize(("family_name", "step", "tolerance"), [("gpt2", 1e-6, 1e-4), ("llama", 1e-3, 0.02)])
def test_the_fixed_softmax_is_the_plain_estimate_where_a_patch_is_small(wide, family_name, step, tolerance):
    # Llama shares keys between heads, and its softmax is float32, so the step must not be too small.
    model = wide(family_name)
    prompts, decoder = repeated_prompts(model), as_decoder(model)
    tokens = torch.from_numpy(prompts.batch("corrupted").tokens)
    places = torch.eye(tokens.shape[1], dtype=torch.bool).expand(len(tokens), -1, -1)
    score = PromptScore(decoder, as_metric("logit_diff"), prompts)
    for kind in ("q", "k"):
        shares = {}
        for star in (False, True):
            gradients = tap_of(kind, star=star, drop=False).read(decoder, tokens, score)
            old = gradients.base[kind][1]
            new = old + step * torch.randn(old.shape, generator=torch.Generator().manual_seed(0)).double()
            shares[star] = Changes(decoder, kind, gradients, places, star).shares(1, new).numpy()
        largest = np.abs(shares[False]).max()
        assert largest > step / 100
        np.testing.assert_allclose(shares[True], shares[False], rtol=0, atol=tolerance * largest)


def test_dropping_a_layer_takes_away_what_goes_through_it():
    # Copy: the duplicate head tells the collector, which tells the movers; none of it reaches the logits directly.
    model, prompts = hooked("copy"), compiled_prompts("copy", 3)
    found = patch_sweep(model, prompts, "z", by="head", method="atp*", control=True).data
    effect, drops = abs(found["effect"]), found["graddrop"]
    # A head of the last layer goes straight to the logits: only its own layer's drop takes it, so two of three stay,
    # divided by two.
    np.testing.assert_allclose(drops[-1], effect[-1], rtol=0, atol=1e-9)
    assert effect[-1].max() > 5
    assert (drops >= 0).all()
    assert (found["control_graddrop"] >= 0).all()


@pytest.mark.parametrize("kind", ["attn_out", "mlp_out"])
def test_what_a_layer_adds_goes_with_the_layer_even_behind_a_norm(family_model, kind):
    # In the last of three layers two drops leave the gradient as it is and its own takes it all: 2 / (3 - 1) of it.
    model = family_model("gemma2")
    found = patch_sweep(model, repeated_prompts(model), kind, method="atp*", control=False).data
    sizes = abs(found["values"] - found["corrupted_values"]).transpose(*found["values"].dims).mean("prompt")
    assert sizes[-1, -1] > 1e-3
    np.testing.assert_allclose(found["graddrop"][-1], sizes[-1], rtol=1e-3, atol=1e-6)


def test_graddrop_by_hand(wide):
    # By hand: the estimate with each layer dropped, from a run in which that layer's output is cut from the graph.
    model = wide("gpt2")
    prompts, decoder = repeated_prompts(model), as_decoder(model)
    found = patch_sweep(model, prompts, "resid_pre", method="atp*", control=False).data["graddrop"]
    tokens = {side: torch.from_numpy(prompts.batch(side).tokens) for side in ("clean", "corrupted")}
    answers, wrong = (torch.from_numpy(prompts.answers(name)) for name in ("answer", "wrong_answer"))

    def residuals(side, dropped=None):
        rows = decoder.embed(tokens[side]).requires_grad_()
        kept = [rows]
        mask = torch.ones(rows.shape[1], rows.shape[1], dtype=torch.bool).triu(1)
        for layer, block in enumerate(decoder.blocks):
            attention, normed = block.attention, block.norm(rows)
            q, k, v = (attention.heads(part(normed)) for part in (attention.q, attention.k, attention.v))
            scores = torch.einsum("bqhd,bkhd->bhqk", q, k) * attention.scale
            pattern = scores.masked_fill(mask, -torch.inf).softmax(-1)
            added = attention.o(torch.einsum("bhqk,bkhd->bqhd", pattern, v).flatten(-2))
            added = added + block.mlp(block.mlp_norm(rows + added))
            rows = rows + (added.detach() if layer == dropped else added)
            kept.append(rows)
        return kept

    source, expected = residuals("clean"), 0.0
    for dropped in range(3):
        base = residuals("corrupted", dropped)
        logits = decoder.logits(base[-1][:, -1])
        value = (logits.gather(1, answers[:, None]) - logits.gather(1, wrong[:, None])).sum()
        grads = torch.autograd.grad(value, base[:-1])
        each = [((new - old) * grad).sum(-1).abs() for new, old, grad in zip(source, base, grads, strict=False)]
        expected = expected + torch.stack(each, 1) / (3 - 1)
    np.testing.assert_allclose(found, expected.mean(0).detach(), rtol=0, atol=1e-10)


def test_a_model_of_one_layer_has_no_graddrop_and_says_so():
    model, prompts = hooked("skip-trigram"), compiled_prompts("skip-trigram", 3)
    found = patch_sweep(model, prompts, "v", by="head", method="atp*", verify_top=1)
    assert "graddrop" not in found.data
    assert "no `graddrop`" in found.method
    assert found.data["exact"].item() == pytest.approx(found.data["effect"].max().item(), abs=1e-9)


@pytest.mark.parametrize("method", ["atp", "atp*"])
def test_cells_before_the_first_difference_are_zero_and_so_is_their_placebo(tiny, method):
    prompts = repeated_prompts(tiny)
    found = patch_sweep(tiny, prompts, "k", method=method).data
    differs = int(np.flatnonzero((prompts.batch("clean").tokens != prompts.batch("corrupted").tokens).any(0))[0])
    assert (found["effect"][:, :differs] == 0).all()
    assert (found["control"][:, :differs] == 0).all()
    assert (found["effect"][1:, differs:] != 0).any()
    assert abs(found["control"] - found["effect"])[1:, differs:].max() > 1e-4


@pytest.mark.parametrize("method", ["atp", "atp*"])
def test_the_placebo_is_the_one_the_exact_sweep_runs(method):
    # In the last layer of a model without norms both are exact, so the controls are the same numbers.
    model, prompts = hooked("copy"), compiled_prompts("copy", 4)
    controls = [
        patch_sweep(model, prompts, "attn_out", method=how).data["control_values"][:, -1] for how in ("exact", method)
    ]
    assert abs(controls[0] - patch_sweep(model, prompts, "attn_out").data["values"][:, -1]).max() > 0.1
    np.testing.assert_allclose(*controls, rtol=0, atol=1e-10)


@pytest.mark.parametrize("method", ["atp", "atp*"])
@pytest.mark.parametrize("kind", ["resid_pre", "k"])
def test_prompts_of_different_lengths_score_as_they_do_alone(tiny, method, kind):
    long, short = repeated_prompts(tiny, n=2, period=8), repeated_prompts(tiny, n=2, period=5)
    both = patch_sweep(tiny, PromptSet.of([*long, *short]), kind, method=method, control=False).data
    alone = patch_sweep(tiny, short, kind, method=method, control=False).data
    n = alone.sizes["pos"]
    np.testing.assert_allclose(both["values"][2:, :, :n], alone["values"], rtol=0, atol=1e-5)
    assert both["values"][2:, :, n:].isnull().all()


@pytest.mark.parametrize("direction", ["denoising", "noising"])
@pytest.mark.parametrize("kind", ["resid_pre", "v"])
def test_an_alignment_patches_the_positions_that_stand_for_each_other(wide, kind, direction):
    model = wide("gpt2")
    clean, corrupted = np.array([0, 20, 30, 40]), np.array([0, 50, 60, 30, 41])
    alignment = ((Span(0, 1), Span(0, 1)), (Span(1, 2), Span(1, 3)), (Span(2, 4), Span(3, 5)))
    prompts = PromptSet.of([PromptPair(clean, corrupted, 7, 8, alignment=alignment)])
    # In the last layer the last position's residual stream meets the final norm alone: linear in the limit, so compare
    # the sign and the place of what is large with the exact sweep, and places that stand for nothing with zero.
    ours = patch_sweep(model, prompts, kind, method="atp", direction=direction, control=False).data["effect"]
    exact = patch_sweep(model, prompts, kind, direction=direction, control=False).data["effect"]
    assert ours.dims == exact.dims
    assert ours.sizes == exact.sizes
    assert ((ours == 0) == (exact == 0)).all()
    assert (ours != 0).any()


def test_words_and_positions_add_up(tiny):
    clean, corrupted = np.array([0, 20, 30, 40]), np.array([0, 50, 60, 40])
    words = (Span(0, 1, "<s>"), Span(1, 3, "naïve"), Span(3, 4, "x"))
    prompts = PromptSet.of([PromptPair(clean, corrupted, 7, 8, words=words)])
    by_word, by_pos = (
        patch_sweep(tiny, prompts, "z", by=by, method="atp", control=False).data["effect"] for by in ("word", "pos")
    )
    np.testing.assert_allclose(by_word[:, 1], by_pos[:, 1] + by_pos[:, 2], rtol=0, atol=1e-5)
    assert abs(by_word[:, 1]).max() > 1e-3
