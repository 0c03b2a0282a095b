"""Train the bilingual model of `fit_task`, and load it as any other model.

    task, trained = Task.of(Recipe()), train(Task.of(Recipe()))
    model = load_model(str(write(trained, directory)))

About 100 seconds on one core.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from interp.errors import ModelError
from interp.lab.fit_task import Recipe, Task, draw_documents
from interp.models import native

LOG_EVERY = 50


@dataclass(frozen=True)
class Trained:
    """A finished training."""

    task: Task
    curve: list[tuple[int, float]]
    """Steps and the loss of their batch, in nats per word."""
    state: dict[str, Tensor]


def train(task: Task) -> Trained:
    """Train from the recipe's seed.

    Raises:
        ModelError: the loss is no longer finite.
    """
    recipe = task.recipe
    rng = np.random.default_rng(recipe.seed)
    pool = torch.from_numpy(draw_documents(task, recipe.pool, rng).tokens)
    model = native.build(task.settings(), seed=recipe.seed)
    # Attention without biases: they start at zero and stay there.
    learned = [weight.requires_grad_(not _fixed(name)) for name, weight in model.named_parameters()]
    optimizer = torch.optim.AdamW(
        [weight for weight in learned if weight.requires_grad], betas=(0.9, 0.99), weight_decay=recipe.weight_decay
    )
    curve: list[tuple[int, float]] = []
    for step in (bar := tqdm(range(recipe.steps), desc="train fit of the word", unit="step", delay=2)):
        tokens = pool[torch.from_numpy(rng.integers(len(pool), size=recipe.batch))]
        optimizer.param_groups[0]["lr"] = learning_rate(step, recipe)
        logits = model(tokens[:, :-1])
        loss = torch.nn.functional.cross_entropy(logits.mT, tokens[:, 1:])
        if step % LOG_EVERY == 0 or step + 1 == recipe.steps:
            curve.append((step, _finite(loss, step)))
            bar.set_postfix(loss=f"{curve[-1][1]:.3f}", refresh=False)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return Trained(task, curve, model.state_dict())


def learning_rate(step: int, recipe: Recipe) -> float:
    """Rate of a step: linear warm-up, then a cosine down to `last_rate` of the peak."""
    warm = min(1.0, (step + 1) / recipe.warmup)
    falling = 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
    return recipe.lr * warm * (recipe.last_rate + (1 - recipe.last_rate) * falling)


def write(trained: Trained, out: Path) -> Path:
    """Write the model as a directory that `load_model` loads; `random:` before it is the untrained control."""
    return native.write_directory(out, trained.task.settings(), trained.state, trained.task.words())


def _fixed(name: str) -> bool:
    return ".attn." in name and name.endswith("bias")


def _finite(loss: Tensor, step: int) -> float:
    if not torch.isfinite(loss):
        raise ModelError(f"The loss of step {step} is {loss.item()}. Expected a finite number: lower the rate.")
    return loss.item()
