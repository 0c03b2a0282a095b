"""Queries, keys, values and neurons of one layer on one prompt: how the first token is looked at, and what it gives."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from interp.models import facts
from interp.models.decoder import as_decoder
from interp.types import Model

HeadRows = Float[Tensor, "pos head d_head"]
Turn = Callable[[HeadRows], HeadRows]


def reduce_queries_and_keys(q: HeadRows, k: Float[Tensor, "pos kv_head d_head"]) -> dict[str, Float[Tensor, " head"]]:
    """Split the scores of the first key into lengths and a cosine: score = |q| |k| cos, before scaling.

    Args:
        q: Queries of one prompt as attention uses them: normed and rotated.
        k: Keys of one prompt, the same.

    Returns:
        For each head, over the queries behind the first: `q_norm`; `key_ratio`, the first key's length over the mean
        of the others; `cos_first` with the first key, and `cos_others`, with the other keys that the query sees.
    """
    q, k = q.float(), _to_heads(k.float(), q.shape[1])
    q_norm, k_norm = q.norm(dim=-1), k.norm(dim=-1)
    q_unit, k_unit = (torch.nn.functional.normalize(rows, dim=-1) for rows in (q, k))
    # The sum over all keys up to a query, less the first.
    seen = k_unit.cumsum(0) - k_unit[0]
    count = torch.arange(len(q), device=q.device)[1:, None]
    return {
        "q_norm": q_norm[1:].mean(0),
        "key_ratio": _ratio(k_norm),
        "cos_first": (q_unit[1:] * k_unit[0]).sum(-1).mean(0),
        "cos_others": ((q_unit[1:] * seen[1:]).sum(-1) / count).mean(0),
    }


def reduce_values(
    v: Float[Tensor, "pos kv_head d_head"], written: Float[Tensor, "head d_head d_head"]
) -> dict[str, Float[Tensor, " head"]]:
    """Compare the first token's value with the others': far below 1, it is drained and looking at it adds nothing.

    Args:
        v: Values of one prompt.
        written: W_O W_O^T of each head, which gives the length of what a value becomes in the residual stream.

    Returns:
        For each head, the first token's length over the mean of the others: `value_ratio` of the value itself,
        `written_ratio` of what W_O makes of it.

    Source: Guo et al. 2024, Active-Dormant Attention Heads, sec. 3 (arXiv:2410.13835).
    """
    v = _to_heads(v.float(), len(written))
    out = torch.einsum("phd,hde,phe->ph", v, written, v).clamp(min=0).sqrt()
    return {"value_ratio": _ratio(v.norm(dim=-1)), "written_ratio": _ratio(out)}


def reduce_neurons(
    post: Float[Tensor, "pos d_mlp"], w_out_norm: Float[Tensor, " d_mlp"]
) -> dict[str, Float[Tensor, " d_mlp"]]:
    """How much each neuron writes at the first token, and on average at the others: |activation| times |W_out row|.

    Source: Yona et al. 2025 (arXiv:2503.08908) and Yu et al. 2024, The Super Weight (arXiv:2411.07191).
    """
    size = post.float().abs()
    return {"neuron_first": size[0] * w_out_norm, "neuron_others": size[1:].mean(0) * w_out_norm}


def written_gram(model: Model, layer: int) -> Float[Tensor, "head d_head d_head"]:
    """W_O W_O^T of each head of a layer."""
    w_o = model.blocks[layer].attn.W_O.detach().float()
    return w_o @ w_o.mT


def out_norms(model: Model, layer: int) -> Float[Tensor, " d_mlp"]:
    """Length of each neuron's row of W_out."""
    return model.blocks[layer].mlp.W_out.detach().float().norm(dim=-1)


def turns(model: Model) -> list[tuple[Turn, Turn]] | None:
    """For each layer, what turns hooked queries and keys into those that attention uses: norms and rotation.

    Returns:
        None where that cannot be told: a rotary model of a family that `as_decoder` does not take apart.
    """
    decoder = as_decoder(model)
    if decoder is None:
        plain = str(model.cfg.positional_embedding_type) == "standard"
        return [(_as_it_is, _as_it_is)] * facts(model).n_layers if plain else None

    def turn(layer: int) -> tuple[Turn, Turn]:
        attention = decoder.blocks[layer].attention
        return (
            lambda q: attention.rotated(q, attention.q_norm, 0),
            lambda k: attention.rotated(k, attention.k_norm, 0),
        )

    return [turn(layer) for layer in range(facts(model).n_layers)]


def _as_it_is(rows: HeadRows) -> HeadRows:
    return rows


def _to_heads(rows: Float[Tensor, "pos kv_head d_head"], n_heads: int) -> HeadRows:
    return rows.repeat_interleave(n_heads // rows.shape[1], 1)


def _ratio(norms: Float[Tensor, "pos head"]) -> Float[Tensor, " head"]:
    return norms[0] / norms[1:].mean(0).clamp(min=torch.finfo(norms.dtype).tiny)
