"""One forward pass, with the mask where there is padding."""

import numpy as np
import torch
from torch import Tensor

from interp.models import facts
from interp.prompts import TokenBatch
from interp.types import Logits, Model


def as_inputs(model: Model, batch: TokenBatch) -> tuple[Tensor, Tensor | None]:
    """Tokens on the model's device, and the mask where any position is padding."""
    device = facts(model).device
    tokens = torch.from_numpy(np.ascontiguousarray(batch.tokens)).to(device)
    if batch.mask.all():
        return tokens, None
    return tokens, torch.from_numpy(batch.mask).long().to(device)


@torch.no_grad()
def forward(model: Model, batch: TokenBatch) -> Logits:
    """Run the model on a padded batch.

    Args:
        model: A hooked model.
        batch: The prompts.

    Returns:
        Logits `[batch, pos, d_vocab]`; rows at padding mean nothing.

    Raises:
        PromptError: ids out of range or prompts past the context length.
    """
    known = facts(model)
    batch.check_fits(d_vocab=known.d_vocab, n_ctx=known.n_ctx)
    tokens, mask = as_inputs(model, batch)
    return model(tokens) if mask is None else model(tokens, attention_mask=mask)
