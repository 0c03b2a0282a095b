"""The task, the model and the measurements of `zoo:sink`; `sink` trains and writes it.

A sequence is BOS and then contents of eight Gaussian numbers, some marked by a trigger bit. At a trigger the answer is
the mean of the contents so far, elsewhere it is zero.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

Arm = Literal["softmax", "off-by-one", "relu"]
ARMS: tuple[Arm, ...] = ("softmax", "off-by-one", "relu")

Inputs = Float[Tensor, "batch pos d_input"]
Answers = Float[Tensor, "batch pos d_content"]
Pattern = Float[Tensor, "batch dest_pos src_pos"]


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what the trained model is."""

    arm: Arm = "softmax"
    d_content: int = 8
    d_model: int = 32
    trigger_share: float = 0.15
    batch: int = 128
    n_pos: int = 32
    steps: int = 300
    lr: float = 3e-3
    log_every: int = 20
    seed: int = 0


@dataclass(frozen=True)
class Measured:
    """What a model does on fresh sequences; queries behind BOS only."""

    mse_trigger: float
    mse_other: float
    bos_attention_trigger: float
    """Mean attention weight on BOS at trigger queries."""
    bos_attention_other: float
    """Mean attention weight on BOS at all other queries."""
    row_sum_other: float
    """Mean sum of the attention weights at all other queries: 1 under softmax."""
    n: int
    """Sequences measured on."""


class SinkModel(nn.Module):
    """One attention head between an embedding and a read-out, with one of three ways to turn scores into weights."""

    def __init__(self, recipe: Recipe):
        super().__init__()
        self.recipe = recipe
        width = recipe.d_model
        self.embed = nn.Linear(recipe.d_content + 2, width)
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.read_out = nn.Linear(width, recipe.d_content)

    def forward(
        self, inputs: Inputs, hidden: Bool[Tensor, "dest_pos src_pos"] | None = None
    ) -> tuple[Answers, Pattern]:
        """Answer every position.

        Args:
            inputs: Contents, then the trigger bit, then the BOS bit.
            hidden: What a query does not see; None for all that comes after it.

        Returns:
            Answers, and the attention weights behind them; no hook is needed to read them.
        """
        x = self.embed(inputs)
        scores = self.q(x) @ self.k(x).mT / math.sqrt(x.shape[-1])
        pattern = attention_weights(scores, self.recipe.arm, hidden)
        return self.read_out(pattern @ self.v(x)), pattern


def attention_weights(scores: Pattern, arm: Arm, hidden: Bool[Tensor, "dest_pos src_pos"] | None = None) -> Pattern:
    """Turn scores into attention weights, causal unless it is said what is hidden.

    `softmax` rows sum to 1; `off-by-one` divides by one more, as if a key of score 0 and value 0 were there; `relu`
    takes the positive part over the number of visible positions.
    """
    if hidden is None:
        hidden = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
    if arm == "relu":
        return scores.relu().masked_fill(hidden, 0.0) / (~hidden).sum(-1, keepdim=True)
    scores = scores.masked_fill(hidden, float("-inf"))
    if arm == "softmax":
        return scores.softmax(-1)
    with_nothing = torch.cat([torch.zeros_like(scores[..., :1]), scores], dim=-1)
    return with_nothing.softmax(-1)[..., 1:]


def draw_batch(recipe: Recipe, n: int, generator: torch.Generator) -> tuple[Inputs, Answers, Bool[Tensor, "batch pos"]]:
    """Draw sequences of the task.

    Returns:
        Inputs, right answers, and which positions are triggers.
    """
    contents = torch.randn(n, recipe.n_pos, recipe.d_content, generator=generator)
    triggers = torch.rand(n, recipe.n_pos, generator=generator) < recipe.trigger_share
    bos = torch.zeros_like(triggers)
    bos[:, 0] = True
    triggers = triggers & ~bos
    contents[:, 0] = 0.0
    so_far = contents.cumsum(1) / torch.arange(recipe.n_pos).clamp(min=1)[:, None]
    inputs = torch.cat([contents, triggers[..., None].float(), bos[..., None].float()], dim=-1)
    return inputs, so_far * triggers[..., None], triggers


@torch.no_grad()
def measure(model: SinkModel, *, n_sequences: int = 256, seed: int = 0) -> Measured:
    """Measure errors and where the head looks on sequences that no training saw.

    Args:
        model: Any arm.
        n_sequences: How many.
        seed: Decides the sequences.
    """
    # Training draws from `seed` itself.
    generator = torch.Generator().manual_seed(10_000 + seed)
    inputs, answers, triggers = draw_batch(model.recipe, n_sequences, generator)
    given, pattern = model(inputs)
    wrong = (given - answers).square().mean(-1)
    others = ~triggers
    others[:, 0] = False
    return Measured(
        wrong[triggers].mean().item(),
        wrong[others].mean().item(),
        pattern[triggers][:, 0].mean().item(),
        pattern[others][:, 0].mean().item(),
        pattern[others].sum(-1).mean().item(),
        n_sequences,
    )
