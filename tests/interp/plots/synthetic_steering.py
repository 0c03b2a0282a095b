"""Results of editing language neurons, made by hand: a language without neurons, one whose name is markup."""

import numpy as np
import xarray as xr

from interp.results import RAN, Result
from tests.interp.plots.synthetic import HOSTILE, provenance

LANGUAGES = ("en", HOSTILE[1], "de")
_ENDS = (("", 0.0), ("_low", -0.05), ("_high", 0.08))


def ablation_matrix() -> Result:
    dims = ("edited", "language")
    effect = np.array([[0.5, 0.1, 0.05], [np.nan] * 3, [0.02, -0.01, 0.3]])
    ran = np.isfinite(effect)
    sides = {"effect": effect, "control": effect / 10, "above_control": effect * 0.9}
    stands = np.array([[True, False, False], [False] * 3, [False, False, True]])
    data = xr.Dataset(
        {f"{name}{end}": (dims, of + shift) for name, of in sides.items() for end, shift in _ENDS}
        | {name: (dims, np.where(ran, 0.05, np.nan)) for name in ("p", "q_fdr")}
        | {"stands": (dims, stands), RAN: ("edited", ran[:, 0]), "n_neurons": ("edited", [12, 0, 7])}
        | {"own_minus_others": ("edited", [0.425, np.nan, 0.295]), "dominant": ("edited", [True, False, False])},
        {"edited": list(LANGUAGES), "language": list(LANGUAGES)},
    )
    return Result(
        kind="ablation_matrix",
        data=data,
        unit="change of loss, nats per token",
        sign="Positive means worse",
        method="Neurons at zero.",
        provenance=provenance(),
        notes={"control": "random neurons", "n_samples": 90, "n_groups": 30},
    )


def dose_response() -> Result:
    dims, strength = ("setting", "strength", "measure"), np.array([0.0, 1.0, 2.0])
    slope = np.array([[0.3, -0.2, 0.0], [0.5, -0.1, 0.0], [0.1, 0.4, 0.0]])
    value = 0.4 + slope[:, None] * strength[:, None]
    ran = np.ones(value.shape, bool)
    ran[..., 2] = False
    value = np.where(ran, value, np.nan)
    sides = {"value": value, "control": value / 2 + 0.2, "change": value - 0.4, "above_control": value / 2 - 0.2}
    stands = np.zeros(value.shape, bool)
    stands[0, 2, 0] = True
    data = xr.Dataset(
        {f"{name}{end}": (dims, of + shift) for name, of in sides.items() for end, shift in _ENDS}
        | {name: (dims, np.where(ran, 0.05, np.nan)) for name in ("p", "q_fdr")}
        | {"stands": (dims, stands), "n": (dims, np.where(ran, 24, 0)), RAN: (dims, ran)}
        | {"edit": ("setting", ["add", "add", "direction"]), "n_neurons": ("setting", [5, 20, 0])}
        | {"layer": ("setting", [-1, -1, 2]), "unit": ("measure", ["probability", "nats", "nats"])},
        {
            "setting": ["add, 5 neurons", HOSTILE[1], "direction {after} block 2"],
            "strength": strength,
            "measure": ["next word in the target language", HOSTILE[12], "meaning"],
        },
    )
    return Result(
        kind="dose_response",
        data=data,
        unit="by measure",
        sign="More is more",
        method="Edits beside random edits.",
        provenance=provenance(),
        notes={"control": "random neurons", "n_samples": 96, "n_groups": 24, "source": "en", "target": HOSTILE[1]},
    )
