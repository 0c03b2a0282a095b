"""Probes of a task over layers, and over kinds of site and positions in one call, captured once."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from interp.errors import InputError
from interp.models import facts
from interp.results import Result
from interp.sites import OUTPUT_KINDS, RESIDUAL_KINDS, Site
from interp.types import Model
from probes.reading.by_layer import probe_by_layer
from probes.reading.cell_readers import LargeProbe
from probes.reading.measures_by_layer import probe_measures
from probes.reading.portions import SweepPlan
from probes.reading.shard_sweep import probe_shards
from probes.samples.labels import are_classes
from probes.tasks.captured import capture_labelled
from probes.tasks.shard_writer import capture_shards
from probes.tasks.task import ProbeTask, capture_samples

_CONTROL = "; random weights: the same probe on the same samples in the same architecture with random weights"


def probe_task(
    model: Model, control_model: Model, task: ProbeTask, *, site_kind: str = "resid_post", seed: int = 0
) -> Result:
    """Measure from which layer on the labels of a task can be read off linearly.

    Captures the labelled positions only, in both models, and fits one probe per layer: classes by `probe_by_layer`,
    numbers and several labels to a sample by `probe_measures`. For `resid_post`, what enters the first block stands
    first, as layer -1: it shows what the token itself gives away.

    Args:
        model: The model to probe.
        control_model: The same architecture with random weights.
        task: Labelled positions.
        site_kind: Which activation of each layer: a residual stream, `attn_out` or `mlp_out`.
        seed: Decides folds, permutations and resamples.

    Returns:
        Accuracy, or all measures of numbers or several labels, by layer with controls.

    Raises:
        InputError: a kind of site that is no vector per position, or anything `probe_by_layer` refuses.
        SiteError: a site that the model lacks.
        PromptError: prompts that do not fit the model.
    """
    got = capture_labelled(model, task, site_kind=site_kind)
    control = capture_samples(control_model, task, list(got.sites))
    made_by = replace(
        got.provenance, call=f"probe_task({task.what!r}, site_kind={site_kind!r}, seed={seed})", seed=seed
    )
    measure = probe_by_layer if are_classes(task.labels) else probe_measures
    result = measure(got.data, control, made_by, seed=seed)
    notes: dict[str, Any] = {
        "what": task.what,
        "sites": [str(site) for site in got.sites],
        "n_prompts": len(task.batch),
    }
    if task.label_names:
        shares = task.labels.mean(0).round(4).tolist()
        notes["label_shares"] = dict(zip(task.label_names, shares, strict=True))
    return replace(result, notes=result.notes | notes)


def probe_sites(
    model: Model,
    control_model: Model,
    task: ProbeTask,
    kinds: Sequence[str],
    *,
    plan: SweepPlan | None = None,
    probe: LargeProbe | None = None,
) -> Result:
    """Measure at every layer and kind of site how well the labels of a task can be read off linearly.

    Activations are captured once, into a temporary directory, so that neither they nor the number of sites need fit
    into memory. Only the distance to the highest control speaks for the trained weights.

    Args:
        model: The model to probe.
        control_model: The same architecture with random weights.
        task: Labelled positions.
        kinds: Residual streams, `attn_out`, `mlp_out`, each named once.
        plan: Folds, permutations, positions and workers.
        probe: Settings, as for `probe_shards`.

    Returns:
        A `probe_sweep` over `site` and `layer`, or with positions a `probe_grid` over `position`, too, as
        `probe_shards` gives them, with `control_random_weights` beside it.

    Raises:
        InputError: kinds that are no vector per position or come twice, or anything `probe_shards` refuses.
        SiteError: a site that the model lacks.
    """
    check_kinds(kinds)
    plan = plan or SweepPlan()
    sites = [Site(layer, kind) for kind in kinds for layer in range(facts(model).n_layers)]
    with TemporaryDirectory(prefix="interp-probe-") as directory:
        trained, untrained = (
            probe_shards(capture_shards(each, task, sites, Path(directory) / name), plan=plan, probe=probe)
            for name, each in (("model", model), ("random", control_model))
        )
    measure = "r2" if "r2" in trained.data else "accuracy"
    if np.array_equal(trained.data[measure], untrained.data[measure]):
        raise InputError("The control model reads exactly as the model does. Expected one with random weights.")
    ends = ("", "_low", "_high")
    random_weights = {f"control_random_weights{end}": untrained.data[f"{measure}{end}"] for end in ends}
    return replace(
        trained,
        data=trained.data.assign(random_weights),
        provenance=replace(trained.provenance, call=f"probe_sites({task.what!r}, {list(kinds)}, {plan}, {probe=})"),
        notes=trained.notes | {"what": task.what, "control": trained.notes["control"] + _CONTROL},
    )


def check_kinds(kinds: Sequence[str]) -> None:
    """Refuse kinds of site that cannot be probed, before anything is loaded.

    Raises:
        InputError: none, one twice, or one that is no vector per position.
    """
    known = RESIDUAL_KINDS + OUTPUT_KINDS
    if not kinds or len(set(kinds)) < len(kinds) or not set(kinds) <= set(known):
        raise InputError(f"Kinds of site {list(kinds)}. Expected some of {list(known)}, each once.")
