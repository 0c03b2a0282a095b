"""Precision: at least float32, and float64 where a model has it."""

import torch
from jaxtyping import Float
from torch import Tensor


def wide(values: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Widen half precision to float32; leave float32 and float64 as they are."""
    return values if values.dtype == torch.float64 else values.float()
