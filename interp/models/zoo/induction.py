"""Train `zoo:induction`: two layers of attention and nothing else, on random tokens that repeat.

The only way to predict such a sequence is to find the token's previous occurrence and to copy what came after it, for
which a head of the second layer needs a previous-token head in the first.

    interp zoo train induction --out DIR

Sources: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits; Olsson et al. 2022, In-context Learning
and Induction Heads (arXiv:2209.11895).
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from interp.files import write_atomically
from interp.models import load_model, native
from interp.models.zoo.measure import repeated_random_loss
from interp.models.zoo.small_card import Fact, SmallCard, write_small_card
from interp.types import Model, Tokens

CURVE = "curve.json"
"""File beside the weights: a list of `CurvePoint`."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what the trained model is."""

    n_words: int = 256
    d_model: int = 128
    n_heads: int = 4
    n_ctx: int = 129
    shortest_period: int = 8
    longest_period: int = 64
    batch: int = 32
    steps: int = 1000
    warmup: int = 50
    lr: float = 2e-3
    weight_decay: float = 0.01
    log_every: int = 50
    seed: int = 0


@dataclass(frozen=True)
class CurvePoint:
    """One logged step: mean loss in nats per token on fresh sequences, before it repeats and after."""

    step: int
    first: float
    repeated: float


@dataclass(frozen=True)
class Trained:
    """A finished training."""

    recipe: Recipe
    curve: list[CurvePoint]
    state: dict[str, Tensor]


def settings(recipe: Recipe) -> dict[str, Any]:
    """Give the architecture: no MLP, layer norm, learned positions."""
    return {
        "d_model": recipe.d_model,
        "n_heads": recipe.n_heads,
        "d_head": recipe.d_model // recipe.n_heads,
        "n_layers": 2,
        "n_ctx": recipe.n_ctx,
        "d_vocab": recipe.n_words + 2,
        "attn_only": True,
        "normalization_type": "LN",
    }


def words(recipe: Recipe) -> list[str]:
    """Spell the vocabulary: `<unk>`, `<bos>`, then words without meaning."""
    return [native.UNKNOWN, native.BOS, *(f"w{number}" for number in range(recipe.n_words))]


def draw_batch(recipe: Recipe, rng: np.random.Generator) -> tuple[Tokens, Tensor]:
    """Draw sequences: BOS, a period of distinct random words, and the same again until the context is full.

    Returns:
        Token ids, and which of them repeat an earlier one and can so be predicted, the first of each second copy too.
    """
    body = recipe.n_ctx - 1
    rows = np.ones((recipe.batch, recipe.n_ctx), np.int64)
    repeats = np.zeros(rows.shape, bool)
    for row, repeat in zip(rows, repeats, strict=True):
        period = int(rng.integers(recipe.shortest_period, recipe.longest_period + 1))
        row[1:] = np.resize(rng.choice(recipe.n_words, size=period, replace=False) + 2, body)
        repeat[1 + period :] = True
    return torch.from_numpy(rows), torch.from_numpy(repeats)


def train(recipe: Recipe | None = None) -> Trained:
    """Train from the recipe's seed."""
    recipe = recipe or Recipe()
    rng = np.random.default_rng(recipe.seed)
    model = native.build(settings(recipe), seed=recipe.seed)
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.98), weight_decay=recipe.weight_decay)
    curve: list[CurvePoint] = []
    for step in (bar := tqdm(range(recipe.steps + 1), desc="train zoo:induction", unit="step", delay=2)):
        tokens, repeats = draw_batch(recipe, rng)
        losses = token_losses(model, tokens)
        if step % recipe.log_every == 0 or step == recipe.steps:
            again = repeats[:, 1:]
            curve.append(CurvePoint(step, losses[~again].mean().item(), losses[again].mean().item()))
            bar.set_postfix(repeated=f"{curve[-1].repeated:.3f}", refresh=False)
        if step == recipe.steps:
            break
        optimizer.param_groups[0]["lr"] = learning_rate(step, recipe)
        losses.mean().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return Trained(recipe, curve, model.state_dict())


def learning_rate(step: int, recipe: Recipe) -> float:
    """Rate of a step: linear warm-up, then a straight line down to a twentieth."""
    warm = min(1.0, (step + 1) / recipe.warmup)
    return recipe.lr * warm * (1 - 0.95 * step / recipe.steps)


def token_losses(model: torch.nn.Module, tokens: Tokens) -> Tensor:
    """Loss of every token but the first, in nats."""
    logits = model(tokens[:, :-1])
    return torch.nn.functional.cross_entropy(logits.mT, tokens[:, 1:], reduction="none")


def write(trained: Trained, out: Path) -> list[Path]:
    """Write `induction`, with its curve and a card measured on the written model, below `out`."""
    recipe, directory = trained.recipe, out / "induction"
    native.write_directory(directory, settings(recipe), trained.state, words(recipe))
    content = json.dumps([asdict(point) for point in trained.curve], indent=1, allow_nan=False)
    write_atomically(directory / CURVE, lambda part: part.write_text(content + "\n"))
    write_small_card(_card(recipe, directory), directory)
    return [directory]


def head_weights(
    model: Model, *, period: int = 32, n_sequences: int = 64, seed: int = 1
) -> dict[str, tuple[str, float]]:
    """Find the heads of the circuit on repeated sequences: the best one and its mean attention weight.

    Returns:
        For `previous_token` in the first layer and `induction` in the second, a head such as `L0H2` and its weight.
    """
    recipe = Recipe(n_ctx=2 * period + 1, shortest_period=period, longest_period=period, batch=n_sequences)
    tokens, _ = draw_batch(recipe, np.random.default_rng(seed))
    _, cache = model.run_with_cache(tokens, names_filter=lambda name: name.endswith("hook_pattern"))
    found = {}
    for layer, (name, back, start) in enumerate((("previous_token", 1, 0), ("induction", period - 1, 2))):
        pattern = cache[f"blocks.{layer}.attn.hook_pattern"]
        # Diagonal entry i is that of query i + back; `start` leaves out the queries of the first copy.
        weights = pattern.diagonal(-back, dim1=-2, dim2=-1)[..., start:].mean((0, 2))
        head = int(weights.argmax())
        found[name] = f"L{layer}H{head}", float(weights[head])
    return found


def _card(recipe: Recipe, directory: Path) -> SmallCard:
    model, control = (load_model(prefix + str(directory)) for prefix in ("", "random:"))
    period = 32
    losses, untrained = (repeated_random_loss(each, period=period) for each in (model, control))
    heads, unlike = head_weights(model, period=period), head_weights(control, period=period)
    n, against = losses.first.n, "random weights"
    facts = [
        Fact("loss of random words, nats per token", losses.first.value, untrained.first.value, against, n),
        Fact("loss of the same words again, nats per token", losses.second.value, untrained.second.value, against, n),
        *(
            Fact(f"attention of the best {name.replace('_', '-')} head, {head}", weight, unlike[name][1], against, n)
            for name, (head, weight) in heads.items()
        ),
    ]
    return SmallCard(
        "zoo:induction",
        "Two layers of attention without MLP, with layer norm and learned positions, trained on random words that "
        "repeat with a period drawn anew for each sequence. A head of the first layer looks at the previous token; "
        "heads of the second look at the token after this token's previous occurrence and copy it (induction).",
        "Its words (`w0`, `w1`, ...) have no meaning and it knows nothing but repetition; words that occur twice "
        "within one period were not trained on.",
        asdict(recipe),
        facts,
        f"interp zoo train induction --out DIR --seed {recipe.seed}",
        "Elhage et al. 2021, A Mathematical Framework for Transformer Circuits; Olsson et al. 2022, In-context "
        "Learning and Induction Heads (arXiv:2209.11895).",
    )
