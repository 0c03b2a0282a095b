"""The task and the model of `zoo:modular`; `modular` trains and writes it.

The prompt is `a b =`; the answer, a + b modulo the prime, is read at `=`.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.models import native

Pairs = Int[Tensor, "pair 2"]


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what the trained model is."""

    prime: int = 59
    train_share: float = 0.4
    d_model: int = 128
    n_heads: int = 4
    d_mlp: int = 512
    most_steps: int = 8000
    warmup: int = 10
    lr: float = 1e-3
    weight_decay: float = 1.0
    log_every: int = 100
    still: int = 5
    """Logged steps in a row with every held-out pair right, after which training stops."""
    seed: int = 0


@dataclass(frozen=True)
class Score:
    """Loss in nats and share of pairs answered right."""

    loss_nats: float
    accuracy: float


def settings(recipe: Recipe) -> dict[str, Any]:
    """Give the architecture: no norm, learned positions; the last token, `<unk>`, is never trained."""
    return {
        "d_model": recipe.d_model,
        "n_heads": recipe.n_heads,
        "d_head": recipe.d_model // recipe.n_heads,
        "n_layers": 1,
        "n_ctx": 3,
        "d_vocab": recipe.prime + 2,
        "d_vocab_out": recipe.prime,
        "d_mlp": recipe.d_mlp,
        "act_fn": "relu",
        "normalization_type": None,
        "init_weights": False,
    }


def words(recipe: Recipe) -> list[str]:
    """Spell the vocabulary: the numbers under their own ids, then `=`, then `<unk>`."""
    return [*map(str, range(recipe.prime)), "=", native.UNKNOWN]


def split_pairs(recipe: Recipe) -> tuple[Int[Tensor, "trained 2"], Int[Tensor, "held_out 2"]]:
    """Draw the trained and the held-out pairs (a, b) by the recipe's seed.

    Returns:
        Trained pairs, held-out pairs; together every pair once.
    """
    numbers = np.arange(recipe.prime)
    every = np.stack(np.meshgrid(numbers, numbers, indexing="ij"), axis=-1).reshape(-1, 2)
    order = np.random.default_rng(recipe.seed).permutation(len(every))
    n_train = int(recipe.train_share * len(every))
    drawn = torch.from_numpy(every[order])
    return drawn[:n_train], drawn[n_train:]


def prompts(pairs: Pairs, recipe: Recipe) -> Int[Tensor, "pair 3"]:
    """Write pairs as token ids of `a b =`."""
    return torch.cat([pairs, torch.full((len(pairs), 1), recipe.prime)], dim=1)


def build_model(recipe: Recipe) -> torch.nn.Module:
    """Build the untrained model: all weights N(0, 1/d_model), biases 0, those of attention kept at 0."""
    model = native.build(settings(recipe))
    generator = torch.Generator().manual_seed(recipe.seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("bias"):
                weight.zero_()
                weight.requires_grad_(".attn." not in name)
            else:
                weight.normal_(0, 1 / math.sqrt(recipe.d_model), generator=generator)
        model.tok_embed.weight[-1] = 0.0
    return model


def answer_logits(model: torch.nn.Module, pairs: Pairs) -> Float[Tensor, "pair number"]:
    """Compute the logits at `=` alone, as the model's own forward pass gives them but several times faster.

    In one layer keys and values depend only on the token and its place, so 2 prime + 1 of them serve all pairs.
    """
    weights: Any = model
    block = weights.layers[0]
    attn, mlp = block.attn, block.mlp
    embedding, places = weights.tok_embed.weight, weights.pos.weight
    prime = len(embedding) - 2
    at_equals = embedding[prime] + places[2]
    inputs = torch.cat([embedding[:prime] + places[0], embedding[:prime] + places[1], at_equals[None]])
    keys, values = (part(inputs).view(-1, attn.n_heads, attn.d_head) for part in (attn.k, attn.v))
    query = attn.q(at_equals).view(attn.n_heads, attn.d_head)
    scores = torch.einsum("rhd,hd->rh", keys, query) / attn.scale
    rows = torch.stack([pairs[:, 0], pairs[:, 1] + prime, torch.full_like(pairs[:, 0], 2 * prime)], dim=1)
    pattern = scores[rows].softmax(1)
    z = (pattern[..., None] * values[rows]).sum(1).flatten(1)
    mid = at_equals + attn.o(z)
    return weights.head(mid + mlp(mid))


def score(logits: Float[Tensor, "pair number"], pairs: Pairs) -> Score:
    """Compare the logits at `=` with the right answers."""
    right = logits.argmax(-1) == pairs.sum(-1) % logits.shape[-1]
    return Score(loss_nats(logits, pairs).item(), right.float().mean().item())


def loss_nats(logits: Float[Tensor, "pair number"], pairs: Pairs) -> Float[Tensor, ""]:
    """Mean cross-entropy of the right answers, in nats."""
    return torch.nn.functional.cross_entropy(logits, pairs.sum(-1) % logits.shape[-1])
