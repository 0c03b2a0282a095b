"""The engine checks itself against hooks before it answers, and refuses where it is wrong."""

from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
import torch

import interp.patching.check as check
import interp.patching.engine.entries as entries
from interp.errors import ModelError
from interp.models import load_model
from interp.models.decoder import as_decoder
from interp.patching import patch_sweep
from interp.patching.hooked import HookedSweep
from tests.interp.patching.cases import prompts_of

PROMPTS = prompts_of(8, 8, first=0, changed=4)


@pytest.fixture
def fresh(monkeypatch):
    """As if no model had been checked yet."""
    monkeypatch.setattr(check, "_passed", type(check._passed)())


def turned_by_one(attention):
    def rotary(n, dtype):
        cos, sin = attention.rotary(n + 1, dtype)
        # One position alone, and not the first: a common turn of all would change no score.
        cos, sin = (torch.cat([part[:2], part[3:4], part[3:n]]) for part in (cos, sin))
        return cos, sin

    return replace(attention, rotary=rotary)


def shuffled_heads(attention):
    return replace(attention, w_o=lambda: attention.w_o().flip(0))


BUGS = {
    "rotary": ("llama", "resid_pre", "pos", turned_by_one),
    "rotary of neox": ("gpt_neox", "q", "head", turned_by_one),
    "window": ("mistral", "resid_pre", "pos", lambda attention: replace(attention, window=None)),
    "narrow window": ("mistral", "attn_out", "pos", lambda attention: replace(attention, window=5)),
    "scale": ("gpt2", "resid_pre", "pos", lambda attention: replace(attention, scale=attention.scale * 1.05)),
    "soft cap": ("gemma2", "k", "head", lambda attention: replace(attention, softcap=0.7)),
    "post norm": ("gemma3", "resid_pre", "pos", lambda attention: replace(attention, post_norm=None)),
    "query norm": ("qwen3", "v", "head", lambda attention: replace(attention, q_norm=None)),
    "W_O by head": ("llama", "z", "head", shuffled_heads),
    "W_O by position and head": ("gpt2", "z", "pos_head", shuffled_heads),
    "W_O of values": ("qwen2", "v", "head", shuffled_heads),
    "W_O of patterns": ("gemma2", "pattern", "head", shuffled_heads),
}


def planted(model, bug):
    decoder = as_decoder(model)
    blocks = tuple(replace(block, attention=bug(block.attention)) for block in decoder.blocks)
    return replace(decoder, blocks=blocks)


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_refused_and_hooks_still_answer(fresh, family_model, monkeypatch, name):
    family, kind, by, bug = BUGS[name]
    model = family_model(family)
    monkeypatch.setattr("interp.patching.sweep.as_decoder", lambda model: planted(model, bug))
    with pytest.raises(ModelError, match=rf"disagrees .*{kind} of layer \d.*Use engine='hooks'"):
        patch_sweep(model, PROMPTS, kind, by=by, control=False)


def test_where_the_engine_refuses_hooks_still_answer(fresh, tiny, monkeypatch):
    right = patch_sweep(tiny, PROMPTS, "z", by="head", control=False)
    monkeypatch.setattr("interp.patching.sweep.as_decoder", lambda model: planted(model, shuffled_heads))
    monkeypatch.setattr(check, "_passed", type(check._passed)())
    for engine in ("auto", "exact"):
        with pytest.raises(ModelError):
            patch_sweep(tiny, PROMPTS, "z", by="head", engine=engine)
    found = patch_sweep(tiny, PROMPTS, "z", by="head", engine="hooks", control=False)
    assert found.notes["path"] == "hooks"
    np.testing.assert_allclose(found.data["values"], right.data["values"], rtol=0, atol=2e-5)


def test_wrong_groups_of_heads_are_refused(fresh, family_model, monkeypatch):
    right = entries._Parts.of.__func__

    def wrong(cls, *given):
        parts = right(cls, *given)
        return replace(parts, groups=1 - parts.groups)

    monkeypatch.setattr(entries._Parts, "of", classmethod(wrong))
    with pytest.raises(ModelError, match="disagrees"):
        patch_sweep(family_model("llama"), PROMPTS, "q", by="head", control=False)


def counted(monkeypatch):
    calls = mock.Mock(side_effect=HookedSweep)
    monkeypatch.setattr(check, "HookedSweep", calls)
    return calls


def test_it_checks_once_for_each_model_kind_layout_and_weights(fresh, family_directory, monkeypatch):
    model, calls = load_model(str(family_directory("gpt2"))), counted(monkeypatch)
    for kind, by, expected in [
        ("attn_out", "pos", 3),
        ("attn_out", "pos", 3),
        ("mlp_out", "pos", 6),
        ("z", "head", 9),
        ("z", "pos_head", 12),
    ]:
        patch_sweep(model, PROMPTS, kind, by=by, control=False)
        assert calls.call_count == expected, (kind, by)
    with torch.no_grad():
        next(model.original_model.parameters())[0, 0] += 1
    patch_sweep(model, PROMPTS, "attn_out", control=False)
    assert calls.call_count == 15, "other weights are another model"
    patch_sweep(model, PROMPTS, "attn_out", engine="hooks", control=False)
    assert calls.call_count == 15


def test_a_refusal_is_not_remembered_as_a_pass(fresh, family_model, monkeypatch):
    model = family_model("gpt2")
    with monkeypatch.context() as patched:
        patched.setattr("interp.patching.sweep.as_decoder", lambda model: planted(model, shuffled_heads))
        for _ in range(2):
            with pytest.raises(ModelError):
                patch_sweep(model, PROMPTS, "z", by="head", control=False)
    found = patch_sweep(model, PROMPTS, "z", by="head", control=False)
    assert found.notes["path"] == "exact"


def test_ragged_prompts_are_checked_too(fresh, family_model, monkeypatch):
    calls = counted(monkeypatch)
    found = patch_sweep(family_model("llama"), prompts_of(3, 9, 5, seed=8), "resid_pre", control=False)
    assert calls.call_count == 3
    assert np.isnan(found.data["values"]).any()
