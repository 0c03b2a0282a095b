"""From a hooked model to its `Decoder`: TransformerLens names the parts alike, and each family adds what is its own."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from interp.models.decoder.parts import Attention, Block, Decoder, Mlp, Rotary, RowFunction
from interp.models.identity import facts
from interp.types import Model

FAMILIES = (
    "GPT2LMHeadModel",
    "LlamaForCausalLM",
    "MistralForCausalLM",
    "Qwen2ForCausalLM",
    "Qwen3ForCausalLM",
    "Gemma2ForCausalLM",
    "Gemma3ForCausalLM",
    "GPTNeoXForCausalLM",
    "NativeModel",
)
"""Architectures that can be taken apart, each tested layer by layer against full forward passes."""


def as_decoder(model: Model) -> Decoder | None:
    """Take a hooked model apart, by reference to its own modules.

    Returns:
        The decoder, or None where the architecture is not one of `FAMILIES` or has a part that none of them has.
    """
    inside = model.original_model
    family = type(inside).__name__
    if family not in FAMILIES or _unusual(model, family):
        return None
    read = _native_block if family == "NativeModel" else _hugging_face_block
    blocks = tuple(read(model, layer) for layer in range(facts(model).n_layers))
    head = _own(model.unembed)
    cap = model.cfg.output_logits_soft_cap if family == "NativeModel" else _setting(inside, "final_logit_softcapping")
    return Decoder(
        family=family,
        embed=partial(_embed, model),
        blocks=blocks,
        final_norm=_own(model.ln_final),
        w_u=lambda: (head.weight, head.bias),
        softcap=_positive(cap),
        learned_positions=hasattr(model, "pos_embed"),
        n_positions=_n_positions(model, family),
    )


def _n_positions(model: Model, family: str) -> int | None:
    """How many positions exist, or are rotated alike in texts of any length; None for any number."""
    if hasattr(model, "pos_embed"):
        return _own(model.pos_embed).weight.shape[0]
    if family == "NativeModel":
        rotary = _own(model.blocks[0].attn).rotary
        return None if rotary is None else rotary.cos_cached.shape[0]
    rotary = _own(model.rotary_emb)
    kinds = rotary.rope_type.values() if isinstance(rotary.rope_type, dict) else [rotary.rope_type]
    if not any("dynamic" in kind or kind == "longrope" for kind in kinds):
        return None
    longest = rotary.original_max_seq_len
    return min(longest, rotary.config.rope_parameters.get("original_max_position_embeddings", longest))


def _unusual(model: Model, family: str) -> bool:
    """Settings that the families allow and that nothing here computes."""
    inside, config = model.original_model, model.cfg
    if family == "NativeModel":
        return config.attention_dir != "causal" or config.act_fn in ("solu", "solu_ln")
    turned = ("reorder_and_upcast_attn", "scale_attn_by_inverse_layer_idx", "use_bidirectional_attention")
    if any(_setting(inside, name) for name in turned) or bool(getattr(config, "use_attn_result", False)):
        return True
    return family == "GPTNeoXForCausalLM" and not _setting(inside, "use_parallel_residual")


def _hugging_face_block(model: Model, layer: int) -> Block:
    block = model.blocks[layer]
    attention, known = _own(block.attn), facts(model)
    joint = type(attention).__name__ in ("GPT2Attention", "GPTNeoXAttention")
    scale = known.d_head**-0.5 if joint else attention.scaling
    window = getattr(attention, "sliding_window", None)
    if type(attention).__name__ == "MistralAttention":
        window = attention.config.sliding_window
    return Block(
        norm=_own(block.ln1),
        attention=Attention(
            **_projections(block.attn, known.d_head),
            n_heads=known.n_heads,
            n_kv_heads=known.n_kv_heads,
            d_head=known.d_head,
            scale=scale,
            q_norm=_optional(block.attn, "q_norm"),
            k_norm=_optional(block.attn, "k_norm"),
            rotary=_rotary(model, layer),
            softcap=getattr(attention, "attn_logit_softcapping", None),
            window=window,
            softmax_dtype=None if joint else torch.float32,
            post_norm=_optional(block, "ln1_post"),
        ),
        mlp_norm=_own(block.ln2),
        mlp=_mlp(block, _activation(_own(block.mlp))),
        parallel=type(attention).__name__ == "GPTNeoXAttention",
    )


def _native_block(model: Model, layer: int) -> Block:
    block, known = model.blocks[layer], facts(model)
    attention = _own(block.attn)
    rotary = attention.rotary
    has_mlp = not model.cfg.attn_only
    return Block(
        norm=_own(block.ln1),
        attention=Attention(
            **_projections(block.attn, known.d_head),
            n_heads=known.n_heads,
            n_kv_heads=known.n_kv_heads,
            d_head=known.d_head,
            scale=1 / attention.scale,
            rotary=None
            if rotary is None
            else lambda n, dtype: (rotary.cos_cached[:n].to(dtype), rotary.sin_cached[:n].to(dtype)),
            adjacent_pairs=True,
            softcap=_positive(attention.attn_scores_soft_cap),
        ),
        mlp_norm=_own(block.ln2) if has_mlp else None,
        mlp=_mlp(block, _own(block.mlp).act) if has_mlp else None,
    )


def _projections(attn: Any, d_head: int) -> dict[str, Any]:
    q, k, v, o = (_own(getattr(attn, name)) for name in "qkvo")
    transposed = type(o).__name__ == "Conv1D"

    def w_o() -> Tensor:
        weight = o.weight if transposed else o.weight.T
        return weight.unflatten(0, (-1, d_head))

    return {"q": q, "k": k, "v": v, "o": o, "w_o": w_o}


def _mlp(block: Any, act: RowFunction) -> Mlp:
    into, out = _own(getattr(block.mlp, "in")), _own(block.mlp.out)
    gate = _optional(block.mlp, "gate")

    def neurons(rows: Tensor) -> Tensor:
        return act(into(rows)) if gate is None else act(gate(rows)) * into(rows)

    return Mlp(neurons, out, _optional(block, "ln2_post"))


def _activation(mlp: Any) -> RowFunction:
    act = mlp.act if hasattr(mlp, "act") else mlp.act_fn
    if type(act).__name__ in ("NewGELUActivation", "GELUTanh"):
        # The same function in one kernel: theirs writes six arrays of the neurons' size.
        return partial(functional.gelu, approximate="tanh")
    return act


def _rotary(model: Model, layer: int) -> Rotary | None:
    if not hasattr(model, "rotary_emb"):
        return None
    rotary: Callable[..., tuple[Tensor, Tensor]] = _own(model.rotary_emb)
    kind = getattr(_own(model.blocks[layer].attn), "layer_type", None)
    by_kind = type(rotary).__name__ == "Gemma3RotaryEmbedding"
    device = facts(model).device
    tables: dict[tuple[int, torch.dtype], tuple[Tensor, Tensor]] = {}

    def table(n: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        if (n, dtype) not in tables:
            like, positions = torch.zeros(1, dtype=dtype, device=device), torch.arange(n, device=device)[None]
            found = rotary(like, positions, kind) if by_kind else rotary(like, positions)
            tables[n, dtype] = (found[0][0], found[1][0])
        return tables[n, dtype]

    return table


def _embed(model: Model, tokens: Tensor, positions: Tensor | None = None) -> Tensor:
    rows = _own(model.embed)(tokens)
    if hasattr(model, "pos_embed"):
        placed = torch.arange(tokens.shape[1], device=tokens.device) if positions is None else positions
        rows = rows + _own(model.pos_embed)(placed)
    return rows


def _setting(inside: Any, name: str) -> Any:
    return getattr(inside.config, name, None)


def _positive(cap: float | None) -> float | None:
    return cap if cap is not None and cap > 0 else None


def _optional(of: Any, name: str) -> Any:
    return _own(getattr(of, name)) if name in of._modules else None


def _own(wrapped: Any) -> Any:
    """The model's own module behind a hooked one."""
    return getattr(wrapped, "original_component", wrapped)
