"""Results of the search for switching units, made by hand: found, significant and silent units, a hostile name."""

import numpy as np
import xarray as xr

from interp.results import Result
from tests.interp.plots.synthetic import HOSTILE, provenance


def switching_units(kind: str = "switching_neurons", dim: str = "neuron") -> Result:
    score = np.array([[0.5, 0.7, 0.52], [0.3, 0.6, 0.5]])
    q = np.array([[0.9, 0.001, 0.5], [0.001, 0.01, 1.0]])
    found = np.array([[False, True, False], [True, False, False]])
    units = {
        "score": score,
        "score_low": score - 0.05,
        "score_high": score + 0.05,
        "control": 0.5 + (score - 0.5) / 10,
        "p": q / 10,
        "replication": score * 0.9 + 0.05,
        "q_fdr": q,
        "separate": found,
        "found": found,
        "before": np.full((2, 3), 0.5),
    }
    dims = ("layer", dim)
    data = xr.Dataset(
        {name: (dims, values) for name, values in units.items()}
        | {"factor_auroc": (("factor", *dims), np.full((2, 2, 3), 0.55))},
        {"layer": [0, 1], dim: [0, 1, 2], "factor": ["language", HOSTILE[1]]},
    )
    return Result(
        kind=kind,
        data=data,
        unit="AUROC",
        sign="Above 0.5 means more activation at switches",
        method="Switch tokens against matched ones.",
        provenance=provenance(),
        notes={
            "control": "shuffled labels",
            "n_samples": 40,
            "n_groups": 10,
            "n_significant": 3,
            "n_replicated": 3,
            "n_found": 2,
            "n_found_before": 0,
            "detectable_auroc": 0.57,
        },
    )


def switch_tests() -> Result:
    dims, shape = ("subject", "edit", "measure"), (2, 2, 2)
    effect = np.array([[[-0.2, 0.4], [-0.1, 0.05]], [[-0.02, 0.01], [np.nan, np.nan]]])
    ran = np.isfinite(effect)
    values = {
        f"{name}{end}": effect * size + np.where(ran, shift, np.nan)
        for name, size in (("effect", 1.0), ("control", 0.1), ("above_control", 0.9))
        for end, shift in (("", 0.0), ("_low", -0.01), ("_high", 0.02))
    }
    stands = np.zeros(shape, bool)
    stands[0, 0, 0] = True
    data = xr.Dataset(
        {name: (dims, of) for name, of in values.items()}
        | {"p": (dims, np.where(ran, 0.05, np.nan)), "ran": (dims, ran), "stands": (dims, stands)}
        | {"earned": ("subject", [True, False]), "plain": ("measure", [0.4, 4.2])}
        | {"unit": ("measure", np.array(["probability", "nats per token"], object))},
        {"subject": ["5 neurons", HOSTILE[1]], "edit": ["median", "drive"], "measure": ["new language", HOSTILE[12]]},
    )
    return Result(
        kind="switch_tests",
        data=data,
        unit="change against the unedited run",
        sign="Positive means more",
        method="Edits beside equal edits of random neurons.",
        provenance=provenance(),
        notes={"control": "random neurons", "n_samples": 40, "n_groups": 10, "decides": ["median", "new language"]},
    )


def switching_directions() -> Result:
    score = np.array([0.55, 0.9])
    values = {
        "score": score,
        "score_low": score - 0.04,
        "score_high": score + 0.04,
        "control": np.array([0.5, 0.52]),
        "control_farthest": np.array([0.56, 0.6]),
        "p": np.array([0.2, 0.001]),
        "q_fdr": np.array([0.2, 0.002]),
        "before": np.array([0.5, 0.51]),
    }
    data = xr.Dataset(
        {name: ("layer", of) for name, of in values.items()} | {"direction": (("layer", "d_model"), np.eye(2))},
        {"layer": [0, 1], "d_model": [0, 1]},
    )
    return Result(
        kind="switching_directions",
        data=data,
        unit="AUROC, held out",
        sign="Above 0.5 means that the direction tells switches",
        method="Directions made on one half.",
        provenance=provenance(),
        notes={"control": "exchanged labels", "n_samples": 40, "n_groups": 10, "detectable_auroc": 0.57},
    )


def switch_events() -> Result:
    offset = np.arange(-2, 3)
    value = np.array([[3.0, 3.0, 6.0, 4.0, 3.5], [np.nan, 0.1, 0.2, 0.7, 0.8]])
    ran, dims = np.isfinite(value), ("measure", "offset")
    sides = {"value": value, "control": np.where(ran, [[3.0], [0.8]], np.nan)}
    data = xr.Dataset(
        {
            f"{name}{end}": (dims, of + shift)
            for name, of in sides.items()
            for end, shift in (("", 0.0), ("_low", -0.1), ("_high", 0.2))
        }
        | {"n": (dims, np.full(value.shape, 30)), "ran": (dims, ran)}
        | {"unit": ("measure", np.array(["nats per word", "probability"], object))},
        {"measure": ["surprisal", HOSTILE[1]], "offset": offset},
    )
    return Result(
        kind="switch_events",
        data=data,
        unit="by measure",
        sign="Larger means more",
        method="Around a switch.",
        provenance=provenance(),
        notes={"control": "matched words", "n_samples": 30, "n_groups": 10, "neurons": ["L0N1"]},
    )
