import numpy as np
import pytest
import torch

from interp.errors import InputError, PromptError, SiteError
from interp.metrics import METRICS
from interp.metrics.metric import reading
from interp.models.compiled import compiled_prompts
from interp.patching.ablation import ablate_sweep, steer_sweep
from interp.prompts import PromptSet
from interp.run import capture
from interp.sites import Site
from tests.interp.patching.cases import FAMILIES, inserted, pair_of, prompts_of

QUICK = ("gpt2", "llama", "gemma2", "gpt_neox")
DECODERS = [pytest.param(name, marks=() if name == "gpt_neox" else pytest.mark.slow) for name in FAMILIES]
SWEEPS = [("mlp_out", "pos"), ("z", "head"), ("v", "head"), ("pattern", "head")]


@pytest.mark.parametrize("family", DECODERS)
@pytest.mark.parametrize("mode", ["zero", "mean", "resample"])
def test_the_engine_equals_hooks(double_model, family, mode):
    model, prompts = double_model(family), prompts_of(7, 7, 7)
    for kind, by in SWEEPS:
        exact, hooks = (
            ablate_sweep(model, prompts, kind, mode, by=by, engine=e, control=False) for e in ("exact", "hooks")
        )
        assert (exact.notes["path"], hooks.notes["path"]) == ("exact", "hooks")
        np.testing.assert_allclose(exact.data["values"], hooks.data["values"], rtol=0, atol=1e-12, err_msg=kind)
        assert float(abs(exact.data["effect"]).max()) > 1e-3


def with_act(model, prompts, site, new):
    """The metric of the clean run with one activation in place, by TransformerLens's own hooks."""

    def put(act, hook):
        act = act.clone()
        act[site.index] = new
        return act

    with torch.no_grad():
        logits = model.run_with_hooks(
            torch.from_numpy(prompts.batch("clean").tokens), fwd_hooks=[(site.hook_name, put)]
        )
    return METRICS["logit_diff"](reading(logits, prompts, "clean")).numpy()


@pytest.mark.parametrize("family", QUICK)
def test_cells_are_what_plain_hooks_give(double_model, family):
    model, prompts = double_model(family), prompts_of(7, 7, 7)
    site = Site(1, "z", head=2)
    z = capture(model, prompts.batch("clean"), [site])[site]
    expected = {"zero": torch.zeros_like(z), "mean": z.mean(0)}
    for mode, new in expected.items():
        ours = ablate_sweep(model, prompts, "z", mode, by="head").data["values"].sel(layer=1, head=2)
        np.testing.assert_allclose(ours, with_act(model, prompts, site, new), rtol=0, atol=1e-12)
    pos = Site(1, "z", head=2, pos=4)
    ours = ablate_sweep(model, prompts, "z", "mean", by="pos_head").data["values"].sel(layer=1, head=2, pos=4)
    np.testing.assert_allclose(ours, with_act(model, prompts, pos, z.mean(0)[4]), rtol=0, atol=1e-12)


def test_resampling_puts_another_prompt_in_each_ones_place(double_model):
    model, prompts = double_model("gpt2"), prompts_of(7, 7, 7, 7)
    whole = ablate_sweep(model, prompts, "resid_post", "resample", by="pos", seed=3).data["values"].values[:, -1, -1]
    rows = capture(model, prompts.batch("clean"), [Site(2, "resid_post")])[Site(2, "resid_post")]
    every = np.stack([with_act(model, prompts, Site(2, "resid_post"), rows[donor]) for donor in range(4)])
    donors = np.abs(every - whole).argmin(0)
    np.testing.assert_allclose(every[donors, range(4)], whole, rtol=0, atol=1e-12)
    assert sorted(donors) == [0, 1, 2, 3]
    assert (donors != np.arange(4)).all()


def test_zero_needs_one_prompt_and_never_reads_the_corrupted_side(double_model):
    model, prompts, other = double_model("gpt2"), prompts_of(7), prompts_of(7, seed=9)
    swapped = PromptSet.of(
        [type(p)(p.clean, q.corrupted, p.answer, p.wrong_answer) for p, q in zip(prompts, other, strict=True)]
    )
    a, b = (ablate_sweep(model, given, "mlp_out", "zero").data["values"] for given in (prompts, swapped))
    np.testing.assert_array_equal(a, b)


def test_positions_without_alignment_are_ablated_too(double_model):
    rng = np.random.default_rng(3)
    prompts = PromptSet.of([inserted(rng, pair_of(rng, length=8)) for _ in range(3)])
    found = ablate_sweep(double_model("llama"), prompts, "resid_pre", "zero")
    lengths = prompts.batch("clean").lengths
    assert found.data.sizes["pos"] == lengths.max()
    np.testing.assert_array_equal(found.data["ran"][:, 0].sum("pos"), lengths)
    hooks = ablate_sweep(double_model("llama"), prompts, "resid_pre", "zero", engine="hooks")
    np.testing.assert_allclose(found.data["values"], hooks.data["values"], rtol=0, atol=1e-12)


def test_a_reference_gives_the_mean(double_model):
    model, prompts, reference = double_model("gpt2"), prompts_of(7), prompts_of(7, 9, 4, seed=5)
    site = Site(1, "attn_out")
    mask = torch.from_numpy(reference.batch("clean").mask)
    rows = capture(model, reference.batch("clean"), [site])[site]
    mean = torch.stack([rows[mask[:, pos], pos].mean(0) for pos in range(7)])
    ours = ablate_sweep(model, prompts, "attn_out", "mean", reference=reference).data["values"].sel(layer=1, pos=5)
    np.testing.assert_allclose(ours, with_act(model, prompts, Site(1, "attn_out", pos=5), mean[5]), rtol=0, atol=1e-12)


def test_compiled_heads_that_work_are_missed_and_their_placebo_differs(double_model):
    model, prompts = double_model("compiled:induction"), compiled_prompts("induction", 3, 3)
    found = ablate_sweep(model, prompts, "z", "zero", by="head").data
    assert found["effect"].min() < -0.5
    assert found["values"].dims == ("prompt", "layer", "head")
    assert (abs(found["effect"] - found["control"])).max() > 1e-3


def test_steering_adds_the_vector(double_model):
    model, prompts = double_model("llama"), prompts_of(7, 7)
    direction = torch.randn(32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    exact, hooks = (
        steer_sweep(model, prompts, "resid_mid", direction, scale=2.0, engine=e) for e in ("exact", "hooks")
    )
    np.testing.assert_allclose(exact.data["values"], hooks.data["values"], rtol=0, atol=1e-12)
    site = Site(1, "resid_post", pos=6)
    rows = capture(model, prompts.batch("clean"), [site])[site]
    ours = steer_sweep(model, prompts, "resid_post", direction).data["values"].sel(layer=1, pos=6)
    np.testing.assert_allclose(ours, with_act(model, prompts, site, rows + direction), rtol=0, atol=1e-12)
    assert exact.kind == "steer_sweep"


def test_hooks_serve_what_the_engine_does_not_know(family_model):
    found = ablate_sweep(family_model("mixtral"), prompts_of(7, 7), "attn_out", "mean")
    assert found.notes["path"] == "hooks"
    assert found.data["effect"].any()


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"mode": "halve"}, InputError, "No ablation mode 'halve'"),
        ({"mode": "zero", "reference": prompts_of(7)}, InputError, "mode='zero' reads none"),
        ({"mode": "mean"}, PromptError, "Fewer than 2 of the prompts have a position 0"),
        ({"mode": "mean", "reference": prompts_of(5)}, PromptError, "Fewer than 1 of the reference have a position 5"),
        ({"mode": "resample"}, PromptError, "only one of 7 tokens"),
        ({"mode": "zero", "kind": "resid_middle"}, SiteError, "Nearest"),
        ({"mode": "zero", "by": "head"}, SiteError, "has no heads"),
    ],
)
def test_what_would_say_nothing_is_refused(double_model, settings, error, says):
    settings = {"kind": "resid_pre"} | settings
    with pytest.raises(error, match=says):
        ablate_sweep(double_model("gpt2"), prompts_of(7), **settings)


def test_equal_prompts_cannot_stand_in_for_each_other(double_model):
    twice = PromptSet.of([*prompts_of(7), *prompts_of(7)])
    with pytest.raises(PromptError, match="they are equal"):
        ablate_sweep(double_model("gpt2"), twice, "z", "resample")


@pytest.mark.parametrize(
    ("kind", "direction", "error", "says"),
    [
        ("resid_pre", torch.ones(8), InputError, "has 32"),
        ("resid_pre", torch.zeros(32), InputError, "zero or not finite"),
        ("pattern", torch.ones(8), SiteError, "no direction"),
    ],
)
def test_steering_that_cannot_steer_is_refused(double_model, kind, direction, error, says):
    with pytest.raises(error, match=says):
        steer_sweep(double_model("gpt2"), prompts_of(7), kind, direction)
