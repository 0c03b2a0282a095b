"""One verdict for each site: can a label be read there, how simply, and does the model's answer follow it?"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from tqdm.auto import tqdm

from interp.results import Result
from interp.sites import Site
from interp.types import Model
from probes.estimators.linear import LogisticProbe
from probes.reading.by_layer import as_variables
from probes.reading.readable import Readable, Reading, some_samples
from probes.tasks.task import ProbeTask, capture_samples
from probes.use.about import call_of
from probes.use.answers import Answer
from probes.use.label_swap import N_RANDOM, check_swap, label_swap

MOST_SAMPLES = 2000
"""Samples that probes are fitted to and tested on; every sample is swapped."""
ABSENT, UNUSED, USED = "not decodable", "decodable, not used", "decodable and used"

_METHOD = (
    "Decodable: the held-out accuracy of logistic regression (C={C}, {n_splits} folds split by group, up to {most} "
    "samples) has its 95 % interval above the majority's accuracy and above the interval on labels shuffled between "
    "groups. Simple: besides, the compression of the online code of Voita & Titov 2020 by the same probe, which pays "
    "for learning, is above 1 and above that of shuffled labels. Used, if it is decodable: "
)


def probe_verdict(
    model: Model,
    task: ProbeTask,
    answer: Answer,
    sites: Sequence[Site],
    *,
    n_splits: int = 5,
    n_random: int = N_RANDOM,
    seed: int = 0,
) -> Result:
    """Say of each site whether a label can be read there, how simply, and whether the model's answer follows it.

    A label can be decodable and not used. One that this probe cannot read is never called used, though a model may use
    what is not linear. Used is about this answer, these positions and this site.

    Args:
        model: A hooked model.
        task: Labelled positions, at least one in each prompt.
        answer: What the model says, such as `metric_answer(task, prompts)`.
        sites: Residual streams, `attn_out`, `mlp_out`, or one head's `q`, `k`, `v`, `z`.
        n_splits: Folds, split by group.
        n_random: Draws of random directions beside each swap.
        seed: Decides samples, folds, permutations, orders, wrong labels and random directions.

    Returns:
        By site: `accuracy` beside `control_shuffled` and `control_majority`; `compression` beside
        `control_shuffled_compression`; what `label_swap` returns, with `used` False where the label is not decodable;
        `decodable`, `simple`, and `verdict` in words.

    Raises:
        InputError: no sites, sites that hold no vector for each position, too few groups of a class, or a probe that
            does not converge.
        SiteError: a site that the model lacks, or where an edit has no effect.

    Source: Ravichander, Belinkov & Hovy 2021 (arXiv:2005.00719) for why what is decodable need not be used; Voita &
    Titov 2020 (arXiv:2003.12298) for the code; `label_swap` for use.
    """
    check_swap(task, sites, n_random)
    probe, chosen = LogisticProbe(), some_samples(task.labels, task.groups, MOST_SAMPLES, n_splits, seed=seed)
    reading = Reading.of(task.labels[chosen], task.groups[chosen], probe, n_splits=n_splits, seed=seed)
    read = []
    with tqdm(total=len(sites), desc="read", unit="site", leave=False, delay=2) as bar:
        for site in sites:
            read.append(reading.read(capture_samples(model, task, [site])[0][chosen].astype(np.float64)))
            bar.update()
    swap = label_swap(model, task, answer, sites, n_random=n_random, seed=seed)
    data = _dataset(read, sites, swap.data)
    return replace(
        swap,
        kind="probe_verdict",
        data=data,
        method=_METHOD.format(C=probe.C, n_splits=n_splits, most=MOST_SAMPLES) + swap.method,
        provenance=replace(
            swap.provenance,
            call=call_of("probe_verdict", task, answer, sites, n_splits=n_splits, n_random=n_random, seed=seed),
        ),
        notes=swap.notes | {"n_read": len(chosen)},
    )


def _dataset(read: Sequence[Readable], sites: Sequence[Site], swap: xr.Dataset) -> xr.Dataset:
    variables: dict[str, Any] = {}
    for name in ("accuracy", "control_shuffled", "compression", "control_shuffled_compression"):
        found = as_variables(name, [getattr(each, name) for each in read])
        variables |= {variable: ("site", values) for variable, (_, values) in found.items()}
    variables["control_majority"] = ("site", np.array([each.majority for each in read]))
    decodable, simple = (np.array([getattr(each, name) for each in read]) for name in ("decodable", "simple"))
    used = swap["used"].values & decodable
    words = np.where(decodable, np.where(used, USED, UNUSED), ABSENT)
    variables |= {"decodable": ("site", decodable), "simple": ("site", simple), "verdict": ("site", words)}
    return swap.assign(used=("site", used)).merge(xr.Dataset(variables, {"site": [str(site) for site in sites]}))
