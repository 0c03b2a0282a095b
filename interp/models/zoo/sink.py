"""Train `zoo:sink`: one attention head on a task that a softmax can only solve with an attention sink.

A sequence is BOS and then contents of eight Gaussian numbers, some marked by a trigger bit. At a trigger the answer is
the mean of the contents so far, elsewhere it is zero. A softmax row must sum to one, so a head that has nothing to say
needs a place to look at that says nothing: BOS. Two arms without that constraint are trained beside it.

The model is one head without residual stream, positions or norm: embedding, attention, read-out. `zoo:sink-softmax-0`
to `-3` are the same numbers as hooked models, exactly (`as_native`); the other two arms exist only here, because no
hooked architecture has their attention: `load_arm("off-by-one", 0)` and `load_arm("relu", 0)`.

    interp zoo train sink --out DIR

Sources: Ran-Milo 2026 (arXiv:2603.11487); Miller 2023, Attention Is Off By One; Xiao et al. 2023 (arXiv:2309.17453).
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tqdm.auto import tqdm

from interp.errors import InputError
from interp.files import write_atomically
from interp.models import native, zoo
from interp.models.zoo.sink_native import as_native
from interp.models.zoo.sink_task import ARMS, Arm, Measured, Recipe, SinkModel, draw_batch, measure
from interp.models.zoo.small_card import Fact, SmallCard, write_small_card

SEEDS = (0, 1, 2, 3)
FILE, CURVES = "arms.safetensors", "curves.json"
"""All arms and seeds, in the directory `sink` of the weights, and what was measured while they were trained."""


@dataclass(frozen=True)
class Trained:
    """A finished training."""

    recipe: Recipe
    curve: list[tuple[int, Measured]]
    model: SinkModel


def train(recipe: Recipe) -> Trained:
    """Train one arm from one seed."""
    generator = torch.Generator().manual_seed(recipe.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = SinkModel(recipe)
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.lr)
    curve = []
    what = f"train zoo:sink, {recipe.arm}, seed {recipe.seed}"
    for step in (bar := tqdm(range(recipe.steps + 1), desc=what, unit="step", delay=2)):
        if step % recipe.log_every == 0 or step == recipe.steps:
            curve.append((step, measure(model, seed=recipe.seed)))
            bar.set_postfix(loss=f"{curve[-1][1].mse_trigger:.5f}", refresh=False)
        if step == recipe.steps:
            break
        inputs, answers, _ = draw_batch(recipe, recipe.batch, generator)
        loss = (model(inputs)[0] - answers).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return Trained(recipe, curve, model)


def train_all(seed: int = 0) -> list[Trained]:
    """Train every arm from every seed, each raised by `seed`."""
    return [train(Recipe(arm=arm, seed=seed + each)) for arm in ARMS for each in SEEDS]


def load_arm(arm: Arm, seed: int) -> SinkModel:
    """Load a shipped model of any arm, as a plain torch module whose forward also returns the attention weights.

    Raises:
        InputError: there is no such arm or seed.
    """
    if arm not in ARMS or seed not in SEEDS:
        raise InputError(f"No sink model {arm!r} of seed {seed}. Expected one of {list(ARMS)}, seed {list(SEEDS)}.")
    stored = load_file(zoo.WEIGHTS / "sink" / FILE)
    model = SinkModel(Recipe(arm=arm, seed=seed))
    prefix = f"{arm}.{seed}."
    model.load_state_dict({name.removeprefix(prefix): at for name, at in stored.items() if name.startswith(prefix)})
    return model.eval().requires_grad_(False)


def write(trained: list[Trained], out: Path) -> list[Path]:
    """Write `sink` (every arm and seed, with the card) and one hooked model for each softmax seed below `out`."""
    family = out / "sink"
    family.mkdir(exist_ok=True)
    states = {
        f"{of.recipe.arm}.{of.recipe.seed}.{name}": weight.detach().clone()
        for of in trained
        for name, weight in of.model.state_dict().items()
    }
    write_atomically(family / FILE, lambda part: save_file(states, part))
    write_atomically(family / CURVES, lambda part: part.write_text(_curves(trained)))
    write_small_card(_card("zoo:sink", trained), family)
    written = [family]
    for of in trained:
        if of.recipe.arm == "softmax":
            name = f"sink-softmax-{of.recipe.seed}"
            native.write_directory(out / name, *as_native(of.model))
            write_small_card(_card(f"zoo:{name}", [of]), out / name)
            written.append(out / name)
    return written


def _curves(trained: list[Trained]) -> str:
    rows = [
        {"arm": of.recipe.arm, "seed": of.recipe.seed, "step": step, **asdict(found)}
        for of in trained
        for step, found in of.curve
    ]
    return json.dumps(rows, indent=1, allow_nan=False) + "\n"


def _card(name: str, trained: list[Trained]) -> SmallCard:
    recipe = asdict(trained[0].recipe)
    for field in ("arm", "seed"):
        recipe[field] = " and ".join(dict.fromkeys(str(getattr(of.recipe, field)) for of in trained))
    return SmallCard(
        name,
        "One attention head, trained to answer the mean of the contents so far at triggers and zero elsewhere, with no "
        "residual stream, positions or norm. Under softmax the head can be silent only by looking at BOS, whose value "
        "the read-out turns into zero: an attention sink that the task makes necessary. Divided by one more "
        "(off-by-one) the row need not sum to one, which permits silence without BOS but does not force it: the table "
        "shows what each seed does. Under ReLU the row can be empty. `zoo:sink-softmax-0` to `-3` are "
        "hooked models, for `load_model`; every arm and seed, these four too, is a plain torch module from "
        "`interp.models.zoo.sink.load_arm(arm, seed)`, whose forward returns answers and attention weights.",
        "The hooked models read words that stand for 128 drawn contents (`c5`, and `c5!` as a trigger), and their "
        "eight outputs are the numbers of the answer, not logits of words: metrics on next tokens mean nothing here. "
        "The other two arms cannot be hooked, because no hooked architecture has their attention.",
        recipe,
        [fact for of in trained for fact in _facts(of)],
        "interp zoo train sink --out DIR",
        "Ran-Milo 2026 (arXiv:2603.11487); Xiao et al. 2023 (arXiv:2309.17453); Miller 2023, Attention Is Off By One.",
    )


def _facts(of: Trained) -> Iterable[Fact]:
    last = of.curve[-1][1]
    label = f"{of.recipe.arm}, seed {of.recipe.seed}"
    attention, before = "mean attention to BOS at other queries", of.curve[0][1]
    yield Fact(f"{label}: {attention}", last.bos_attention_other, last.bos_attention_trigger, "at triggers", last.n)
    yield Fact(f"{label}: squared error at triggers", last.mse_trigger, before.mse_trigger, "untrained", last.n)
    yield Fact(f"{label}: squared error elsewhere", last.mse_other, before.mse_other, "untrained", last.n)
