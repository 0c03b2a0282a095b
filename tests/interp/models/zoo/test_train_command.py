"""`interp zoo train`: every training script for fifty steps of a small recipe, and what it refuses."""

import json
from functools import partial

import pytest

from interp.cli import app
from interp.models import load_model
from interp.models.zoo import induction, modular, sink
from interp.models.zoo import recipe as recipes
from interp.models.zoo import train as training

SMALL = {
    "induction": (induction, {"n_words": 64, "d_model": 32, "steps": 50, "log_every": 25}, ["induction"]),
    "modular": (
        modular,
        {"prime": 11, "d_model": 32, "d_mlp": 64, "most_steps": 50, "log_every": 25},
        ["modular", "modular-step0"],
    ),
    "sink": (sink, {"steps": 50, "batch": 8, "log_every": 50}, [f"sink-softmax-{3 + seed}" for seed in sink.SEEDS]),
}


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        app(["zoo", "train", *map(str, arguments)])
    return stopped.value.code, capsys.readouterr()


@pytest.mark.parametrize("name", SMALL)
def test_fifty_steps_write_models_whose_cards_say_the_command(name, tmp_path, capsys, monkeypatch):
    module, settings, names = SMALL[name]
    monkeypatch.setattr(module, "Recipe", partial(module.Recipe, **settings))
    code, seen = run(capsys, name, "--out", tmp_path, "--seed", 3, "--json")
    assert code == 0, seen.err
    paths = json.loads(seen.out)["models"]
    assert sorted(paths) == sorted(str(path) for path in tmp_path.iterdir())
    for each in names:
        assert load_model(str(tmp_path / each)).cfg.n_layers >= 1
        card = json.loads((tmp_path / each / "card.json").read_text())
        assert card["command"].startswith(f"interp zoo train {name} --out DIR")
        assert str(card["recipe"]["seed"]) in {"3", each.rpartition("-")[2]}


def test_fifty_steps_of_the_polyglot_can_be_asked_for_again(corpus, recipe, tmp_path, capsys, monkeypatch):
    small = {name: getattr(recipe, name) for name in ("d_vocab", "d_model", "n_layers", "n_heads", "d_mlp", "n_ctx")}
    monkeypatch.setattr(recipes, "Recipe", partial(recipes.Recipe, batch=4, **small))
    state = tmp_path / "state"
    asked = ["polyglot", "--corpus", corpus, "--state", state, "--steps", 50, "--seed", 3]
    code, seen = run(capsys, *asked)
    assert code == 0, seen.err
    assert seen.out == f"{state / 'model'}\n"
    told = json.loads((state / "model" / "training.json").read_text())
    assert (told["steps"], told["recipe"]["steps"], told["recipe"]["seed"]) == (50, 50, 3)
    logged = (state / "log.jsonl").read_text()
    assert [json.loads(line)["step"] for line in logged.splitlines()] == list(range(50))
    assert run(capsys, *asked)[0] == 0
    assert (state / "log.jsonl").read_text() == logged
    code, seen = run(capsys, *asked[:-1], 4)
    assert code == 2
    assert "'seed': (3, 4)" in seen.err


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ([], {"steps": recipes.Recipe().steps, "seed": 0, "device": "cpu", "compiled": False}),
        (
            ["--steps", "7", "--seed", "2", "--device", "cuda:1", "--compile"],
            {"steps": 7, "seed": 2, "device": "cuda:1", "compiled": True},
        ),
    ],
)
def test_options_reach_the_training(options, wanted, tmp_path, capsys, monkeypatch):
    asked = []

    def record(corpus, state, recipe, *, device, compiled):
        asked.append((corpus, state, {"steps": recipe.steps, "seed": recipe.seed}, device, compiled))
        return state / "model"

    monkeypatch.setattr(training, "train", record)
    code, _ = run(capsys, "polyglot", "--corpus", tmp_path, "--state", tmp_path / "state", *options)
    assert code == 0
    recipe = {name: wanted[name] for name in ("steps", "seed")}
    assert asked == [(tmp_path, tmp_path / "state", recipe, wanted["device"], wanted["compiled"])]


def test_an_interrupted_training_says_how_to_go_on(tmp_path, capsys, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", interrupt)
    code, seen = run(capsys, "polyglot", "--corpus", tmp_path, "--state", tmp_path / "state")
    assert code == 130
    assert f"run again to go on from {tmp_path / 'state'}" in seen.err
    assert "nothing was written" not in seen.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["polyglot", "--corpus", "CORPUS"], "--state"),
        (["polyglot", "--state", "HERE/state"], "--corpus"),
        (["polyglot", "--corpus", "HERE", "--state", "HERE/state"], "No file eng.train.txt"),
        (["polyglot", "--corpus", "CORPUS", "--state", "HERE/state", "--device", "tpu:9"], "tpu:9"),
        (["polyglot", "--corpus", "CORPUS", "--state", "HERE/state", "--steps", "0"], "--steps"),
        (["polyglot", "--corpus", "CORPUS", "--state", "HERE/state", "--seed", "-1"], "--seed"),
        (["polyglot", "--corpus", "CORPUS", "--state", "CORPUS/novels/eng.train.txt"], "not a directory"),
        *((([name, "--out", "HERE/nowhere"]), "nowhere is not a directory") for name in SMALL),
        *((([name, "--out", "HERE", "--seed", "-1"]), "--seed") for name in SMALL),
        *(([name], "--out") for name in SMALL),
    ],
)
def test_bad_input_is_refused_and_nothing_is_written(arguments, says, corpus, tmp_path, capsys):
    places = {"CORPUS": str(corpus), "HERE": str(tmp_path)}
    for name, place in places.items():
        arguments = [argument.replace(name, place) for argument in arguments]
    code, seen = run(capsys, *arguments)
    assert code == 2
    # The frame around typer's own refusals may break a line.
    assert says.replace(" ", "") in "".join(seen.err.split()).replace("│", "")
    assert seen.out == ""
    assert "Traceback" not in seen.err
    assert list(tmp_path.iterdir()) == []
