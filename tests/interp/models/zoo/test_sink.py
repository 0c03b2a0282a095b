import json

import pytest
import torch

from interp.errors import InputError
from interp.models import load_model, native
from interp.models.zoo import WEIGHTS, model_names, sink, sink_native, sink_task


def worded(model, *, n=64, seed=5):
    """Sequences of words for the hooked model, what they stand for, and which of them are triggers."""
    recipe = model.recipe
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(2, len(sink_native.token_words()), (n, recipe.n_pos), generator=generator)
    tokens[:, 0] = 1
    return tokens, sink_native.token_inputs(recipe)[tokens], tokens >= 2 + sink_native.N_CONTENTS


def test_fifty_steps_lower_the_error():
    for arm in sink_task.ARMS:
        curve = sink.train(sink_task.Recipe(arm=arm, steps=50, batch=32)).curve
        assert curve[-1][1].mse_other < curve[0][1].mse_other / 2, arm


def test_the_recipe_is_that_of_the_reference():
    model = sink_task.SinkModel(sink_task.Recipe())
    assert sum(weight.numel() for weight in model.parameters()) == 3784


def test_the_answer_at_a_trigger_is_the_mean_so_far_and_zero_elsewhere():
    inputs, answers, triggers = sink_task.draw_batch(sink_task.Recipe(), 4, torch.Generator().manual_seed(0))
    assert triggers[:, 1:].any()
    assert not triggers[:, 0].any()
    row, place = triggers.nonzero()[0].tolist()
    torch.testing.assert_close(answers[row, place], inputs[row, 1 : place + 1, :8].mean(0))
    assert not answers[~triggers].any()


def test_attention_weights_by_hand():
    scores = torch.zeros(1, 2, 2)
    scores[0, 1] = torch.tensor([0.0, -3.0])
    even = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
    assert sink_task.attention_weights(torch.zeros(1, 2, 2), "softmax")[0].tolist() == [[1.0, 0.0], [0.5, 0.5]]
    thirds = sink_task.attention_weights(torch.zeros(1, 2, 2), "off-by-one")[0]
    torch.testing.assert_close(thirds, torch.tensor([[1 / 2, 0.0], [1 / 3, 1 / 3]]))
    assert not sink_task.attention_weights(scores, "relu").any()
    assert torch.equal(sink_task.attention_weights(torch.ones(1, 2, 2), "relu")[0, 1], torch.tensor([0.5, 0.5]))
    assert sink_task.attention_weights(even, "relu")[0, 0, 1] == 0


@pytest.mark.parametrize("seed", sink.SEEDS)
def test_softmax_rests_on_bos_and_relu_does_not(seed):
    found = sink_task.measure(sink.load_arm("softmax", seed), seed=77)
    assert found.bos_attention_other > 0.98
    assert found.bos_attention_trigger < 0.02
    assert found.mse_trigger < 1e-4
    assert found.mse_other < 1e-4
    relu = sink_task.measure(sink.load_arm("relu", seed), seed=77)
    assert relu.bos_attention_other < 1e-3
    assert relu.row_sum_other < 1e-3
    assert relu.mse_other < 1e-4
    off = sink_task.measure(sink.load_arm("off-by-one", seed), seed=77)
    assert off.row_sum_other < found.row_sum_other - 0.01
    assert off.mse_trigger < 1e-4


@pytest.mark.parametrize("seed", sink.SEEDS)
def test_the_hooked_model_is_the_same_function(seed):
    model, hooked = sink.load_arm("softmax", seed), load_model(f"zoo:sink-softmax-{seed}")
    tokens, inputs, triggers = worded(model)
    answers, pattern = model(inputs)
    given, cache = hooked.run_with_cache(tokens)
    torch.testing.assert_close(given, answers, rtol=0, atol=1e-5)
    seen = cache["blocks.0.attn.hook_pattern"][:, 0]
    torch.testing.assert_close(seen, pattern, rtol=0, atol=1e-5)
    others = ~triggers
    others[:, 0] = False
    assert seen[others][:, 0].mean() > 0.98
    assert seen[triggers][:, 0].mean() < 0.02


def test_folding_the_embedding_into_the_head_changes_no_number():
    model = sink_task.SinkModel(sink_task.Recipe())
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(0, 0.3)
    settings, state, _ = sink_native.as_native(model)
    folded = native.build(settings)
    folded.load_state_dict(state)
    tokens, inputs, _ = worded(model)
    torch.testing.assert_close(folded(tokens), model(inputs)[0], rtol=1e-4, atol=1e-4)


def test_random_weights_have_no_sink():
    hooked = load_model("random:zoo:sink-softmax-0")
    tokens, _, _ = worded(sink.load_arm("softmax", 0))
    _, cache = hooked.run_with_cache(tokens)
    assert cache["blocks.0.attn.hook_pattern"][:, 0, 16:, 0].mean() < 0.1


def test_writing_gives_the_shipped_files(tmp_path):
    short = [sink.train(sink_task.Recipe(arm=arm, steps=2, batch=4)) for arm in sink_task.ARMS]
    written = sink.write(short, tmp_path)
    assert [path.name for path in written] == ["sink", "sink-softmax-0"]
    shipped = {path.name for path in (WEIGHTS / "sink").iterdir()}
    assert {path.name for path in (tmp_path / "sink").iterdir()} == shipped
    assert {f"sink-softmax-{seed}" for seed in sink.SEEDS} <= set(model_names())


def test_the_card_says_what_the_weights_do():
    facts = {fact["name"]: fact for fact in json.loads((WEIGHTS / "sink" / "card.json").read_text())["facts"]}
    for seed in sink.SEEDS:
        found = sink_task.measure(sink.load_arm("softmax", seed), seed=seed)
        told = facts[f"softmax, seed {seed}: mean attention to BOS at other queries"]
        assert told["value"] == pytest.approx(found.bos_attention_other, abs=1e-4)
        assert told["control"] == pytest.approx(found.bos_attention_trigger, abs=1e-4)


def test_unknown_arms_and_unhookable_ones_are_refused():
    with pytest.raises(InputError, match="No sink model"):
        sink.load_arm("softmax", 9)
    with pytest.raises(InputError, match="cannot be hooked"):
        sink_native.as_native(sink.load_arm("relu", 0))
