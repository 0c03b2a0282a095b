"""How `zoo:polyglot` is trained: its shape, its optimizers, its learning rate and its loss."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from interp.models.zoo import tokenizer as bpe
from interp.models.zoo.mixture import Mixture

OPTIMIZER = "Muon for the matrices inside the blocks, AdamW for the embedding and the norms"

COPYING = Mixture(
    natural=0.50,
    repeated_passage=0.14,
    repeated_random=0.16,
    language_change=0.07,
    clause_change=0.05,
    switched=0.08,
    longest_period=48,
)
"""More and shorter repetitions: the source to look at is one of fewer, so that copying is learnt sooner."""

FINAL = Mixture(
    natural=0.87,
    repeated_passage=0.05,
    repeated_random=0.03,
    language_change=0.02,
    clause_change=0.015,
    switched=0.015,
)
"""Mostly natural text: a model whose last reading changes language often changes it unasked."""

SETTLING = Mixture(
    natural=0.95,
    repeated_passage=0.025,
    repeated_random=0.015,
    language_change=0.004,
    clause_change=0.003,
    switched=0.003,
)
"""Hardly anything else. A calibrated model changes language as often as what it read last: after `FINAL` it left the
language of its prompt in 15 of 200 samples of 60 tokens."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what the trained model is."""

    d_vocab: int = 4096
    d_model: int = 256
    n_layers: int = 4
    n_heads: int = 4
    d_mlp: int = 704
    n_ctx: int = 512
    batch: int = 16
    steps: int = 2800
    """In all, those of settling included."""
    warmup: int = 60
    decay: float = 0.5
    """Share of the steps before settling, at their end, over which the learning rate falls to nothing."""
    settling: int = 200
    """Steps at the very end, for which the learning rate is raised a little and falls once more; at most a tenth."""
    settling_rate: float = 0.3
    """Share of the peak rates that settling begins with."""
    muon_lr: float = 0.02
    adam_lr: float = 2e-3
    weight_decay: float = 0.05
    seed: int = 0
    mixture: Mixture = field(default_factory=Mixture)
    copying_from: int = 700
    """Step from which `copying_mixture` is read."""
    copying_mixture: Mixture = field(default=COPYING)
    final_mixture: Mixture = field(default=FINAL)
    """What is read while the learning rate falls."""
    settling_mixture: Mixture = field(default=SETTLING)

    @property
    def n_before(self) -> int:
        """Steps before settling."""
        return self.steps - min(self.settling, self.steps // 10)

    @property
    def n_level(self) -> int:
        """Steps before the learning rate begins to fall."""
        return self.n_before - round(self.decay * self.n_before)

    def mixture_at(self, step: int) -> Mixture:
        """What is read in a step."""
        if step >= self.n_before:
            return self.settling_mixture
        if step >= self.n_level:
            return self.final_mixture
        return self.mixture if step < self.copying_from else self.copying_mixture


def build_model(recipe: Recipe) -> LlamaForCausalLM:
    """Build the untrained Llama of a recipe, with weights drawn from the recipe's seed."""
    torch.manual_seed(recipe.seed)
    config = LlamaConfig(
        vocab_size=recipe.d_vocab,
        hidden_size=recipe.d_model,
        intermediate_size=recipe.d_mlp,
        num_hidden_layers=recipe.n_layers,
        num_attention_heads=recipe.n_heads,
        num_key_value_heads=recipe.n_heads,
        max_position_embeddings=recipe.n_ctx,
        tie_word_embeddings=True,
        bos_token_id=bpe.BOS,
        eos_token_id=bpe.EOS,
        pad_token_id=bpe.PAD,
    )
    return LlamaForCausalLM(config)


def learning_rate(step: int, recipe: Recipe) -> float:
    """Factor on the peak rate: linear warm-up, level, a linear fall to nothing; then a smaller one, to settle.

    Source: Hägele et al. 2024, Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations
    (arXiv:2405.18392).
    """
    if recipe.n_before < recipe.steps and step >= recipe.n_before:
        return recipe.settling_rate * (recipe.steps - step) / (recipe.steps - recipe.n_before)
    rising, falling = (step + 1) / recipe.warmup, (recipe.n_before - step) / (recipe.decay * recipe.n_before)
    return min(rising, falling, 1.0)


def build_optimizers(model: LlamaForCausalLM, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the blocks, AdamW for the embedding and the norms.

    Source: Jordan et al. 2024, Muon (github.com/KellerJordan/Muon).
    """
    inside = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n and "lm_head" not in n]
    chosen = {id(p) for p in inside}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    return [
        torch.optim.Muon(inside, lr=recipe.muon_lr, weight_decay=recipe.weight_decay, momentum=0.95),
        torch.optim.AdamW(rest, lr=recipe.adam_lr, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def loss_nats(
    model: LlamaForCausalLM, tokens: Int[Tensor, "batch pos"], scored: Bool[Tensor, "batch pos"]
) -> Float[Tensor, ""]:
    """Mean cross-entropy of the scored tokens, in nats."""
    with torch.autocast(tokens.device.type, dtype=torch.bfloat16):
        logits = model(tokens[:, :-1]).logits
    targets = tokens[:, 1:].masked_fill(~scored[:, 1:], -100)
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=-100)
