"""One logistic probe for every site and layer of activations on disk, beside its controls."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Bool, Int
from joblib import cpu_count
from sklearn.base import clone
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from interp.errors import InputError
from interp.results import RAN, Result
from interp.sites import Site
from probes.estimators.large_logistic import LargeLogisticProbe, fit_labellings
from probes.reading.cell_intervals import Units, above_control, accuracy_intervals
from probes.reading.controls import majority_accuracy, shuffled_labels
from probes.samples.data import check_labels
from probes.samples.row_blocks import Samples
from probes.samples.shards import ShardedActivations
from probes.samples.split import Fold, group_folds

Correct = Bool[np.ndarray, "labelling _"]
"""Which held-out predictions are right: of the true labels, then of the permuted ones."""

_METHOD = (
    "Multinomial logistic regression on the activations of each site and layer, standardised on the samples it is "
    "fitted to (C={C}), {folds}. Intervals: 95 % bootstrap over groups of the held-out predictions, without fitting "
    "anew. p: held-out predictions against those of the shuffled control, signs flipped by group, two-sided; "
    "p_corrected over all cells (max-T), q_fdr Benjamini-Hochberg. High accuracy shows that the label can be read off "
    "linearly; it is not evidence that the model uses it."
)
_CONTROL = (
    "shuffled: the same probe on labels permuted between groups, on the same split (one permutation); "
    "majority: always answering the most frequent class"
)


def probe_shards(
    shards: ShardedActivations,
    *,
    probe: LargeLogisticProbe | None = None,
    n_splits: int = 5,
    all_folds: bool = False,
    seed: int = 0,
    max_bytes: int = 2**31,
    workers: int | None = None,
) -> Result:
    """Measure at every site and layer how well a label can be read off linearly, from activations on disk.

    Cells are fitted in threads, each with one thread of linear algebra, at most `workers` at a time. Memory: the
    training rows held by all cells being fitted take at most `max_bytes` (a cell whose share is too small for its rows
    reads them from disk in every pass); each of them takes a few `d_model` squared matrices and the mapped pages of its
    file, which the system takes back when it needs them. Random weights are no control here: capture them into a
    directory of their own and sweep that one too. Positive: more held-out samples right.

    Args:
        shards: Activations with labels (classes) and groups.
        probe: Settings of the probe; its `max_bytes` gives way to the share of the sweep's.
        n_splits: The share tested is one in so many, split by group.
        all_folds: Test every sample once, in `n_splits` folds, rather than the samples of the first fold only.
        seed: Decides folds, the permutation, resamples and flips.
        max_bytes: Memory for rows, over all cells being fitted.
        workers: Cells at a time; by default as many as there are cores.

    Returns:
        By `site` and `layer`: `accuracy` with its interval, `control_shuffled`, `control_majority`, and `p`,
        `p_corrected` and `q_fdr` against the shuffled control. Cells that were not captured are marked in `ran`.

    Raises:
        InputError: labels that are not classes, too few groups of a class, no memory or no workers, NaN or infinity,
            or a probe that does not converge.
    """
    _check(shards, max_bytes, workers)
    names, codes = np.unique(shards.labels, return_inverse=True)
    folds = group_folds(codes, shards.groups, n_splits=n_splits, seed=seed)[: None if all_folds else 1]
    labellings = [codes, shuffled_labels(codes, shards.groups, seed=seed)]
    workers = min(workers or cpu_count(), len(shards.sites))
    settings = clone(probe or LargeLogisticProbe(seed=seed)).set_params(max_bytes=max_bytes // workers)

    def fit(site: Site) -> Correct:
        return held_out(shards.cell(site.layer, site.kind), labellings, folds, settings)

    correct = np.stack(in_threads(fit, shards.sites, workers), axis=1)
    tested = np.concatenate([fold.test for fold in folds])
    how = f"in {n_splits} folds split by group" if all_folds else f"one {n_splits}th of the groups held out"
    return Result(
        kind="probe_sweep",
        data=_as_grid(shards, _variables(correct, shards.groups[tested], seed), majority_accuracy(codes[tested])),
        unit="accuracy (share of held-out samples)",
        sign="A larger number means that more held-out samples are predicted right.",
        method=_METHOD.format(C=settings.C, folds=how),
        provenance=replace(
            shards.provenance, seed=seed, call=f"probe_shards({settings!r}, n_splits={n_splits}, all_folds={all_folds})"
        ),
        notes={
            "control": _CONTROL,
            "n_samples": len(shards),
            "n_tested": len(tested),
            "n_groups": len(np.unique(shards.groups)),
            "n_cells": len(shards.sites),
            "classes": dict(zip(map(str, names.tolist()), np.bincount(codes).tolist(), strict=True)),
            "activations": shards.fingerprint,
            "captured": shards.provenance.call,
        },
    )


def held_out(
    X: Samples, labellings: Sequence[Int[np.ndarray, " _"]], folds: Sequence[Fold], probe: LargeLogisticProbe
) -> Correct:
    """Fit to all labellings at once, and say which predictions of the tested samples are right, fold after fold."""
    correct = []
    for fold in folds:
        fitted = fit_labellings(probe, X, labellings, rows=fold.train)
        pairs = zip(fitted, labellings, strict=True)
        correct.append([each.predict(X, rows=fold.test) == labels[fold.test] for each, labels in pairs])
    return np.concatenate(correct, axis=1)


def in_threads(fit: Callable[[Site], Correct], sites: Sequence[Site], workers: int) -> list[Correct]:
    """Fit every cell, at most `workers` at a time; the first refusal ends the sweep and says which cell it was."""
    found: dict[Site, Correct] = {}
    # More threads of linear algebra than cores would wait for each other.
    with threadpool_limits(1), ThreadPoolExecutor(workers) as pool:
        running = {pool.submit(fit, site): site for site in sites}
        try:
            for done in tqdm(as_completed(running), "probe", len(running), unit="cell", leave=False, delay=2):
                found[running[done]] = done.result()
        except InputError as error:
            raise InputError(f"{running[done]}: {error}") from error
        finally:
            pool.shutdown(cancel_futures=True)
    return [found[site] for site in sites]


def _check(shards: ShardedActivations, max_bytes: int, workers: int | None) -> None:
    if max_bytes < 0 or (workers is not None and workers < 1):
        raise InputError(f"max_bytes is {max_bytes} and workers {workers}. Expected memory, and at least one worker.")
    if shards.labels.ndim != 1:
        raise InputError(f"Labels of shape {shards.labels.shape}. Expected one class for each sample.")
    check_labels(shards.labels)


def _variables(correct: Bool[np.ndarray, "labelling cell _"], groups: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    units, variables = Units.of(groups, seed=seed), {}
    for name, each in zip(("accuracy", "control_shuffled"), correct, strict=True):
        low, high = accuracy_intervals(each, units, seed=seed)
        variables |= {name: each.mean(1), f"{name}_low": low, f"{name}_high": high}
    flips = above_control(*correct, units, seed=seed)
    return variables | {name: getattr(flips, name) for name in ("p", "p_corrected", "q_fdr")}


def _as_grid(shards: ShardedActivations, variables: dict[str, np.ndarray], majority: float) -> xr.Dataset:
    """Lay cells out by site and layer; what was not captured is marked as not run."""
    rows = [shards.kinds.index(site.kind) for site in shards.sites]
    columns = [shards.layers.index(site.layer) for site in shards.sites]
    shape, laid = (len(shards.kinds), len(shards.layers)), {}
    for name, values in variables.items():
        laid[name] = np.full(shape, np.nan)
        laid[name][rows, columns] = values
    ran = np.zeros(shape, bool)
    ran[rows, columns] = True
    laid |= {"control_majority": np.full(shape, majority), RAN: ran}
    dims: dict[str, Any] = {name: (("site", "layer"), values) for name, values in laid.items()}
    return xr.Dataset(dims, {"site": list(shards.kinds), "layer": list(shards.layers)})
