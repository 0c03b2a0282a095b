import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from interp.errors import InputError
from interp.models.zoo import train as training
from interp.models.zoo.corpus import Mixture

EVERY = 5
CHILD = """
import json, logging, sys
from pathlib import Path
from interp.models.zoo.train import Recipe, train
logging.basicConfig(level=logging.INFO, format="%(message)s")
train(Path(sys.argv[1]), Path(sys.argv[2]), Recipe(**json.loads(sys.argv[3])), every=int(sys.argv[4]))
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
    told = json.loads((trained / "model" / training.TRAINING).read_text())
    assert told["steps"] == recipe.steps
    assert told["tokens_seen"] == recipe.steps * recipe.batch * recipe.n_ctx == 30 * 4 * 160
    assert told["recipe"] == asdict(recipe)
    assert told["mixture"] == asdict(Mixture())


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


def test_the_learning_rate_warms_up_and_falls(recipe):
    rates = [training.learning_rate(step, recipe) for step in range(recipe.steps + 1)]
    assert rates[:3] == pytest.approx([1 / 3, 2 / 3, 1])
    assert rates[3] == 1
    assert (np.diff(rates[3:]) < 0).all()
    assert rates[-1] == pytest.approx(0.05)


def test_the_loss_leaves_out_what_is_not_scored(recipe):
    model = training.build_model(recipe)
    tokens = torch.arange(20).reshape(2, 10)
    scored = torch.zeros(2, 10, dtype=torch.bool)
    scored[0, 4] = scored[1, 7] = True
    logits = model(tokens).logits.float().log_softmax(-1)
    wanted = -(logits[0, 3, tokens[0, 4]] + logits[1, 6, tokens[1, 7]]) / 2
    # Computed in bfloat16 there, in float32 here.
    torch.testing.assert_close(training.loss_nats(model, tokens, scored), wanted, rtol=0, atol=0.02)


@pytest.mark.parametrize("missing", ["corpus", "state"])
def test_the_command_refuses_bad_input_and_writes_nothing(corpus, tmp_path, capsys, missing):
    state = tmp_path / "state"
    given = {"corpus": ["--state", str(state), "--corpus", str(tmp_path)], "state": ["--corpus", str(corpus)]}
    with pytest.raises(SystemExit) as stopped:
        training.main(given[missing])
    assert stopped.value.code == 2
    assert {"corpus": "No file eng.train.txt", "state": "--state"}[missing] in capsys.readouterr().err
    assert not state.exists()


def test_a_killed_run_ends_with_the_weights_of_an_undisturbed_one(corpus, trained, recipe, tmp_path):
    settings = [str(corpus), str(tmp_path), json.dumps(asdict(recipe)), str(EVERY)]
    command = [sys.executable, "-c", CHILD, *settings]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(os.environ)) as child:
        assert child.stderr is not None
        n_checkpoints = 0
        for line in child.stderr:
            n_checkpoints += line.startswith("step ")
            # The line comes before its checkpoint is written: two are whole, and the third may be cut off.
            if n_checkpoints == 3:
                child.kill()
                break
    assert child.returncode == -signal.SIGKILL
    assert 2 * EVERY <= checkpoint(tmp_path)["step"] < recipe.steps
    assert 3 * EVERY <= len(read_log(tmp_path)) < recipe.steps
    assert not (tmp_path / "model").exists()

    training.train(corpus, tmp_path, recipe)

    resumed, undisturbed = checkpoint(tmp_path)["model"], checkpoint(trained)["model"]
    assert resumed.keys() == undisturbed.keys()
    assert all(torch.equal(resumed[name], undisturbed[name]) for name in resumed)
    shipped = [(state / "model" / "model.safetensors").read_bytes() for state in (tmp_path, trained)]
    assert shipped[0] == shipped[1]
