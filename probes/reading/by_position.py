"""One probe for each layer and position, beside its controls."""

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Int

from interp.results import Provenance, Result
from probes.reading.cell_readers import FLOORS, LargeProbe, reader_of
from probes.reading.cell_sweep import sweep_cells
from probes.reading.portions import SweepPlan, by_position
from probes.samples.data import LabelledActivations

_METHOD = (
    "At each layer and position by itself: {reader} on the samples that stand there, {folds}. Intervals: 95 % "
    "bootstrap over groups, without fitting anew; p is two-sided, by flipping signs of groups' differences to the "
    "shuffled control, corrected over all cells (below it is no sign of anything, however small p). A high number "
    "shows that the label can be read off there linearly; it is not evidence that the model uses it."
)


def probe_by_position(
    data: LabelledActivations,
    positions: Int[np.ndarray, " _"],
    provenance: Provenance,
    *,
    plan: SweepPlan | None = None,
    probe: LargeProbe | None = None,
) -> Result:
    """Measure at every layer and position how well a label can be read off linearly: where in a text it is known.

    For several kinds of site at once, or more samples than fit into memory, see `probe_shards`. Positive: more held-out
    samples right, or numbers told better.

    Args:
        data: Activations with labels and groups.
        positions: Position of each sample in its prompt, such as a task's `positions`.
        plan: Folds, permutations, bins and workers.
        probe: A `LargeLogisticProbe`, or for numbers a `LargeRidgeProbe`.

    Returns:
        A `probe_positions` over `layer` and `position` (the first of each bin): `accuracy`, or of numbers `r2`, and
        `control_shuffled` with intervals, `control_majority`, or of numbers `control_mean`, `n_at_position`, and `p`,
        `p_corrected` and `q_fdr`.

    Raises:
        InputError: lengths that do not fit, no bins, one position, a class in too few groups at a position, or a probe
            that does not converge.
    """
    plan = plan or SweepPlan()
    workers = plan.threads(data.n_layers)
    reader = reader_of(data.labels, probe, max_bytes=plan.max_bytes // workers, seed=plan.seed)
    portions = by_position(data.labels, data.groups, positions, plan)
    numbers = sweep_cells(
        lambda layer: data.X[data.layers.index(layer)],
        data.layers,
        list(portions.values()),
        reader,
        data.groups,
        workers=workers,
        seed=plan.seed,
    )
    variables: dict[str, Any] = {name: (("layer", "position"), values) for name, values in numbers.items()}
    variables["n_at_position"] = ("position", np.array([len(each.rows) for each in portions.values()]))
    return Result(
        kind="probe_positions",
        data=xr.Dataset(variables, {"layer": list(data.layers), "position": list(portions)}),
        unit=reader.unit,
        sign=reader.sign,
        method=_METHOD.format(reader=reader.method[0].lower() + reader.method[1:], folds=plan.in_words),
        provenance=provenance,
        notes={
            "control": plan.control + FLOORS[reader.floor],
            "n_samples": len(positions),
            "n_groups": len(np.unique(data.groups)),
        },
    )
