"""One probe for every site and layer of activations on disk, or for every position of each, beside its controls."""

from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float

from interp.errors import InputError
from interp.results import RAN, Result
from probes.reading.cell_readers import FLOORS, LargeProbe, reader_of
from probes.reading.cell_sweep import Numbers, sweep_cells
from probes.reading.portions import Portion, SweepPlan, by_position
from probes.samples.labels import label_kind
from probes.samples.shards import ShardedActivations

_METHOD = (
    "{reader} on the activations of each site and layer{position}, standardised on the samples it is fitted to, "
    "{folds}. Intervals: 95 % bootstrap over groups of the held-out predictions, without fitting anew. p: held-out "
    "predictions against those of the shuffled control (the mean of its permutations), signs flipped by group, "
    "two-sided; p_corrected over all cells (max-T), q_fdr Benjamini-Hochberg; below the control it is no sign of "
    "anything, however small. A high number shows that the label can be read off linearly; it is not evidence that the "
    "model uses it."
)


def probe_shards(
    shards: ShardedActivations, *, plan: SweepPlan | None = None, probe: LargeProbe | None = None
) -> Result:
    """Measure at every site and layer how well a label can be read off linearly, from activations on disk.

    Classes are read by logistic regression, several labels to a sample by one for each, numbers by ridge regression.
    Cells are fitted in threads, each with one thread of linear algebra, at most `workers` at a time. Memory: the
    training rows held by all cells being fitted take at most `max_bytes` (a cell whose share is too small for its rows
    reads them from disk in every pass); each of them takes a few `d_model` squared matrices and the mapped pages of its
    file, which the system takes back when it needs them. Random weights are no control here: capture them into a
    directory of their own and sweep that one too. Positive: more held-out samples right, or numbers told better.

    Args:
        shards: Activations with labels and groups.
        plan: Folds, permutations, positions, memory and workers.
        probe: A `LargeLogisticProbe`, or for numbers a `LargeRidgeProbe`; its `max_bytes` gives way to the plan's.

    Returns:
        By `site` and `layer` (a `probe_sweep`), and with positions by `position` (a `probe_grid`): `accuracy`, or of
        numbers `r2`, with its interval; `control_shuffled`; `control_majority`, or of numbers `control_mean`; and `p`,
        `p_corrected` and `q_fdr` against the shuffled control. Cells that were not captured are marked in `ran`.

    Raises:
        InputError: labels of no kind, too few groups of a class, a probe for other labels, positions that were not
            written, NaN or infinity, or a probe that does not converge.
    """
    plan = plan or SweepPlan()
    workers = plan.threads(len(shards.sites))
    kind = label_kind(shards.labels)
    reader = reader_of(shards.labels, probe, max_bytes=plan.max_bytes // workers, seed=plan.seed)
    portions = _portions(shards, plan)
    numbers = sweep_cells(
        lambda site: shards.cell(site.layer, site.kind),
        shards.sites,
        list(portions.values()),
        reader,
        shards.groups,
        workers=workers,
        seed=plan.seed,
    )
    whole = list(portions) == [None]
    return Result(
        kind="probe_sweep" if whole else "probe_grid",
        data=_as_grid(shards, numbers, portions),
        unit=reader.unit,
        sign=reader.sign,
        method=_METHOD.format(
            reader=reader.method, folds=plan.in_words, position="" if whole else ", at each position by itself"
        ),
        provenance=replace(shards.provenance, seed=plan.seed, call=f"probe_shards({plan}, {probe=})"),
        notes={
            "control": plan.control + FLOORS[reader.floor],
            "n_samples": len(shards),
            "n_tested": sum(len(each.tested) for each in portions.values()),
            "n_groups": len(np.unique(shards.groups)),
            "n_cells": len(shards.sites) * len(portions),
            "label_kind": kind,
            **_classes(shards, kind),
            "activations": shards.fingerprint,
            "captured": shards.provenance.call,
        },
    )


def _portions(shards: ShardedActivations, plan: SweepPlan) -> dict[int, Portion] | dict[None, Portion]:
    """The samples of each position; or all, under no position."""
    if not plan.positions:
        return {None: Portion.of(shards.labels, shards.groups, np.arange(len(shards)), plan)}
    if shards.positions is None:
        raise InputError(
            f"The activations in {shards.directory} were written without positions. Write them with "
            "writer.write(X, labels, groups, positions), or capture them with capture_shards."
        )
    return by_position(shards.labels, shards.groups, shards.positions, plan)


def _classes(shards: ShardedActivations, kind: str) -> dict[str, Any]:
    if kind not in ("binary", "multiclass"):
        return {}
    names, counts = np.unique(shards.labels, return_counts=True)
    return {"classes": dict(zip(map(str, names.tolist()), counts.tolist(), strict=True))}


def _as_grid(shards: ShardedActivations, numbers: Numbers, portions: dict[Any, Portion]) -> xr.Dataset:
    """Lay cells out by site and layer; what was not captured is marked as not run."""
    rows = [shards.kinds.index(site.kind) for site in shards.sites]
    columns = [shards.layers.index(site.layer) for site in shards.sites]
    whole = list(portions) == [None]
    dims = ("site", "layer") if whole else ("site", "layer", "position")
    coordinates: dict[str, Any] = {"site": list(shards.kinds), "layer": list(shards.layers)}
    variables: dict[str, Any] = {}

    def lay(values: Float[np.ndarray, "cell portion"]) -> Float[np.ndarray, "site layer *portion"]:
        laid = np.full((len(shards.kinds), len(shards.layers), len(portions)), np.nan)
        laid[rows, columns] = values
        return laid[..., 0] if whole else laid

    for name, values in numbers.items():
        variables[name] = (dims, lay(values))
    variables[RAN] = (dims, np.isfinite(lay(numbers["p"])))
    if not whole:
        coordinates["position"] = list(portions)
        variables["n_at_position"] = ("position", np.array([len(each.rows) for each in portions.values()]))
    return xr.Dataset(variables, coordinates)
