"""Train `zoo:modular`: one layer that memorises addition modulo a prime, and long after generalises (grokking).

The prompt is `a b =`; the answer, a + b modulo the prime, is read at `=`. A share of all pairs is trained on, the rest
is held out, split by the seed.

    interp zoo train modular --out DIR

Sources: Power et al. 2022 (arXiv:2201.02177); Nanda et al. 2023, Progress Measures for Grokking (arXiv:2301.05217).
"""

import copy
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor
from tqdm.auto import tqdm

from interp.files import write_atomically
from interp.models import native
from interp.models.zoo.modular_task import (
    Recipe,
    Score,
    answer_logits,
    build_model,
    loss_nats,
    score,
    settings,
    split_pairs,
    words,
)
from interp.models.zoo.modular_task import prompts as prompts
from interp.models.zoo.small_card import Fact, SmallCard, write_small_card

CURVE = "curve.json"
"""File beside the final weights: a list of `CurvePoint`."""
HALF_WAY = 0.5
"""Accuracy on the held-out pairs from which on the checkpoint `during` is taken."""


@dataclass(frozen=True)
class CurvePoint:
    """One logged step of the training."""

    step: int
    train: Score
    test: Score
    squared_weights: float
    """Sum of all squared weights: it falls while the memorised solution is cleaned up."""


@dataclass(frozen=True)
class Grokked:
    """A finished training: the curve, and the weights at every logged step."""

    recipe: Recipe
    curve: list[CurvePoint]
    states: dict[int, dict[str, Tensor]]


def train(recipe: Recipe | None = None) -> Grokked:
    """Train on all trained pairs at once until every held-out pair is right, or the steps are used up."""
    recipe = recipe or Recipe()
    torch.manual_seed(recipe.seed)
    trained, held_out = split_pairs(recipe)
    model = build_model(recipe)
    learned = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=recipe.lr, betas=(0.9, 0.98), weight_decay=recipe.weight_decay)
    curve: list[CurvePoint] = []
    states: dict[int, dict[str, Tensor]] = {}
    for step in (bar := tqdm(range(recipe.most_steps + 1), desc="train zoo:modular", unit="step", delay=2)):
        if step % recipe.log_every == 0 or step == recipe.most_steps:
            curve.append(_point(model, step, trained, held_out))
            states[step] = copy.deepcopy(model.state_dict())
            bar.set_postfix(loss=f"{curve[-1].test.loss_nats:.3f}", refresh=False)
            if _generalised(curve, recipe) or step == recipe.most_steps:
                break
        optimizer.param_groups[0]["lr"] = recipe.lr * min(1.0, (step + 1) / recipe.warmup)
        loss = loss_nats(answer_logits(model, trained), trained)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return Grokked(recipe, curve, states)


@torch.no_grad()
def _point(
    model: torch.nn.Module, step: int, trained: Int[Tensor, "trained 2"], held_out: Int[Tensor, "held_out 2"]
) -> CurvePoint:
    squared = sum(weight.square().sum().item() for weight in model.parameters())
    on_train, on_test = (score(answer_logits(model, pairs), pairs) for pairs in (trained, held_out))
    return CurvePoint(step, on_train, on_test, squared)


def _generalised(curve: list[CurvePoint], recipe: Recipe) -> bool:
    return len(curve) >= recipe.still and all(point.test.accuracy == 1.0 for point in curve[-recipe.still :])


def checkpoint_steps(curve: list[CurvePoint]) -> list[int]:
    """Choose what ships: untrained, memorised (every trained pair right), half-way on the held-out pairs, the end."""
    memorised = (point.step for point in curve if point.train.accuracy == 1.0)
    half_way = (point.step for point in curve if point.test.accuracy >= HALF_WAY)
    found = {0, next(memorised, 0), next(half_way, 0), curve[-1].step}
    return sorted(found)


def write(grokked: Grokked, out: Path) -> list[Path]:
    """Write `modular` (the end, with the curve) and `modular-stepN` (the checkpoints before it) below `out`."""
    recipe, points = grokked.recipe, {point.step: point for point in grokked.curve}
    *early, last = checkpoint_steps(grokked.curve)
    names = {last: "modular"} | {step: f"modular-step{step}" for step in early}
    for step, name in names.items():
        directory = native.write_directory(out / name, settings(recipe), grokked.states[step], words(recipe))
        write_small_card(_card(name, recipe, points[step], points[0]), directory)
    content = json.dumps([asdict(point) for point in grokked.curve], indent=1, allow_nan=False)
    write_atomically(out / "modular" / CURVE, lambda part: part.write_text(content + "\n"))
    return [out / name for name in names.values()]


def _card(name: str, recipe: Recipe, point: CurvePoint, untrained: CurvePoint) -> SmallCard:
    n_train, n_test = (len(pairs) for pairs in split_pairs(recipe))
    facts = [
        Fact(f"{what}, {split} pairs", getattr(of, field), getattr(before, field), "step 0, untrained", n)
        for split, of, before, n in (
            ("held-out", point.test, untrained.test, n_test),
            ("trained", point.train, untrained.train, n_train),
        )
        for what, field in (("accuracy", "accuracy"), ("loss in nats", "loss_nats"))
    ]
    about = (
        f"One transformer layer after {point.step} steps of training on `a b =`, answer a + b modulo {recipe.prime}, "
        f"read at `=`. It has no layer norm, and learned positions. The trained and held-out pairs are drawn by the "
        f"seed: `modular.split_pairs(modular.Recipe(seed={recipe.seed}))`. `zoo:modular` is the end of the training, "
        f"`zoo:modular-stepN` are checkpoints of the same run, and `{CURVE}` beside `zoo:modular` is its curve."
    )
    limits = (
        "It knows prompts of exactly three tokens; any other word becomes `<unk>`, whose embedding is zero. When and "
        "by which frequencies a run generalises depends on the seed: this is one run."
    )
    command = f"interp zoo train modular --out DIR --seed {recipe.seed}"
    origins = (
        "Power et al. 2022, Grokking (arXiv:2201.02177); Nanda et al. 2023, Progress Measures for Grokking via "
        "Mechanistic Interpretability (arXiv:2301.05217)."
    )
    return SmallCard(f"zoo:{name}", about, limits, asdict(recipe), facts, command, origins)
