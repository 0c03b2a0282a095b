import json

import numpy as np
import pytest
import torch

from interp.attention import head_scores
from interp.models import encode, load_model, native, str_tokens
from interp.models.zoo import WEIGHTS, induction
from interp.models.zoo.measure import repeated_random_loss


@pytest.fixture(scope="module")
def model():
    return load_model("zoo:induction")


@pytest.fixture(scope="module")
def scores(model):
    controls = [load_model("random:zoo:induction", seed=seed) for seed in (1, 2)]
    return head_scores(model, texts=None, control_models=controls).data


def test_fifty_steps_lower_the_loss():
    recipe = induction.Recipe(n_words=32, d_model=32, n_ctx=33, longest_period=16, steps=50, log_every=25, lr=1e-2)
    found = induction.train(recipe)
    assert [point.step for point in found.curve] == [0, 25, 50]
    assert found.curve[-1].repeated < found.curve[0].repeated - 0.1


def test_a_batch_repeats_distinct_words_from_the_marked_position_on():
    recipe = induction.Recipe(n_words=40, n_ctx=33, longest_period=16)
    tokens, repeats = induction.draw_batch(recipe, np.random.default_rng(0))
    assert (tokens[:, 0] == 1).all()
    for row, again in zip(tokens, repeats, strict=True):
        period = int(again.nonzero()[0, 0]) - 1
        first = row[1 : 1 + period].tolist()
        assert 8 <= period <= 16
        assert len(set(first)) == period
        assert torch.equal(row[1 + period :], row[1:-period])
        assert again[1 + period :].all()


def test_the_second_copy_costs_less_than_a_tenth_of_the_first(model):
    found = repeated_random_loss(model, period=32)
    assert found.second.value < found.first.value / 10
    control = repeated_random_loss(load_model("random:zoo:induction"), period=32)
    assert control.second.value > 0.9 * control.first.value


def test_head_scores_find_the_circuit_and_not_in_random_weights(scores):
    previous, found = scores.sel(detector="previous_token"), scores.sel(detector="induction")
    assert float(previous.score.sel(layer=0).max()) >= 0.4
    assert float(found.score.sel(layer=1).max()) >= 0.9
    assert float(found.score.sel(layer=0).max()) < 0.1
    assert float(scores.threshold.sel(detector=["previous_token", "induction"]).max()) < 0.15


def test_the_card_names_the_heads_that_head_scores_finds(model, scores):
    for name, (head, weight) in induction.head_weights(model, period=25).items():
        best = scores.score.sel(detector=name)
        layer = int(head[1])
        assert head == f"L{layer}H{int(best.sel(layer=layer).values.argmax())}"
        assert weight == pytest.approx(float(best.max()), abs=0.05)


def test_the_card_says_what_the_weights_do(model):
    facts = json.loads((WEIGHTS / "induction" / "card.json").read_text())["facts"]
    found = repeated_random_loss(model, period=32)
    assert [fact["value"] for fact in facts[:2]] == pytest.approx([found.first.value, found.second.value], rel=1e-3)


def test_words_survive_the_tokenizer_behind_one_bos(model):
    ids = encode(model, "w0 w255 w0")
    assert ids.tolist() == [1, 2, 257, 2]
    assert str_tokens(model, ids)[0] == native.BOS
    assert encode(model, "word").tolist() == [1, 0]
