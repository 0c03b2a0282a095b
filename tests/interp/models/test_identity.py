import gc
import weakref

import numpy as np
import pytest
import torch

from interp.models import encode, facts, load_model, provenance


def test_facts_of_each_family(family, family_model):
    known = facts(family_model(family))
    assert (known.n_layers, known.n_heads, known.d_model, known.d_head) == (3, 4, 32, 8)
    assert known.n_kv_heads == (4 if family in ("gpt2", "gpt_neox", "bert") else 2)
    assert known.d_mlp == (128 if family == "gpt2" else 48)
    assert (known.d_vocab, known.n_ctx, known.dtype, known.device) == (400, 64, "float32", "cpu")
    assert known.bos == (family not in ("qwen2", "qwen3", "gpt_neox"))
    assert known.weights == "raw"
    assert known.untrained == ()


def test_the_number_of_parameters_by_hand(family_model):
    # Embedding and unembedding are tied in GPT-2: 400 x 32 tokens and 64 x 32 positions. Each of 3 layers: attention
    # 32 x 96 + 96 and 32 x 32 + 32, MLP 32 x 128 + 128 and 128 x 32 + 32, two norms of 64; one final norm of 64.
    layer = 32 * 96 + 96 + 32 * 32 + 32 + 2 * 32 * 128 + 128 + 32 + 128
    assert facts(family_model("gpt2")).n_params == 400 * 32 + 64 * 32 + 3 * layer + 64


def test_the_number_of_parameters_is_that_of_the_files(family, family_directory, family_model):
    from safetensors.numpy import load_file

    stored = load_file(family_directory(family) / "model.safetensors")
    assert facts(family_model(family)).n_params == sum(array.size for array in stored.values())


def test_fingerprints_tell_the_families_apart(family_model):
    names = ("gpt2", "llama", "mistral", "mixtral", "bert")
    assert len({facts(family_model(name)).fingerprint for name in names}) == len(names)


def test_the_same_files_have_the_same_fingerprint(family_directory, family_model):
    assert facts(load_model(str(family_directory("gpt2")))).fingerprint == facts(family_model("gpt2")).fingerprint


def test_one_changed_weight_of_any_tensor_changes_the_fingerprint(family_directory):
    model = load_model(str(family_directory("llama")))
    seen = {facts(model).fingerprint}
    parameters = list(model.original_model.parameters())
    for weight in parameters:
        with torch.no_grad():
            weight.view(-1)[-1] += 1e-3
        seen.add(facts(model).fingerprint)
    assert len(seen) == len(parameters) + 1


def test_a_training_step_changes_the_fingerprint(family_directory):
    model = load_model(str(family_directory("gpt2")))
    before = facts(model).fingerprint
    model.requires_grad_(True)
    optimizer = torch.optim.SGD(model.original_model.parameters(), lr=1e-2)
    model(model.to_tokens("The cat sat"))[0, -1, 5].backward()
    optimizer.step()
    assert facts(model).fingerprint != before


def test_processed_weights_are_called_so(family_directory):
    model = load_model(str(family_directory("gpt2")))
    raw = facts(model)
    model.enable_compatibility_mode()
    assert (raw.weights, facts(model).weights) == ("raw", "processed")
    assert facts(model).fingerprint != raw.fingerprint


def test_a_bridge_booted_by_the_user_has_facts_too():
    from transformer_lens.model_bridge import TransformerBridge

    sizes = {"d_model": 16, "d_head": 4, "n_heads": 4, "n_layers": 2, "n_ctx": 32, "d_vocab": 20, "d_mlp": 32}
    model = TransformerBridge.boot_native({**sizes, "act_fn": "gelu_new", "normalization_type": "LN", "seed": 0})
    known = facts(model)
    assert (known.d_vocab, known.bos, known.tokenizer, known.name) == (20, False, "", "native")


def test_facts_do_not_keep_a_model_alive(family_directory):
    model = load_model(str(family_directory("gpt2")))
    facts(model)
    encode(model, "The cat")
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_provenance_names_model_tokens_and_call(tiny):
    tokens = [encode(tiny, "The cat"), encode(tiny, "The dog slept")]
    made = provenance(tiny, tokens=tokens, call="sweep(layers=3)", seed=7)
    assert (made.model, made.fingerprint) == (facts(tiny).name, facts(tiny).fingerprint)
    assert (made.call, made.seed, made.bos, made.weights) == ("sweep(layers=3)", 7, True, "raw")
    other = provenance(tiny, tokens=tokens[:1], call="sweep(layers=3)", seed=7)
    assert other.tokens != made.tokens
    assert set(made.versions) >= {"torch", "transformer-lens"}


def test_the_tokenizer_hash_does_not_depend_on_what_was_tokenized(family_directory):
    first, second = (load_model(str(family_directory("llama"))) for _ in range(2))
    second.to_tokens(["a long prompt", "short"], padding_side="left")
    assert facts(first).tokenizer == facts(second).tokenizer


@pytest.mark.slow
def test_a_hundred_million_parameters_are_hashed_in_a_second():
    import time

    from interp.models.identity import _fingerprint

    weights = {f"w{i}": torch.nn.Parameter(torch.ones(10_000_000)) for i in range(10)}
    began = time.perf_counter()
    _fingerprint("any", weights)
    assert time.perf_counter() - began < 1.0


def test_the_answers_are_plain_python(tiny):
    assert isinstance(facts(tiny).bos, bool)
    assert encode(tiny, "a").dtype == np.int64
