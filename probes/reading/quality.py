"""How well and how simply a label is read, by layer: every measure beside its control, in one result."""

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from interp.errors import InputError
from interp.results import Provenance, Result
from interp.statistics import sign_flips
from probes.reading.by_layer import notes_on
from probes.reading.calibration import calibrated_error
from probes.reading.control_task import CONTROL, TokenIds, plan_controls, selectivity_variables
from probes.reading.controls import shuffled_labels
from probes.reading.description_length import codes_by_layer, compression_variables, strengths
from probes.reading.held_out import Classifier, Predictions, predict_held_out, predict_prior, require_classes
from probes.reading.measures import CLASSIFICATION, ENDS, classification_measures
from probes.samples.data import LabelledActivations, Labels
from probes.samples.split import group_folds

N_SHUFFLES = 3
"""Permutations of the labels between groups."""

_METHOD = (
    "A classifier is fitted to the activations of each layer in {n_splits} folds split by group; each sample is "
    "predicted once. Measures are of the held-out probabilities. Compression is that of the online code (Voita & "
    "Titov 2020; {n_orders} orders of the groups, C mixed by the past). Selectivity is accuracy minus that of control "
    "tasks (Hewitt & Liang 2019), on samples whose word type was seen. Intervals: 95 % bootstrap over groups, without "
    "fitting anew. p is two-sided, that no more or fewer samples are right than by the majority's answer, by flipping "
    "signs of groups; p_corrected over layers (below the majority it is no sign that the label is encoded, however "
    "small). Numbers of a label that is read well and simply say that it is encoded, not that the model uses it."
)
_CONTROL = (
    "shuffled: the same on labels permuted between groups ({n_shuffles} permutations, the interval is of one; "
    "{n_orders} for the code); majority: the share of each class, known beforehand, for every sample; "
    "calibrated ECE: the mean, and as _high the 95 % end, of the error if the probabilities were true"
)


def probe_quality(
    data: LabelledActivations,
    estimator: Classifier,
    token_ids: TokenIds | None,
    provenance: Provenance,
    *,
    n_splits: int = 5,
    n_orders: int = 3,
    seed: int = 0,
) -> Result:
    """Measure by layer how well a label is read, how simply, and how much of that is words known by heart.

    Args:
        data: Activations with labels and groups.
        estimator: Any scikit-learn classifier with probabilities; for the code it is mixed over its C.
        token_ids: Word type of each sample, for the control task; None leaves selectivity out, as where all samples
            are the same word.
        provenance: Where the activations come from.
        n_splits: Folds, split by group.
        n_orders: Orders of the groups for the code, at least 1.
        seed: Decides folds, permutations, orders, control tasks and resamples.

    Returns:
        By layer: every measure of `probes.reading.measures.CLASSIFICATION` beside `control_shuffled_` and
        `control_majority_` of the same name; `compression` and `selectivity` beside their controls; `p` and
        `p_corrected`. Accuracies, F1, AUROC, compression and selectivity: larger is better. Log-loss, Brier score and
        ECE: smaller is better.

    Raises:
        InputError: no order, too few groups of a class, no word type that comes back, or a probe that does not
            converge.
    """
    require_classes(data)
    if n_orders < 1:
        raise InputError(f"{n_orders} orders leave no code to measure. Expected at least 1.")
    plan = None
    if token_ids is not None:
        plan = plan_controls(data, token_ids, split="group", n_splits=n_splits, seed=seed)
    true, shuffled = _predictions(data, estimator, n_splits, seed)
    variables = _measured(data, true, shuffled, seed) | _tested(data, true, seed)
    codes = codes_by_layer(data, strengths(estimator), n_orders=n_orders, seed=seed)
    variables |= compression_variables(codes, data.groups, seed=seed)
    notes = notes_on(data, _CONTROL.format(n_shuffles=N_SHUFFLES, n_orders=n_orders))
    if plan is not None and token_ids is not None:
        variables |= selectivity_variables(data, estimator, plan, seed=seed)
        notes |= plan.counts(token_ids) | {"control": f"{notes['control']}; {CONTROL}"}
    return Result(
        kind="probe_quality",
        data=xr.Dataset(variables, {"layer": list(data.layers)}),
        unit="accuracy (share of held-out samples)",
        sign="A larger number means that more held-out samples are predicted right.",
        method=_METHOD.format(n_splits=n_splits, n_orders=n_orders),
        provenance=provenance,
        notes=notes,
    )


def _predictions(
    data: LabelledActivations, estimator: Classifier, n_splits: int, seed: int
) -> tuple[list[Predictions], list[list[Predictions]]]:
    """Held-out predictions by layer, of the labels and of each permutation of them."""
    turned = [shuffled_labels(data.labels, data.groups, seed=seed + number) for number in range(N_SHUFFLES)]
    runs = [
        (labels, group_folds(labels, data.groups, n_splits=n_splits, seed=seed)) for labels in (data.labels, *turned)
    ]
    found = []
    # Fits this small are slower on several threads, and a hundred times slower where the cores are shared.
    with threadpool_limits(1), tqdm(total=data.n_layers, desc="probe", unit="layer", leave=False, delay=2) as bar:
        for X in data.X:
            wide = X.astype(np.float64)
            found.append([predict_held_out(estimator, wide, labels, folds) for labels, folds in runs])
            bar.update()
    return [layer[0] for layer in found], [layer[1:] for layer in found]


def _measured(
    data: LabelledActivations, true: list[Predictions], shuffled: list[list[Predictions]], seed: int
) -> dict[str, Any]:
    """Every measure by layer, beside those of shuffled labels, of the majority, and of true probabilities."""
    variables: dict[str, Any] = {}
    for name, layers in (("", [[each] for each in true]), ("control_shuffled_", shuffled)):
        found = xr.concat([classification_measures(runs, data.groups, seed=seed) for runs in layers], "layer")
        for measure in CLASSIFICATION:
            for end in ENDS:
                tail = "" if end == "value" else f"_{end}"
                variables[f"{name}{measure}{tail}"] = ("layer", found.sel(measure=measure, end=end).values)
    once = np.ones((1, len(data.labels)))
    prior = predict_prior(data.labels)
    for measure, make in CLASSIFICATION.items():
        variables[f"control_majority_{measure}"] = ("layer", np.full(data.n_layers, make(prior)(once)[0]))
    for name, binning in (("ece", "equal_width"), ("ece_adaptive", "equal_mass")):
        errors = np.array([calibrated_error(each, binning=binning, seed=seed) for each in true])
        variables |= {f"control_calibrated_{name}": ("layer", errors[:, 0])}
        variables |= {f"control_calibrated_{name}_high": ("layer", errors[:, 1])}
    return variables


def _tested(data: LabelledActivations, true: list[Predictions], seed: int) -> dict[str, Any]:
    """Whether more samples are right than by the majority's answer, with whole groups as the units."""
    _, member = np.unique(data.groups, return_inverse=True)
    majority = _is_majority(data.labels)
    above = [_by_group((each.answers == each.truth) - majority, member) for each in true]
    flips = sign_flips(np.stack(above, 1), seed=seed)
    return {"p": ("layer", flips.p), "p_corrected": ("layer", flips.p_corrected)}


def _is_majority(labels: Labels) -> Float[np.ndarray, " sample"]:
    classes, counts = np.unique(labels, return_counts=True)
    return (labels == classes[counts.argmax()]).astype(np.float64)


def _by_group(values: Float[np.ndarray, " sample"], member: np.ndarray) -> Float[np.ndarray, " group"]:
    return np.bincount(member, weights=values)
