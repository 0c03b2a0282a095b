"""Facts of an architecture that change how its activations must be read."""

from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from interp.models.identity import facts
from interp.models.probe import Probe, probe_layers, record
from interp.sites import Site

LEAST_SINK_MASS = 1e-3
"""Attention missing from the rows of a pattern, from which on it is put down to learned sinks, not to rounding."""


def architecture_facts(
    model: TransformerBridge, tokens: Int[Tensor, "batch pos"], probes: dict[str, Probe]
) -> dict[str, Any]:
    """Gather what decides how activations of this model are read; sinks and parallel blocks are measured."""
    known, cfg = facts(model), model.cfg
    sink_mass = _missing_attention(model, tokens)
    return {
        "family": "encoder" if is_encoder(model) else "decoder",
        "n_layers": known.n_layers,
        "n_heads": known.n_heads,
        "n_kv_heads": known.n_kv_heads,
        "heads_per_kv_head": known.n_heads // known.n_kv_heads,
        "positions": {"standard": "learned"}.get(cfg.positional_embedding_type, cfg.positional_embedding_type),
        "parallel_blocks": probes["mlp_out"].fires and not probes["resid_mid"].fires,
        "norms": norm_placement(model),
        "sliding_windows": sliding_windows(model),
        "attention_soft_cap": _soft_cap(cfg, "attn_scores_soft_cap"),
        "logit_soft_cap": _soft_cap(cfg, "output_logits_soft_cap"),
        "n_experts": cfg.num_experts or 0,
        "experts_per_token": (cfg.experts_per_token or 0) if cfg.num_experts else 0,
        "learned_sinks": sink_mass is not None and sink_mass > LEAST_SINK_MASS,
        "learned_sink_mass": sink_mass,
        "bos": known.bos,
        "dtype": known.dtype,
        "untrained_weights": len(known.untrained),
    }


def is_encoder(model: TransformerBridge) -> bool:
    """Whether every position sees every other."""
    return model.cfg.attention_dir == "bidirectional"


def norm_placement(model: TransformerBridge) -> str:
    """Where the norms stand: `before` each sublayer, `sandwich` (before and after), or `after`."""
    names = {name for name, _ in model.blocks[0].named_children()}
    if is_encoder(model):
        return "after"
    if "ln1_post" in names:
        return "sandwich" if "ln1" in names else "after"
    return "before"


def sliding_windows(model: TransformerBridge) -> list[int | None]:
    """Positions that each layer sees, its own included; None where it sees all before it."""
    config = getattr(model.original_model, "config", None)
    window = getattr(config, "sliding_window", None)
    if not window or getattr(config, "use_sliding_window", True) is False:
        return [None] * model.cfg.n_layers
    kinds = getattr(config, "layer_types", None) or ["sliding_attention"] * model.cfg.n_layers
    return [window if kind == "sliding_attention" else None for kind in kinds]


def scores_repeat_pattern(model: TransformerBridge, tokens: Int[Tensor, "batch pos"]) -> bool:
    """Whether the hook of the scores shows the pattern a second time, after softmax, as delegated attention does."""
    scores, pattern = (Site(0, kind) for kind in ("attn_scores", "pattern"))
    seen = record(model, tokens, [scores, pattern])
    return len(seen) == 2 and torch.equal(seen[scores], seen[pattern])


def caution(model: TransformerBridge, kind: str) -> str:
    """What to mind when reading a kind of site that exists and is causal; empty where nothing."""
    norms = norm_placement(model)
    if kind == "attn_out" and is_encoder(model):
        return "it is the whole attention block after residual and norm, not what the heads add."
    if kind == "mlp_out" and is_encoder(model):
        return "the residual is added and normed after it."
    if kind == "result" and norms != "before":
        return "the heads' sum is normed before it is added, so this is not a head's part of the residual stream."
    if kind in ("k", "v") and facts(model).n_kv_heads < facts(model).n_heads:
        return f"one of its heads serves {facts(model).n_heads // facts(model).n_kv_heads} query heads."
    return ""


def _soft_cap(cfg: Any, name: str) -> float | None:
    cap = getattr(cfg, name, None)
    return float(cap) if cap is not None and cap > 0 else None


def _missing_attention(model: TransformerBridge, tokens: Tensor) -> float | None:
    """Mean share of attention that no position receives, over the probed layers, heads and positions.

    None where the model shows no patterns.
    """
    patterns = record(model, tokens, [Site(layer, "pattern") for layer in probe_layers(model)])
    if not patterns:
        return None
    return max(0.0, 1 - torch.stack([pattern.sum(-1) for pattern in patterns.values()]).mean().item())
