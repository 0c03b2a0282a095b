"""Do methods find the same neurons, do languages share them, and at what depth do they lie?"""

from dataclasses import replace

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float
from scipy import stats

from interp.errors import ResultError
from interp.results import RAN, Result

_SMALLER_IS_BETTER = ("lape",)
_METHOD_AGREEMENT = (
    "overlap: neuron and language pairs that both methods find, as a share of the smaller set; jaccard: of either. "
    "Chance: as many pairs in every layer and language, drawn at random. Interval: 95 %, Wilson, pairs taken for "
    "independent. rank_correlation: Spearman's, over neurons, of each neuron's best score for any language, with the "
    "sign turned where smaller is better; control_rank_correlation: of the scores under shuffled labels; "
    "reliability: of one method in one half of the documents with itself in the other, above which two methods cannot "
    "be expected to agree. Methods that read the same activations on the same texts agree for that reason, too: "
    "agreement is not evidence that what they find is right."
)
_LANGUAGE_OVERLAP = (
    "overlap: neurons found for both languages, as a share of the smaller set; jaccard: of either. Chance: as many "
    "neurons in every layer, drawn at random. Interval: 95 %, Wilson, neurons taken for independent. Scores set one "
    "language against all others, so that sharing a neuron with one lowers its score for the other: low overlap is "
    "not evidence that languages share nothing."
)
_DEPTH = (
    "Neurons found in each layer, for each language and method, as a share of the layer's neurons. Interval: 95 %, "
    "Wilson, neurons taken for independent. Where neurons lie that tell languages apart is not evidence of where the "
    "model decides which one to speak."
)


def method_agreement(result: Result) -> Result:
    """Compare the methods of a table of language neurons, pair by pair.

    Args:
        result: What `language_neurons` returned.

    Returns:
        Kind `neuron_agreement`, over method and other; pairs with an empty set are marked as not run.

    Raises:
        ResultError: another kind of result.
    """
    _check(result)
    found = _of(result, "found").transpose("method", "layer", "language", "neuron").values
    overlap, jaccard, chance, low, high, ran = _overlaps(found)
    dims = ("method", "other")
    names = result.data["method"].values
    best, shuffled = (_best(_of(result, name)) for name in ("score", "control"))
    first, second = (_best(half) for half in _of(result, "score_in_half"))
    reliability = np.diag(_spearman_matrix(np.concatenate([first, second]))[: len(names), len(names) :])
    data = xr.Dataset(
        {
            "overlap": (dims, overlap),
            "overlap_low": (dims, low),
            "overlap_high": (dims, high),
            "control": (dims, chance),
            "jaccard": (dims, jaccard),
            "rank_correlation": (dims, _spearman_matrix(best)),
            "control_rank_correlation": (dims, _spearman_matrix(shuffled)),
            "reliability": (dims[:1], reliability),
            "n_found": (dims[:1], found.sum((1, 2, 3))),
            RAN: (dims, ran),
        },
        {"method": names, "other": names},
    )
    return _derived(result, "neuron_agreement", data, "share of the smaller set", _METHOD_AGREEMENT)


def language_overlap(result: Result) -> Result:
    """Compare the languages of a table of language neurons, pair by pair, for each method.

    Args:
        result: What `language_neurons` returned.

    Returns:
        Kind `neuron_overlap`, over method, language and other; pairs with an empty set are marked as not run.

    Raises:
        ResultError: another kind of result.
    """
    _check(result)
    found = _of(result, "found").transpose("method", "language", "layer", "neuron").values
    each = [_overlaps(one[:, :, None]) for one in found]
    overlap, jaccard, chance, low, high, ran = (np.stack(arrays) for arrays in zip(*each, strict=True))
    dims = ("method", "language", "other")
    languages = result.data["language"].values
    data = xr.Dataset(
        {
            "overlap": (dims, overlap),
            "overlap_low": (dims, low),
            "overlap_high": (dims, high),
            "control": (dims, chance),
            "jaccard": (dims, jaccard),
            "n_found": (dims[:2], found.sum((2, 3))),
            RAN: (dims, ran),
        },
        {"method": result.data["method"].values, "language": languages, "other": languages},
    )
    return _derived(result, "neuron_overlap", data, "share of the smaller set", _LANGUAGE_OVERLAP)


def depth_profile(result: Result) -> Result:
    """Count the neurons that each method finds for each language, layer by layer.

    Args:
        result: What `language_neurons` returned.

    Returns:
        Kind `neuron_depth`, over method, layer and language; its control is the mean over shuffled labels.

    Raises:
        ResultError: another kind of result.
    """
    _check(result)
    dims, n_neurons = ("method", "layer", "language"), result.data.sizes["neuron"]
    counts = _of(result, "found").sum("neuron").transpose(*dims).values
    low, high = _wilson(counts, np.full(counts.shape, n_neurons))
    data = xr.Dataset(
        {
            "share": (dims, counts / n_neurons),
            "share_low": (dims, low),
            "share_high": (dims, high),
            "control": (dims, result.data["control_found_by_layer"].transpose(*dims).values / n_neurons),
            "n_found": (dims, counts),
        },
        {dim: result.data[dim].values for dim in dims},
    )
    made = _derived(result, "neuron_depth", data, "share of the layer's neurons", _DEPTH)
    words = f"the same with shuffled labels, mean of {result.data.sizes['shuffle']} shuffles"
    return replace(made, notes=made.notes | {"control": words, "neurons_per_layer": n_neurons})


def _check(result: Result) -> None:
    if result.kind != "language_neurons":
        raise ResultError(f"A {result.kind!r} result has no language neurons. Expected what language_neurons returns.")


def _of(result: Result, name: str) -> xr.DataArray:
    return result.data[name]


def _derived(result: Result, kind: str, data: xr.Dataset, unit: str, method: str) -> Result:
    kept = {name: result.notes[name] for name in ("n_samples", "n_groups", "alpha")}
    return replace(
        result,
        kind=kind,
        data=data,
        unit=unit,
        sign="Larger: more of them",
        method=f"{method} Found: {result.method}",
        baselines={},
        notes=kept | {"control": "what random neurons would give, as many in every layer"},
    )


def _overlaps(found: Bool[np.ndarray, "one layer group neuron"]) -> tuple[np.ndarray, ...]:
    """Overlap, Jaccard, overlap by chance, the interval, and whether both sets have members, for each pair."""
    flat = found.reshape(len(found), -1).astype(np.int64)
    both, sizes = flat @ flat.T, flat.sum(1)
    smaller = np.minimum.outer(sizes, sizes)
    ran = smaller > 0
    cells = found.sum(-1).reshape(len(found), -1).astype(float)
    expected = cells @ cells.T / found.shape[-1]

    def share(of: np.ndarray, among: np.ndarray) -> np.ndarray:
        return np.divide(of, among, out=np.full(ran.shape, np.nan), where=ran)

    low, high = _wilson(both, np.maximum(smaller, 1))
    either = np.add.outer(sizes, sizes) - both
    gaps = (np.where(ran, end, np.nan) for end in (low, high))
    return share(both, smaller), share(both, either), share(expected, smaller), *gaps, ran


def _wilson(hits: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95 % interval of a share."""
    z = stats.norm.ppf(0.975)
    middle = (hits + z**2 / 2) / (n + z**2)
    reach = z / (n + z**2) * np.sqrt(hits * (n - hits) / n + z**2 / 4)
    return middle - reach, middle + reach


def _best(score: xr.DataArray) -> Float[np.ndarray, "method cell"]:
    """Each neuron's best score for any language, the larger the better."""
    turned = score * xr.where(score["method"].isin(_SMALLER_IS_BETTER), -1, 1)
    return turned.max("language").transpose("method", "layer", "neuron").values.reshape(score.sizes["method"], -1)


def _spearman_matrix(rows: Float[np.ndarray, "one cell"]) -> Float[np.ndarray, "one one"]:
    """Correlation of ranks; 0 with a row that never varies."""
    ranks = stats.rankdata(rows, axis=1)
    ranks = ranks - ranks.mean(1, keepdims=True)
    length = np.linalg.norm(ranks, axis=1)
    unit = ranks / np.where(length > 0, length, 1)[:, None]
    return unit @ unit.T
