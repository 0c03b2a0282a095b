"""Language neurons as they are returned, of a language whose name is markup."""

from dataclasses import replace

import numpy as np
import xarray as xr

from interp.results import RAN, Result
from tests.interp.plots import synthetic

METHODS = ("lape", "average_precision", "average_precision_bottom", "mean_difference", "auroc")
LANGUAGES = ("en", "<b>fr</b>", "$de$")
_NOTES = {"n_samples": 90, "n_groups": 30, "alpha": 0.05}
_UNITS = {"unit": "share", "sign": "Larger: more of them", "notes": _NOTES}


def _result(kind: str, data: xr.Dataset) -> Result:
    return replace(synthetic.head_scores(), kind=kind, data=data, **_UNITS)


def language_neurons() -> Result:
    """Neurons 10 + language of layer 1 know a language by AUROC; neuron 5 of layer 0 knows the second by LAPE alone."""
    rng = np.random.default_rng(0)
    dims, shape = ("method", "layer", "neuron", "language"), (5, 2, 40, 3)
    score = rng.uniform(0.4, 0.6, shape)
    found = np.zeros(shape, bool)
    for language in range(3):
        score[1:, 1, 10 + language, language] = 0.9
        found[3:, 1, 10 + language, language] = True
    found[0, 0, 5, 1] = found[2, 0, 7, 0] = True
    data = xr.Dataset(
        {
            "score": (dims, score),
            "control": (dims, rng.uniform(0.4, 0.6, shape)),
            "q_fdr": (dims, np.where(found, 0.01, 0.9)),
            "found": (dims, found),
            "probability": (dims[1:], rng.random(shape[1:])),
            "control_found": (("method", "shuffle"), np.array([[0.0, 2.0]] * 5)),
        },
        {
            "method": list(METHODS),
            "layer": [0, 1],
            "neuron": np.arange(40),
            "language": list(LANGUAGES),
            "shuffle": [0, 1],
        },
    )
    return _result("language_neurons", data)


def neuron_depth() -> Result:
    dims = ("method", "layer", "language")
    count = np.arange(5 * 3 * 3).reshape(5, 3, 3)
    share = count / 50
    data = xr.Dataset(
        {
            "share": (dims, share),
            "share_low": (dims, share * 0.8),
            "share_high": (dims, share * 1.2 + 0.01),
            "control": (dims, share * 0.1),
            "n_found": (dims, count),
        },
        {"method": list(METHODS), "layer": [0, 1, 2], "language": list(LANGUAGES)},
    )
    return _result("neuron_depth", data)


def neuron_agreement() -> Result:
    dims, n = ("method", "other"), len(METHODS)
    overlap = np.full((n, n), 0.3) + 0.7 * np.eye(n)
    ran = np.ones((n, n), bool)
    ran[2] = ran[:, 2] = False
    overlap = np.where(ran, overlap, np.nan)
    data = xr.Dataset(
        {
            "overlap": (dims, overlap),
            "overlap_low": (dims, overlap * 0.9),
            "overlap_high": (dims, overlap),
            "control": (dims, overlap * 0.1),
            "jaccard": (dims, overlap * 0.5),
            "rank_correlation": (dims, np.eye(n) - 0.2),
            "control_rank_correlation": (dims, np.eye(n)),
            "reliability": ("method", np.linspace(0.5, 0.9, n)),
            "n_found": ("method", [5, 4, 0, 6, 7]),
            RAN: (dims, ran),
        },
        {"method": list(METHODS), "other": list(METHODS)},
    )
    return _result("neuron_agreement", data)


def neuron_overlap() -> Result:
    dims, shape = ("method", "language", "other"), (5, 3, 3)
    ran = np.ones(shape, bool)
    ran[1, 2] = ran[1, :, 2] = False
    overlap = np.where(ran, np.full(shape, 0.25) + 0.75 * np.eye(3), np.nan)
    data = xr.Dataset(
        {
            "overlap": (dims, overlap),
            "overlap_low": (dims, overlap * 0.9),
            "overlap_high": (dims, overlap),
            "control": (dims, overlap * 0.1),
            "jaccard": (dims, overlap * 0.5),
            "n_found": (dims[:2], np.arange(15).reshape(5, 3)),
            RAN: (dims, ran),
        },
        {"method": list(METHODS), "language": list(LANGUAGES), "other": list(LANGUAGES)},
    )
    return _result("neuron_overlap", data)


NEURON_MAKERS = {
    "language_neurons": language_neurons,
    "neuron_depth": neuron_depth,
    "neuron_agreement": neuron_agreement,
    "neuron_overlap": neuron_overlap,
}
