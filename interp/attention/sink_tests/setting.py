"""What the tests are made from: a model, prompts, how often controls are drawn, and where the sink is written."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float

from interp.attention.sink_tests import places
from interp.attention.sink_tests.arms import PLAIN, Arm, Subject, run_arm
from interp.attention.sink_tests.edits import RefusedError, Take
from interp.models import facts, require_causal
from interp.models.tokenizers import frame
from interp.run import capture_batches
from interp.sites import Site


@dataclass(frozen=True)
class Case:
    """One row of the table before it is run."""

    name: str
    edit: str
    """What is edited."""
    control: str
    """What is edited instead in the control."""
    effect: Arm
    controls: tuple[Arm, ...]
    """Draws of the control, whose mean is taken."""
    scored: bool = True
    """False where the score cannot be compared with that of the plain run."""
    target: str = "the first token"
    """What the attention columns are attention to."""
    budget_unit: str = ""
    note: str = ""
    plain: Arm = PLAIN
    """The unedited run, with the arm's own target of attention."""


@dataclass(frozen=True)
class Spike:
    """What writes the first token's large norm."""

    layer: int
    """Block that lets its norm grow most."""
    growth: tuple[float, float]
    """Mean norm before and after that block."""
    massive: places.Massive
    first: Float[np.ndarray, "prompt d_model"]
    """The first token's stream after that block."""


@dataclass(frozen=True)
class Setting:
    """Settings of a battery on one set of prompts."""

    subject: Subject
    seed: int = 0
    n_draws: int = 3
    move_from_layer: int = 0
    rows_per_batch: int = 8

    @property
    def chunks(self) -> list[slice]:
        """Prompts that run together."""
        n = len(self.subject.batch)
        return [slice(start, min(start + self.rows_per_batch, n)) for start in range(0, n, self.rows_per_batch)]

    @cached_property
    def masked_others(self) -> tuple[Arm, ...]:
        """The control of masking the first key; the same runs serve two tests."""
        return tuple(Arm(Take("others", seed=self.seed + draw)) for draw in range(self.n_draws))

    @cached_property
    def valueless_others(self) -> tuple[Arm, ...]:
        """The control of the first token's value; the same runs serve two tests."""
        return tuple(Arm(Take("others", renormalise=False, seed=self.seed + draw)) for draw in range(self.n_draws))

    @cached_property
    def ordinary(self) -> np.ndarray:
        """Ids of tokens that are no special ones."""
        tokenizer: Any = self.subject.model.tokenizer
        d_vocab = facts(self.subject.model).d_vocab
        if tokenizer is None:
            return np.arange(d_vocab)
        known = set(tokenizer.get_vocab().values()) - set(tokenizer.all_special_ids)
        return np.array(sorted(token for token in known if token < d_vocab))

    @cached_property
    def bos(self) -> int | None:
        """Id of the token that begins a text: the one this model's texts begin with, or else one it knows but omits."""
        tokenizer: Any = self.subject.model.tokenizer
        if tokenizer is None:
            return None
        before = frame(self.subject.model).before
        return before[0] if before else tokenizer.bos_token_id

    @cached_property
    def sink_by_head(self) -> Float[np.ndarray, "prompt layer head"]:
        """Mean attention of every head to the first token."""
        parts = [run_arm(self.subject, PLAIN, rows, scored=False).by_head for rows in self.chunks]
        return np.concatenate([part.cpu().numpy() for part in parts])

    @cached_property
    def spike(self) -> Spike:
        """Find where the first token's norm grows, and by which dimensions.

        Raises:
            RefusedError: the model has one layer only.
        """
        model, n_layers = self.subject.model, facts(self.subject.model).n_layers
        if n_layers < 2:
            raise RefusedError("The model has one layer, and what is written after it no other token reads.")
        require_causal(model, "resid_post")
        sites = [Site(0, "resid_pre"), *(Site(layer, "resid_post") for layer in range(n_layers))]
        first, medians = [], []
        for rows, seen in capture_batches(model, self.subject.batch, sites, rows_per_batch=self.rows_per_batch):
            wide = [seen[site].float().cpu().numpy() for site in sites]
            first.append(np.stack([stage[:, 0] for stage in wide], 1))
            mask = self.subject.batch.mask[rows]
            medians.append([float(np.median(np.abs(stage[mask]))) for stage in wide])
        stages = np.concatenate(first)
        norms = np.linalg.norm(stages, axis=-1).mean(0)
        layer = places.growth_layer(norms)
        written = stages[:, layer + 1]
        massive = places.massive_dimensions(written, float(np.mean(medians, 0)[layer + 1]))
        return Spike(layer, (float(norms[layer]), float(norms[layer + 1])), massive, written)
