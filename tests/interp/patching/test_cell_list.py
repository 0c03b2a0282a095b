import numpy as np
import pytest
import torch

from interp.errors import InputError, PromptError, SiteError
from interp.metrics import METRICS
from interp.metrics.metric import reading
from interp.models.compiled import compiled_prompts
from interp.patching import patch_sweep
from interp.patching.cell_list import patch_cells, patch_neurons
from interp.patching.listed_cells import other_neurons
from interp.prompts import PromptSet
from interp.run import capture
from interp.sites import Site
from tests.interp.patching.cases import FAMILIES, inserted, pair_of, prompts_of

SITES = [
    Site(0, "resid_pre"),
    Site(1, "z", head=2),
    Site(0, "z", head=1, pos=4),
    Site(2, "z"),
    Site(1, "k", head=0, pos=5),
    Site(1, "v"),
    Site(0, "pattern", head=3),
    Site(2, "mlp_out", pos=6),
    Site(1, "post"),
    Site(1, "post", pos=6),
    Site(0, "post"),
    Site(2, "attn_out", pos=3),
]
QUICK = ("gpt2", "llama", "gemma2", "gpt_neox")
DECODERS = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in FAMILIES]
UNITS = [None] * 9 + [7, 3, None]


@pytest.mark.parametrize("family", DECODERS)
@pytest.mark.parametrize("direction", ["denoising", pytest.param("noising", marks=pytest.mark.slow)])
def test_cells_of_every_kind_equal_plain_hooks(double_model, family, direction):
    model, prompts = double_model(family), prompts_of(7, 7)
    base, other = ("corrupted", "clean") if direction == "denoising" else ("clean", "corrupted")
    found = patch_cells(model, prompts, SITES, units=UNITS, direction=direction, control=False)
    source = capture(model, prompts.batch(other), list({site.whole for site in SITES}))
    for number, (site, unit) in enumerate(zip(SITES, UNITS, strict=True)):

        def put(act, hook, site=site, unit=unit):
            act = act.clone()
            index = site.index if unit is None else (*site.index, unit)
            act[index] = source[site.whole][index]
            return act

        with torch.no_grad():
            tokens = torch.from_numpy(prompts.batch(base).tokens)
            logits = model.run_with_hooks(tokens, fwd_hooks=[(site.hook_name, put)])
        theirs = METRICS["logit_diff"](reading(logits, prompts, base)).numpy()
        np.testing.assert_allclose(found.data["values"][:, number], theirs, rtol=0, atol=1e-12, err_msg=str(site))
    assert set(found.notes["paths"].values()) == {"exact"}
    assert (found.data["effect"] != 0).sum() >= 10
    assert found.data["state"][0, -1] == 2, "the last layer's earlier positions reach nothing"
    assert found.data["cell"].values.tolist()[9] == "L1 post @6 [7]"


@pytest.mark.parametrize("family", ["gpt2", pytest.param("gpt_neox", marks=pytest.mark.slow)])
def test_the_hooked_way_gives_the_same_numbers_and_neuron_placebos(double_model, family):
    model, prompts = double_model(family), prompts_of(7, 9, 7)
    exact, hooks = (patch_cells(model, prompts, SITES, units=UNITS, engine=e).data for e in ("exact", "hooks"))
    np.testing.assert_allclose(exact["values"], hooks["values"], rtol=0, atol=1e-12)
    neurons = [number for number, unit in enumerate(UNITS) if unit is not None]
    np.testing.assert_allclose(exact["control_values"][:, neurons], hooks["control_values"][:, neurons], atol=1e-12)
    assert (exact["control"][neurons] != exact["effect"][neurons]).all()
    assert "state" not in hooks


def test_a_list_of_a_whole_grid_is_the_sweep(double_model):
    model, prompts = double_model("llama"), prompts_of(7, 7)
    sweep = patch_sweep(model, prompts, "z", by="pos_head", control=False).data["values"]
    cells = [Site(layer, "z", head=h, pos=p) for layer in range(3) for p in range(7) for h in range(4)]
    listed = patch_cells(model, prompts, cells, control=False).data["values"]
    np.testing.assert_allclose(listed, sweep.values.reshape(2, -1), rtol=0, atol=1e-12)


def test_positions_count_aligned_columns_and_what_a_prompt_lacks_is_not_run(double_model):
    rng = np.random.default_rng(2)
    prompts = PromptSet.of([inserted(rng, pair_of(rng, length=n)) for n in (5, 9)])
    longest = max(len(pair.aligned_positions) for pair in prompts)
    found = patch_cells(
        double_model("gpt2"), prompts, [Site(1, "resid_pre", pos=longest - 1), Site(0, "resid_pre", pos=2)]
    )
    sweep = patch_sweep(double_model("gpt2"), prompts, "resid_pre").data["values"]
    assert found.data["ran"][:, 0].values.tolist() == [False, True]
    np.testing.assert_allclose(found.data["values"][:, 0], sweep.values[:, 1, longest - 1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.data["values"][:, 1], sweep.values[:, 0, 2], rtol=0, atol=1e-12)


def test_neurons_by_position_sum_up_where_one_position_matters(double_model):
    model, prompts = double_model("gpt2"), prompts_of(7, 7)
    whole = patch_neurons(model, prompts, [(2, 5), (0, 9)]).data
    by_pos = patch_neurons(model, prompts, [(2, 5), (0, 9)], by="pos").data
    assert whole.sizes["cell"] == 2
    assert by_pos["cell"].values[6] == "L2 post @6 [5]"
    # In the last layer the metric sees the last position alone.
    assert by_pos["effect"][6].item() == pytest.approx(whole["effect"][0].item(), abs=1e-12)
    assert (by_pos["effect"][:6] == 0).all()
    assert (by_pos["effect"][9:] != 0).any()


def test_every_neurons_placebo_is_another_neuron():
    other = other_neurons(50, 3)
    assert sorted(other.tolist()) == list(range(50))
    assert (other != torch.arange(50)).all()


def test_compiled_cells_are_found(double_model):
    model, prompts = double_model("compiled:induction"), compiled_prompts("induction", 3, 3)
    sweep = patch_sweep(model, prompts, "z", by="head").data["effect"]
    listed = patch_cells(model, prompts, [Site(0, "z", head=0), Site(1, "z", head=0), Site(1, "pattern", head=0)]).data
    np.testing.assert_allclose(listed["effect"][:2], sweep.values[:, 0], rtol=0, atol=1e-12)


def test_hooks_serve_what_the_engine_does_not_know(family_model):
    found = patch_cells(family_model("mixtral"), prompts_of(7, 7), [Site(1, "attn_out"), Site(0, "z", head=1)])
    assert found.notes["paths"] == {"attn_out": "hooks", "z": "hooks"}
    with pytest.raises(SiteError, match="cannot patch"):
        patch_cells(family_model("mixtral"), prompts_of(7, 7), [Site(1, "attn_out")], engine="exact")


@pytest.mark.parametrize(
    ("sites", "units", "error", "says"),
    [
        ([], None, InputError, "no cells"),
        ([SITES[0], SITES[0]], None, InputError, "listed twice"),
        ([SITES[0]], [None, None], InputError, "2 units for 1 sites"),
        ([SITES[0]], [3], SiteError, "no such neuron"),
        ([Site(0, "post")], [10_000], SiteError, "no such neuron"),
        ([Site(0, "z", head=9)], None, SiteError, "no such head"),
        ([Site(0, "z", pos=9)], None, PromptError, "no prompt has that position"),
    ],
)
def test_cells_that_are_not_there_are_refused(double_model, sites, units, error, says):
    with pytest.raises(error, match=says):
        patch_cells(double_model("gpt2"), prompts_of(7, 7), sites, units=units)


def test_neurons_by_anything_else_and_shifted_patterns_are_refused(double_model):
    rng = np.random.default_rng(2)
    with pytest.raises(InputError, match="by 'layer'"):
        patch_neurons(double_model("gpt2"), prompts_of(7), [(0, 1)], by="layer")
    with pytest.raises(PromptError, match="relates positions"):
        patch_cells(double_model("gpt2"), PromptSet.of([inserted(rng, pair_of(rng))]), [Site(0, "pattern")])
