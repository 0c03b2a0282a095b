"""Patterns are the model's own, zero at padding, beside those of random weights."""

import numpy as np
import pytest
import torch

from interp.attention import attention_patterns
from interp.errors import InputError
from interp.models import encode, load_model, str_tokens
from interp.prompts import TokenBatch
from interp.results import Result
from tests import families


def batch_of(model) -> TokenBatch:
    return TokenBatch.of([encode(model, sentence) for sentence in families.SENTENCES[:3]])


@pytest.fixture
def control(family_directory):
    return lambda name: load_model(f"random:{family_directory(name)}", seed=1)


def test_patterns_of_every_family(family, family_model, control):
    model = family_model(family)
    batch = batch_of(model)
    result = attention_patterns(model, batch, control(family))
    pattern, other = result.data["pattern"].values, result.data["control_pattern"].values
    n_pos = batch.tokens.shape[1]
    assert pattern.dtype == np.float32
    assert pattern.shape == (3, model.cfg.n_layers, model.cfg.n_heads, n_pos, n_pos) == other.shape
    assert np.abs(pattern - other).max() > 0.05
    for prompt, length in enumerate(batch.lengths):
        assert not pattern[prompt, ..., length:, :].any()
        assert not pattern[prompt, ..., :, length:].any()
        sums = pattern[prompt, ..., :length, :].sum(-1)
        if family == "gpt_oss":
            assert (sums < 1).all()
        else:
            np.testing.assert_allclose(sums, 1, atol=1e-5)
    assert result.notes["causal"] == (family != "bert")
    assert result.notes["row_sums_below_one"] == (family == "gpt_oss")
    assert result.notes["str_tokens"] == [
        str_tokens(model, row[:length]) for row, length in zip(batch.tokens, batch.lengths, strict=True)
    ]


def test_patterns_equal_each_prompt_alone(tiny, control):
    batch = batch_of(tiny)
    result = attention_patterns(tiny, batch, control("gpt2"))
    length = int(batch.lengths[1])
    alone = torch.from_numpy(batch.tokens[1, :length])[None]
    _, cache = tiny.run_with_cache(alone, names_filter="blocks.2.attn.hook_pattern")
    np.testing.assert_allclose(
        result.data["pattern"].sel(prompt=1, layer=2).values[:, :length, :length],
        cache["blocks.2.attn.hook_pattern"][0].numpy(),
        atol=1e-5,
    )


def test_round_trip(tiny, control, tmp_path):
    result = attention_patterns(tiny, batch_of(tiny), control("gpt2"))
    loaded = Result.load(result.save(tmp_path / "patterns.safetensors"))
    assert loaded.data.equals(result.data)
    assert loaded.notes["str_tokens"] == result.notes["str_tokens"]
    assert loaded.has_control


def test_too_large_is_refused_before_anything_runs(tiny, control):
    batch = batch_of(tiny)
    bytes_needed = 2 * 4 * 3 * 3 * 4 * batch.tokens.shape[1] ** 2
    attention_patterns(tiny, batch, control("gpt2"), max_bytes=bytes_needed)
    with pytest.raises(InputError, match="Give fewer or shorter prompts, or raise max_bytes"):
        attention_patterns(tiny, batch, control("gpt2"), max_bytes=bytes_needed - 1)


def test_refusals(tiny, control, family_model):
    batch = batch_of(tiny)
    with pytest.raises(InputError, match="Give one for each token"):
        attention_patterns(tiny, batch, control("gpt2"), str_tokens=[["a"]] * 3)
    with pytest.raises(InputError, match="model's own weights"):
        attention_patterns(tiny, batch, tiny)
