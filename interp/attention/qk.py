"""Which tokens heads would look at, read off their weights: some whatever the query, or some for a certain query.

The QK circuit of a head, from a token that looks to a token that is looked at: the embeddings with the mean position's,
the block's norm, W_Q and W_K with their biases and norms, the scale and cap of the scores, and a softmax over all
tokens as if each stood there once, at no distance. Earlier layers and MLPs are left out, so that in a late layer, whose
input is no longer the embedding, a score says less: a head that compares a token with what an earlier head wrote may
match bare embeddings, too. BOS is left out, on which a head may rest from everywhere else. What a head looks at is no
evidence of what it does with it.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.models.decoder import Attention, Decoder
from interp.models.decoder.parts import Rows

Weights = Float[Tensor, "query key"]
"""A head's attention from each token to each token, rows summing to 1."""


def key_tokens(weights: Weights, kept: Bool[Tensor, " query"]) -> float:
    """Score looking at certain tokens whatever the query: the share of tokens that the mean query leaves out.

    1 - exp(entropy) / tokens: 0 for even attention, 0.75 for a head that gives a quarter of the tokens the same.

    Args:
        weights: A head's attention between tokens.
        kept: Which queries there are.
    """
    return float(_left_out(weights[kept].mean(0, keepdim=True)))


def token_pairs(weights: Weights, kept: Bool[Tensor, " key"]) -> float:
    """Score looking at certain tokens from a certain one: the largest share of tokens that any query leaves out.

    A skip-trigram head ("keep ... in" -> "mind") looks at few tokens from one; a head that matches equal tokens looks
    at one from each. Source for the former: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits.

    Args:
        weights: A head's attention between tokens.
        kept: Which keys there are.
    """
    chosen = weights[:, kept]
    seen = chosen.sum(-1, keepdim=True)
    left_out = _left_out(chosen / seen.clamp_min(torch.finfo(chosen.dtype).tiny))
    return float(left_out.where(seen[:, 0] > 0, 0.0).max())  # a query that sees none of these tokens picks none


@torch.no_grad()
def token_attention(decoder: Decoder, ids: Int[Tensor, " token"], n_ctx: int) -> Iterator[Iterator[Weights]]:
    """Attention between tokens, layer by layer and head by head.

    Args:
        decoder: A model, taken apart.
        ids: The tokens: queries and keys alike.
        n_ctx: Positions over which position embeddings are averaged.
    """
    rows = _rows(decoder, ids, n_ctx)
    for block in decoder.blocks:
        yield _heads(block.attention, block.norm(rows))


def _heads(attention: Attention, normed: Rows) -> Iterator[Weights]:
    q, k = attention.heads(attention.q(normed)), attention.heads(attention.k(normed))
    q = q if attention.q_norm is None else attention.q_norm(q)
    k = k if attention.k_norm is None else attention.k_norm(k)
    group = attention.n_heads // attention.n_kv_heads
    for head in range(attention.n_heads):  # one at a time: token x token numbers
        scores = q[:, head].float() @ k[:, head // group].float().T * attention.scale
        if attention.softcap is not None:
            scores = torch.tanh(scores / attention.softcap) * attention.softcap
        yield scores.softmax(-1)


def _rows(decoder: Decoder, ids: Int[Tensor, " token"], n_ctx: int) -> Rows:
    # A position adds the same to every token, or, where it is rotary, nothing.
    one = decoder.embed(ids[:1].expand(1, n_ctx))[0]
    return decoder.embed(ids[:, None])[:, 0] + (one - one[0]).mean(0)


def _left_out(rows: Float[Tensor, "row key"]) -> Float[Tensor, " row"]:
    return 1 - torch.special.entr(rows).sum(-1).exp() / rows.shape[-1]
