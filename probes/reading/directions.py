"""Where probes read: how alike the directions of different layers are, and samples seen along one of them."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from jaxtyping import Float
from sklearn.base import clone
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from interp.errors import InputError
from interp.results import Provenance, Result
from probes.estimators.linear import LinearClassifier, LogisticProbe
from probes.reading.controls import shuffled_labels
from probes.samples.data import LabelledActivations, Labels
from probes.samples.split import group_folds

N_HALVINGS = 5

_METHOD = (
    "In each of {n} halvings of the groups, the probe is fitted at every layer to either half; a cell is the cosine "
    "of one layer's direction from one half with the other layer's from the other half, both ways. On the diagonal it "
    "says how well a direction is known at all: no other cell can be expected to exceed it. Low and high: the smallest "
    "and largest halving. The stream is shared, so directions of layers can be compared; a high cosine says that both "
    "probes read along one line, not that the model does."
)
_CONTROL = "shuffled: the same cosines of probes fitted to labels permuted between groups"
_PROJECTED = (
    "Each sample's activation along the probe's unit direction, in units of the activations, its mean taken off. The "
    "probe was fitted to the groups held in; only samples of the groups held out are shown."
)


def probe_directions(
    data: LabelledActivations,
    provenance: Provenance,
    *,
    probe: LinearClassifier | None = None,
    label: object = None,
    n_halvings: int = N_HALVINGS,
    seed: int = 0,
) -> Result:
    """Measure how alike the directions are along which a probe reads a class at different layers.

    Args:
        data: Activations of one residual stream, with labels and groups.
        provenance: Where the activations come from.
        probe: A linear classifier; logistic regression by default.
        label: The class whose direction is meant; not needed with two.
        n_halvings: Random halvings of the groups.
        seed: Decides halvings and permutations.

    Returns:
        A `probe_directions` over `layer` and `other_layer`: `cosine` beside `control_shuffled`, each with the smallest
        and largest halving as `_low` and `_high`. Positive: both raise the class when an activation moves one way.

    Raises:
        InputError: no halving, too few groups of a class, several classes and no label, or a probe that does not
            converge.
    """
    if n_halvings < 1:
        raise InputError(f"{n_halvings} halvings say nothing. Expected at least 1.")
    probe, found = probe or LogisticProbe(), np.empty((2, n_halvings, data.n_layers, data.n_layers))
    # Fits this small are slower on several threads, and a hundred times slower where the cores are shared.
    with threadpool_limits(1), tqdm(total=n_halvings, desc="directions", unit="halving", leave=False, delay=2) as bar:
        for number in range(n_halvings):
            turned = shuffled_labels(data.labels, data.groups, seed=seed + number)
            for which, labels in enumerate((data.labels, turned)):
                found[which, number] = _cosines(data, labels, probe, label, seed + number)
            bar.update()
    dims = ("layer", "other_layer")
    variables = {
        f"{name}{end}": (dims, of(found[which], 0))
        for which, name in enumerate(("cosine", "control_shuffled"))
        for end, of in (("", np.mean), ("_low", np.min), ("_high", np.max))
    }
    return Result(
        kind="probe_directions",
        data=xr.Dataset(variables, {"layer": list(data.layers), "other_layer": list(data.layers)}),
        unit="cosine of two directions",
        sign="Positive: both probes read the class along the same line, the same way round.",
        method=_METHOD.format(n=n_halvings),
        provenance=provenance,
        notes={"control": _CONTROL, "n_samples": len(data.labels), "n_groups": len(np.unique(data.groups))},
    )


def _cosines(
    data: LabelledActivations, labels: Labels, probe: LinearClassifier, label: object, seed: int
) -> Float[np.ndarray, "layer layer"]:
    halves = group_folds(labels, data.groups, n_splits=2, seed=seed)
    one, other = (
        np.stack([clone(probe).fit(X[half.test].astype(float), labels[half.test]).direction(label) for X in data.X])
        for half in halves
    )
    return (one @ other.T + other @ one.T) / 2


def project_samples(
    data: LabelledActivations,
    contexts: Sequence[str],
    provenance: Provenance,
    *,
    layer: int,
    probe: LinearClassifier | None = None,
    label: object = None,
    seed: int = 0,
) -> Result:
    """Lay samples along a probe's direction, each with its text, so that one can see what the probe calls alike.

    Args:
        data: Activations with labels and groups.
        contexts: What to show for each sample, such as its token in its sentence.
        provenance: Where the activations come from.
        layer: Number of the layer.
        probe: A linear classifier; logistic regression by default.
        label: The class whose direction is meant; not needed with two.
        seed: Decides which half of the groups is held in, and the random direction.

    Returns:
        A `projections` over `sample`, the samples held out: `projection`, `control_random` (along a random direction),
        `class` and `context`. Positive: more like the class.

    Raises:
        InputError: lengths that do not fit, a layer that is not there, too few groups of a class, several classes and
            no label, or a probe that does not converge.
    """
    if len(contexts) != len(data.labels):
        raise InputError(f"{len(contexts)} contexts for {len(data.labels)} samples. Give one for each.")
    if layer not in data.layers:
        raise InputError(f"There is no layer {layer} among {list(data.layers)}. Give one of them.")
    X, fold = (
        data.X[data.layers.index(layer)].astype(float),
        group_folds(data.labels, data.groups, n_splits=2, seed=seed)[0],
    )
    with threadpool_limits(1):
        direction = clone(probe or LogisticProbe()).fit(X[fold.train], data.labels[fold.train]).direction(label)
    beside = np.random.default_rng(seed).normal(size=X.shape[1])
    centred = X[fold.test] - X[fold.train].mean(0)
    variables = {
        "projection": ("sample", centred @ direction),
        "control_random": ("sample", centred @ beside / np.linalg.norm(beside)),
        "class": ("sample", data.labels[fold.test].astype(str)),
        "context": ("sample", np.array([contexts[row] for row in fold.test], dtype=str)),
    }
    return Result(
        kind="projections",
        data=xr.Dataset(variables, {"sample": fold.test}),
        unit="length along the direction",
        sign="Positive: more like the class that the probe's direction speaks for.",
        method=_PROJECTED,
        provenance=provenance,
        notes={
            "control": "the same samples along one random direction",
            "n_samples": len(fold.test),
            "layer": layer,
            "label": str(label if label is not None else np.unique(data.labels)[-1]),
        },
    )
