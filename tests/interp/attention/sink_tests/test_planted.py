"""Planted truths are found: a sink the task needs, a spike and its neuron; random and compiled weights have none."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from interp.attention.sink_tests import sink_tests
from interp.errors import InputError
from interp.models import compiled, encode, load_model
from interp.models.zoo import sink_native, sink_task
from interp.prompts import TokenBatch
from interp.results import Result
from interp.run import forward
from tests import families


def batch_of(model, n=4):
    return TokenBatch.of([encode(model, sentence) for sentence in families.SENTENCES[:n]])


def statuses(result: Result) -> dict[str, str]:
    return dict(zip(result.data["test"].values.tolist(), result.data["status"].values.tolist(), strict=True))


def answer_error(model, batch):
    """Mean squared error of zoo:sink's answers: the mean of the contents so far at triggers, zero elsewhere."""
    inputs = sink_native.token_inputs(sink_task.Recipe())[torch.from_numpy(batch.tokens)]
    contents, triggers, bos = inputs[..., :-2], inputs[..., -2] > 0, inputs[..., -1] > 0
    seen = (~bos).cumsum(1).clamp(min=1)
    answers = contents.cumsum(1) / seen[..., None] * triggers[..., None]
    wrong = (forward(model, batch) - answers).square().mean(-1)
    return wrong[:, 1:].mean(1).double().numpy()


def sink_words(n=12, n_pos=24, seed=1):
    rng = np.random.default_rng(seed)
    tokens = rng.integers(2, len(sink_native.token_words()), (n, n_pos))
    tokens[:, 0] = 1
    return TokenBatch(tokens, np.ones(tokens.shape, bool))


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_a_sink_that_the_task_needs_is_found(seed):
    model, batch = load_model(f"zoo:sink-softmax-{seed}"), sink_words()
    plain = answer_error(model, batch).mean()
    tests = ("bos", "mask_key", "zero_value", "massive_zero", "spike_neuron")
    result = sink_tests(model, batch, tests=tests, loss=answer_error)
    assert plain < 1e-4
    for test in ("bos", "mask_key"):
        row = result.data.sel(test=test)
        assert row["effect"] > 100 * plain
        assert row["effect"] > 20 * row["control"]
        assert row["above_control_low"] > 0
        assert row["above_control_q_fdr"] < 0.01
    masked = result.data.sel(test="mask_key")
    assert masked["sink_before"] > 0.45, "every other query, on words half of which are triggers"
    assert masked["sink_after"] == 0
    assert result.unit == "change in answer_error"
    assert statuses(result)["spike_neuron"] == "not run"
    assert "one layer" in result.notes["not_run"]["massive_zero"]


def test_zoo_sink_has_no_next_token_loss_and_is_refused_without_one():
    with pytest.raises(InputError, match=r"258 tokens and 8 outputs.*loss="):
        sink_tests(load_model("zoo:sink-softmax-0"), sink_words())


def test_random_weights_show_no_sink():
    model = load_model("random:zoo:polyglot", seed=1)
    rng = np.random.default_rng(0)
    tokens = rng.integers(300, 4096, (16, 12))
    tokens[:, 0] = encode(model, "a")[0]
    batch = TokenBatch(tokens, np.ones(tokens.shape, bool))
    tests = ("mask_key", "mask_key_equal_mass", "zero_value", "zero_value_equal_mass", "massive_zero", "move_sink")
    data = sink_tests(model, batch, tests=tests).data
    assert (data["above_control_low"] <= 0).all()
    assert (data["above_control_high"] >= 0).all()
    assert (data["above_control_q_fdr"] > 0.05).all()
    np.testing.assert_allclose(data["budget"][[1, 3]], data["control_budget"][[1, 3]], rtol=0.05)


def test_compiled_induction_has_no_sink():
    model = load_model("compiled:induction")
    batch = compiled.compiled_prompts("compiled:induction", 16).batch("clean")
    data = sink_tests(model, batch, tests=("mask_key_equal_mass", "zero_value_equal_mass")).data
    assert (data["above_control_low"] <= 0).all()
    assert (data["above_control_high"] >= 0).all()


def plant(directory: Path, *, blinding: bool = False) -> Path:
    """Write a GPT-2 whose neuron 17 of layer 1 writes a spike into dimension 5 of the first token.

    Dimension 3 is that of the first position alone. With `blinding` layer 0 looks at it so much that float32 holds
    nothing of the other keys.
    """
    sizes = {"vocab_size": families.D_VOCAB, "n_embd": 32, "n_layer": 4, "n_head": 4, "n_positions": families.N_CTX}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=0, eos_token_id=0, pad_token_id=1))
    with torch.no_grad():
        model.transformer.wpe.weight[:, 3] = 0.0
        model.transformer.wte.weight[:, 3] = 0.0
        model.transformer.wpe.weight[0, 3] = 4.0
        mlp = model.transformer.h[1].mlp
        mlp.c_fc.weight[:, 17] = 0.0
        mlp.c_fc.weight[3, 17] = 10.0
        mlp.c_fc.bias[17] = -10.0
        mlp.c_proj.weight[17] = 0.0
        mlp.c_proj.weight[17, 5] = 30.0
        if blinding:
            attention = model.transformer.h[0].attn.c_attn
            attention.weight[:, :64] = 0.0
            attention.weight[3, 32:64] = 50.0
            attention.bias[:32] = 50.0
    model.save_pretrained(directory)
    families.build_tokenizer("gpt2").save_pretrained(directory)
    return directory


def test_a_planted_spike_and_the_neuron_that_writes_it_are_found(tmp_path):
    model = load_model(str(plant(tmp_path)))
    batch = batch_of(model)
    data = sink_tests(model, batch, tests=("massive_zero", "spike_neuron")).data
    zeroed, neuron = (data.sel(test=test) for test in ("massive_zero", "spike_neuron"))
    assert "dimensions 5 of the first token to zero after layer 1" in str(zeroed["edit"].item())
    assert str(zeroed["reason"].item()).startswith("massive activations: the largest is ")
    assert zeroed["budget"] > 300
    assert "neuron 17 of layer 1" in str(neuron["edit"].item())
    assert neuron["budget"] > 100 * neuron["control_budget"]
    assert abs(neuron["effect"]) > 10 * abs(neuron["control"])


def test_a_row_that_fails_while_it_runs_is_named_too(tmp_path):
    model = load_model(str(plant(tmp_path, blinding=True)))
    result = sink_tests(model, batch_of(model), tests=("mask_key", "zero_value", "mask_key_equal_mass"), n_draws=1)
    assert statuses(result) == {"mask_key": "not run", "zero_value": "measured", "mask_key_equal_mass": "measured"}
    assert "layer 0 a query has all its weight on the first key" in result.notes["not_run"]["mask_key"]
    assert np.isnan(result.data.sel(test="mask_key")["effect"])
