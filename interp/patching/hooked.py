"""Patch every cell, one at a time, by hooks: exact on every architecture, and the oracle for anything faster.

Sign: an effect is (metric with the patch) minus (metric of the run that was patched). Denoising patches clean
activations into the corrupted run, so a cell that carries the answer has a positive effect on `logit_diff`; noising
patches corrupted activations into the clean run, so the same cell has a negative one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm.auto import tqdm

from interp.metrics import last_logits
from interp.metrics.metric import reading
from interp.models import facts
from interp.patching.cells import aligned_order, chosen_positions
from interp.patching.numbers import SweepNumbers
from interp.patching.plan import SweepPlan, require_apart
from interp.prompts import PromptSet, TokenBatch
from interp.run import Patch, Placebo, Where, capture, forward, intervene
from interp.sites import SQUARE_HEAD_KINDS, Site
from interp.types import Model

ROWS_PER_FORWARD = 64
LOGIT_BYTES = 256 * 2**20
"""Logits of one forward pass stay below this, however large the vocabulary."""


@dataclass
class HookedSweep:
    """One sweep over one kind of site."""

    model: Model
    prompts: PromptSet
    plan: SweepPlan
    reference: Float[Tensor, "prompt d_vocab"] | None = None

    def numbers(self, *, placebo: bool = True) -> SweepNumbers:
        """Run the sweep.

        Args:
            placebo: Whether to run the placebo of every cell, too.

        Raises:
            PromptError: clean and corrupted prompts score alike.
        """
        clean, corrupted = self._baselines()
        sites = [Site(layer, self.plan.kind) for layer in self.plan.layers]
        source = capture(self.model, self.prompts.batch(self.plan.source), sites)
        shape = (len(self.prompts), len(sites), len(self.plan.columns))
        found, unpatched = np.full((2, *shape), np.nan), np.full((shape[0], shape[2]), np.nan)
        tiles = list(self._tiles())
        with tqdm(total=len(tiles) * len(sites), desc=f"patch {self.plan.kind}", leave=False, delay=2) as bar:
            for rows in tiles:
                where = tuple(np.array(rows).T)
                tile = self._tile(rows)
                # The unpatched run has the very shape of the patched ones, so a patch that changes nothing scores 0.
                unpatched[where] = tile.score(None, None)
                for number, site in enumerate(sites):
                    patch = Where(Patch(tile.values(source[site])), tile.chosen)
                    found[0, where[0], number, where[1]] = tile.score(site, patch)
                    if placebo:
                        control = Placebo(patch, self.plan.seed + site.layer)
                        found[1, where[0], number, where[1]] = tile.score(site, control)
                    bar.update()
        return SweepNumbers(clean, corrupted, found[0], found[1], unpatched)

    def _baselines(self) -> tuple[np.ndarray, np.ndarray]:
        """Metric of the plain clean and corrupted runs, per prompt."""
        logits = forward(self.model, self.prompts.batch("clean"))
        self.reference = last_logits(logits, self.prompts, "clean")
        clean = self.plan.metric(reading(logits, self.prompts, "clean", self.reference))
        logits = forward(self.model, self.prompts.batch("corrupted"))
        corrupted = self.plan.metric(reading(logits, self.prompts, "corrupted", self.reference))
        both = clean.double().cpu().numpy(), corrupted.double().cpu().numpy()
        require_apart(self.plan.metric, *both)
        return both

    def _tiles(self) -> Iterator[list[tuple[int, int]]]:
        cells = [(int(prompt), int(column)) for column, prompt in np.argwhere(self.plan.columns.ran.T)]
        per_row = 4 * facts(self.model).d_vocab * self.prompts.batch(self.plan.base).tokens.shape[1]
        size = max(1, min(ROWS_PER_FORWARD, LOGIT_BYTES // per_row))
        for start in range(0, len(cells), size):
            yield cells[start : start + size]

    def _tile(self, rows: list[tuple[int, int]]) -> "_Tile":
        prompts = self.prompts.take([prompt for prompt, _ in rows])
        batch = prompts.batch(self.plan.base)
        chosen = chosen_positions(self.prompts, self.plan.columns, rows, self.plan.base, batch.tokens.shape[1])
        reference = None if self.reference is None else self.reference[[prompt for prompt, _ in rows]]
        return _Tile(self, [prompt for prompt, _ in rows], prompts, batch, chosen, reference)


@dataclass
class _Tile:
    """Many cells in one forward pass: each row is one prompt with one column patched."""

    sweep: HookedSweep
    rows: list[int]
    prompts: PromptSet
    batch: TokenBatch
    chosen: Tensor
    reference: Tensor | None

    def values(self, source: Float[Tensor, "prompt ..."]) -> Float[Tensor, "row ..."]:
        """Source activations moved to the positions they stand for in the run that is patched."""
        rows, n_pos = torch.tensor(self.rows), self.batch.tokens.shape[1]
        if self.sweep.plan.kind in SQUARE_HEAD_KINDS:
            return source[rows][..., :n_pos, :n_pos]
        order = aligned_order(self.prompts, self.sweep.plan.base)
        if order is None:
            return source[rows, :n_pos]
        return source[rows[:, None], order.clamp_min(0)]

    def score(self, site: Site | None, patch: Where | Placebo | None) -> np.ndarray:
        """Metric of each row, with the patch where one is given."""
        if site is None or patch is None:
            logits = forward(self.sweep.model, self.batch)
        else:
            with intervene(self.sweep.model, {site: patch}, times=1):
                logits = forward(self.sweep.model, self.batch)
        return (
            self.sweep.plan.metric(reading(logits, self.prompts, self.sweep.plan.base, self.reference))
            .double()
            .cpu()
            .numpy()
        )
