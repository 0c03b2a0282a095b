"""QK circuits: both scores worked out by hand, and attention between tokens against TransformerLens's own weights."""

import numpy as np
import pytest
import torch

from interp.attention.qk import key_tokens, token_attention, token_pairs
from interp.models import load_model
from interp.models.compiled.brackets import BRACKETS
from interp.models.decoder import as_decoder

EVERY = torch.ones(20, dtype=torch.bool)
EVEN = torch.full((20, 20), 0.05)


def few_keys(*queries: int) -> torch.Tensor:
    """These queries give tokens 4 to 8 a fifth each, and nothing to the others; all other queries attend evenly."""
    weights = EVEN.clone()
    weights[list(queries)] = 0.0
    for query in queries:
        weights[query, 4:9] = 0.2
    return weights


@pytest.mark.parametrize(
    ("weights", "key", "pair"),
    [
        (EVEN, 0.0, 0.0),
        # Five of twenty tokens get everything: three quarters are left out, whatever the query.
        (few_keys(*range(20)), 0.75, 0.75),
        # Ten of twenty queries do: the mean query gives five tokens 0.125 and fifteen 0.025.
        (few_keys(*range(10)), 1 - np.exp(0.625 * np.log(8) + 0.375 * np.log(40)) / 20, 0.75),
        # One query does: the mean query gives five tokens 0.0575 and fifteen 0.0475.
        (few_keys(3), 1 - np.exp(-0.2875 * np.log(0.0575) - 0.7125 * np.log(0.0475)) / 20, 0.75),
        # Each looks at itself: no key is looked at by all, and nineteen of twenty are left out by each.
        (torch.eye(20), 0.0, 0.95),
    ],
)
def test_scores_by_hand(weights, key, pair):
    assert key_tokens(weights, EVERY) == pytest.approx(key, abs=1e-6)
    assert token_pairs(weights, EVERY) == pytest.approx(pair, abs=1e-6)


def test_queries_and_keys_left_out_are_as_if_they_were_not_there():
    without = EVERY.clone()
    without[3] = False
    assert key_tokens(few_keys(3), without) == pytest.approx(0, abs=1e-6)  # the only query that looked there
    fewer = EVERY.clone()
    fewer[4] = False
    assert token_pairs(few_keys(3), fewer) == pytest.approx(1 - 4 / 19)  # four of nineteen keys, a quarter each
    none = EVERY.clone()
    none[4:9] = False
    assert token_pairs(few_keys(3), none) == pytest.approx(0, abs=1e-6)  # sees none of those that are left


def test_looking_at_other_keys_from_every_query_is_no_looking_at_certain_keys():
    """The shuffled case: the same rows, each with its keys in another order."""
    generator, planted = torch.Generator().manual_seed(0), few_keys(*range(20))
    shuffled = torch.stack([row[torch.randperm(20, generator=generator)] for row in planted])
    assert key_tokens(planted, EVERY) > 0.7
    assert key_tokens(shuffled, EVERY) < 0.2
    assert token_pairs(shuffled, EVERY) == pytest.approx(0.75)


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen2", "gpt_neox"])
def test_attention_agrees_with_the_weights_as_transformer_lens_names_them(family, family_model):
    model = family_model(family)
    tokens = torch.arange(5, 45)
    rows = model.W_E[tokens].double()
    if family == "gpt2":
        rows = rows + model.W_pos.double().mean(0)
    layer_norm, n_ctx = family in ("gpt2", "gpt_neox"), 64
    if layer_norm:
        rows = rows - rows.mean(-1, keepdim=True)
    for layer, heads in enumerate(token_attention(as_decoder(model), tokens, n_ctx)):
        block = model.blocks[layer]
        spread = (rows.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        normed = rows / spread * block.ln1.weight.double() + (block.ln1.bias.double() if layer_norm else 0)

        def project(name: str, head: int, block=block, normed=normed) -> torch.Tensor:
            weight = getattr(block.attn, f"W_{name}")
            weight = weight.reshape(-1, *weight.shape[-2:])
            bias = getattr(block.attn, f"b_{name}", None)
            shared = head // (model.cfg.n_heads // len(weight))
            shift = 0 if bias is None else bias.reshape(len(weight), -1)[shared].double()
            return normed @ weight[shared].double() + shift

        found = list(heads)
        assert len(found) == model.cfg.n_heads
        for head, weights in enumerate(found):
            scores = project("Q", head) @ project("K", head).T / model.cfg.d_head**0.5
            torch.testing.assert_close(weights.double(), scores.softmax(-1), rtol=1e-3, atol=1e-5)


def test_attention_between_tokens_is_that_of_the_hooked_model_where_it_is_all_there_is():
    """A head of the first layer that reads no position: its pattern is the row of the tokens in the prompt."""
    model = load_model("compiled:brackets")
    tokens = torch.tensor([[1, *range(4, 40)]])  # BOS, then other tokens, once each
    _, cache = model.run_with_cache(tokens, names_filter="blocks.0.attn.hook_pattern")
    weights = next(next(token_attention(as_decoder(model), tokens[0], model.cfg.n_ctx)))
    torch.testing.assert_close(weights[-1], cache["blocks.0.attn.hook_pattern"][0, 0, -1], rtol=1e-4, atol=1e-6)
    assert float(weights[-1].max()) == pytest.approx(1 / (1 + len(BRACKETS)), abs=1e-4)
