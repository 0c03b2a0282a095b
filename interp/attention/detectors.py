"""Head detectors: how much of a head's attention goes where one behaviour would send it.

Each is a pure function of attention patterns that returns one number per prompt and head, between 0 and 1: the
attention weight on the looked-for sources, averaged over the queries that have such sources; `uniform` alone asks how
evenly it is spread. Padding is never read.
Positive means the head looks there more; where a head looks is not evidence that the model uses what it finds there.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interp.errors import InputError
from interp.types import Mask, Pattern

HeadScore = Float[Tensor, "batch head"]

LOCAL_KEYS = 5
"""Keys that `local` counts, the query's own included."""


def previous_token(pattern: Pattern, mask: Mask) -> HeadScore:
    """Score attention to the token just before: the mean of A[i, i-1] over real queries i >= 1.

    Raises:
        InputError: a prompt of one token, which has no query with a previous token.

    Source: Olsson et al. 2022, In-context Learning and Induction Heads, appendix (arXiv:2209.11895).
    """
    return offset(pattern, mask, back=1)


def offset(pattern: Pattern, mask: Mask, *, back: int) -> HeadScore:
    """Score attention to the token a fixed number of places before: the mean of A[i, i-back] over queries i >= back.

    A diagonal of the pattern: whoever looks there goes by position, or by a text in which each token calls for the one
    that stands so far before it. `back=1` is `previous_token`.

    Raises:
        InputError: a prompt too short to have a token so far back.
    """
    return _mean_weight(pattern, mask, back=back, first_query=back)


def local(pattern: Pattern, mask: Mask) -> HeadScore:
    """Score attention to the last 5 keys, the query's own included: the mean of their sum over queries i >= 5.

    Earlier queries are left out: they see no more than 5 keys, so all heads would score 1 there. On bidirectional
    models too, only the keys up to the query's own count.

    Raises:
        InputError: a prompt of 5 tokens or fewer.
    """
    near = sum(_diagonal(pattern, back) for back in range(LOCAL_KEYS))
    assert isinstance(near, Tensor)
    return _mean_over_queries(near, mask, first_query=LOCAL_KEYS)


def uniform(pattern: Pattern, mask: Mask, *, causal: bool = True) -> HeadScore:
    """Score how evenly attention is spread: each row's entropy over the log of its visible keys, queries i >= 1.

    1 is the same weight on every visible key, 0 all weight on one. Query 0 is left out: under a causal mask it sees
    one key. Rows that sum to less than 1, because a learned sink took the rest, are divided by their sum, and a row of
    zeros scores 0. Keys outside a sliding window count as visible, so that it lowers the score.

    Args:
        pattern: Attention of one layer.
        mask: True at real tokens.
        causal: Whether a position sees only itself and earlier ones.

    Raises:
        InputError: a prompt of one token.
    """
    rows = without_padding(pattern, mask)
    total = rows.sum(-1).clamp(min=torch.finfo(rows.dtype).tiny)
    entropy = torch.special.entr(rows).sum(-1) / total + total.log()
    keys = torch.arange(1, mask.shape[1] + 1, device=mask.device) if causal else mask.sum(-1, keepdim=True)
    even = keys.clamp(min=2).log().expand(mask.shape)[:, None]
    # A row of zeros has the logarithm of the smallest number; no row can be less even than all weight on one key.
    return _mean_over_queries((entropy / even).clamp(min=0), mask, first_query=1)


def delimiter(pattern: Pattern, mask: Mask, *, is_delimiter: Bool[Tensor, "batch pos"]) -> HeadScore:
    """Score attention to delimiters: the mean over queries i >= 1 of the weight on all of them together.

    Where delimiters are frequent, even attention scores high, too: read it beside the control.

    Args:
        pattern: Attention of one layer.
        mask: True at real tokens.
        is_delimiter: True at punctuation, line breaks, separators; a prompt without any scores 0.

    Raises:
        InputError: a prompt of one token.

    Source: Clark et al. 2019, What Does BERT Look At?, sec. 3.2 (arXiv:1906.04341).
    """
    marked = is_delimiter.to(pattern.dtype)
    weights = torch.einsum("bhqk,bk->bhq", without_padding(pattern, mask), marked)
    return _mean_over_queries(weights, mask, first_query=1)


def duplicate_token(pattern: Pattern, mask: Mask, *, period: int, start: int) -> HeadScore:
    """Score attention to the same token one period earlier: the mean of A[i, i-period] over the second copy on.

    Args:
        pattern: Attention of one layer on prompts that repeat `period` distinct tokens from position `start` on.
        mask: True at real tokens.
        period: Tokens in one copy.
        start: Position where the first copy begins: 1 after a BOS token, else 0.

    Raises:
        InputError: a prompt that ends before the second copy.

    Source: Wang et al. 2022, Interpretability in the Wild, sec. 3 (arXiv:2211.00593).
    """
    return _mean_weight(pattern, mask, back=period, first_query=start + period)


def induction(pattern: Pattern, mask: Mask, *, period: int, start: int) -> HeadScore:
    """Score prefix matching: the mean of A[i, i-period+1], the token after this token's previous occurrence.

    Args:
        pattern: Attention of one layer on prompts that repeat `period` distinct tokens from position `start` on.
        mask: True at real tokens.
        period: Tokens in one copy.
        start: Position where the first copy begins: 1 after a BOS token, else 0.

    Raises:
        InputError: a prompt that ends before the second copy.

    Source: Olsson et al. 2022, In-context Learning and Induction Heads, appendix (arXiv:2209.11895).
    """
    return _mean_weight(pattern, mask, back=period - 1, first_query=start + period)


def first_token(pattern: Pattern, mask: Mask) -> HeadScore:
    """Score attention to position 0: the mean of A[i, 0] over real queries i >= 1.

    Query 0 is left out: under a causal mask it can look nowhere else. On models that put BOS first, this is attention
    to BOS. A mean of weights, unlike Sink^epsilon, which counts heads above a threshold.

    Raises:
        InputError: a prompt of one token.

    Source: Xiao et al. 2023, Efficient Streaming Language Models with Attention Sinks, sec. 3 (arXiv:2309.17453).
    """
    return _mean_over_queries(pattern[..., 0], mask, first_query=1)


def received_attention(pattern: Pattern, mask: Mask, *, causal: bool = True) -> Float[Tensor, "batch head src_pos"]:
    """Compute alpha_k: the mean attention that position k receives over the rows that can see it.

    alpha_k = 1/(T-k) * sum over i = k..T-1 of A[i, k], counting positions from 0 and T the real tokens of the prompt;
    on bidirectional models every row sees k, so the divisor is T. The last positions have few rows and so trivially
    large values: a head that attends to itself gives alpha = 1 at k = T-1. Values depend on T: never compare
    different lengths. Layers with a sliding window are divided by the same number, as in the source.

    Args:
        pattern: Attention of one layer.
        mask: True at real tokens.
        causal: Whether a position is seen only by itself and later ones.

    Returns:
        alpha, from 0 to 1; zero at padding.

    Source: Gu et al. 2025, When Attention Sink Emerges in Language Models, sec. 3 (arXiv:2410.10781).
    """
    length = mask.sum(-1)
    received = without_padding(pattern, mask).sum(-2)
    pos = torch.arange(mask.shape[1], device=mask.device)
    rows = (length[:, None] - pos) if causal else length[:, None].expand(-1, mask.shape[1])
    return received / rows.clamp(min=1)[:, None]


def without_padding(pattern: Pattern, mask: Mask) -> Pattern:
    """Set rows and columns at padding to zero, whatever they hold."""
    real = mask[:, None, :, None] & mask[:, None, None, :]
    return pattern.masked_fill(~real, 0.0)


def _mean_weight(pattern: Pattern, mask: Mask, *, back: int, first_query: int) -> HeadScore:
    """Mean of A[i, i-back] over real queries i >= first_query."""
    if first_query >= mask.shape[1]:
        raise InputError(
            f"Prompts of {mask.shape[1]} tokens have no query at position {first_query} or later, so there is nothing "
            "to score. Expected longer prompts."
        )
    return _mean_over_queries(_diagonal(pattern, back), mask, first_query=first_query)


def _diagonal(pattern: Pattern, back: int) -> Float[Tensor, "batch head dest_pos"]:
    """A[i, i-back] of each query i, and 0 where it has no such key."""
    on_diagonal = torch.diagonal(pattern, offset=-back, dim1=-2, dim2=-1)
    return torch.nn.functional.pad(on_diagonal, (back, 0))[..., : pattern.shape[-2]]


def _mean_over_queries(weights: Float[Tensor, "batch head dest_pos"], mask: Mask, *, first_query: int) -> HeadScore:
    counted = mask.clone()
    counted[:, :first_query] = False
    queries = counted.sum(-1)
    if not queries.all():
        short = int((queries == 0).nonzero()[0, 0])
        raise InputError(
            f"Prompt {short} of this batch has {int(mask[short].sum())} tokens and so no query at position "
            f"{first_query} or later. Expected at least {first_query + 1} tokens."
        )
    return weights.masked_fill(~counted[:, None], 0.0).sum(-1) / queries[:, None]
