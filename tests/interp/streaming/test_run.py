"""The whole run: arms, bins, intervals, what it refuses, and an effect that is known to be there."""

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from interp.errors import HookError, InputError, ModelError, PromptError
from interp.models import load_model, native
from interp.models.decoder import as_decoder
from interp.models.tokenizers import frame
from interp.models.zoo.texts import read_sentences
from interp.streaming import cut_streams, estimate_streaming, stream_losses
from interp.streaming.banded import BandedStream
from interp.streaming.losses import next_token_losses
from interp.streaming.policy import Policy
from tests import families


@pytest.fixture(scope="module")
def model(family_model):
    return family_model("llama")


def drawn(n_streams, length, d_vocab=400):
    return np.random.default_rng(0).integers(3, d_vocab, (n_streams, length))


@pytest.fixture(scope="module")
def result(model):
    return stream_losses(model, drawn(3, 150), window=16, sinks=(0, 1, 4), recompute=3)


def test_arms_and_their_controls(result):
    assert result.kind == "streaming"
    assert result.data["arm"].values.tolist() == [
        "dense",
        "window",
        "1 sink",
        "control: 1 from 5",
        "4 sinks",
        "control: 4 from 5",
        "recompute",
    ]
    assert result.data["n_kept"].values.tolist() == [0, 0, 1, 1, 4, 4, 0]
    loss, control = result.data["loss_nats"], result.data["control_loss_nats"]
    np.testing.assert_array_equal(control.sel(arm="4 sinks"), loss.sel(arm="control: 4 from 5"))
    np.testing.assert_array_equal(control.sel(arm="control: 4 from 5"), loss.sel(arm="window"))
    by_arm = result.data.sel(arm="4 sinks")
    saved = result.data["full_loss_nats"].sel(arm="control: 4 from 5") - by_arm["full_loss_nats"]
    assert by_arm["saved_nats"].item() == pytest.approx(saved.item(), abs=1e-12)
    frame = result.to_dataframe()
    assert len(frame) == loss.size
    np.testing.assert_allclose(frame["perplexity"], np.exp(frame["loss_nats"]))


def test_until_the_window_is_full_all_arms_are_dense(result):
    early = result.data["loss_nats"].sel(position=slice(0, 15))
    assert early.sizes["position"] > 8
    assert np.ptp(early.values, axis=0).max() < 1e-5
    late = result.data["loss_nats"].sel(position=slice(16, None)).sel(arm=["window", "1 sink", "4 sinks", "recompute"])
    assert np.ptp(late.values, axis=0).min() > 1e-3


def test_the_loss_of_a_bin_by_hand(model, result):
    decoder, tokens = as_decoder(model), torch.from_numpy(drawn(3, 150))
    rows = BandedStream(decoder, Policy(16, range(4)), block=200).advance(tokens[:, :-1])
    losses = next_token_losses(decoder, rows, tokens[:, 1:])
    row = result.data.sel(arm="4 sinks")
    for place, (start, stop) in enumerate(zip(row["position"].values, row["position_stop"].values, strict=True)):
        assert row["loss_nats"].values[place] == pytest.approx(losses[:, start:stop].mean(), abs=1e-4)
    assert row["full_loss_nats"].item() == pytest.approx(losses[:, 16:].mean(), abs=1e-4)
    assert row["position_stop"].values[-1] == 149
    low, high = (row[f"full_loss_nats_{end}"].item() for end in ("low", "high"))
    assert losses[:, 16:].mean(1).min() - 1e-4 <= low < row["full_loss_nats"].item() < high


def test_dense_is_shown_past_the_context_and_then_not_run(result):
    assert result.notes["dense_stop"] == 128 == 2 * result.notes["n_ctx"]
    dense = result.data.sel(arm="dense")
    assert dense["ran"].values.tolist() == (dense["position"].values < 128).tolist()
    assert np.isnan(dense["loss_nats"].values[~dense["ran"].values]).all()
    (name,) = result.baselines
    assert name == "dense, positions 32 to 63"


def test_recomputation_everywhere_is_a_fresh_pass_for_every_position(model):
    tokens = drawn(2, 40)
    result = stream_losses(model, tokens, window=16, sinks=(0,), recompute=100)
    texts = torch.from_numpy(np.stack([tokens[:, at - 15 : at + 1] for at in range(16, 39)], 1))
    with torch.no_grad():
        logits = model(texts.flatten(0, 1))[:, -1].double()
    right = torch.from_numpy(tokens[:, 17:]).flatten()
    expected = torch.nn.functional.cross_entropy(logits, right).item()
    assert result.data["full_loss_nats"].sel(arm="recompute").item() == pytest.approx(expected, abs=1e-5)


def test_both_paths_give_one_table(model):
    tokens = drawn(2, 60)
    tables = [stream_losses(model, tokens, window=12, sinks=(0, 4), path=path).data for path in ("mask", "cache")]
    for name in ("loss_nats", "full_loss_nats", "saved_nats"):
        np.testing.assert_allclose(tables[0][name], tables[1][name], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["gpt2", "gemma3", "compiled:induction"])
def test_learned_and_mixed_positions_say_what_is_done(loaded_in_double, name):
    model = loaded_in_double(name)
    n_ctx = model.cfg.n_ctx
    result = stream_losses(model, drawn(2, 2 * n_ctx, model.cfg.d_vocab), window=12, sinks=(0, 2), recompute=1)
    if name == "gemma3":
        assert result.notes["own_windows"] == [6, None, 6]
        assert "rotated at their slots" in result.method
    if name == "gpt2":
        assert "approximation" in result.method
        assert result.notes["dense_stop"] == n_ctx
    whole = stream_losses(model, drawn(2, 2 * n_ctx, model.cfg.d_vocab), window=n_ctx, sinks=(0, 2), recompute=1)
    if name == "gpt2":
        assert "dense" not in whole.data["arm"]
        assert "No dense arm" in whole.method


@pytest.mark.parametrize("window", [24, 20])
def test_no_more_positions_are_rotated_than_there_are(tmp_path, window):
    # TransformerLens's own rotary models hold angles for their context and no further.
    settings = {"d_model": 16, "n_heads": 2, "d_head": 8, "n_layers": 2, "n_ctx": 24, "d_vocab": 30, "act_fn": "relu"}
    settings |= {"d_mlp": 32, "positional_embedding_type": "rotary", "normalization_type": "RMS"}
    words = [native.UNKNOWN, *(f"w{number}" for number in range(29))]
    module = native.build(settings)
    with torch.no_grad():
        for weight in module.parameters():
            weight.mul_(10)
    model = load_model(str(native.write_directory(tmp_path, settings, module.state_dict(), words)))
    assert as_decoder(model).n_positions == 24
    tokens = drawn(2, 45, 30)
    tables = [stream_losses(model, tokens, window=window, sinks=(0, 2), path=path).data for path in ("mask", "cache")]
    np.testing.assert_allclose(tables[0]["loss_nats"], tables[1]["loss_nats"], rtol=1e-5)
    assert tables[0]["saved_nats"].sel(arm="2 sinks").item() != 0
    assert ("dense" in tables[0]["arm"]) == (window < 24)


def test_angles_that_depend_on_the_length_keep_to_the_context(tmp_path):
    rope = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0}
    config = LlamaConfig(**families._GQA, rope_parameters=rope)
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    families.build_tokenizer("llama").save_pretrained(tmp_path)
    model = load_model(str(tmp_path))
    assert as_decoder(model).n_positions == 64
    result = stream_losses(model, drawn(2, 150), window=60, sinks=(0, 4), recompute=1)
    assert result.notes["dense_stop"] == 64
    rotary = model.rotary_emb.original_component
    assert torch.equal(rotary.inv_freq, rotary.original_inv_freq), "nothing has asked for a longer text"


def test_one_stream_has_no_interval(model):
    result = stream_losses(model, drawn(1, 40), window=16, sinks=(0, 2))
    assert "loss_nats_low" not in result.data
    assert result.notes["n_streams"] == 1


REFUSED = {
    "context of 64": {"window": 65},
    "1 to 64": {"window": 0},
    "no room": {"sinks": (0, 16)},
    "different numbers": {"sinks": (2, 2)},
    "would keep the first token": {"keep": 0},
    "is full before they have come": {"keep": 13, "sinks": (4,)},
    "measures nothing": {"recompute": 0},
}


@pytest.mark.parametrize("words", REFUSED)
def test_settings_that_cannot_be_are_refused(model, words):
    with pytest.raises(InputError, match=words):
        stream_losses(model, drawn(2, 100), **{"window": 16, "sinks": (0, 2)} | REFUSED[words])


def test_streams_that_cannot_be_are_refused(model, family_model, loaded_in_double):
    with pytest.raises(PromptError, match=r"never leave a window of 16\. Expected 18"):
        stream_losses(model, drawn(2, 17), window=16)
    with pytest.raises(PromptError, match="Token id 400 is out of range"):
        stream_losses(model, np.full((2, 40), 400), window=16)
    with pytest.raises(InputError, match=r"dense_to=65 .* 64 positions"):
        stream_losses(family_model("gpt2"), drawn(2, 100), window=16, dense_to=65)
    with pytest.raises(ModelError, match="MixtralForCausalLM cannot be streamed"):
        stream_losses(family_model("mixtral"), drawn(2, 100), window=16)
    with pytest.raises(ModelError, match="no next-token logits"):
        stream_losses(loaded_in_double("zoo:sink-softmax-0"), drawn(2, 100, 200), window=16)
    with pytest.raises(InputError, match="No layer of this model sees more than 6 keys"):
        stream_losses(family_model("mistral"), drawn(2, 100), window=16)


def test_hooks_left_behind_are_refused(family_directory):
    model = load_model(str(family_directory("llama")))
    model.add_hook("blocks.0.hook_resid_pre", lambda act, hook: act * 0)  # noqa: ARG005
    with pytest.raises(HookError, match="Hooks left behind"):
        stream_losses(model, drawn(2, 40), window=16)


def test_the_estimate_counts_every_token(model):
    settings = {"window": 16, "sinks": (0, 1, 4), "recompute": 3}
    estimate = estimate_streaming(model, drawn(3, 150), **settings)
    # Five streamed arms of 149 tokens, the dense one of 128, and 3 positions in each of the bins behind 16.
    n_bins = int((stream_losses(model, drawn(3, 150), **settings).data["position"] >= 16).sum())
    assert estimate.tokens == 3 * (5 * 149 + 128 + n_bins * 3 * 16)
    assert 0 < estimate.seconds < 60
    assert f"{estimate.tokens:,} tokens" in estimate.text


def test_streams_are_cut_apart_and_begin_as_texts_do(family_model):
    model, text = family_model("llama"), "The cat sat on the mat. " * 20
    streams = cut_streams(model, text, n_streams=3, length=20)
    assert streams.shape == (3, 20)
    assert (streams[:, 0] == frame(model).before[0]).all()
    whole = cut_streams(model, text, n_streams=1, length=100)[0]
    np.testing.assert_array_equal(streams[0], whole[:20])
    assert not (streams[:, 1:] == streams[0, 0]).any()
    without = cut_streams(family_model("qwen2"), text, n_streams=2, length=20)
    assert without.shape == (2, 20)
    with pytest.raises(PromptError, match="do not fit into a text"):
        cut_streams(model, text, n_streams=100, length=20)


def test_sinks_help_the_shipped_model_and_other_tokens_do_not():
    model = load_model("zoo:polyglot")
    text = " ".join(read_sentences()["en"])
    tokens = cut_streams(model, text, n_streams=8, length=240)
    data = stream_losses(model, tokens, window=32, sinks=(0, 4), recompute=1).data
    assert data["saved_nats_low"].sel(arm="4 sinks").item() > 0.03
    assert data["saved_nats_p_corrected"].sel(arm="4 sinks").item() < 0.05
    others = data.sel(arm="control: 4 from 5")
    assert others["saved_nats"].item() < 0.2 * data["saved_nats"].sel(arm="4 sinks").item()
