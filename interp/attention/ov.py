"""What heads would write, read off their weights: do they raise the tokens they look at, or lower them?

The OV circuit of a head, from a token it looks at to the logits: W_E, the block's norm, W_V, W_O, the linear part of
the final norm, W_U. Positions, biases, earlier layers and MLPs are left out, so that in a late layer, whose input is
no longer the embedding, a score says less. Positive means that the head raises the token it looks at (copying), or
lowers it (copy suppression). Weights alone: whether the head ever looks there is not asked.
"""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Bool, Complex, Float, Int
from torch import Tensor

from interp.errors import ModelError
from interp.models import facts
from interp.models.decoder import FAMILIES, Decoder, as_decoder
from interp.models.decoder.parts import RowFunction
from interp.types import Model

Values = Float[Tensor, "token head d_head"]
"""What each head keeps of each token: normed embedding times W_V, without its bias."""
Outputs = Float[Tensor, "head d_head token"]
"""What each head's dimensions add to the logit of each token."""
LOWERED = 0.05
"""A token counts as lowered when it is in this share of its row: what a random head does to it by chance."""
NILPOTENT = 1e-2
"""Eigenvalues whose sizes sum to less than this share of the matrix's norm count as rounding of float32."""


def copying(values: Values, outputs: Outputs) -> Float[Tensor, " head"]:
    """Score copying: sum of the eigenvalues over the sum of their sizes, from 1 (copies) to -1 (says all but it).

    The eigenvalues of the token x token matrix `values @ outputs` that are not 0 are those of the product the other way
    round, which has only d_head rows. A matrix without eigenvalues, such as one that turns each token into another,
    scores 0.

    Source: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits, "Summarizing OV/QK matrices".
    """
    return copying_ratio(ov_products(values, outputs))


def copy_suppression(values: Values, outputs: Outputs) -> Float[Tensor, " head"]:
    """Score copy suppression: share of tokens whose own logit is among the 5 % that the head lowers most for them.

    A random head scores 0.05. Ties count against the head. Tokens for which the head writes nothing at all are left
    out; a head that writes nothing for any scores 0.

    Source: McDougall et al. 2023, Copy Suppression (arXiv:2310.04625), there with the first MLP's output as embedding.
    """
    lowered, written = most_lowered(values, outputs)
    return lowered.double().sum(0) / written.sum(0).clamp(min=1)


@torch.no_grad()
def ov_circuits(
    model: Model, sources: Int[np.ndarray, " token"], targets: Int[np.ndarray, " token"]
) -> Iterator[tuple[Values, Outputs]]:
    """Take the OV circuits of each layer's heads, from chosen tokens to the logits of chosen tokens.

    Raises:
        ModelError: the architecture cannot be taken apart, or its outputs are not its tokens.
    """
    decoder, device = decoder_of(model), facts(model).device
    rows = model.embed(torch.from_numpy(sources).to(device))
    unembedding = decoder.w_u()[0][torch.from_numpy(targets).to(device)].float()
    to_logits = _linear_part(decoder.final_norm, rows) @ unembedding.T
    for block in decoder.blocks:
        attention = block.attention
        normed = block.norm(rows)
        values = attention.heads(attention.v(normed) - attention.v(torch.zeros_like(normed[:1]))).float()
        values = values.repeat_interleave(attention.n_heads // attention.n_kv_heads, 1)
        outputs = attention.w_o().float()
        if attention.post_norm is not None:
            outputs = outputs @ _linear_part(attention.post_norm, rows)
        yield values, outputs @ to_logits


def _linear_part(norm: RowFunction, like: Tensor) -> Float[Tensor, "d_model d_model"]:
    """Gain and centring of a norm up to one positive factor: its odd part on vectors of one length, so no bias."""
    ones = torch.eye(like.shape[-1], dtype=like.dtype, device=like.device)
    return ((norm(ones) - norm(-ones)) / 2).float()


def decoder_of(model: Model) -> Decoder:
    """Take a model apart whose outputs are its tokens.

    Raises:
        ModelError: it cannot be, or they are not.
    """
    decoder = as_decoder(model)
    if decoder is None:
        raise ModelError(
            f"{facts(model).architecture} cannot be taken apart into its OV circuits. Expected one of {list(FAMILIES)} "
            "in its usual settings: score its patterns with head_scores instead."
        )
    if len(decoder.w_u()[0]) < facts(model).d_vocab:
        raise ModelError(
            f"{facts(model).name} reads {facts(model).d_vocab} tokens and says {len(decoder.w_u()[0])} things, so that "
            "its heads cannot copy. Expected a model whose outputs are its tokens."
        )
    return decoder


def ov_products(values: Values, outputs: Outputs) -> Float[Tensor, "head d_head d_head"]:
    """Multiply `outputs @ values`, whose eigenvalues are those of the token x token matrix that are not 0."""
    return torch.einsum("hdt,the->hde", outputs.double(), values.double())


def copying_ratio(product: Float[Tensor, "*heads d_head d_head"]) -> Float[Tensor, "*heads"]:
    """Divide the sum of the eigenvalues by the sum of their sizes; 0 where there are none to speak of."""
    found: Complex[Tensor, "*heads d_head"] = torch.linalg.eigvals(product)
    sizes = found.abs().sum(-1)
    some = sizes > NILPOTENT * torch.linalg.matrix_norm(product)
    return torch.where(some, found.real.sum(-1) / sizes.where(some, 1), 0.0)


def most_lowered(values: Values, outputs: Outputs) -> tuple[Bool[Tensor, "token head"], Bool[Tensor, "token head"]]:
    """Tell which tokens' own logits are among the most lowered, and for which tokens the head writes anything."""
    n_tokens, lowered, written = len(values), [], []
    for head in range(values.shape[1]):  # one at a time: token x token numbers
        effects = values[:, head] @ outputs[head]
        own = effects.diagonal()[:, None]
        lowered.append((effects <= own).sum(1) <= int(LOWERED * n_tokens))
        written.append((effects != 0).any(1))
    return torch.stack(lowered, 1), torch.stack(written, 1)
