"""Patch every cell, one at a time, by hooks: exact on every architecture, and the oracle for anything faster.

Sign: an effect is (metric with the patch) minus (metric of the run that was patched). Denoising patches clean
activations into the corrupted run, so a cell that carries the answer has a positive effect on `logit_diff`; noising
patches corrupted activations into the clean run, so the same cell has a negative one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm.auto import tqdm

from interp.errors import PromptError
from interp.metrics import Metric, as_metric, last_logits
from interp.metrics.metric import reading
from interp.models import facts
from interp.patching.answer import SweepNumbers, as_result
from interp.patching.cells import By, chosen_positions, columns_of
from interp.patching.plan import Direction, SweepPlan
from interp.prompts import PromptSet, TokenBatch
from interp.results import Result
from interp.run import Patch, Placebo, Where, capture, forward, intervene
from interp.run.places import check_places
from interp.sites import Site
from interp.types import Model, PerPrompt

ROWS_PER_FORWARD = 64
SCORES_ALIKE = 1e-6
"""A difference of means below this share is float error, and a share of it would mean nothing."""
LOGIT_BYTES = 256 * 2**20
"""Logits of one forward pass stay below this, however large the vocabulary."""


def patch_sweep(
    model: Model,
    prompts: PromptSet,
    kind: str,
    *,
    by: By = "pos",
    metric: str | Metric | Callable[..., PerPrompt] = "logit_diff",
    direction: Direction = "denoising",
    seed: int = 0,
) -> Result:
    """Measure, for every layer and column, what patching that one activation does to the metric.

    Each cell is one full forward pass per prompt, beside a placebo of the same size in a random direction. An effect
    says that this activation is enough (denoising) or needed (noising) to move the metric between these two prompts; it
    does not say that the model computes anything there, nor that other prompts would agree.

    Args:
        model: A hooked model.
        prompts: Clean and corrupted prompts.
        kind: Site kind, such as `resid_pre`, `attn_out`, `mlp_out`, or `z` with `by="head"`.
        by: Columns: aligned positions, words, or heads (over all aligned positions).
        metric: A metric's name, a `Metric`, or a function of a `Reading`.
        direction: `denoising` (clean into corrupted) or `noising` (corrupted into clean).
        seed: Decides placebos and resamples.

    Returns:
        A `patch_sweep` result: `effect`, `control`, `recovered`, per-prompt `values`; with two or more prompts also a
        95 % bootstrap interval and p-values corrected over all cells.

    Raises:
        PromptError: prompts the model cannot read, or that lack what the metric needs, or score alike.
        SiteError: a kind this model lacks, or whose edit changes nothing.

    Example:
        >>> patch_sweep(model, prompts, "resid_pre").to_dataframe().nlargest(5, "effect")

    Source: Zhang & Nanda 2024, Towards Best Practices of Activation Patching (arXiv:2309.16042).
    """
    scored = check_prompts(model, prompts, metric)
    known = facts(model)
    sites = [Site(layer, kind) for layer in range(known.n_layers)]
    check_places(model, sites)
    n_heads = known.n_kv_heads if kind in ("k", "v") else known.n_heads
    plan = SweepPlan(kind, columns_of(prompts, kind, by, n_heads), scored, direction, seed)
    sweep = _Sweep(model, prompts, plan)
    clean, corrupted = sweep.baselines()
    return as_result(model, prompts, plan, SweepNumbers(clean, corrupted, *sweep.run(sites)))


def check_prompts(model: Model, prompts: PromptSet, metric: str | Metric | Callable[..., PerPrompt]) -> Metric:
    """Refuse prompts that the model cannot read or the metric cannot score, before anything runs.

    Returns:
        The metric.

    Raises:
        InputError: an unknown metric.
        PromptError: ids out of range, prompts past the context, or answers missing.
    """
    scored, known = as_metric(metric), facts(model)
    scored.require(prompts)
    prompts.check_fits(d_vocab=known.d_vocab, n_ctx=known.n_ctx)
    return scored


@dataclass
class _Sweep:
    """One sweep over one kind of site."""

    model: Model
    prompts: PromptSet
    plan: SweepPlan
    reference: Float[Tensor, "prompt d_vocab"] | None = None

    def baselines(self) -> tuple[np.ndarray, np.ndarray]:
        """Metric of the plain clean and corrupted runs, per prompt."""
        logits = forward(self.model, self.prompts.batch("clean"))
        self.reference = last_logits(logits, self.prompts, "clean")
        clean = self.plan.metric(reading(logits, self.prompts, "clean", self.reference))
        logits = forward(self.model, self.prompts.batch("corrupted"))
        corrupted = self.plan.metric(reading(logits, self.prompts, "corrupted", self.reference))
        apart = (clean.double().mean() - corrupted.double().mean()).abs().item()
        if apart <= SCORES_ALIKE * max(1.0, clean.abs().mean().item()):
            raise PromptError(
                f"Clean and corrupted prompts have the same mean {self.plan.metric.name}, so there is nothing to "
                "recover. Choose prompts or answers that the metric tells apart."
            )
        return clean.double().cpu().numpy(), corrupted.double().cpu().numpy()

    def run(self, sites: list[Site]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Patched, placebo and unpatched metric: `[prompt, layer, column]` twice, then `[prompt, column]`."""
        source = capture(self.model, self.prompts.batch(self.plan.source), sites)
        shape = (len(self.prompts), len(sites), len(self.plan.columns))
        patched, placebo = np.full(shape, np.nan), np.full(shape, np.nan)
        unpatched = np.full((shape[0], shape[2]), np.nan)
        tiles = list(self._tiles())
        with tqdm(total=len(tiles) * len(sites), desc=f"patch {sites[0].kind}", leave=False, delay=2) as bar:
            for rows in tiles:
                where = tuple(np.array(rows).T)
                tile = self._tile(rows)
                # The unpatched run has the very shape of the patched ones, so a patch that changes nothing scores 0.
                unpatched[where] = tile.score(None, None)
                for number, site in enumerate(sites):
                    patch = Where(Patch(tile.values(source[site])), tile.chosen)
                    patched[where[0], number, where[1]] = tile.score(site, patch)
                    placebo[where[0], number, where[1]] = tile.score(site, Placebo(patch, self.plan.seed + number))
                    bar.update()
        return patched, placebo, unpatched

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

    sweep: _Sweep
    rows: list[int]
    prompts: PromptSet
    batch: TokenBatch
    chosen: Tensor
    reference: Tensor | None

    def values(self, source: Float[Tensor, "prompt source_pos ..."]) -> Float[Tensor, "row base_pos ..."]:
        """Source activations moved to the positions they stand for in the run that is patched."""
        to, frm = (1, 0) if self.sweep.plan.base == "corrupted" else (0, 1)
        n_pos = self.batch.tokens.shape[1]
        aligned = torch.from_numpy(self.sweep.prompts.aligned()[self.rows])
        order = torch.zeros(len(self.rows), n_pos, dtype=torch.long)
        row, column = (aligned[..., to] >= 0).nonzero(as_tuple=True)
        order[row, aligned[row, column, to]] = aligned[row, column, frm]
        return source[torch.tensor(self.rows)[:, None], order]

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
