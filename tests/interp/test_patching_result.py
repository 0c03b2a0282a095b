import dataclasses

import numpy as np
import pytest

from interp.errors import ResultError
from interp.patching import patch_sweep
from interp.patching_result import to_patching_result
from interp.prompts import PromptSet, repeated_random_prompts


def prompts_for(n, period=5, seed=4):
    return repeated_random_prompts(n, period, ids=range(10, 200), bos=0, seed=seed)


@pytest.fixture(scope="module", params=["denoising", "noising"])
def sweep(request, family_model):
    model = family_model("gpt2")
    return patch_sweep(model, prompts_for(7), "z", by="pos_head", direction=request.param)


def test_the_statistics_of_transformer_lens_agree_with_ours(sweep):
    theirs, ours = to_patching_result(sweep), sweep.data
    assert theirs.axis_names == ["layer", "pos", "head"]
    assert abs(ours["effect"]).max() > 1e-3, "effects must differ from 0, or this proves nothing"
    np.testing.assert_allclose(theirs.mean(), ours["values"].mean("prompt"), rtol=0, atol=1e-12)
    np.testing.assert_allclose(theirs.effect().mean(-1), ours["effect"], rtol=0, atol=1e-12)
    source = "clean_values" if sweep.notes["direction"] == "denoising" else "corrupted_values"
    span = (ours[source] - theirs.baseline.numpy()).values
    np.testing.assert_allclose(
        (theirs.normalized(ours[source].values).numpy() * span).mean(-1) / span.mean(), ours["recovered"], atol=1e-12
    )
    # All flips are tried with so few prompts, so there is nothing random about either.
    np.testing.assert_allclose(theirs.permutation_pvalue(), ours["p"], rtol=0, atol=1e-12)


def test_the_intervals_of_transformer_lens_agree_with_ours(sweep):
    low, high = (end.numpy() for end in to_patching_result(sweep).bootstrap_ci(n_resamples=2000, of_effect=True))
    ours = sweep.data
    width = (ours["effect_high"] - ours["effect_low"]).values
    assert (width > 0).sum() > 20
    # Ends of two independent bootstraps of the same values: they differ by the bootstrap's own error.
    assert (abs(low - ours["effect_low"].values) <= 0.15 * width + 1e-9).all()
    assert (abs(high - ours["effect_high"].values) <= 0.15 * width + 1e-9).all()


def test_each_row_of_the_index_is_its_cell(sweep):
    frame = to_patching_result(sweep).to_dataframe()
    row = frame[(frame["layer"] == 1) & (frame["pos"] == 6) & (frame["head"] == 2) & (frame["example"] == 3)]
    assert row["value"].item() == sweep.data["values"].sel(layer=1, pos=6, head=2, prompt=3).item()


def test_what_it_cannot_say_is_refused(tiny, sweep):
    ragged = PromptSet.of([*prompts_for(2, 8), *prompts_for(2, 5)])
    with pytest.raises(ResultError, match="values were not run"):
        to_patching_result(patch_sweep(tiny, ragged, "resid_pre"))
    with pytest.raises(ResultError, match="no values by prompt"):
        to_patching_result(dataclasses.replace(sweep, data=sweep.data.drop_vars("values")))
