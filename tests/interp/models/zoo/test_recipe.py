from dataclasses import replace

import numpy as np
import pytest
import torch

from interp.models.zoo.recipe import build_model, build_optimizers, learning_rate, loss_nats


def test_the_learning_rate_warms_up_stays_and_falls_to_nothing(recipe):
    recipe = replace(recipe, steps=20, warmup=4, decay=0.25, settling=0)
    rates = [learning_rate(step, recipe) for step in range(recipe.steps + 1)]
    assert rates[:4] == pytest.approx([0.25, 0.5, 0.75, 1])
    assert rates[3:16] == [1.0] * 13
    assert rates[16:] == pytest.approx([0.8, 0.6, 0.4, 0.2, 0.0])


def test_a_training_shorter_than_its_warm_up_falls_too(recipe):
    recipe = replace(recipe, steps=5, warmup=60, decay=0.4, settling=0)
    rates = [learning_rate(step, recipe) for step in range(6)]
    assert rates[:2] == pytest.approx([1 / 60, 2 / 60])
    assert rates[5] == 0


def test_the_loss_leaves_out_what_is_not_scored(recipe):
    model = build_model(recipe)
    tokens = torch.arange(20).reshape(2, 10)
    scored = torch.zeros(2, 10, dtype=torch.bool)
    scored[0, 4] = scored[1, 7] = True
    logits = model(tokens).logits.float().log_softmax(-1)
    wanted = -(logits[0, 3, tokens[0, 4]] + logits[1, 6, tokens[1, 7]]) / 2
    # Computed in bfloat16 there, in float32 here.
    torch.testing.assert_close(loss_nats(model, tokens, scored), wanted, rtol=0, atol=0.02)


def test_every_weight_is_trained_by_one_optimizer_and_the_matrices_of_the_blocks_by_the_first(recipe):
    model = build_model(recipe)
    muon, adam = build_optimizers(model, recipe)
    names = {id(weight): name for name, weight in model.named_parameters()}
    inside, rest = (
        [names[id(weight)] for group in optimizer.param_groups for weight in group["params"]]
        for optimizer in (muon, adam)
    )
    assert sorted(inside + rest) == sorted(names.values())
    assert len(inside) == 7 * recipe.n_layers
    assert all(".layers." in name and "norm" not in name for name in inside)
    assert (muon.param_groups[0]["lr"], adam.param_groups[0]["lr"]) == (recipe.muon_lr, recipe.adam_lr)


def test_the_seed_decides_the_first_weights(recipe):
    weights = [build_model(replace(recipe, seed=seed)).state_dict() for seed in (1, 1, 2)]
    name = "model.layers.0.mlp.down_proj.weight"
    assert torch.equal(weights[0][name], weights[1][name])
    assert not torch.equal(weights[0][name], weights[2][name])
    assert np.shape(weights[0][name]) == (recipe.d_model, recipe.d_mlp)


def test_more_repetitions_are_read_for_a_while_and_natural_text_while_the_learning_rate_falls(recipe):
    early = replace(recipe, steps=40, copying_from=3, settling=4)
    drawn = [early.mixture_at(step) for step in range(early.steps)]
    n_copying, n_falling = early.n_level - 3, early.n_before - early.n_level
    stages = [early.mixture] * 3 + [early.copying_mixture] * n_copying + [early.final_mixture] * n_falling
    stages += [early.settling_mixture] * 4
    assert n_copying > 0
    assert drawn == stages
    never = replace(recipe, copying_from=recipe.steps)
    assert recipe.copying_mixture not in [never.mixture_at(step) for step in range(recipe.steps)]
    rates = [learning_rate(step, early) for step in range(early.steps)]
    assert rates[early.n_level] == 1 > rates[early.n_level + 1]


def test_settling_raises_the_learning_rate_once_more_and_lets_it_fall(recipe):
    settled = replace(recipe, steps=40, warmup=4, decay=0.25, settling=4, settling_rate=0.2)
    rates = [learning_rate(step, settled) for step in range(41)]
    assert rates[:36] == [learning_rate(step, replace(settled, steps=36, settling=0)) for step in range(36)]
    assert rates[36:] == pytest.approx([0.2, 0.15, 0.1, 0.05, 0.0])
    assert replace(settled, settling=400).n_before == settled.n_before, "a tenth of a short training, at most"


def test_the_shares_of_every_mixture_sum_to_one(recipe):
    for mixture in (recipe.mixture, recipe.copying_mixture, recipe.final_mixture, recipe.settling_mixture):
        assert sum(mixture.shares) == pytest.approx(1)
    assert recipe.copying_mixture.longest_period < recipe.mixture.longest_period
