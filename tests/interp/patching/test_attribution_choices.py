"""Estimates beside exact effects, along several steps, and what is refused."""

import numpy as np
import pytest

from interp.errors import InputError, ResultError, SiteError
from interp.models.compiled import compiled_model, compiled_prompts
from interp.patching import against_exact, patch_sweep
from interp.patching.attribution.against import rank_correlation
from interp.prompts import PromptPair, PromptSet, Span
from interp.results import Result
from tests.interp.patching.cases import hooked, repeated_prompts


@pytest.mark.parametrize("method", ["atp", "atp*"])
def test_verified_cells_hold_the_exact_effect_and_are_the_largest(tiny, method):
    prompts = repeated_prompts(tiny, n=4)
    found = patch_sweep(tiny, prompts, "q", by="pos_head", method=method, verify_top=7)
    exact = patch_sweep(tiny, prompts, "q", by="pos_head", control=False)
    at = {dim: found.data[f"verified_{dim}"] for dim in ("layer", "pos", "head")}
    np.testing.assert_allclose(found.data["exact"], exact.data["effect"].sel(at), rtol=0, atol=1e-5)
    sizes = abs(found.data["effect" if method == "atp" else "graddrop"])
    np.testing.assert_allclose(sizes.sel(at), np.sort(sizes.values.ravel())[::-1][:7])
    assert found.notes["rank_correlation"]["cells"] == 7
    assert "7 cells" in found.notes["verified"]
    assert "verify_top=7)" in found.provenance.call


def test_verified_cells_are_the_same_by_hooks(tiny):
    prompts = repeated_prompts(tiny)
    ours, hooks = (
        patch_sweep(tiny, prompts, "z", by="head", method="atp", verify_top=3, engine=engine, control=False)
        for engine in ("exact", "hooks")
    )
    np.testing.assert_allclose(ours.data["exact"], hooks.data["exact"], rtol=0, atol=1e-5)


def test_a_result_against_exact_keeps_the_grid_and_survives_a_file(tiny, tmp_path):
    prompts = repeated_prompts(tiny, n=4)
    estimate = patch_sweep(tiny, prompts, "z", by="head", method="atp*")
    exact = patch_sweep(tiny, prompts, "z", by="head")
    both = against_exact(estimate, exact)
    np.testing.assert_allclose(both.data["exact"], exact.data["effect"])
    agreement = both.notes["rank_correlation"]
    assert agreement["low"] <= agreement["rho"] <= agreement["high"]
    assert agreement["cells"] == 12
    assert -1 <= both.notes["graddrop_rank_correlation"] <= 1
    assert Result.load(both.save(tmp_path / "both")).notes == both.notes


def test_rank_correlation_by_hand():
    exact = np.array([[1.0, 2.0, 3.0, 4.0]])
    # Ranks 1 2 3 4 and 2 1 3 4: squared differences 1 + 1, so rho = 1 - 6 * 2 / (4 * 15) = 0.8.
    assert rank_correlation(np.array([[20.0, 10.0, 30.0, 40.0]]), exact) == {"rho": pytest.approx(0.8), "cells": 4}
    assert rank_correlation(exact[:, :2], exact[:, :2]) is None
    assert rank_correlation(exact * 0, exact) is None
    noise = exact + np.random.default_rng(0).normal(0, 0.1, (8, 4))
    found = rank_correlation(noise, np.repeat(exact, 8, 0))
    assert found["low"] <= found["rho"] <= found["high"] == pytest.approx(1)


def test_float_errors_have_no_rank():
    exact = np.array([[1e-12, 3e-12, 2e-12, 5.0, 6.0]])
    assert rank_correlation(exact * [[1, -1, 3, 1, 1]], exact)["rho"] == pytest.approx(1)


def test_results_of_different_sweeps_are_refused(tiny):
    prompts = repeated_prompts(tiny)
    estimate = patch_sweep(tiny, prompts, "z", by="head", method="atp", control=False)
    for other, says in [
        (patch_sweep(tiny, prompts, "q", by="head", control=False), "site 'z'"),
        (patch_sweep(tiny, prompts, "z", by="head", direction="noising", control=False), "direction"),
        (patch_sweep(tiny, repeated_prompts(tiny, n=3), "z", by="head", control=False), "different models or prompts"),
        (estimate, "Expected an 'attribution' and a 'patch_sweep'"),
    ]:
        with pytest.raises(ResultError, match=says):
            against_exact(estimate, other)


@pytest.mark.parametrize("metric", ["rank", "accuracy"])
def test_a_metric_without_gradient_is_refused(tiny, metric):
    with pytest.raises(InputError, match="has no gradient"):
        patch_sweep(tiny, repeated_prompts(tiny), "resid_pre", metric=metric, method="atp")


def test_kl_is_refused_where_it_is_flat_and_estimated_where_it_is_not(tiny):
    with pytest.raises(InputError, match="gradient is zero"):
        patch_sweep(tiny, repeated_prompts(tiny), "resid_pre", metric="kl", direction="noising", method="atp")
    found = patch_sweep(tiny, repeated_prompts(tiny), "resid_pre", metric="kl", method="atp").data
    assert abs(found["effect"]).max() > 1e-3


def test_an_architecture_that_cannot_be_taken_apart_is_refused_by_name(family_model):
    model = family_model("mixtral")
    with pytest.raises(SiteError, match=r"Mixtral.*Use method='exact'"):
        patch_sweep(model, repeated_prompts(model), "resid_pre", method="atp")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"method": "exact", "verify_top": 3}, "verify_top=3 is for estimates"),
        ({"method": "atp", "verify_top": 10_000}, "verify_top is 10000"),
        ({"method": "atp", "verify_top": -1}, "verify_top is -1"),
    ],
)
def test_cells_to_verify_must_exist(tiny, change, says):
    with pytest.raises(InputError, match=says):
        patch_sweep(tiny, repeated_prompts(tiny), "mlp_out", **change)


@pytest.mark.parametrize("direction", ["denoising", "noising"])
def test_over_many_steps_estimates_of_the_embeddings_add_up_to_all_that_the_prompts_differ_by(wide, direction):
    # Completeness of integrated gradients (Sundararajan et al. 2017, prop. 1); middles of parts err by their square.
    model = wide("gpt2")
    found = patch_sweep(
        model, repeated_prompts(model), "resid_pre", method="atp", ig_steps=200, direction=direction, control=False
    ).data
    base, source = ("corrupted", "clean") if direction == "denoising" else ("clean", "corrupted")
    differ = found[f"{source}_values"] - found[f"{base}_values"]
    sums = (found["values"][:, 0] - found[f"{base}_values"]).sum("pos")
    assert abs(differ).min() > 1e-3
    np.testing.assert_allclose(sums, differ, rtol=3e-4)
    one = patch_sweep(
        model, repeated_prompts(model), "resid_pre", method="atp", direction=direction, control=False
    ).data
    assert abs((one["values"][:, 0] - one[f"{base}_values"]).sum("pos") - differ).max() > 1e-2 * abs(differ).max()


def test_steps_find_the_head_that_a_saturated_head_after_it_hides():
    # The previous-token head only tells the induction head where to look: flat until half of the way, then all.
    model, prompts, key = hooked("induction"), compiled_prompts("induction", 4), compiled_model("induction").key
    before = key.node("previous").site
    at = {"layer": before.layer, "head": before.head or 0}
    exact, blind, seen = (
        patch_sweep(model, prompts, "z", by="head", control=False, **how)
        for how in ({}, {"method": "atp*"}, {"method": "atp*", "ig_steps": 64})
    )
    assert exact.data["effect"].sel(at).item() == pytest.approx(20)
    assert blind.data["effect"].sel(at).item() == pytest.approx(0, abs=1e-6)
    assert seen.data["effect"].sel(at).item() == pytest.approx(20, abs=0.1)
    assert "64 runs" in seen.method
    assert "ig_steps=64" in seen.provenance.call
    assert "ig_steps" not in blind.provenance.call


def test_steps_between_prompts_of_different_lengths_go_by_the_alignment(wide):
    model = wide("gpt2")
    clean, corrupted = np.array([0, 20, 30, 40]), np.array([0, 50, 60, 30, 41])
    alignment = ((Span(0, 1), Span(0, 1)), (Span(1, 2), Span(1, 3)), (Span(2, 4), Span(3, 5)))
    prompts = PromptSet.of([PromptPair(clean, corrupted, 7, 8, alignment=alignment)])
    found = patch_sweep(model, prompts, "resid_pre", method="atp", ig_steps=40, control=False).data
    whole = patch_sweep(model, prompts, "resid_pre", control=False).data
    # All positions that stand for one another patched at once, which is where the steps lead to.
    assert np.isfinite(found["effect"]).all()
    assert ((found["effect"] == 0) == (whole["effect"] == 0)).all()


@pytest.mark.parametrize(("method", "ig_steps"), [("exact", 8), ("atp", -1)])
def test_steps_that_mean_nothing_are_refused(tiny, method, ig_steps):
    with pytest.raises(InputError, match=f"ig_steps={ig_steps} with method='{method}'"):
        patch_sweep(tiny, repeated_prompts(tiny), "z", by="head", method=method, ig_steps=ig_steps)
