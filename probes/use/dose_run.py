"""Run a model under doses of several directions: its answer, and the loss of what it reads afterwards."""

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import cross_entropy
from tqdm.auto import tqdm

from interp.errors import ResultError
from interp.prompts import TokenBatch
from interp.run import forward, intervene
from interp.sites import Site
from interp.types import Logits, Model
from probes.tasks.task import ProbeTask
from probes.tasks.wide import wide
from probes.use.answers import Answer, read_answer, slices_of
from probes.use.dose_table import Doses
from probes.use.labelled import labelled


@dataclass(frozen=True)
class Push:
    """Add a direction, at each position by an amount of its own; where the amount is 0 nothing changes."""

    direction: Float[Tensor, " width"] = field(repr=False)
    amounts: Float[Tensor, "batch pos"] = field(repr=False)

    def __call__(self, activation: Float[Tensor, "batch pos width"]) -> Float[Tensor, "batch pos width"]:
        return activation + self.amounts.to(activation)[:, :, None] * self.direction.to(activation)


@dataclass(frozen=True)
class Steps:
    """Which directions are added, and how far."""

    directions: Float[np.ndarray, "arm d_model"] = field(repr=False)
    """Unit vectors."""
    sigma: float
    """Length of one step."""
    alphas: tuple[int | float, ...]
    signs: Float[np.ndarray, " sample"] = field(repr=False)
    """1 or -1: which way each sample goes at a positive alpha."""


def run_doses(model: Model, task: ProbeTask, answer: Answer, site: Site, steps: Steps) -> Doses:
    """Read the answer and the loss of every prompt under every dose of every direction, and with nothing added.

    The loss is that of the prompts' own tokens at the positions from the first labelled one on.

    Raises:
        ResultError: an answer or a loss that is NaN or infinite.
        SiteError: a site that the model lacks, or where an edit has no effect.
    """
    amounts = torch.zeros(task.batch.tokens.shape, dtype=torch.float64)
    amounts[task.prompts, task.positions] = torch.from_numpy(steps.signs)
    counted, directions = _tokens_after(task), torch.from_numpy(steps.directions)
    shape = (len(steps.alphas), len(steps.directions), len(task.batch))
    values, losses = np.empty(shape), np.empty(shape)
    plain_values, plain_losses = np.empty(shape[2]), np.empty(shape[2])
    with tqdm(total=shape[2] * shape[0], desc="steer", unit="dose", leave=False, delay=2) as bar:
        for rows in slices_of(len(task.batch)):
            batch = task.batch[rows]
            plain = forward(model, batch)
            plain_values[rows] = read_answer(answer, plain, plain, rows)
            plain_losses[rows] = _losses(plain, batch, counted[rows])
            for number, alpha in enumerate(steps.alphas):
                # At 0 nothing is added, whatever the direction: one pass stands for all of them.
                for arm, direction in enumerate(directions if alpha else directions[:1]):
                    push = Push(direction, amounts[rows] * (alpha * steps.sigma))
                    with intervene(model, {site: push}, times=1):
                        logits = forward(model, batch)
                    arms = slice(arm, arm + 1 if alpha else None)
                    values[number, arms, rows] = read_answer(answer, logits, plain, rows)
                    losses[number, arms, rows] = _losses(logits, batch, counted[rows])
                bar.update(len(batch))
    return Doses(np.array(steps.alphas, float), plain_values, values, plain_losses, losses)


def _tokens_after(task: ProbeTask) -> Bool[Tensor, "prompt pos"]:
    """Positions from the first labelled one on that have a real token after them."""
    begun = labelled(task).cumsum(1) > 0
    follows = torch.zeros_like(begun)
    follows[:, :-1] = torch.from_numpy(task.batch.mask)[:, 1:]
    return begun & follows


def _losses(logits: Logits, batch: TokenBatch, counted: Bool[Tensor, "batch pos"]) -> Float[np.ndarray, " batch"]:
    """Mean loss over the counted positions, in nats per token; NaN where there is none."""
    row, pos = counted.nonzero(as_tuple=True)
    chosen = logits[row.to(logits.device), pos.to(logits.device)]
    following = torch.from_numpy(batch.tokens)[row, pos + 1].to(logits.device)
    each = cross_entropy(wide(chosen), following, reduction="none").double().cpu().numpy()
    if not np.isfinite(each).all():
        raise ResultError("The loss is NaN or infinite under a dose. Give smaller alphas, or a dtype such as float32.")
    counts = np.bincount(row, minlength=len(batch)).astype(float)
    counts[counts == 0] = np.nan
    return np.bincount(row, weights=each, minlength=len(batch)) / counts
