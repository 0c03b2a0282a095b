import numpy as np
import pytest
import torch

from interp.errors import HookError, SiteError
from interp.models import describe, encode
from interp.prompts import TokenBatch
from interp.run import Ablate, Patch, Placebo, Steer, capture, forward, intervene
from interp.sites import KINDS, Site

TEXTS = ("The cat sat on the mat", "John gave a drink to Mary")


def batch_of(model, *texts):
    return TokenBatch.of([encode(model, text) for text in texts or TEXTS])


def hooks_on(model):
    return sum(len(point.fwd_hooks) + len(point.bwd_hooks) for point in model.hook_dict.values())


def test_patching_everything_at_layer_zero_gives_the_clean_run(family, family_model):
    model = family_model(family)
    clean, corrupted = (batch_of(model, text) for text in TEXTS)
    n = min(clean.tokens.shape[1], corrupted.tokens.shape[1])
    clean, corrupted = (TokenBatch.of([batch.tokens[0, :n]]) for batch in (clean, corrupted))
    target = forward(model, clean)
    assert (forward(model, corrupted) - target).abs().max() > 0.1, "the two runs must differ, or this proves nothing"
    site = Site(0, "resid_pre")
    with intervene(model, {site: Patch(capture(model, clean, [site])[site])}):
        torch.testing.assert_close(forward(model, corrupted), target, rtol=0, atol=1e-5)


def test_patching_clean_into_clean_changes_nothing_at_all(family, family_model):
    model = family_model(family)
    batch = batch_of(model)
    before = forward(model, batch)
    for row in describe(model).rows:
        if row.causal and not row.needs_flag:
            sites = [Site(layer, row.kind) for layer in range(3)]
            kept = capture(model, batch, sites, rows_per_batch=len(batch))
            with intervene(model, {site: Patch(kept[site]) for site in sites}):
                assert torch.equal(forward(model, batch), before), row.kind


SERIAL = ("gpt2", "llama", "qwen2", "qwen3", "gemma2", "gemma3", "mistral", "mixtral", "gpt_oss")
"""Decoders that have a `resid_mid`."""


def two_runs(model):
    """Two prompts of one length, and what they have at `resid_mid`."""
    n = min(len(encode(model, text)) for text in TEXTS)
    return [TokenBatch.of([encode(model, text)[:n]]) for text in TEXTS]


@pytest.mark.parametrize("name", SERIAL)
def test_patching_resid_mid_makes_everything_after_it_the_clean_run(family_model, name):
    model = family_model(name)
    clean, corrupted = two_runs(model)
    target = forward(model, clean)
    assert (forward(model, corrupted) - target).abs().max() > 0.1, "the two runs must differ, or this proves nothing"
    for layer in range(3):
        site = Site(layer, "resid_mid")
        after = [Site(layer, "resid_post"), *(Site(late, "z") for late in range(layer + 1, 3)), Site(2, "resid_post")]
        after = list(dict.fromkeys(after))
        wanted = capture(model, clean, after)
        with intervene(model, {site: Patch(capture(model, clean, [site])[site])}):
            torch.testing.assert_close(forward(model, corrupted), target, rtol=0, atol=2e-5)
            found = capture(model, corrupted, after)
        for late in after:
            torch.testing.assert_close(found[late], wanted[late], rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", SERIAL)
def test_resid_mid_and_mlp_out_are_edited_together(family_model, name):
    model = family_model(name)
    clean, corrupted = two_runs(model)
    mid, out, after = Site(1, "resid_mid"), Site(1, "mlp_out"), Site(1, "resid_post")
    kept = capture(model, clean, [mid, out])
    added = torch.linspace(-1, 1, 32)
    for plan in ({mid: Patch(kept[mid]), out: Steer(added)}, {out: Steer(added), mid: Patch(kept[mid])}):
        with intervene(model, plan):
            found = capture(model, corrupted, [after])[after]
        torch.testing.assert_close(found, kept[mid] + kept[out] + added, rtol=0, atol=2e-5)
    with intervene(model, {mid: Patch(kept[mid]), out: Ablate.zero()}):
        found = capture(model, corrupted, [after])[after]
    torch.testing.assert_close(found, kept[mid], rtol=0, atol=2e-5)


def test_an_edit_changes_the_logits_where_it_is_called_causal_and_is_refused_where_not(family, family_model):
    model = family_model(family)
    batch = batch_of(model)
    before = forward(model, batch)
    seen = set()
    for kind in KINDS:
        row = describe(model).row(kind)
        plan = {Site(1, kind): Ablate.zero()}
        if row.causal and not row.needs_flag:
            with intervene(model, plan):
                assert (forward(model, batch) - before).abs().max() > 1e-3, kind
        else:
            with pytest.raises(SiteError), intervene(model, plan):
                pass
        seen.add(row.causal)
    assert True in seen


def test_on_an_encoder_the_pattern_is_refused_by_name_with_what_to_use_instead(family_model):
    with (
        pytest.raises(SiteError, match=r"Bert.*'pattern'.*Use 'z' instead"),
        intervene(family_model("bert"), {Site(0, "pattern"): Ablate.zero()}),
    ):
        pass


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma2", "mixtral", "bert"])
def test_an_exception_at_any_hook_leaves_no_hook_and_the_same_logits(family_model, name, error):
    model = family_model(name)
    batch = batch_of(model)
    before, hooks_before = forward(model, batch), hooks_on(model)

    def fail(_):
        raise error

    for row in describe(model).rows:
        for layer in range(3 if row.causal and not row.needs_flag else 0):
            with pytest.raises(error), intervene(model, {Site(layer, row.kind): fail}):
                forward(model, batch)
            assert hooks_on(model) == hooks_before
            assert torch.equal(forward(model, batch), before)


def test_one_head_is_edited_and_no_other(tiny):
    batch = batch_of(tiny)
    site = Site(1, "z", head=2)
    with intervene(tiny, {site: Ablate.zero()}):
        edited = capture(tiny, batch, [Site(1, "z")])
    plain = capture(tiny, batch, [Site(1, "z")])
    same = (edited[Site(1, "z")] == plain[Site(1, "z")]).all(-1).all(0).all(0)
    assert same.tolist() == [True, True, False, True]


def test_editing_the_input_of_a_block_leaves_the_output_of_the_one_before_as_it_was(tiny):
    # TransformerLens hands both hooks the same storage.
    tokens = torch.from_numpy(encode(tiny, TEXTS[0]))[None]
    with torch.no_grad(), intervene(tiny, {Site(1, "resid_pre"): Ablate.zero()}):
        _, cache = tiny.run_with_cache(tokens)
    assert cache["blocks.0.hook_resid_post"].abs().max() > 0
    assert cache["blocks.1.hook_attn_out"].abs().max() < cache["blocks.0.hook_resid_post"].abs().max()


def test_one_position_is_edited_and_a_later_layer_sees_nothing_before_it(tiny):
    batch = batch_of(tiny)
    with intervene(tiny, {Site(0, "mlp_out", pos=3): Steer(torch.arange(32.0))}):
        edited = forward(tiny, batch)
    moved = (edited - forward(tiny, batch)).abs().amax(-1)[0] > 1e-5
    assert not moved[:3].any()
    assert moved[3:].all()


def test_contexts_may_be_nested_and_each_leaves_alone_what_is_not_its_own(tiny):
    batch = batch_of(tiny)
    outer, inner = {Site(0, "attn_out"): Ablate.zero()}, {Site(1, "mlp_out"): Ablate.zero()}
    with intervene(tiny, outer):
        only_outer = forward(tiny, batch)
        with intervene(tiny, inner):
            both = forward(tiny, batch)
        assert torch.equal(forward(tiny, batch), only_outer)
    with intervene(tiny, outer | inner):
        assert torch.equal(forward(tiny, batch), both)
    assert not torch.equal(both, only_outer)
    assert hooks_on(tiny) == 0


@pytest.mark.parametrize(
    ("intervention", "says"),
    [
        (lambda act: act[:, :3], "changed the shape"),
        (lambda act: act.double(), "changed the dtype"),
        (lambda act: act / 0, "NaN or infinity"),
    ],
)
def test_an_edit_that_breaks_the_activation_is_refused(tiny, intervention, says):
    with pytest.raises(HookError, match=says), intervene(tiny, {Site(0, "resid_pre"): intervention}):
        forward(tiny, batch_of(tiny))
    assert hooks_on(tiny) == 0


def test_an_intervention_that_nothing_passed_through_is_an_error(tiny):
    with pytest.raises(HookError, match="did not happen"), intervene(tiny, {Site(0, "z"): Ablate.zero()}):
        pass


def test_firing_more_often_than_planned_is_an_error(tiny):
    batch = batch_of(tiny)
    with pytest.raises(HookError, match="1 times"), intervene(tiny, {Site(0, "z"): Ablate.zero()}, times=1):
        [forward(tiny, batch) for _ in range(2)]


def test_a_hook_left_by_somebody_else_is_named(tiny):
    point = tiny.hook_dict["blocks.1.attn.hook_z"]
    point.add_hook(lambda act, hook: act * 0)  # noqa: ARG005 - the argument's name is TransformerLens's
    try:
        with pytest.raises(HookError, match=r"blocks\.1.*reset_hooks"), intervene(tiny, {Site(0, "z"): Ablate.zero()}):
            pass
        with pytest.raises(HookError, match="reset_hooks"):
            capture(tiny, batch_of(tiny), [Site(0, "z")])
    finally:
        tiny.reset_hooks()


@pytest.mark.parametrize(
    ("site", "says"),
    [
        (Site(9, "z"), "no layer 9"),
        (Site(0, "z", head=4), "no such head"),
    ],
)
def test_a_place_the_model_lacks_is_refused_before_anything_runs(tiny, site, says):
    with pytest.raises(SiteError, match=says), intervene(tiny, {site: Ablate.zero()}):
        pass


def test_key_and_value_heads_are_counted_as_the_model_has_them(family_model):
    with (
        pytest.raises(SiteError, match="no such head of 'k'"),
        intervene(family_model("llama"), {Site(0, "k", head=2): Ablate.zero()}),
    ):
        pass


def test_an_empty_plan_is_refused(tiny):
    with pytest.raises(SiteError, match="nothing would be changed"), intervene(tiny, {}):
        pass


def test_a_placebo_on_a_causal_pattern_does_not_look_ahead(tiny):
    batch = batch_of(tiny, TEXTS[0])
    site = Site(1, "pattern")
    with intervene(tiny, {site: Placebo(Ablate.zero())}):
        edited = capture(tiny, batch, [site])[site]
    assert torch.equal(edited, edited.tril())


def test_padding_on_the_right_leaves_every_real_position_as_it_was(family, family_model):
    model = family_model(family)
    short, long = encode(model, TEXTS[0]), encode(model, TEXTS[1] + " and then Mary slept")
    together = forward(model, TokenBatch.of([short, long]))
    alone = forward(model, TokenBatch.of([short]))
    torch.testing.assert_close(together[0, : len(short)], alone[0], rtol=0, atol=2e-5)
    assert len(np.unique([len(short), len(long)])) == 2
