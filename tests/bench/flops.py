"""The least arithmetic an exact sweep needs, and the rate the machine gives."""

import time
from typing import Any

import torch

ONE_ROW_ABOVE = ("resid_post", "attn_out", "mlp_out", "z")


def forward_flops(cfg: Any, batch: int, seq: int) -> float:
    """One run of a plain (not gated) model without unembedding; a multiplication and an addition count 2."""
    per_layer = _row_flops(cfg) * seq + 4 * seq * seq * cfg.d_model
    return batch * cfg.n_layers * per_layer


def sweep_flops(cfg: Any, batch: int, seq: int, first: int, kind: str, by: str) -> float:
    """Both base runs, and for each cell the rows that its patch changes and the last position reads."""
    total = 2 * forward_flops(cfg, batch, seq)
    for layer in range(cfg.n_layers):
        if by == "head":
            total += cfg.n_heads * batch * _dense(cfg, layer, seq - first, seq)
            continue
        for position in range(first, seq):
            cells = cfg.n_heads if by == "pos_head" else 1
            total += cells * batch * _one_row(cfg, layer, seq - position, seq, above=kind in ONE_ROW_ABOVE)
    return total


def _row_flops(cfg: Any) -> float:
    """One row of one layer, attention's products with keys and values apart."""
    width, heads = cfg.d_model, cfg.n_heads * cfg.d_head
    return 2 * width * (4 * heads) + 4 * width * cfg.d_mlp


def _rest(cfg: Any, layer: int, n_rows: int, seq: int) -> float:
    """Every row changed before `layer`, up to the last position's final residual."""
    width, heads, last = cfg.d_model, cfg.n_heads * cfg.d_head, cfg.n_layers - 1
    if layer > last:
        return 0.0
    middle = (last - layer) * (_row_flops(cfg) * n_rows + 4 * n_rows * seq * heads)
    return middle + 4 * width * heads * n_rows + (4 * width * heads + 4 * width * cfg.d_mlp) + 4 * seq * heads


def _one_row(cfg: Any, layer: int, n_rows: int, seq: int, *, above: bool) -> float:
    """One row changed: before the layer, or after its attention or MLP."""
    width, heads, is_last = cfg.d_model, cfg.n_heads * cfg.d_head, layer == cfg.n_layers - 1
    if above:
        if is_last and n_rows > 1:
            return 0.0
        return 4 * width * cfg.d_mlp + _one_row(cfg, layer + 1, n_rows, seq, above=False)
    if layer == cfg.n_layers:
        return 0.0
    rows = 1 if is_last else n_rows
    own = 6 * width * heads + 4 * rows * seq * heads + (2 * width * heads + 4 * width * cfg.d_mlp) * rows
    return own + _rest(cfg, layer + 1, n_rows, seq)


def _dense(cfg: Any, layer: int, n_rows: int, seq: int) -> float:
    """One head changed at every row of a layer."""
    rows = 1 if layer == cfg.n_layers - 1 else n_rows
    own = (2 * cfg.d_head * cfg.d_model + 4 * cfg.d_model * cfg.d_mlp) * rows + 4 * rows * seq * cfg.d_head
    return own + _rest(cfg, layer + 1, n_rows, seq)


def peak_rate(size: int = 2048, rounds: int = 7) -> float:
    """Operations a second of a large matrix product, best of a few."""
    left, right = torch.randn(size, size), torch.randn(size, size)
    best = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        left @ right
        best = min(best, time.process_time() - began)
    return 2 * size**3 / best
