"""The oracle itself: hooked sweeps against patches written out by hand."""

import numpy as np
import pytest
import torch

from interp.errors import PromptError
from interp.models.decoder import as_decoder
from interp.patching.hooked import HookedSweep
from interp.prompts import PromptPair, PromptSet, Span
from interp.run import Ablate, capture, forward, intervene
from interp.sites import Site
from tests.interp.patching.cases import plan_of, prompts_of


def numbers(model, prompts, kind, by="pos", **settings):
    return HookedSweep(model, prompts, plan_of(model, prompts, kind, by, **settings)).numbers(placebo=False)


@pytest.mark.parametrize("direction", ["denoising", "noising"])
def test_a_cell_is_one_forward_pass_with_one_activation_exchanged(double_model, direction):
    model, prompts = double_model("llama"), prompts_of(6, 6)
    base, source = ("corrupted", "clean") if direction == "denoising" else ("clean", "corrupted")
    found = numbers(model, prompts, "v", "pos_head", direction=direction)
    site = Site(1, "v")
    new = capture(model, prompts.batch(source), [site])[site]
    for column, (pos, head) in enumerate((pos, head) for pos in range(6) for head in range(2)):

        def patch(act, pos=pos, head=head):
            act = act.clone()
            act[:, pos, head] = new[:, pos, head]
            return act

        with intervene(model, {site: patch}):
            last = forward(model, prompts.batch(base))[:, -1]
        rows = torch.arange(2)
        answers, wrong = (torch.from_numpy(prompts.answers(name)) for name in ("answer", "wrong_answer"))
        expected = last[rows, answers] - last[rows, wrong]
        np.testing.assert_allclose(found.patched[:, 1, column], expected.numpy(), rtol=0, atol=1e-12)


def test_prompts_in_one_forward_pass_do_not_meet(double_model, monkeypatch):
    model, prompts = double_model("gpt2"), prompts_of(6, 3, 5)
    together = numbers(model, prompts, "mlp_out").patched
    monkeypatch.setattr("interp.patching.hooked.ROWS_PER_FORWARD", 1)
    np.testing.assert_allclose(numbers(model, prompts, "mlp_out").patched, together, rtol=0, atol=1e-12)


def test_an_inserted_token_moves_what_stands_for_what(double_model):
    model = double_model("gpt2")
    clean, corrupted = np.array([9, 20, 30, 40]), np.array([9, 50, 60, 30, 40])
    alignment = ((Span(0, 1), Span(0, 1)), (Span(1, 2), Span(1, 3)), (Span(3, 4), Span(4, 5)))
    prompts = PromptSet.of([PromptPair(clean, corrupted, 7, 8, alignment=alignment)])
    found = numbers(model, prompts, "resid_pre").patched
    assert found.shape == (1, 3, 3)
    site = Site(2, "resid_pre")
    source = capture(model, prompts.batch("clean"), [site])[site]
    for column, (frm, to) in enumerate([(0, 0), (1, 2), (3, 4)]):

        def patch(act, frm=frm, to=to):
            act = act.clone()
            act[:, to] = source[:, frm]
            return act

        with intervene(model, {site: patch}):
            logits = forward(model, prompts.batch("corrupted"))[0, -1]
        assert found[0, 2, column] == pytest.approx((logits[7] - logits[8]).item(), abs=1e-12)


def test_alike_prompts_are_refused(double_model):
    prompts = prompts_of(5)
    with pytest.raises(PromptError, match="nothing to recover"):
        numbers(double_model("gpt2"), prompts, "resid_pre", metric=lambda reading: reading.logits[:, 0] * 0 + 1)


@pytest.mark.parametrize("name", ["gpt2", "gemma2"])
def test_resid_mid_is_what_the_stream_carries_on(double_model, name):
    model, prompts = double_model(name), prompts_of(5)
    with intervene(model, {Site(2, "resid_mid"): Ablate.zero()}):
        last = capture(model, prompts.batch("clean"), [Site(2, "resid_post")])[Site(2, "resid_post")]
    block = as_decoder(model).blocks[2]
    with torch.no_grad():
        expected = block.mlp(block.mlp_norm(torch.zeros_like(last)))
    torch.testing.assert_close(last, expected, rtol=0, atol=1e-12)
