import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from interp.errors import InputError, ModelError
from interp.models.zoo import train as training
from interp.models.zoo.recipe import learning_rate
from interp.models.zoo.state import TRAINING, snapshot_steps

EVERY = 5
CHILD = """
import json, logging, sys
from pathlib import Path
from interp.models.zoo.mixture import Mixture
from interp.models.zoo.recipe import Recipe
from interp.models.zoo.train import train
logging.basicConfig(level=logging.INFO, format="%(message)s")
told = json.loads(sys.argv[3])
mixtures = {name: Mixture(**told[name]) for name in ("mixture", "copying_mixture", "final_mixture", "settling_mixture")}
recipe = Recipe(**told | mixtures)
train(Path(sys.argv[1]), Path(sys.argv[2]), recipe, every=int(sys.argv[4]))
"""


def read_log(state):
    return [json.loads(line) for line in (state / "log.jsonl").read_text().splitlines()]


def checkpoint(state):
    return torch.load(state / "checkpoint.pt", weights_only=True)


def test_the_loss_goes_down(trained, recipe):
    entries = read_log(trained)
    assert [entry["step"] for entry in entries] == list(range(recipe.steps))
    losses = [entry["loss_nats"] for entry in entries]
    assert losses[0] == pytest.approx(np.log(recipe.d_vocab), rel=0.05)
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.5


def test_the_model_says_how_it_was_trained(trained, recipe):
    told = json.loads((trained / "model" / TRAINING).read_text())
    assert told["steps"] == recipe.steps
    assert told["tokens_seen"] == recipe.steps * recipe.batch * recipe.n_ctx == 30 * 4 * 160
    assert told["recipe"] == asdict(recipe)


def test_the_written_model_loads_as_any_other(trained, recipe, trained_model):
    from interp.models import encode, facts

    known = facts(trained_model)
    assert (known.n_layers, known.d_model, known.d_vocab, known.n_ctx) == (2, 32, recipe.d_vocab, recipe.n_ctx)
    assert known.bos
    assert encode(trained_model, "la maison")[0] == 0
    # The directory holds the checkpoint's weights, rounded to bfloat16.
    saved = checkpoint(trained)["model"]["model.layers.1.mlp.down_proj.weight"]
    loaded = dict(trained_model.original_model.named_parameters())
    name = next(name for name in loaded if "layers.1" in name and "down_proj" in name)
    torch.testing.assert_close(loaded[name].detach(), saved.bfloat16().float(), rtol=0, atol=0)


def test_the_last_step_was_taken_at_its_own_learning_rate(trained, recipe):
    rates = [saved["param_groups"][0]["lr"] for saved in checkpoint(trained)["optimizers"]]
    last = learning_rate(recipe.steps - 1, recipe)
    assert 0 < last < 0.1
    assert rates == [recipe.muon_lr * last, recipe.adam_lr * last]


def test_snapshots_are_kept_along_the_way(trained, recipe):
    kept = snapshot_steps(recipe.steps)
    assert sorted(path.name for path in (trained / "snapshots").iterdir()) == [f"{step:06d}" for step in kept]
    told = [json.loads((training.snapshot_directory(trained, step) / TRAINING).read_text()) for step in kept]
    assert [each["steps"] for each in told] == kept
    weights = [
        (training.snapshot_directory(trained, step) / "model.safetensors").read_bytes() for step in (0, 1, recipe.steps)
    ]
    assert len(set(weights)) == 3
    assert weights[-1] == (trained / "model" / "model.safetensors").read_bytes()


def test_a_finished_run_takes_no_more_steps(corpus, trained, recipe):
    before = (trained / "log.jsonl").read_text()
    weights = (trained / "model" / "model.safetensors").read_bytes()
    training.train(corpus, trained, recipe)
    assert (trained / "log.jsonl").read_text() == before
    assert (trained / "model" / "model.safetensors").read_bytes() == weights


def test_another_recipe_is_refused_and_named(corpus, trained, recipe):
    before = (trained / "checkpoint.pt").read_bytes()
    with pytest.raises(InputError, match=r"another recipe.*'batch': \(4, 5\)"):
        training.train(corpus, trained, replace(recipe, batch=5))
    assert (trained / "checkpoint.pt").read_bytes() == before


def test_a_device_that_is_not_here_is_refused_and_nothing_written(corpus, recipe, tmp_path):
    with pytest.raises(InputError, match="Device 'tpu:9' cannot be used"):
        training.train(corpus, tmp_path / "state", recipe, device="tpu:9")
    assert not (tmp_path / "state").exists()


def test_a_loss_that_is_not_finite_ends_the_training_before_it_is_logged(corpus, recipe, tmp_path):
    with pytest.raises(ModelError, match=r"The loss of step \d+ is nan.*lower learning rates"):
        training.train(corpus, tmp_path, replace(recipe, adam_lr=float("inf")), every=1)
    assert all(np.isfinite(entry["loss_nats"]) for entry in read_log(tmp_path))
    assert checkpoint(tmp_path)["step"] == len(read_log(tmp_path)) < recipe.steps


def test_the_loss_is_compiled_where_asked(corpus, recipe, tmp_path, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda function: compiled.append(function) or function)
    for asked in (False, True):
        training.train(corpus, tmp_path / str(asked), replace(recipe, steps=1), compiled=asked)
    assert compiled == [training.loss_nats]


def test_fifty_steps_of_a_killed_run_end_with_the_weights_of_an_undisturbed_one(corpus, recipe, tmp_path):
    recipe = replace(recipe, steps=50)
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    training.train(corpus, undisturbed, recipe)
    settings = [str(corpus), str(killed), json.dumps(asdict(recipe)), str(EVERY)]
    command = [sys.executable, "-c", CHILD, *settings]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(os.environ)) as child:
        assert child.stderr is not None
        n_checkpoints = 0
        for line in child.stderr:
            n_checkpoints += bool(re.search(r"step \d+: loss", line))
            # The line comes before its checkpoint is written: two are whole, and the third may be cut off.
            if n_checkpoints == 3:
                child.kill()
                break
    assert child.returncode == -signal.SIGKILL
    assert 2 * EVERY <= checkpoint(killed)["step"] < recipe.steps
    assert 3 * EVERY <= len(read_log(killed)) < recipe.steps
    assert not (killed / "model").exists()

    training.train(corpus, killed, recipe)

    weights = [checkpoint(state)["model"] for state in (killed, undisturbed)]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    files = [
        {path.relative_to(state): path.read_bytes() for path in state.rglob("*.safetensors")}
        for state in (killed, undisturbed)
    ]
    assert len(files[0]) == len(snapshot_steps(recipe.steps)) + 2
    assert files[0] == files[1]
    # Each step once, with the loss of the undisturbed run.
    told = [[(entry["step"], entry["loss_nats"]) for entry in read_log(state)] for state in (killed, undisturbed)]
    assert [step for step, _ in told[0]] == list(range(recipe.steps))
    assert told[0] == told[1]
