"""Estimates beside exact values: the same cells patched for real, and how well the two agree in rank."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import stats

from interp.errors import InputError, ResultError
from interp.patching.cells import Columns
from interp.patching.engine import CellState
from interp.patching.numbers import SweepNumbers
from interp.patching.plan import SweepPlan
from interp.results import Result

N_RESAMPLES = 1000
FEWEST_CELLS = 3
"""With fewer cells a rank correlation says nothing."""
NEGLIGIBLE = 1e-6
"""Effects below this share of the largest count as zero: they are float error, and their order means nothing."""
Effects = Float[np.ndarray, "prompt cell"]


def against_exact(estimated: Result, exact: Result) -> Result:
    """Put an exact sweep beside the estimate of the same sweep.

    Args:
        estimated: An `attribution` result.
        exact: The `patch_sweep` result of the same model, prompts, site, columns, metric and direction.

    Returns:
        `estimated` with the variable `exact` (the effect by patching) and, in its notes, `rank_correlation`: Spearman's
        rho over the cells that a patch can change, with a 95 % bootstrap interval over prompts. With `graddrop` also
        `graddrop_rank_correlation`, with the size of the exact effects.

    Raises:
        ResultError: the two are not of the same sweep.
    """
    _require_same(estimated, exact)
    ours, theirs = (_effects(result) for result in (estimated, exact))
    counted = np.isfinite(theirs)
    if "state" in exact.data:
        counted &= exact.data["state"].values.reshape(theirs.shape) == CellState.COMPUTED
    cells = counted.any(0)
    notes = _agreement(estimated, np.flatnonzero(cells), ours[:, cells], theirs[:, cells])
    return replace(estimated, data=estimated.data.assign(exact=exact.data["effect"]), notes=estimated.notes | notes)


def with_exact(estimated: Result, plan: SweepPlan, n: int, measure: Callable[[SweepPlan], SweepNumbers]) -> Result:
    """Patch the cells with the largest estimates for real.

    Args:
        estimated: An `attribution` result.
        plan: Its plan.
        n: How many cells; the largest by `graddrop` where there is one, else by the size of the estimate.
        measure: Runs part of the plan exactly.

    Returns:
        `estimated` with the dimension `verified`, the cells in the order of their estimates, and on it the variables
        `exact` (the effect by patching), `verified_layer` and one for each other coordinate of a cell.
    """
    ranking = np.abs(estimated.data.get("graddrop", estimated.data["effect"]).values).ravel()
    if not 0 < n <= ranking.size:
        raise InputError(f"verify_top is {n}. Expected 1 to {ranking.size}, the number of cells, or 0 for none.")
    top = np.argsort(-ranking, kind="stable")[:n]
    exact = np.full((len(plan.columns.places), n), np.nan)
    rows, columns = np.divmod(top, len(plan.columns))
    for row in np.unique(rows):
        here = np.flatnonzero(rows == row)
        part = replace(plan, columns=_only(plan.columns, columns[here]), layers=(plan.layers[row],))
        found = measure(part)
        exact[:, here] = found.patched[:, 0] - found.unpatched
    effect = estimated.data["effect"]
    places = np.unravel_index(top, effect.shape)
    cells: dict[str, Any] = {
        f"verified_{dim}": ("verified", effect[dim].values[place])
        for dim, place in zip(effect.dims, places, strict=True)
    }
    data = estimated.data.assign(cells | {"exact": ("verified", np.nanmean(exact, 0))})
    notes = _agreement(estimated, top, _effects(estimated)[:, top], exact)
    note = f"The {n} cells with the largest estimates were patched for real."
    return replace(
        estimated,
        data=data.assign_coords(verified=np.arange(n)),
        provenance=replace(estimated.provenance, call=f"{estimated.provenance.call[:-1]}, verify_top={n})"),
        notes=estimated.notes | notes | {"verified": note},
    )


def _only(columns: Columns, chosen: Int[np.ndarray, " cell"]) -> Columns:
    heads = tuple(columns.heads[column] for column in chosen) if columns.heads else ()
    return replace(
        columns,
        by="head" if heads else columns.by,
        labels=[str(column) for column in chosen],
        places=[[row[column] for column in chosen] for row in columns.places],
        heads=heads,
    )


def _effects(result: Result) -> Effects:
    """Effect of each prompt and cell; NaN where the prompt has no such cell."""
    base = "corrupted" if result.notes["direction"] == "denoising" else "clean"
    values = result.data["values"]
    return (values - result.data[f"{base}_values"]).transpose(*values.dims).values.reshape(len(values), -1)


def _agreement(estimated: Result, cells: Int[np.ndarray, " cell"], ours: Effects, exact: Effects) -> dict[str, Any]:
    both = rank_correlation(ours, exact, seed=int(estimated.provenance.seed or 0))
    notes: dict[str, Any] = {} if both is None else {"rank_correlation": both}
    if both is not None and "graddrop" in estimated.data:
        drops = estimated.data["graddrop"].values.ravel()[cells]
        notes["graddrop_rank_correlation"] = _spearman(drops, np.abs(np.nanmean(exact, 0)))
    return notes


def rank_correlation(ours: Effects, exact: Effects, *, seed: int = 0) -> dict[str, float | int] | None:
    """Spearman's rho between two effects, each the mean over prompts, over cells.

    Returns:
        `rho`, `cells` and, where every cell has two prompts or more, `low` and `high` of a 95 % bootstrap interval over
        prompts; None with fewer than three cells, or where all are alike.
    """
    floor = NEGLIGIBLE * max(np.nanmax(np.abs(ours), initial=0), np.nanmax(np.abs(exact), initial=0))
    present = np.isfinite(ours) & np.isfinite(exact)
    # Ranks of float errors would be noise.
    ours, exact = (np.where(np.abs(values) < floor, 0.0, values) for values in (ours, exact))
    means = [np.nanmean(values, 0) for values in (ours, exact)]
    if len(means[0]) < FEWEST_CELLS or min(np.ptp(values) for values in means) == 0:
        return None
    found: dict[str, float | int] = {"rho": _spearman(*means), "cells": len(means[0])}
    if present.sum(0).min() < 2:
        return found
    drawn = _resampled(ours, exact, present, seed)
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return found | {"low": float(low), "high": float(high)}


def _resampled(ours: Effects, exact: Effects, present: Bool[np.ndarray, "prompt cell"], seed: int) -> np.ndarray:
    rng, n = np.random.default_rng(seed), len(ours)
    ranked = np.full(N_RESAMPLES, np.nan)
    for number in range(N_RESAMPLES):
        counts = np.bincount(rng.integers(0, n, n), minlength=n)[:, None] * present
        # A cell that no drawn prompt has stays out of this resample.
        here = counts.sum(0) > 0
        means = [np.where(present, values, 0.0)[:, here] * counts[:, here] for values in (ours, exact)]
        ours_mean, exact_mean = (values.sum(0) / counts[:, here].sum(0) for values in means)
        if here.sum() >= FEWEST_CELLS and np.ptp(ours_mean) and np.ptp(exact_mean):
            ranked[number] = _spearman(ours_mean, exact_mean)
    return ranked


def _spearman(one: Float[np.ndarray, " cell"], other: Float[np.ndarray, " cell"]) -> float:
    ranks = [stats.rankdata(values) for values in (one, other)]
    return float(np.corrcoef(ranks)[0, 1]) if min(np.ptp(values) for values in ranks) > 0 else 0.0


def _require_same(estimated: Result, exact: Result) -> None:
    if (estimated.kind, exact.kind) != ("attribution", "patch_sweep"):
        raise ResultError(
            f"These are results of kind {estimated.kind!r} and {exact.kind!r}. Expected an 'attribution' and a "
            "'patch_sweep', in this order."
        )
    for name in ("site", "direction", "metric", "labels"):
        if estimated.notes[name] != exact.notes[name]:
            raise ResultError(
                f"The estimate is of {name} {estimated.notes[name]!r}, the exact sweep of {exact.notes[name]!r}. "
                "Expected the same sweep."
            )
    ours, theirs = estimated.provenance, exact.provenance
    if (ours.fingerprint, ours.tokens) != (theirs.fingerprint, theirs.tokens):
        raise ResultError("The two results are of different models or prompts. Expected the same sweep.")
    if estimated.data["effect"].sizes != exact.data["effect"].sizes:
        raise ResultError("The two results have different columns. Expected the same sweep.")
