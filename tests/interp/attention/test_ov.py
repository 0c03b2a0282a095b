"""OV circuits: matrices worked out by hand, and every decoder family against TransformerLens's own weights."""

import numpy as np
import pytest
import torch

from interp.attention.ov import copy_suppression, copying, ov_circuits
from interp.errors import ModelError
from interp.models import load_model

DECODERS = ("gpt2", "llama", "qwen2", "gemma2", "gemma3", "gpt_neox")


def of_one_head(values: torch.Tensor, outputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return values[:, None], outputs[None]


@pytest.mark.parametrize(
    ("outputs", "by_hand"),
    [
        (torch.eye(3), 1.0),
        (-torch.eye(3), -1.0),
        (torch.diag(torch.tensor([3.0, -1.0, 0.0])), (3 - 1) / (3 + 1)),
        # Turns by a right angle: eigenvalues i and -i, and 2 for the third token.
        (torch.tensor([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 2.0]]), 2 / (1 + 1 + 2)),
        # Each token says the next one: no eigenvalue but 0.
        (torch.diag(torch.ones(2), 1), 0.0),
        (torch.zeros(3, 3), 0.0),
    ],
)
def test_copying_by_hand(outputs, by_hand):
    assert copying(*of_one_head(torch.eye(3), outputs)).tolist() == [pytest.approx(by_hand)]


def test_rounding_of_a_matrix_without_eigenvalues_is_not_read_as_copying():
    turned = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(0)))[0]
    shift = torch.zeros(6, 6)
    shift[0, 3] = shift[1, 4] = shift[2, 5] = 1.0
    hidden = turned @ shift @ turned.T
    assert torch.linalg.eigvals(hidden.double()).abs().sum() > 0
    assert copying(*of_one_head(torch.eye(6), hidden)).item() == 0


def test_the_small_product_has_the_eigenvalues_of_the_token_matrix():
    generator = torch.Generator().manual_seed(1)
    values, outputs = torch.randn(12, 2, 4, generator=generator), torch.randn(2, 4, 12, generator=generator)
    for head, found in enumerate(copying(values, outputs).tolist()):
        whole = np.linalg.eigvals((values[:, head] @ outputs[head]).double().numpy())
        assert found == pytest.approx(whole.real.sum() / np.abs(whole).sum(), abs=1e-5)


def test_copy_suppression_by_hand():
    effects = torch.zeros(20, 20)  # of 20 tokens, one is 5 %
    for own in range(5):
        effects[own, own] = -1
    effects[3, 7], effects[4, 7] = -2, -1
    # Tokens 0, 1 and 2 are lowered most; 3 less than another, 4 no more than it; nothing is said of the rest.
    assert copy_suppression(*of_one_head(torch.eye(20), effects)).item() == pytest.approx(3 / 5)
    assert copy_suppression(*of_one_head(torch.eye(20), -effects)).item() == 0
    assert copy_suppression(*of_one_head(torch.eye(20), 0 * effects)).item() == 0
    # A change of all logits alike changes nothing for tokens of which something is said.
    assert copy_suppression(*of_one_head(torch.eye(20), effects + 5)).item() == pytest.approx(3 / 20)


def test_a_random_head_lowers_one_token_in_twenty():
    generator = torch.Generator().manual_seed(2)
    values, outputs = torch.randn(600, 4, 32, generator=generator), torch.randn(4, 32, 600, generator=generator)
    assert copy_suppression(values, outputs).mean().item() == pytest.approx(0.05, abs=4 * (0.05 * 0.95 / 2400) ** 0.5)
    assert copying(values, outputs).abs().max() < 0.3


@pytest.mark.parametrize("family", DECODERS)
def test_circuits_agree_with_the_weights_as_transformer_lens_names_them(family, family_model):
    """Up to one positive factor for each head, which neither score sees."""
    model = family_model(family)
    tokens = np.arange(5, 45)
    W_E, W_U = model.W_E[torch.from_numpy(tokens)].double(), model.W_U[:, torch.from_numpy(tokens)].double()
    layer_norm = family in ("gpt2", "gpt_neox")
    gain = 1.0 if family.startswith("gemma") else 0.0  # whose gains are stored less one
    for layer, (values, outputs) in enumerate(ov_circuits(model, tokens, tokens)):
        block = model.blocks[layer]
        rows = W_E - W_E.mean(-1, keepdim=True) if layer_norm else W_E
        normed = rows / rows.square().mean(-1, keepdim=True).sqrt() * (gain + block.ln1.weight.double())
        if layer_norm:
            normed = normed + block.ln1.bias.double()
        written = {"gemma2": "ln1_post", "gemma3": "ln1_post"}.get(family)
        after = torch.eye(len(model.W_U)).double()
        if written:
            after = after * (gain + getattr(block, written).weight.double())
        if layer_norm:
            after = after - after.mean(-1, keepdim=True)
        read = after * (gain + model.ln_final.weight.double()) @ W_U
        for head in range(model.cfg.n_heads):
            shared = head // (model.cfg.n_heads // values_per(model))
            W_V = block.attn.W_V.reshape(-1, *block.attn.W_V.shape[-2:])[shared].double()
            expected = normed @ W_V @ model.W_O[layer, head].double() @ read
            found = (values[:, head] @ outputs[head]).double()
            factor = (found * expected).sum() / expected.square().sum()
            assert factor > 0
            torch.testing.assert_close(found, factor * expected, rtol=1e-3, atol=1e-4 * float(found.abs().max()))


def values_per(model) -> int:
    return model.cfg.n_key_value_heads or model.cfg.n_heads


@pytest.mark.parametrize("family", ["bert", "mixtral", "gpt_oss"])
def test_other_architectures_are_refused_by_name(family, family_model):
    with pytest.raises(ModelError, match=f"{type(family_model(family).original_model).__name__} cannot be taken apart"):
        next(ov_circuits(family_model(family), np.arange(4), np.arange(4)))


def test_a_model_that_says_other_things_than_it_reads_is_refused():
    with pytest.raises(ModelError, match="says 8 things"):
        next(ov_circuits(load_model("zoo:sink-softmax-0"), np.arange(4), np.arange(4)))
