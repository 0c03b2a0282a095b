import numpy as np
import pytest

from interp.patching import patch_sweep
from interp.patching.engine import CellState
from interp.prompts import PromptPair, PromptSet, repeated_random_prompts
from interp.statistics import bootstrap_interval, sign_flips

N_RUNS = 200


def prompts_for(n, period=5, seed=4):
    return repeated_random_prompts(n, period, ids=range(10, 200), bos=0, seed=seed)


@pytest.fixture(scope="module")
def sweep(family_model):
    return patch_sweep(family_model("gpt2"), prompts_for(6), "resid_pre")


def test_the_difference_to_the_placebo_is_taken_prompt_by_prompt(sweep):
    data = sweep.data
    above = (data["values"] - data["control_values"]).values
    np.testing.assert_allclose(data["above_control"], data["effect"] - data["control"], rtol=0, atol=1e-12)
    low, high = bootstrap_interval(above)
    np.testing.assert_allclose(data["above_control_low"], low, rtol=0, atol=1e-12)
    np.testing.assert_allclose(data["above_control_high"], high, rtol=0, atol=1e-12)
    tested = sign_flips(above)
    np.testing.assert_array_equal(data["above_control_p"], tested.p)
    np.testing.assert_array_equal(data["above_control_q_fdr"], tested.q_fdr)
    assert (data["above_control_p"] != data["p"]).any(), "the two tests must differ, or this proves nothing"


def test_the_p_values_are_those_of_the_effects_by_prompt(sweep):
    data = sweep.data
    effects = (data["values"] - data["corrupted_values"]).transpose("prompt", "layer", "pos").values
    tested = sign_flips(effects)
    for name in ("p", "p_corrected", "q_fdr"):
        np.testing.assert_allclose(data[name], getattr(tested, name), rtol=0, atol=1e-12)
    assert len(np.unique(data["p"])) > 5


def test_cells_that_were_not_computed_have_no_effect_and_are_no_hypotheses(sweep):
    data = sweep.data
    assert sweep.notes["states"] == [state.name.lower() for state in CellState]
    skipped = (data["state"] != CellState.COMPUTED).all("prompt").values
    assert 0 < skipped.sum() < skipped.size
    for name, expected in {"effect": 0, "p": 1, "p_corrected": 1, "q_fdr": 1, "above_control_q_fdr": 1}.items():
        assert (data[name].values[skipped] == expected).all(), name
    computed = (data["values"] - data["corrupted_values"]).transpose("prompt", "layer", "pos").values[:, ~skipped]
    np.testing.assert_array_equal(data["q_fdr"].values[~skipped], sign_flips(computed).q_fdr)


def test_without_a_control_nothing_is_compared_with_one(tiny):
    found = patch_sweep(tiny, prompts_for(4), "resid_pre", control=False)
    assert not found.has_control
    assert not [name for name in found.data if "control" in str(name)]
    assert "q_fdr" in found.data


def test_columns_that_one_prompt_has_leave_no_interval_and_no_p(tiny):
    ragged = PromptSet.of([*prompts_for(1, 8), *prompts_for(2, 5)])
    found = patch_sweep(tiny, ragged, "resid_pre").data
    assert not {"effect_low", "p", "q_fdr", "above_control_low"} & set(found)
    ragged = PromptSet.of([*prompts_for(2, 8), *prompts_for(2, 5)])
    assert {"effect_low", "p", "q_fdr", "above_control_low"} <= set(patch_sweep(tiny, ragged, "resid_pre").data)


def random_pairs(rng, n=10, length=7, first=2):
    """Pairs whose sides are drawn alike, with answers drawn alike.

    Exchanging the two answers turns the sign of a logit difference, and with it every effect of the prompt at once.
    Either order is as likely, so effects are symmetric around 0, all cells of a prompt together, whatever the model.
    """
    for _ in range(n):
        clean, corrupted = rng.integers(10, 390, (2, length))
        corrupted[:first] = clean[:first]
        clean[0] = corrupted[0] = 0
        answer, wrong = rng.choice(np.arange(10, 390), 2, replace=False)
        yield PromptPair(clean, corrupted, int(answer), int(wrong))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "by"), [("resid_pre", "pos"), ("z", "pos_head")])
def test_prompts_that_differ_in_nothing_systematic_are_called_significant_in_one_sweep_of_twenty(
    tiny, kind, by, record_property
):
    rng = np.random.default_rng(0)
    any_cell = dict.fromkeys(("q_fdr", "p_corrected", "above_control_q_fdr", "p"), 0)
    for _ in range(N_RUNS):
        data = patch_sweep(tiny, PromptSet.of(list(random_pairs(rng))), kind, by=by, engine="exact").data
        for name in any_cell:
            any_cell[name] += bool((data[name] < 0.05).any())
    shares = {name: count / N_RUNS for name, count in any_cell.items()}
    for name, share in shares.items():
        record_property(f"{kind} {by} {name}", share)
    allowed = 0.05 + 2 * (0.05 * 0.95 / N_RUNS) ** 0.5
    assert max(shares[name] for name in shares if name != "p") <= allowed, shares
    assert shares["p"] > 0.2, "uncorrected, the same cells mislead"


def test_prompts_with_a_systematic_difference_are_found(tiny):
    rng = np.random.default_rng(0)
    drawn = PromptSet.of(list(random_pairs(rng)))
    plain = patch_sweep(tiny, drawn, "resid_pre").data
    assert not (plain["q_fdr"] < 0.05).any(), "in random order nothing is to be found"
    apart = (plain["clean_values"] - plain["corrupted_values"]).values
    turned = [
        pair if gap > 0 else PromptPair(pair.clean, pair.corrupted, pair.wrong_answer, pair.answer)
        for pair, gap in zip(drawn, apart, strict=True)
    ]
    found = patch_sweep(tiny, PromptSet.of(turned), "resid_pre").data
    # The last layer's last position carries the whole difference, which now has one sign in all prompts.
    last = found.isel(layer=-1, pos=-1)
    assert last["effect"] > 0
    assert last["q_fdr"] < 0.05
    assert last["above_control"] > 0
