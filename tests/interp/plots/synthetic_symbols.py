"""A study of symbols made by hand: a form like its word, one that is not, and a hostile name."""

import numpy as np
import xarray as xr

from interp.results import Result
from tests.interp.plots.synthetic import HOSTILE, provenance

FORMS = ["word", "emoji", HOSTILE[1]]


def symbol_study(*, sets: bool = True) -> Result:
    by_layer = np.array([[0.5, 0.6, 0.7], [0.0, 0.01, 0.02], [0.1, 0.2, 0.3]])
    q = np.array([[1.0, 1.0, 1.0], [0.9, 0.8, 0.7], [0.2, 0.001, 0.001]])
    variables: dict = {}
    for name, dim, take in (("cosine", "layer", 3), ("lens", "layer", 3), ("overlap", "block", 2)):
        dims, values = ("form", dim), by_layer[:, :take]
        variables |= _ends(name, dims, values + 0.2)
        variables |= {f"control_{name}": (dims, np.full(values.shape, 0.2))}
        variables |= _ends(f"{name}_above", dims, values)
        variables |= {f"{name}_q": (dims, q[:, :take]), f"{name}_detectable": (dims, np.full(values.shape, 0.05))}
        variables |= _ends(f"control_random_{name}_above", dims, values * 0)
    variables |= {"n_tokens": ("form", [1.2, 4.0, 2.0]), "n_bytes": ("form", [4.5, 4.0, 6.0])}
    for name, values in (("surprisal", [8.0, 40.0, 20.0]), ("after_change", [0.0, 0.3, 0.1])):
        for prefix in ("", "control_random_"):
            variables |= _ends(f"{prefix}{name}", ("form",), np.array(values))
    coords: dict = {"form": FORMS, "layer": [-1, 0, 1], "block": [0, 1]}
    if sets:
        coords["set"] = ["fr neurons"]
        variables |= _ends("in_set", ("set", "form"), np.array([[0.02, 0.01, 0.05]]))
        variables["control_in_set"] = (("set", "form"), np.full((1, 3), 0.01))
        variables["control_random_in_set"] = (("set", "form"), np.full((1, 3), 0.01))
    return Result(
        kind="symbol_study",
        data=xr.Dataset(variables, coords),
        unit="cosine; nats; share of neurons",
        sign="Above its control: more like its own word",
        method="By hand.",
        provenance=provenance(),
        notes={"control": "other concepts", "n_samples": 40, "n_concepts": 40, "n_carriers": 4},
    )


def _ends(name: str, dims: tuple[str, ...], values: np.ndarray) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    return {f"{name}{end}": (dims, values + shift) for end, shift in (("", 0.0), ("_low", -0.03), ("_high", 0.04))}
