"""Array aliases, named once: the axes are the field's."""

from typing import Any

from jaxtyping import Bool, Float, Int
from torch import Tensor

Tokens = Int[Tensor, "batch pos"]
Mask = Bool[Tensor, "batch pos"]
Logits = Float[Tensor, "batch pos d_vocab"]
Pattern = Float[Tensor, "batch head dest_pos src_pos"]
PerPrompt = Float[Tensor, " batch"]

Model = Any
"""A `TransformerBridge` as TransformerLens gives it. Not named by its class: importing that takes ten seconds."""
