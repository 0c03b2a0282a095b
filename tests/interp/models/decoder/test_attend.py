"""Attention over a shared prefix and own rows is attention over the whole."""

import pytest
import torch

from interp.models.decoder import Attention, Prefix, attend
from interp.models.decoder.attend import hidden, patterns

N_POS, D_HEAD = 9, 8


def attention_of(n_kv_heads, **settings):
    nothing = torch.nn.Identity()
    parts = dict.fromkeys("qkvo", nothing)
    settings = {"scale": 0.4, **settings}
    return Attention(
        **parts, w_o=lambda: torch.zeros(4, D_HEAD, 32), n_heads=4, n_kv_heads=n_kv_heads, d_head=D_HEAD, **settings
    )


def reference(attention, q, k, v):
    """Attention of whole sequences, written out: one query, one head at a time."""
    z = torch.zeros_like(q)
    for batch in range(q.shape[0]):
        for pos in range(q.shape[1]):
            first = 0 if attention.window is None else max(0, pos - attention.window + 1)
            for head in range(4):
                group = head // (4 // attention.n_kv_heads)
                scores = k[batch, first : pos + 1, group] @ q[batch, pos, head] * attention.scale
                if attention.softcap is not None:
                    scores = attention.softcap * torch.tanh(scores / attention.softcap)
                weights = scores.exp() / scores.exp().sum()
                z[batch, pos, head] = weights @ v[batch, first : pos + 1, group]
    return z


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(
    "settings", [{}, {"window": 1}, {"window": 3}, {"softcap": 0.5}, {"softcap": 2.0, "window": 5}]
)
@pytest.mark.parametrize("n_kv_heads", [1, 2, 4])
def test_any_split_into_prefix_and_rows_is_attention_over_the_whole(n_kv_heads, settings):
    attention = attention_of(n_kv_heads, **settings)
    variants, batch = 3, 2
    shared_k, shared_v = (drawn(batch, N_POS, n_kv_heads, D_HEAD, seed=seed) for seed in (1, 2))
    for start in (0, 1, 4, N_POS - 1):
        n = N_POS - start
        q = drawn(variants, batch, N_POS, 4, D_HEAD, seed=3)
        k, v = (drawn(variants, batch, n, n_kv_heads, D_HEAD, seed=seed) for seed in (4, 5))
        prefix = Prefix(shared_k[:, :start], shared_v[:, :start])
        assert prefix.length == start
        for n_query in {1, n}:
            z = attend(attention, q[:, :, -n_query:], k, v, prefix)
            for variant in range(variants):
                whole = [torch.cat(both, 1) for both in ((prefix.k, k[variant]), (prefix.v, v[variant]))]
                expected = reference(attention, q[variant], *whole)[:, -n_query:]
                torch.testing.assert_close(z[variant], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("settings", [{}, {"window": 3}, {"softcap": 0.5}])
@pytest.mark.parametrize("n_kv_heads", [1, 2, 4])
def test_patterns_weigh_values_as_attention_does(n_kv_heads, settings):
    attention = attention_of(n_kv_heads, **settings)
    q, k, v = drawn(2, N_POS, 4, D_HEAD), *(drawn(2, N_POS, n_kv_heads, D_HEAD, seed=seed) for seed in (1, 2))
    pattern = patterns(attention, q, k)
    z = torch.einsum("bhqk,bkhe->bqhe", pattern, v.repeat_interleave(4 // n_kv_heads, 2))
    torch.testing.assert_close(z, reference(attention, q, k, v), rtol=0, atol=1e-12)
    torch.testing.assert_close(pattern.sum(-1), torch.ones(2, 4, N_POS, dtype=torch.float64))


def test_the_softmax_has_the_dtype_it_is_told():
    q, k, v = (drawn(1, 1, 4, 4, D_HEAD, seed=seed) for seed in range(3))
    nothing = Prefix(k[0, :, :0], v[0, :, :0])
    wide, narrow = (attend(attention_of(4, softmax_dtype=dtype), q, k, v, nothing) for dtype in (None, torch.float32))
    assert narrow.dtype == torch.float64
    assert 1e-10 < (wide - narrow).abs().max() < 1e-6


def test_what_the_last_positions_do_not_see():
    device = torch.device("cpu")
    assert hidden(2, 4, None, device)[:, 0].tolist() == [[False, False, False, True], [False] * 4]
    assert hidden(2, 4, 2, device)[:, 0].tolist() == [[True, False, False, True], [True, True, False, False]]
