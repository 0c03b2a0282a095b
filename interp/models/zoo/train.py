"""Train `zoo:polyglot`: a small four-language Llama, resumable at any step.

The state directory holds the tokenizer, the text as tokens, the newest checkpoint, snapshots along the way and a log
of losses; the finished model is written as an ordinary Hugging Face directory. Killing the run loses at most the steps
since the last checkpoint: running the same command again goes on from there.

    interp zoo train polyglot --corpus DIR --state DIR
"""

import json
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from interp.errors import ModelError
from interp.models.load import checked_device
from interp.models.zoo import tokenizer as bpe
from interp.models.zoo.mixture import Batch, SequenceMixer
from interp.models.zoo.recipe import Recipe, build_model, build_optimizers, learning_rate, loss_nats
from interp.models.zoo.state import load_checkpoint, prepare, save_checkpoint, snapshot_steps, write_model

log = logging.getLogger(__name__)


def train(
    corpus: Path,
    state: Path,
    recipe: Recipe | None = None,
    *,
    device: str = "cpu",
    every: int = 100,
    compiled: bool = False,
) -> Path:
    """Train, or go on training, and write the finished model.

    Args:
        corpus: Directory of texts, as `zoo.corpus` describes it.
        state: Directory for resumable state, outside the repository.
        recipe: What to train; must equal the recipe that `state` was begun with.
        device: Where to train.
        every: Steps between checkpoints.
        compiled: Compile the loss with `torch.compile`: about a sixth faster, where there is a C++ compiler.

    Returns:
        The directory of the finished model.

    Raises:
        InputError: the corpus, the state directory or the device cannot be used, or the state was begun with another
            recipe.
        ModelError: the loss is no longer finite.
    """
    recipe = recipe or Recipe()
    where = checked_device(device)
    streams = prepare(corpus, state, recipe)
    mixer = SequenceMixer(streams, bos=bpe.BOS, n_special=len(bpe.SPECIAL_TOKENS), length=recipe.n_ctx)
    model = build_model(recipe).to(where).train()
    optimizers = build_optimizers(model, recipe)
    loss_of = torch.compile(loss_nats) if compiled else loss_nats
    kept, first = set(snapshot_steps(recipe.steps)), load_checkpoint(state, model, optimizers)
    with tqdm(initial=first, total=recipe.steps, desc="train zoo:polyglot", unit="step", delay=2) as bar:
        for step in range(first, recipe.steps):
            if step in kept:
                write_model(state, model, recipe, steps=step, out=snapshot_directory(state, step))
            began = time.perf_counter()
            # The generator depends on the step alone, so a resumed run sees the sequences an undisturbed run would.
            rng = np.random.default_rng([recipe.seed, step])
            batch = mixer.batch(recipe.batch, recipe.mixture_at(step), rng)
            for optimizer, peak in zip(optimizers, (recipe.muon_lr, recipe.adam_lr), strict=True):
                optimizer.param_groups[0]["lr"] = peak * learning_rate(step, recipe)
            loss = _take_step(model, optimizers, batch, loss_of)
            _log(state, {"step": step, "loss_nats": loss, "seconds": time.perf_counter() - began})
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update()
            if (step + 1) % every == 0 or step + 1 == recipe.steps:
                log.info("step %d: loss %.3f nats", step, loss)
                save_checkpoint(state, step + 1, model, optimizers)
    write_model(state, model, recipe, steps=recipe.steps, out=snapshot_directory(state, recipe.steps))
    return write_model(state, model, recipe, steps=recipe.steps, out=state / "model")


def snapshot_directory(state: Path, step: int) -> Path:
    """Where the snapshot after `step` steps lies."""
    return state / "snapshots" / f"{step:06d}"


def _take_step(
    model: torch.nn.Module, optimizers: list[torch.optim.Optimizer], batch: Batch, loss_of: Callable[..., Tensor]
) -> float:
    where = next(model.parameters()).device
    loss = loss_of(model, *(torch.from_numpy(array).to(where) for array in (batch.tokens, batch.scored)))
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad()
    return loss.item()


def _log(state: Path, entry: dict[str, int | float]) -> None:
    if not math.isfinite(entry["loss_nats"]):
        raise ModelError(
            f"The loss of step {entry['step']} is {entry['loss_nats']}. Expected a finite number: begin a new state "
            "with lower learning rates."
        )
    with (state / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
