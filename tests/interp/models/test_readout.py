"""What the unembedding sees of the stream."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from interp.errors import ModelError
from interp.models.readout import TokenEnergy, read_stream, unembedding


def test_energy_by_hand() -> None:
    """Tokens in all directions see every row; tokens in one direction see rows of that direction alone."""
    rows = torch.tensor([[3.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    np.testing.assert_allclose(TokenEnergy.of(torch.eye(2))(rows), [1, 1, 1], rtol=1e-6)
    # A long token counts no more than a short one, and the sign of a cosine does not matter.
    one = TokenEnergy.of(torch.tensor([[5.0, 0.0], [-1.0, 0.0]]))
    np.testing.assert_allclose(one(rows), [1, 0, 0.5**0.5], atol=1e-6)


def test_energy_of_random_rows_is_about_one() -> None:
    random = torch.Generator().manual_seed(0)
    tokens, rows = torch.randn(1000, 64, generator=random), torch.randn(200, 64, generator=random)
    assert float(TokenEnergy.of(tokens)(rows).mean()) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2", "gpt_neox"])
def test_what_a_token_reads_is_its_unembedding_times_the_scale_of_the_norm(
    family: str, family_model: Callable[[str], Any]
) -> None:
    """A small change of a normed row changes the logits by what the tokens read of it, whatever the norm's scale."""
    model = family_model(family)
    own = getattr(model.ln_final, "original_component", model.ln_final)
    scale = own.weight + 1 if family == "gemma2" else own.weight
    changed = scale.detach().clone()
    changed[:5] *= 3
    kept = own.weight.detach().clone()
    try:
        own.weight.copy_(changed - 1 if family == "gemma2" else changed)
        torch.testing.assert_close(unembedding(model), model.W_U.T * changed, rtol=1e-4, atol=1e-5)
    finally:
        own.weight.copy_(kept)


def test_overflow_is_refused(tiny: Any) -> None:
    rows = torch.full((2, tiny.cfg.d_model), float("nan"))
    with pytest.raises(ModelError, match="NaN or infinity"):
        read_stream(tiny, rows)
