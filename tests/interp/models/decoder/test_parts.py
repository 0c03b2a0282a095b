"""Parts of a decoder on chosen rows."""

import math

import pytest
import torch

from interp.models.decoder import as_decoder
from interp.models.decoder.parts import Attention, Block, Decoder, Mlp

APART = ("gpt2", "llama", "qwen2", "qwen3", "gemma2", "gemma3", "gpt_neox", "mistral")


def rows_of(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("name", APART)
def test_every_part_outside_attention_acts_on_each_row_alone(double_model, name):
    block = as_decoder(double_model(name)).blocks[1]
    rows, attn = rows_of(3, 2, 4, 32), rows_of(3, 2, 4, 4, 8)
    together = block.after(rows, block.attn_out(attn))
    alone = block.after(rows[1, 1, 2], block.attn_out(attn[1, 1, 2]))
    torch.testing.assert_close(together[1, 1, 2], alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in APART if name != "gpt2"])
def test_rows_are_rotated_by_their_own_positions(double_model, name):
    attention = as_decoder(double_model(name)).blocks[0].attention
    rows = rows_of(2, 7, 4, 8)
    whole = attention.rotated(rows, attention.q_norm, 0)
    for first in (0, 3, 6):
        torch.testing.assert_close(
            attention.rotated(rows[:, first:], attention.q_norm, first), whole[:, first:], rtol=0, atol=1e-12
        )
    assert (whole[:, 0] - attention.rotated(rows[:, :1], attention.q_norm, 1)[:, 0]).abs().max() > 0.01


@pytest.mark.parametrize("adjacent", [False, True])
def test_a_quarter_turn_by_hand(adjacent):
    # One position, turned by 90 degrees: (x, y) becomes (-y, x); the pairs are neighbours or half a head apart.
    nothing = torch.nn.Identity()
    quarter = torch.full((1, 4), math.pi / 2, dtype=torch.float64)
    attention = Attention(
        **dict.fromkeys("qkvo", nothing),
        w_o=lambda: torch.zeros(1, 6, 6),
        n_heads=1,
        n_kv_heads=1,
        d_head=6,
        scale=1.0,
        rotary=lambda *_: (quarter.cos(), quarter.sin()),
        adjacent_pairs=adjacent,
    )
    rows = torch.tensor([1.0, 2, 3, 4, 5, 6], dtype=torch.float64)[None, None, None]
    expected = [-2.0, 1, -4, 3, 5, 6] if adjacent else [-3.0, -4, 1, 2, 5, 6]
    torch.testing.assert_close(attention.rotated(rows, None, 0)[0, 0, 0], torch.tensor(expected, dtype=torch.float64))


def test_a_block_by_hand():
    nothing = torch.nn.Identity()
    attention = Attention(
        **dict.fromkeys("qkvo", nothing), w_o=lambda: torch.zeros(1, 2, 2), n_heads=1, n_kv_heads=1, d_head=2, scale=1.0
    )
    rows, attn = torch.tensor([1.0, 2.0]), torch.tensor([10.0, 20.0])
    mlp = Mlp(neurons=lambda rows: rows * 3, out=lambda rows: rows + 1, post_norm=lambda rows: rows * 2)
    bare = Block(norm=nothing, attention=attention)
    assert bare.after(rows, attn).tolist() == [11, 22]
    serial = Block(norm=nothing, attention=attention, mlp_norm=lambda rows: rows - 1, mlp=mlp)
    # By hand: 10 and 21, times three, plus one, twice; and 11 and 22 that were there.
    assert serial.after(rows, attn).tolist() == [73, 150]
    parallel = Block(norm=nothing, attention=attention, mlp_norm=lambda rows: rows - 1, mlp=mlp, parallel=True)
    # The MLP sees what attention saw: 0 and 1, times three, plus one, twice; and 11 and 22 beside it.
    assert parallel.after(rows, attn).tolist() == [13, 30]


@pytest.mark.parametrize("name", APART)
def test_no_part_needs_a_gradient_and_all_of_them_pass_one_on(double_model, name):
    decoder = as_decoder(double_model(name))
    rows = rows_of(2, 3, 32).requires_grad_()
    block = decoder.blocks[0]
    z = block.attention.heads(block.attention.q(block.norm(rows)))
    decoder.logits(block.after(rows, block.attn_out(z))).sum().backward()
    assert rows.grad.abs().max() > 0


@pytest.mark.parametrize("softcap", [None, 3.0])
@pytest.mark.parametrize("with_bias", [False, True])
def test_logits_by_hand(with_bias, softcap):
    weight = torch.tensor([[1.0, 0], [0, 1], [1, 1]])
    bias = torch.tensor([10.0, 20, 30]) if with_bias else None
    decoder = Decoder(
        family="hand-made",
        embed=lambda tokens: tokens[..., None].float(),
        blocks=(),
        final_norm=lambda rows: rows * 2,
        w_u=lambda: (weight, bias),
        softcap=softcap,
    )
    expected = [12.0, 24, 36] if with_bias else [2.0, 4, 6]
    if softcap is not None:
        expected = [softcap * math.tanh(logit / softcap) for logit in expected]
    rows = torch.tensor([[1.0, 2.0]])
    assert decoder.logits(rows)[0].tolist() == pytest.approx(expected)
    assert decoder.chosen_logits(rows, torch.tensor([[2, 0]]))[0].tolist() == pytest.approx([expected[2], expected[0]])
