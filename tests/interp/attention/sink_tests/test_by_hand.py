"""Whole models against the same numbers computed another way, in float64."""

import numpy as np
import pytest
import torch
from transformers import BertModel

from interp.attention.sink_tests import sink_tests
from interp.attention.sink_tests.arms import PLAIN, Arm, Subject, run_arm
from interp.attention.sink_tests.edits import Take, Where
from interp.attention.sink_tests.route import Route, find_route
from interp.attention.sink_tests.scores import Hidden, NextToken
from interp.models import describe, encode
from interp.models.decoder import as_decoder
from interp.models.decoder.attend import hidden
from interp.prompts import TokenBatch
from interp.run import capture, forward
from interp.sites import Site
from tests import families


def batch_of(model, n=3):
    return TokenBatch.of([encode(model, sentence) for sentence in families.SENTENCES[:n]])


def subject_of(model, batch):
    known = describe(model).facts
    causal = known["family"] == "decoder"
    score = NextToken() if causal else Hidden()
    return Subject(model, batch, score, find_route(model, batch), causal, known["learned_sinks"])


def row(result, test):
    return result.data.sel(test=test)


def losses_by_hand(model, batch, *, mask_first=False, zero_first=False):
    """Next-token losses from the model's own weights, with scores of -inf or a value of zero at the first key."""
    decoder, tokens = as_decoder(model), torch.from_numpy(batch.tokens)
    resid, n = decoder.embed(tokens), batch.tokens.shape[1]
    for block in decoder.blocks:
        attention, rows = block.attention, block.norm(resid)
        q, k, v = (attention.heads(part(rows)) for part in (attention.q, attention.k, attention.v))
        q, k = attention.rotated(q, attention.q_norm, 0), attention.rotated(k, attention.k_norm, 0)
        k, v = (part.repeat_interleave(attention.n_heads // attention.n_kv_heads, 2) for part in (k, v))
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k) * attention.scale
        if attention.softcap is not None:
            scores = torch.tanh(scores / attention.softcap) * attention.softcap
        scores = scores.masked_fill(hidden(n, n, attention.window, tokens.device)[:, 0], -torch.inf)
        if mask_first:
            scores[..., 1:, 0] = -torch.inf
        pattern = scores.softmax(-1)
        z = torch.einsum("bhqk,bkhd->bqhd", pattern, v)
        if zero_first:
            z[:, 1:] -= torch.einsum("bhq,bhd->bqhd", pattern[..., 1:, 0], v[:, 0])
        resid = block.after(resid, block.attn_out(z))
    logits = decoder.logits(resid)
    losses = -logits[:, :-1].log_softmax(-1).gather(-1, tokens[:, 1:, None])[..., 0].numpy()
    real = batch.mask[:, 1:]
    return np.array([loss[there].mean() for loss, there in zip(losses, real, strict=True)])


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma2", "gpt_neox"])
def test_masking_and_zeroing_are_those_done_by_hand(double_model, name):
    model = double_model(name)
    batch = batch_of(model)
    result = sink_tests(model, batch, tests=("mask_key", "zero_value"), n_draws=1)
    plain = losses_by_hand(model, batch)
    masked, zeroed = (losses_by_hand(model, batch, **edit) for edit in ({"mask_first": True}, {"zero_first": True}))
    assert np.abs(masked - plain).max() > 1e-3, "masking must matter, or this proves nothing"
    assert np.abs(zeroed - plain).max() > 1e-3
    assert abs(row(result, "mask_key")["effect"] - (masked - plain).mean()) < 1e-10
    assert abs(row(result, "zero_value")["effect"] - (zeroed - plain).mean()) < 1e-10


def test_a_masked_key_beside_gpt_oss_learned_sink_is_the_softmax_over_the_rest_and_the_sink(family_model):
    model = family_model("gpt_oss")  # its experts compute in no float64
    batch = batch_of(model)
    sites = [Site(layer, kind) for layer in range(3) for kind in ("attn_scores", "pattern")]
    seen, mask = capture(model, batch, sites), torch.from_numpy(batch.mask)
    for layer in range(3):
        scores, pattern = (seen[Site(layer, kind)] for kind in ("attn_scores", "pattern"))
        logits = model.blocks[layer].attn.original_component.sinks
        sinks = logits.view(1, -1, 1, 1).expand(*scores.shape[:3], 1)
        torch.testing.assert_close(torch.cat([scores, sinks], -1).softmax(-1)[..., :-1], pattern, rtol=0, atol=1e-6)
        edited, _ = Take("first")(pattern, Where(layer, slice(0, 3), mask, learned_sinks=True))
        without = scores.clone()
        without[..., 1:, 0] = -torch.inf
        expected = torch.cat([without, sinks], -1).softmax(-1)[..., :-1]
        real = mask[:, None, :, None].expand_as(pattern)
        torch.testing.assert_close(edited[real], expected[real], rtol=0, atol=1e-5)
        assert (edited.sum(-1)[real[..., 0]] < 1).all()


def test_masking_in_an_encoder_is_its_own_attention_mask_without_the_first_token(double_model, family_directory):
    model = double_model("bert")
    batch = batch_of(model)
    result = sink_tests(model, batch, tests=("mask_key",), n_draws=1)
    published = BertModel.from_pretrained(family_directory("bert"), add_pooling_layer=False, dtype=torch.float64).eval()
    mask = torch.from_numpy(batch.mask).long()
    without = mask.clone()
    without[:, 0] = 0
    states = [
        published(torch.from_numpy(batch.tokens), attention_mask=seen).last_hidden_state.detach()
        for seen in (mask, without)
    ]
    moved = ((states[1] - states[0]).norm(dim=-1) / states[0].norm(dim=-1)).numpy()
    # Query 0 still sees itself in the battery, and no other query sees it: the others are the same either way.
    expected = np.mean([row[1:length].mean() for row, length in zip(moved, batch.lengths, strict=True)])
    assert expected > 0.05
    assert abs(row(result, "mask_key")["effect"] - expected) < 1e-6
    assert result.notes["route"] == "z"
    assert "by hand" in result.method


@pytest.mark.parametrize("name", ["gpt2", "gemma2", "gpt_oss", "bert"])
def test_editing_nothing_changes_nothing(family_model, name):
    model = family_model(name)
    batch = batch_of(model)
    subject = subject_of(model, batch)
    unhooked = Subject(*(subject.model, batch, subject.score, Route("none", "for comparison"), subject.causal, False))
    rows = slice(0, 3)
    ran, plain = run_arm(subject, PLAIN, rows), run_arm(unhooked, PLAIN, rows)
    assert torch.equal(torch.nan_to_num(ran.reading), torch.nan_to_num(plain.reading))
    torch.testing.assert_close(ran.by_head, plain.by_head, rtol=0, atol=1e-5)

    class Nothing:
        keeps_attention = False

        def __call__(self, pattern, where):
            assert where.layer < 3
            return pattern, torch.zeros(pattern.shape[:3])

    edited = run_arm(subject, Arm(edit=Nothing()), rows)
    assert torch.equal(torch.nan_to_num(edited.reading), torch.nan_to_num(plain.reading))


def test_leaving_bos_out_by_hand(tiny):
    batch = batch_of(tiny)
    result = sink_tests(tiny, batch, tests=("bos",), n_draws=2, seed=3)
    changes = []
    for tokens, length in zip(batch.tokens, batch.lengths, strict=True):
        ids = torch.from_numpy(tokens[None, :length])
        with_bos, without = (
            -tiny(part)[0, :-1].log_softmax(-1).gather(-1, part[0, 1:, None])[:, 0] for part in (ids, ids[:, 1:])
        )
        changes.append((without - with_bos[1:]).detach().numpy())
    # The control leaves out one token of each prompt in each draw; those are compared in no arm.
    rng = np.random.default_rng(3)
    gone = [[rng.integers(1, length - 1) for length in batch.lengths] for _ in range(2)]
    expected = []
    for prompt, change in enumerate(changes):
        targets = np.arange(2, len(change) + 2)
        expected.append(change[~np.isin(targets, [draw[prompt] for draw in gone])].mean())
    assert abs(row(result, "bos")["effect"] - np.mean(expected)) < 1e-5
    assert abs(np.mean(expected)) > 1e-3


def test_a_zeroed_head_by_hand(tiny):
    batch = batch_of(tiny)
    result = sink_tests(tiny, batch, tests=(), domains={"all": batch}, n_heads=1, n_draws=3)
    name = str(result.data["test"].values[0])
    layer, head = int(name[1]), int(name[3])
    score, hook = NextToken(), f"blocks.{layer}.attn.hook_z"
    plain = score.read(tiny, batch)
    changes = {}
    for other in range(4):

        def zero(z, hook, other=other):
            z = z.clone()
            z[:, :, other] = 0
            return z

        with tiny.hooks(fwd_hooks=[(hook, zero)]):
            logits = tiny(torch.from_numpy(batch.tokens), attention_mask=torch.from_numpy(batch.mask).long())
        tokens = torch.from_numpy(batch.tokens[:, 1:, None])
        losses = -logits[:, :-1].log_softmax(-1).gather(-1, tokens)[..., 0].detach()
        difference = (losses - plain[:, 1:]).numpy()
        changes[other] = np.mean([d[m].mean() for d, m in zip(difference, batch.mask[:, 1:], strict=True)])
    assert abs(row(result, name)["effect"] - changes[head]) < 1e-5
    controls = [change for other, change in changes.items() if other != head]
    assert abs(row(result, name)["control"] - np.mean(controls)) < 1e-5
    assert len(set(np.round([*changes.values()], 4))) == 4


def test_hooks_are_gone_after_an_error(tiny):
    batch, runs = batch_of(tiny), []
    before = forward(tiny, batch)

    def breaks(model, part):
        runs.append(len(part))
        if len(runs) > 3:
            raise RuntimeError("in the middle")
        forward(model, part)
        return np.zeros(len(part))

    with pytest.raises(RuntimeError, match="in the middle"):
        sink_tests(tiny, batch, loss=breaks)
    assert not any(point.fwd_hooks for point in tiny.hook_dict.values())
    assert torch.equal(forward(tiny, batch), before)
