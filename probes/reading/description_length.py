"""Description length: how many bits the labels cost somebody who has the activations and learns as they come."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from scipy.special import logsumexp, softmax
from sklearn.base import clone
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from interp.errors import InputError
from interp.results import Provenance, Result
from interp.statistics import bootstrap_interval
from probes.reading.by_layer import as_variables, notes_on
from probes.reading.controls import shuffled_labels
from probes.reading.held_out import Classifier, predict_fold, require_classes
from probes.reading.intervals import measure_over_groups
from probes.samples.data import Groups, LabelledActivations, Labels, Rows
from probes.samples.split import Fold

PORTIONS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.0625, 0.125, 0.25, 0.5, 1.0)
"""Share of the samples that is known after each portion, as in Voita & Titov 2020."""
STRENGTHS = tuple(10.0**power for power in range(-4, 3))
"""Values of C to choose among, from the strongest penalty to the weakest."""
_SHARES = ", ".join(f"{100 * share:g} %" for share in PORTIONS)
PSEUDOCOUNT = 0.5
"""Groups of each class that count as seen, so that no label costs infinitely much (Krichevsky & Trofimov 1981)."""
N_ORDERS = 5
_STREAM = 1
TRUE, SHUFFLED = "", "control_shuffled_"

_METHOD = (
    "Online (prequential) code of Voita & Titov 2020. Samples come group by group in random order ({n_orders} orders); "
    "the first portion costs log2 K bits a label, each further one -log2 p of its true labels under a probe fitted to "
    "all portions before (ends at {portions} of the samples, moved to the nearest end of a group). Probabilities are "
    "smoothed by {pseudocount} groups of each class; where the past holds one class only, the code is uniform. "
    "{n_candidates} settings are mixed, each weighted by how short its code of all labels before is. Compression is "
    "N log2 K / bits. Its interval: 95 % bootstrap over groups and orders, without fitting anew; that of bits: over "
    "orders. A short code shows that the label is easy to learn from the activations, not that the model uses it."
)
_CONTROL = "shuffled: the same code of labels permuted between groups, anew for each order"


@dataclass(frozen=True)
class CodeLength:
    """The online code of one order of the samples."""

    bits: Float[np.ndarray, " sample"]
    """What each sample's label costs, in the samples' own order."""
    ends: Int[np.ndarray, " portion"]
    """Number of samples known after each portion; an empty portion ends where the one before does."""
    portion_bits: Float[np.ndarray, " portion"]
    weights: Float[np.ndarray, "portion candidate"]
    """Share of each candidate in the mixture where a portion begins; they follow from the labels before it."""
    n_classes: int

    @property
    def total_bits(self) -> float:
        """Length of the whole code."""
        return float(self.bits.sum())

    @property
    def compression(self) -> float:
        """How many times shorter the code is than one that knows nothing but the number of classes."""
        return float(self.compression_of(np.ones((1, len(self.bits))))[0])

    def compression_of(self, weights: Float[np.ndarray, "draw sample"]) -> Float[np.ndarray, " draw"]:
        """Compute the compression where samples count so often each: a measure, for intervals over groups."""
        return weights.sum(1) * np.log2(self.n_classes) / (weights @ self.bits)


def code_length(
    X: Float[np.ndarray, "sample d_model"],
    labels: Labels,
    groups: Groups,
    candidates: Sequence[Classifier],
    *,
    pseudocount: float = PSEUDOCOUNT,
    seed: int = 0,
) -> CodeLength:
    """Compute the online code of labels given activations, in one random order of the groups.

    Several candidates are mixed: each label is coded with the mean of their probabilities, weighted by how probable
    each made the labels before it. Whoever decodes knows those too, so the choice costs nothing beforehand and sees no
    label before it is paid for. The code is at most log2 of their number longer (in bits) than that of the candidate
    that turns out best. Fewer bits: easier to learn, with fewer samples.

    Args:
        X: Activations of one layer.
        labels: Class of each sample.
        groups: Group of each sample; a group is never split between what is known and what is coded.
        candidates: Classifiers to choose among; one alone is the code of the paper.
        pseudocount: Groups of each class that count as seen beside those fitted to (not samples: those of one group
            are alike); 0 is the code of the paper, which is infinite where a class comes that was not seen before.
        seed: Decides the order.

    Raises:
        InputError: no candidate, one class, an infinite code, or a candidate that cannot be fitted.

    Source: Voita & Titov 2020, Information-Theoretic Probing with Minimum Description Length, sec. 2.2.2
    (arXiv:2003.12298); the mixture: Dawid 1984, Prequential Analysis (doi:10.2307/2981683).
    """
    classes = np.unique(labels)
    if not candidates or len(classes) < 2:
        raise InputError(f"{len(candidates)} candidates and {len(classes)} classes. Expected at least one and two.")
    order, ends = _order(groups, seed)
    bits = np.full(len(labels), np.log2(len(classes)))
    weights = np.full((len(ends), len(candidates)), 1 / len(candidates))
    past = np.zeros(len(candidates))
    for number, (start, stop) in enumerate(pairwise(ends), 1):
        weights[number] = softmax(past)
        if start == stop:
            continue
        fold = Fold(order[:start], order[start:stop])
        truth = np.searchsorted(classes, labels[fold.test])
        smooth = pseudocount * start / len(np.unique(groups[fold.train]))
        given = [
            predict_fold(each, X, labels, fold, classes, pseudocount=smooth)[np.arange(len(truth)), truth]
            for each in candidates
        ]
        bits[fold.test], past = _mixed_bits(np.stack(given, 1), past)
    if not np.isfinite(bits).all():
        raise InputError(
            f"The code is infinite: {int(np.isinf(bits).sum())} labels were given probability 0. "
            f"Expected a pseudocount above 0, such as {PSEUDOCOUNT}."
        )
    portion_bits = np.diff(bits[order].cumsum()[ends - 1], prepend=0)
    return CodeLength(bits, ends, portion_bits, weights, len(classes))


def strengths(estimator: Classifier, values: Sequence[float] = STRENGTHS) -> list[Classifier]:
    """Copy a classifier with each of several values of its C; one that has no C is its own only candidate."""
    if not (names := [name for name in estimator.get_params() if name == "C" or name.endswith("__C")]):
        return [estimator]
    copy: Any = clone
    return [copy(estimator).set_params(**{names[0]: value}) for value in sorted(values)]


def description_length(
    data: LabelledActivations,
    estimator: Classifier,
    provenance: Provenance,
    *,
    n_orders: int = N_ORDERS,
    seed: int = 0,
) -> Result:
    """Measure by layer how short the labels can be coded given the activations.

    Joins how well a label can be read off with how many samples that takes. Only the distance to the control speaks
    for the layer: shuffled labels are compressed too where some classes are frequent.

    Args:
        data: Activations with labels and groups.
        estimator: Classifier, mixed over C from 1e-4 to 1e2 where it has a C.
        provenance: Where the activations come from.
        n_orders: Random orders of the groups, at least 2.
        seed: Decides orders, permutations and resamples.

    Returns:
        By layer `compression` beside `control_shuffled_compression` (1: as long as knowing nothing; larger: shorter),
        and by layer and portion `bits` beside `control_shuffled_bits`, means over orders; `n_samples` of each portion.

    Raises:
        InputError: fewer than 2 orders, labels that cannot be permuted, or a probe that does not converge.
    """
    require_classes(data)
    if n_orders < 2:
        raise InputError(f"{n_orders} order has no spread. Expected at least 2.")
    candidates = strengths(estimator)
    codes = codes_by_layer(data, candidates, n_orders=n_orders, seed=seed)
    variables = compression_variables(codes, data.groups, seed=seed)
    for name, found in codes.items():
        bits = np.stack([[code.portion_bits for code in layer] for layer in found], 1)
        low, high = bootstrap_interval(bits, seed=seed)
        for tail, values in (("", bits.mean(0)), ("_low", low), ("_high", high)):
            variables[f"{name}bits{tail}"] = (("layer", "portion"), values)
    sizes = np.mean([np.diff(code.ends, prepend=0) for code in codes[TRUE][0]], 0)
    variables["n_samples"] = ("portion", sizes)
    return Result(
        kind="description_length",
        data=xr.Dataset(variables, {"layer": list(data.layers), "portion": list(PORTIONS)}),
        unit="compression (times shorter than a uniform code)",
        sign="A larger compression means a shorter code: labels that are easier to learn.",
        method=_METHOD.format(
            n_orders=n_orders, portions=_SHARES, pseudocount=PSEUDOCOUNT, n_candidates=len(candidates)
        ),
        provenance=provenance,
        notes=notes_on(data, _CONTROL)
        | {"uniform_bits": len(data.labels) * float(np.log2(codes[TRUE][0][0].n_classes))},
    )


def codes_by_layer(
    data: LabelledActivations, candidates: Sequence[Classifier], *, n_orders: int, seed: int
) -> dict[str, list[list[CodeLength]]]:
    """Code true and shuffled labels, for each layer and order; by what their variables' names begin with."""
    turned = [shuffled_labels(data.labels, data.groups, seed=seed + number) for number in range(n_orders)]
    found: dict[str, list[list[CodeLength]]] = {TRUE: [], SHUFFLED: []}
    # Fits this small are slower on several threads, and a hundred times slower where the cores are shared.
    with threadpool_limits(1), tqdm(total=data.n_layers, desc="code", unit="layer", leave=False, delay=2) as bar:
        for X in data.X:
            wide = X.astype(np.float64)
            for name, runs in ((TRUE, [data.labels] * n_orders), (SHUFFLED, turned)):
                found[name].append(
                    [code_length(wide, each, data.groups, candidates, seed=seed + k) for k, each in enumerate(runs)]
                )
            bar.update()
    return found


def compression_variables(
    codes: dict[str, list[list[CodeLength]]], groups: Groups, *, seed: int = 0
) -> dict[str, tuple[Any, np.ndarray]]:
    """Mean compression over orders by layer, with 95 % bootstrap intervals over groups of one order's."""
    variables: dict[str, tuple[Any, np.ndarray]] = {}
    for name, layers in codes.items():
        measures = [[code.compression_of for code in orders] for orders in layers]
        estimates = [measure_over_groups(each, groups, seed=seed) for each in measures]
        variables |= as_variables(f"{name}compression", estimates)
    return variables


def _order(groups: Groups, seed: int) -> tuple[Rows, Rows]:
    """Samples in the order of their shuffled groups, and where portions end: never inside a group."""
    names, member = np.unique(groups, return_inverse=True)
    # A stream of its own: with that of shuffled_labels, the order would sort the labels that it permuted.
    rng = np.random.default_rng([seed, _STREAM])
    place = rng.permutation(len(names))[member]
    order = np.lexsort((rng.permutation(len(groups)), place))
    whole = np.bincount(place).cumsum()
    nearest = np.abs(whole - len(groups) * np.array(PORTIONS)[:, None]).argmin(1)
    return order, whole[nearest]


def _mixed_bits(
    given: Float[np.ndarray, "sample candidate"], past: Float[np.ndarray, " candidate"]
) -> tuple[Float[np.ndarray, " sample"], Float[np.ndarray, " candidate"]]:
    """Bits of each label under the mixture, and the candidates' log-likelihoods (nats) of all labels so far."""
    with np.errstate(divide="ignore"):
        total = past + np.log(given).cumsum(0)
    # The mixture's probability of the labels up to each; a label costs what it takes off that.
    whole = np.r_[logsumexp(past), logsumexp(total, axis=1)]
    if np.isinf(whole[-1]):
        return np.full(len(given), np.inf), past
    return -np.diff(whole) / np.log(2), total[-1]
