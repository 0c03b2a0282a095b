"""The logit lens: what a model would say if it stopped at a place of its residual stream.

TransformerLens reads the stream through the model's own final norm, unembedding and whatever it does to its logits, and
refuses models whose output is not made in that way; here its refusals become the toolkit's.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.tools.analysis.logit_lens import logit_readout

from interp.errors import ModelError
from interp.types import Model


@torch.no_grad()
def read_stream(
    model: Model, rows: Float[Tensor, "place d_model"]
) -> tuple[Float[Tensor, "place d_vocab"], Float[Tensor, " place"]]:
    """Read rows of the residual stream as predictions of the next token.

    Args:
        model: A hooked decoder.
        rows: The residual stream at some places, of any layer.

    Returns:
        Probability of every token, and the entropy of that distribution in bits. Rows of the last block's output give
        what the model itself says. An early layer was not trained to be read in this way: a lens that sees nothing
        does not show that nothing is there.

    Raises:
        ModelError: the model's output is not the unembedding of its last layer, as with BERT, or is not finite.

    Source: nostalgebraist 2020, interpreting GPT: the logit lens.
    """
    try:
        read = logit_readout(model, rows, return_type="probs", chunk_size=max(1, len(rows)))
    except (ValueError, NotImplementedError) as error:
        line = str(error).strip().splitlines()[0]
        raise ModelError(f"This model has no logit lens: {line} Use a decoder, loaded as it is published.") from error
    if not torch.isfinite(read.values).all():
        raise ModelError("The lens gives NaN or infinity. Load the model in a wider dtype, such as float32.")
    return read.values, read.entropy / float(np.log(2))


@torch.no_grad()
def unembedding(model: Model) -> Float[Tensor, "d_vocab d_model"]:
    """Return what each token's logit reads of the normed stream: rows of W_U times the scale of the final norm."""
    weight = model.W_U.detach().float().T
    if model.cfg.normalization_type is None:
        return weight
    # Alternating signs have mean 0 and mean square 1, so that every kind of norm leaves them but for its scale and
    # bias; the bias goes out with the opposite signs. Its own attributes would not do: Gemma keeps its scale minus 1.
    signs = torch.ones_like(model.W_U[:, 0])
    signs[1::2] = -1
    normed = [model.ln_final(row[None, None])[0, 0].float() for row in (signs, -signs)]
    return weight * ((normed[0] - normed[1]) / 2 * signs.float())


@dataclass(frozen=True)
class TokenEnergy:
    """How much of the stream the unembedding can see, whatever token it speaks for.

    Root mean square of the cosines between a row and what the tokens read (`unembedding`), over the value that a row
    spread evenly over all directions would have. About 1 for a random row, less where the stream carries what no token
    reads.

    Source: Wendler et al. 2024, sec. 4.2 (arXiv:2402.10588).
    """

    gram: Float[Tensor, "d_model d_model"]
    """Mean outer product of the tokens' directions."""

    @classmethod
    def of(cls, readers: Float[Tensor, "d_vocab d_model"]) -> "TokenEnergy":
        """Keep what is needed of `unembedding(model)`."""
        unit = torch.nn.functional.normalize(readers.float(), dim=-1)
        return cls(unit.T @ unit / len(unit))

    def __call__(self, rows: Float[Tensor, "place d_model"]) -> Float[Tensor, " place"]:
        """Energy of each row, without unit."""
        direction = torch.nn.functional.normalize(rows.float(), dim=-1)
        squares = ((direction @ self.gram) * direction).sum(-1)
        return squares.clamp(min=0).sqrt() / self.gram.norm()
