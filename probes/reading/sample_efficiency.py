"""Sample efficiency: how many groups a probe must see before it reads a label."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from interp.errors import InputError
from interp.results import Provenance, Result
from probes.reading.by_layer import as_variables, notes_on
from probes.reading.controls import majority_accuracy, shuffled_labels
from probes.reading.held_out import Classifier, Predictions, predict_fold, require_classes
from probes.reading.intervals import Measure, measure_over_groups
from probes.reading.measures import accuracy, log_loss_nats
from probes.samples.data import Groups, LabelledActivations, Labels
from probes.samples.split import Fold, group_folds

FEWEST_GROUPS = 2
PSEUDOCOUNT = 0.5
"""Groups of each class that count as seen: keeps the log-loss finite where a class was not."""
_STREAM = 2
_GRID = ("layer", "n_groups")
_Curve = Sequence[Sequence[Predictions]]
"""Predictions of one layer, by number of groups and draw."""

_METHOD = (
    "In {n_splits} folds split by group, probes are fitted to the first groups of a random order of those to fit to "
    "({n_draws} draws, each with its own folds and order; log-spaced numbers), and each sample is predicted once in "
    "each draw. Probabilities are smoothed by {pseudocount} groups of each class; a class not yet seen is not "
    "answered. Intervals: 95 % bootstrap over groups and draws, without fitting anew. Area is the mean accuracy over "
    "the logarithm of the number of groups. A label that is read from few groups is plainly encoded; that is not "
    "evidence that the model uses it."
)
_CONTROL = (
    "shuffled: the same probes on labels permuted between groups, anew for each draw; "
    "majority: always answering the most frequent class"
)


def sample_efficiency(
    data: LabelledActivations,
    estimator: Classifier,
    provenance: Provenance,
    *,
    n_sizes: int = 8,
    n_draws: int = 5,
    n_splits: int = 5,
    seed: int = 0,
) -> Result:
    """Measure how accuracy and log-loss grow with the number of groups that a probe is fitted to.

    Args:
        data: Activations with labels and groups.
        estimator: Classifier; a copy is fitted for each layer, number, draw and fold.
        provenance: Where the activations come from.
        n_sizes: Numbers of groups to try, from 2 to all that a fold leaves; equal ones are tried once.
        n_draws: Random draws of folds and groups.
        n_splits: Folds, split by group.
        seed: Decides folds, draws, permutations and resamples.

    Returns:
        By layer and number of groups: `accuracy` and `log_loss_nats` beside `control_shuffled_...` of each, the mean
        over draws with the interval of one; `control_majority_accuracy`; by layer `area` beside its control;
        `n_samples`, the mean number of samples fitted to. Positive: more held-out samples right.

    Raises:
        InputError: no draw or number, too few groups of a class, or a probe that does not converge.
    """
    require_classes(data)
    if n_draws < 1 or n_sizes < 2:
        raise InputError(f"{n_draws} draws of {n_sizes} numbers of groups. Expected at least 1 of at least 2.")
    turned = [shuffled_labels(data.labels, data.groups, seed=seed + number) for number in range(n_draws)]
    conditions = {
        name: [_draw(labels, data.groups, n_splits, seed + number) for number, labels in enumerate(runs)]
        for name, runs in (("", [data.labels] * n_draws), ("control_shuffled_", turned))
    }
    sizes = _sizes([draw for draws in conditions.values() for draw in draws], n_sizes)
    variables: dict[str, Any] = {}
    # Fits this small are slower on several threads, and a hundred times slower where the cores are shared.
    with threadpool_limits(1):
        for name, draws in conditions.items():
            curves = []
            with tqdm(total=data.n_layers, desc=f"{name}curve", unit="layer", leave=False, delay=2) as bar:
                for X in data.X:
                    wide = X.astype(np.float64)
                    curves.append([[draw.predict(estimator, wide, size) for draw in draws] for size in sizes])
                    bar.update()
            variables |= _by_size(name, curves, data.groups, seed) | _areas(name, curves, sizes, data.groups, seed)
    shape = (data.n_layers, len(sizes))
    variables["control_majority_accuracy"] = (_GRID, np.full(shape, majority_accuracy(data.labels)))
    variables["n_samples"] = ("n_groups", np.array([_mean_samples(conditions[""], size) for size in sizes]))
    return Result(
        kind="sample_efficiency",
        data=xr.Dataset(variables, {"layer": list(data.layers), "n_groups": sizes}),
        unit="accuracy (share of held-out samples)",
        sign="A larger accuracy means that more held-out samples are predicted right.",
        method=_METHOD.format(n_splits=n_splits, n_draws=n_draws, pseudocount=PSEUDOCOUNT),
        provenance=provenance,
        notes=notes_on(data, _CONTROL),
    )


def groups_to_reach(result: Result, wanted: float) -> dict[int, float | None]:
    """Read off the number of groups from which on mean accuracy reaches a level, for each layer; None if it never does.

    The first crossing from below that is not undone at a larger number, between two numbers on the straight line over
    the logarithm. Fewer: more plainly encoded.

    Args:
        result: What `sample_efficiency` returned.
        wanted: Accuracy to reach, from 0 to 1.

    Raises:
        InputError: an accuracy outside 0 to 1.
    """
    if not 0 <= wanted <= 1:
        raise InputError(f"The accuracy to reach is {wanted}. Expected a share from 0 to 1.")
    sizes = result.data["n_groups"].values
    found: dict[int, float | None] = {}
    for layer in result.data["layer"].values.tolist():
        curve = result.data["accuracy"].sel(layer=layer).values
        below = np.flatnonzero(curve < wanted)
        if not len(below):
            found[layer] = float(sizes[0])
        elif (last := below[-1]) == len(curve) - 1:
            found[layer] = None
        else:
            found[layer] = float(np.exp(np.interp(wanted, curve[last : last + 2], np.log(sizes[last : last + 2]))))
    return found


@dataclass(frozen=True)
class _Draw:
    """Folds, and for each fold the order in which its groups are fitted to."""

    labels: Labels
    groups: Groups
    folds: list[Fold]
    orders: list[Groups]

    def subset(self, number: int, size: int) -> Fold:
        fold = self.folds[number]
        seen = np.isin(self.groups[fold.train], self.orders[number][:size])
        return Fold(fold.train[seen], fold.test)

    def predict(self, estimator: Classifier, X: Float[np.ndarray, "sample d_model"], size: int) -> Predictions:
        classes = np.unique(self.labels)
        probabilities = np.empty((len(self.labels), len(classes)))
        for number in range(len(self.folds)):
            fold = self.subset(number, size)
            smooth = PSEUDOCOUNT * len(fold.train) / size
            found = predict_fold(estimator, X, self.labels, fold, classes, pseudocount=smooth)
            probabilities[fold.test] = found
        return Predictions(probabilities, self.labels, classes)


def _draw(labels: Labels, groups: Groups, n_splits: int, seed: int) -> _Draw:
    # A stream of its own: that of shuffled_labels would order groups by the labels that it permuted.
    rng = np.random.default_rng([seed, _STREAM])
    folds = group_folds(labels, groups, n_splits=n_splits, seed=seed)
    return _Draw(labels, groups, folds, [rng.permutation(np.unique(groups[fold.train])) for fold in folds])


def _sizes(draws: Sequence[_Draw], n_sizes: int) -> list[int]:
    most = min(len(order) for draw in draws for order in draw.orders)
    return np.unique(np.geomspace(FEWEST_GROUPS, most, n_sizes).round().astype(int)).tolist()


def _mean_samples(draws: Sequence[_Draw], size: int) -> float:
    return float(np.mean([len(draw.subset(n, size).train) for draw in draws for n in range(len(draw.folds))]))


def _by_size(name: str, curves: Sequence[_Curve], groups: Groups, seed: int) -> dict[str, Any]:
    """Accuracy and log-loss by layer and number of groups, each with its interval."""
    variables: dict[str, Any] = {}
    for measure in (accuracy, log_loss_nats):
        found = [
            [measure_over_groups([measure(run) for run in runs], groups, seed=seed) for runs in curve]
            for curve in curves
        ]
        for tail, end in (("", "value"), ("_low", "low"), ("_high", "high")):
            values = np.array([[getattr(each, end) for each in row] for row in found])
            variables[f"{name}{measure.__name__}{tail}"] = (_GRID, values)
    return variables


def _areas(name: str, curves: Sequence[_Curve], sizes: Sequence[int], groups: Groups, seed: int) -> dict[str, Any]:
    """Mean accuracy over the logarithm of the number of groups, by layer."""
    steps = np.diff(np.log(sizes))
    shares = (np.r_[steps, 0] + np.r_[0, steps]) / (2 * steps.sum())

    def area(draw: int, curve: _Curve) -> Measure:
        right = np.stack([runs[draw].answers == runs[draw].truth for runs in curve])
        return lambda weights: weights @ (shares @ right) / weights.sum(1)

    found = [
        measure_over_groups([area(draw, curve) for draw in range(len(curve[0]))], groups, seed=seed) for curve in curves
    ]
    return as_variables(f"{name}area", found)
