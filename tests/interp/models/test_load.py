import json
import shutil
import socket
import time
from pathlib import Path

import pytest
import torch

from interp.errors import InputError, ModelError
from interp.models import facts, load_model, zoo
from tests import conftest, families

PROMPT = "The cat sat on the mat because the dog slept."


@pytest.fixture
def copy(family_directory, tmp_path):
    """Make a changeable copy of a family's directory."""

    def make(name):
        return Path(shutil.copytree(family_directory(name), tmp_path / name))

    return make


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a connection was tried")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


def logits(model, text=PROMPT):
    with torch.no_grad():
        return model(model.to_tokens(text))


def test_the_fixtures_name_every_family():
    assert conftest.FAMILY_NAMES == families.FAMILIES


def test_every_family_loads_in_eval_mode_without_gradients_in_float32(family, family_model):
    model = family_model(family)
    assert not model.training
    assert not any(module.training for module in model.modules())
    assert not any(weight.requires_grad for weight in model.parameters())
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert logits(model).std() > 0.3, "the logits must vary, or no effect can be seen in them"


def test_the_bridge_agrees_with_hugging_face(family, family_model, family_directory):
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

    cls = AutoModelForMaskedLM if family == "bert" else AutoModelForCausalLM
    plain = cls.from_pretrained(family_directory(family), attn_implementation="eager").eval()
    model = family_model(family)
    tokens = model.to_tokens(PROMPT)
    with torch.no_grad():
        torch.testing.assert_close(model(tokens), plain(tokens).logits, rtol=1e-4, atol=1e-4)


def test_a_directory_needs_no_network(family, family_directory, no_network):
    load_model(str(family_directory(family)))
    load_model(f"random:{family_directory(family)}")


def test_loading_writes_nothing_on_the_terminal(family_directory, capfd):
    load_model(str(family_directory("llama")))
    load_model(f"random:{family_directory('llama')}")
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


@pytest.mark.parametrize("prefix", ["", "random:"])
@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma3", "gpt_oss", "bert"])
def test_the_asked_dtype_is_given_and_runs(name, prefix, family_directory):
    model = load_model(f"{prefix}{family_directory(name)}", dtype="bfloat16")
    assert {weight.dtype for weight in model.parameters()} == {torch.bfloat16}
    assert logits(model).dtype == torch.bfloat16
    assert facts(model).dtype == "bfloat16"


def test_random_weights_keep_architecture_and_tokenizer_and_follow_the_seed(family, family_directory, family_model):
    trained, name = family_model(family), f"random:{family_directory(family)}"
    control, same, other = load_model(name), load_model(name), load_model(name, seed=1)
    assert facts(control).architecture == facts(trained).architecture
    assert facts(control).n_params == facts(trained).n_params
    assert facts(control).tokenizer == facts(trained).tokenizer
    assert torch.equal(control.to_tokens(PROMPT), trained.to_tokens(PROMPT))
    assert not control.training
    assert not any(weight.requires_grad for weight in control.parameters())
    assert torch.equal(logits(control), logits(same))
    assert not torch.allclose(logits(control), logits(trained), atol=0.1)
    assert not torch.allclose(logits(control), logits(other), atol=0.1)


def test_random_weights_leave_the_global_generator_alone(family_directory):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_model(f"random:{family_directory('gpt2')}")
    assert torch.equal(torch.rand(3), expected)


def test_random_weights_need_no_stored_weights(copy):
    directory = copy("gpt2")
    (directory / "model.safetensors").unlink()
    load_model(f"random:{directory}")


def test_a_sentence_encoder_without_its_head_loads_alike_every_time_and_says_so(family_directory, tmp_path):
    from transformers import BertForMaskedLM

    BertForMaskedLM.from_pretrained(family_directory("bert")).bert.save_pretrained(tmp_path)
    families.build_tokenizer("bert").save_pretrained(tmp_path)
    torch.manual_seed(1)
    first = load_model(str(tmp_path))
    torch.manual_seed(2)
    second = load_model(str(tmp_path))
    assert facts(first).untrained
    assert all(name.startswith("cls.") for name in facts(first).untrained)
    assert facts(first).fingerprint == facts(second).fingerprint


def test_shards_with_an_index_load_like_one_file(copy, family_model, tmp_path):
    from transformers import LlamaForCausalLM

    directory = copy("llama")
    LlamaForCausalLM.from_pretrained(directory).save_pretrained(directory, max_shard_size="50KB")
    (directory / "model.safetensors").unlink(missing_ok=True)
    assert len(list(directory.glob("*.safetensors"))) > 1
    assert torch.equal(logits(load_model(str(directory))), logits(family_model("llama")))


def test_shipped_models_load_by_the_path_of_a_directory(family_directory, tmp_path, monkeypatch):
    shutil.copytree(family_directory("gpt2"), tmp_path / "small")
    monkeypatch.setattr(zoo, "WEIGHTS", tmp_path)
    assert facts(load_model("zoo:small")).name == "zoo:small"
    with pytest.raises(ModelError, match=r"No shipped model 'zoo:smal'.*'zoo:small'"):
        load_model("zoo:smal")


@pytest.mark.parametrize("name", ["", "random:", "zoo:", "random:random:gpt2"])
def test_an_empty_name_is_refused(name):
    with pytest.raises(ModelError, match=r"names no model|no hub name"):
        load_model(name)


def test_a_path_that_is_not_there_is_refused():
    with pytest.raises(ModelError, match=r"No model directory './nowhere/at/all'.*Expected an existing directory"):
        load_model("./nowhere/at/all")


def test_a_file_is_refused(family_directory):
    with pytest.raises(ModelError, match=r"is a file. Expected a model directory"):
        load_model(str(family_directory("gpt2") / "model.safetensors"))


@pytest.fixture
def offline_cache(monkeypatch, tmp_path):
    """A machine whose connections all fail at once, and the directory of its hub cache, still empty."""
    import huggingface_hub.constants

    def fail(*args, **kwargs):
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", ["nobody/nothing", "random:nobody/nothing"])
def test_a_hub_name_without_network_is_one_quick_refusal(name, offline_cache):
    began = time.perf_counter()
    with pytest.raises(ModelError, match=r"No directory 'nobody/nothing' here, and it cannot be fetched") as refusal:
        load_model(name)
    assert time.perf_counter() - began < 5, "Hugging Face alone retries for 23 seconds"
    assert "\n" not in str(refusal.value)


def in_cache(cache, directory, name):
    commit = "0123456789abcdef0123456789abcdef01234567"
    home = cache / f"models--{name.replace('/', '--')}"
    shutil.copytree(directory, home / "snapshots" / commit)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(commit)
    return commit


def test_a_hub_model_fetched_before_loads_without_network_and_tells_its_commit(
    offline_cache, family_directory, family_model
):
    commit = in_cache(offline_cache, family_directory("llama"), "someone/llama")
    model = load_model("someone/llama")
    assert (facts(model).name, facts(model).revision) == ("someone/llama", commit)
    assert torch.equal(logits(model), logits(family_model("llama")))


def test_a_hub_model_with_pickles_only_is_refused(offline_cache, copy):
    directory = copy("gpt2")
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")
    in_cache(offline_cache, directory, "someone/gpt2")
    with pytest.raises(ModelError, match=r"only as pickle files"):
        load_model("someone/gpt2")


def test_remote_code_of_a_hub_model_is_refused_before_its_weights_are_fetched(offline_cache, copy):
    directory = copy("gpt2")
    (directory / "model.safetensors").unlink()
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoConfig": "evil.Config"}}))
    in_cache(offline_cache, directory, "someone/gpt2")
    with pytest.raises(ModelError, match=r"asks to run code"):
        load_model("someone/gpt2")


def test_a_revision_of_a_directory_is_refused(family_directory):
    with pytest.raises(ModelError, match="which has no revision 'main'"):
        load_model(str(family_directory("gpt2")), revision="main")


def test_an_unknown_dtype_is_refused(family_directory):
    with pytest.raises(InputError, match=r"No dtype 'float8'. Expected one of \['float32'"):
        load_model(str(family_directory("gpt2")), dtype="float8")


@pytest.mark.parametrize("device", ["cuda:99", "toaster", "meta"])
def test_an_unavailable_device_is_refused(family_directory, device):
    with pytest.raises(InputError, match=f"Device '{device}' cannot be used"):
        load_model(str(family_directory("gpt2")), device=device)


def test_an_architecture_that_cannot_be_hooked_is_refused(copy):
    directory = copy("gpt2")
    settings = {"model_type": "distilbert", "architectures": ["DistilBertForMaskedLM"]}
    (directory / "config.json").write_text(json.dumps(settings))
    with pytest.raises(ModelError, match="is a DistilBertForMaskedLM, which TransformerLens cannot hook"):
        load_model(str(directory))


def test_an_encoder_with_a_decoder_is_refused(copy):
    directory = copy("gpt2")
    settings = {"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}
    (directory / "config.json").write_text(json.dumps(settings))
    with pytest.raises(ModelError, match="Expected a text decoder"):
        load_model(str(directory))


def test_a_config_of_unknown_type_is_refused(copy):
    directory = copy("gpt2")
    (directory / "config.json").write_text(json.dumps({"model_type": "no-such-type"}))
    with pytest.raises(ModelError, match="is not understood"):
        load_model(str(directory))


def test_weights_that_lack_a_layer_are_refused(copy):
    directory = copy("llama")
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 4}))
    with pytest.raises(ModelError, match=r"lacks 9 weights that its config.json asks for, first 'model.layers.3"):
        load_model(str(directory))


def test_weights_of_another_width_are_refused(copy):
    directory = copy("llama")
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(config | {"intermediate_size": 40}))
    with pytest.raises(ModelError, match=r"cannot be loaded.*Check that config.json belongs to these weights"):
        load_model(str(directory))
