import json
import shutil
from pathlib import Path

import pytest

from interp.errors import ModelError
from interp.models import load_model


@pytest.fixture
def directory(family_directory, tmp_path):
    return Path(shutil.copytree(family_directory("gpt2"), tmp_path / "model"))


def refused(directory, words, **settings):
    with pytest.raises(ModelError, match=words) as refusal:
        load_model(str(directory), **settings)
    assert "\n" not in str(refusal.value)


def test_a_directory_without_config_is_refused(directory):
    (directory / "config.json").unlink()
    refused(directory, "has no config.json")


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff\xfe"])
def test_a_broken_config_is_refused(directory, content):
    (directory / "config.json").write_bytes(content)
    refused(directory, "config.json (cannot be read as JSON|holds list)")


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_remote_code_is_refused_unless_allowed(directory, name):
    settings = json.loads((directory / name).read_text())
    (directory / name).write_text(json.dumps(settings | {"auto_map": {"AutoConfig": "evil.Config"}}))
    (directory / "evil.py").write_text("raise SystemExit('the code ran')")
    refused(directory, "asks to run code that comes with the model")


def test_allowed_remote_code_runs(directory):
    settings = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(settings | {"auto_map": {"AutoConfig": "own.Config"}}))
    (directory / "own.py").write_text("raise ValueError('the code ran')")
    refused(directory, "the code ran", allow_remote_code=True)


def test_a_directory_without_weights_is_refused(directory):
    (directory / "model.safetensors").unlink()
    refused(directory, "has no weights. Expected model.safetensors")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl"])
def test_a_pickle_is_never_loaded(directory, name):
    (directory / "model.safetensors").rename(directory / name)
    refused(directory, f"only as pickle files \\['{name}'\\].*Convert them")


@pytest.mark.parametrize("kept", [0, 7, 1000, -1])
def test_truncated_weights_are_refused(directory, kept):
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    refused(directory, "is not a whole safetensors file")


def test_a_pickle_named_safetensors_is_refused(directory):
    (directory / "model.safetensors").write_bytes(b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00}\x94.")
    refused(directory, "is not a whole safetensors file")


def with_index(directory, weight_map):
    (directory / "model.safetensors").rename(directory / "part.safetensors")
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def test_missing_shards_are_named(directory):
    with_index(directory, {"wte.weight": "part.safetensors", "wpe.weight": "lost.safetensors"})
    refused(directory, r"lacks the shards \['lost.safetensors'\]")


def test_a_truncated_shard_is_refused(directory):
    with_index(directory, {"transformer.wte.weight": "part.safetensors"})
    path = directory / "part.safetensors"
    path.write_bytes(path.read_bytes()[:-8])
    refused(directory, "part.safetensors is not a whole safetensors file")


def test_a_tensor_missing_from_its_shard_is_named(directory):
    with_index(directory, {"ghost.weight": "part.safetensors"})
    refused(directory, "lacks 1 tensors that the index puts there, first 'ghost.weight'")


@pytest.mark.parametrize("shard", ["../part.safetensors", "/etc/part.safetensors", "part.bin", 3])
def test_an_index_that_points_elsewhere_is_refused(directory, shard):
    with_index(directory, {"wte.weight": shard})
    refused(directory, "Expected a \\*.safetensors file beside the index")


def test_an_index_without_a_map_is_refused(directory):
    with_index(directory, {})
    refused(directory, "has no weight_map")


@pytest.mark.parametrize("name", ["gpt2", "llama", "qwen2", "gemma2", "gpt_neox", "bert"])
def test_a_directory_without_a_tokenizer_is_refused(name, family_directory, tmp_path):
    directory = Path(shutil.copytree(family_directory(name), tmp_path / "model"))
    for path in directory.glob("*token*"):
        path.unlink()
    refused(directory, "has no usable tokenizer|tokenizer of .* is empty")


def test_a_tokenizer_for_a_larger_vocabulary_is_refused(directory):
    from tokenizers import Tokenizer

    raw = json.loads((directory / "tokenizer.json").read_text())
    raw["model"]["vocab"] = {word: (i if i < 250 else i + 1000) for word, i in raw["model"]["vocab"].items()}
    (directory / "tokenizer.json").write_text(json.dumps(raw))
    assert Tokenizer.from_file(str(directory / "tokenizer.json")).encode("cat").ids[-1] >= 400
    refused(directory, "but the model has 400 rows")


def test_a_tokenizer_that_loses_text_is_refused(directory):
    raw = json.loads((directory / "tokenizer.json").read_text())
    raw["normalizer"] = {"type": "Replace", "pattern": {"String": "a"}, "content": ""}
    (directory / "tokenizer.json").write_text(json.dumps(raw))
    refused(directory, "loses text: 'the cat sat on the mat' came back as 'the ct st on the mt'")
