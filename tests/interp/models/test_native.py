import json

import pytest
import torch

from interp.errors import ModelError
from interp.models import describe, load_model, native

WORDS = ["<unk>", "<bos>", "a", "b"]
SETTINGS = {
    "d_model": 8,
    "n_heads": 2,
    "d_head": 4,
    "n_layers": 1,
    "n_ctx": 4,
    "d_vocab": 4,
    "attn_only": True,
    "normalization_type": None,
}


@pytest.fixture
def directory(tmp_path):
    module = native.build(SETTINGS, seed=1)
    return native.write_directory(tmp_path / "model", SETTINGS, module.state_dict(), WORDS)


def test_a_written_model_loads_as_it_was(directory):
    model, module = load_model(str(directory)), native.build(SETTINGS, seed=1)
    tokens = model.to_tokens("a b a")
    assert tokens.tolist() == [[1, 2, 3, 2]]
    torch.testing.assert_close(model(tokens), module(tokens))
    assert not model.training
    assert not any(weight.requires_grad for weight in model.parameters())
    assert describe(model).facts["n_layers"] == 1


def test_random_weights_follow_the_seed_and_leave_the_callers_draws_alone(directory):
    before = torch.random.get_rng_state()
    one, again, other = (load_model(f"random:{directory}", seed=seed) for seed in (3, 3, 4))
    assert torch.equal(torch.random.get_rng_state(), before)
    tokens = torch.tensor([[1, 2, 3]])
    assert torch.equal(one(tokens), again(tokens))
    assert not torch.equal(one(tokens), other(tokens))
    assert not torch.equal(one(tokens), load_model(str(directory))(tokens))


def test_the_wanted_dtype_is_kept(directory):
    model = load_model(str(directory), dtype="bfloat16")
    assert model(torch.tensor([[1, 2]])).dtype == torch.bfloat16


def test_without_bos_texts_begin_with_their_first_word(tmp_path):
    settings = {**SETTINGS, "d_vocab": 3}
    module = native.build(settings)
    native.write_directory(tmp_path / "model", settings, module.state_dict(), ["a", "b", "<unk>"])
    assert load_model(str(tmp_path / "model")).to_tokens("b a c").tolist() == [[1, 0, 2]]


@pytest.mark.parametrize("changed", [{"native": None}, {"native": {**SETTINGS, "d_model": 16}}])
def test_settings_that_are_not_those_of_the_weights_are_refused(directory, changed):
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    with pytest.raises(ModelError, match=r"config\.json"):
        load_model(str(directory))
