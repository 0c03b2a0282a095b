"""Results of the lab, made by hand."""

import numpy as np
import xarray as xr

from interp.results import Result
from tests.interp.plots.synthetic import provenance


def fit_of_the_word(*, inside: bool = True) -> Result:
    share = np.array([[0.15, 0.15, 0.15], [0.03, 0.11, 0.34], [0.0, 0.0, 1.0]])
    dims = ("temperature", "n_words")
    fine = np.geomspace(1, 16, 5)
    variables = {
        **_ends("share", dims, share),
        "predicted": (dims, share + 0.01),
        "control": (dims, np.full((3, 3), 0.3)),
        "control_shuffled": (dims, np.full((3, 3), 0.2)),
        "control_unigram": (dims, np.full((3, 3), 0.5)),
        "n": ("n_words", [40, 40, 40]),
        "curve_n": ("curve", fine),
        "curve_share": (("temperature", "curve"), np.tile(fine / 20, (3, 1))),
    }
    coords = {"temperature": [1.0, 0.5, 0.0], "n_words": [1, 4, 16], "curve": np.arange(5)}
    if inside:
        variables |= {
            **_ends("held_out", ("n_words",), np.array([0.001, 0.002, 0.003])),
            **_ends("generated", ("n_words",), np.array([0.01, 0.1, 0.8])),
            "generated_predicted": ("n_words", [0.01, 0.06, 0.8]),
            **_ends("lens", ("layer",), np.array([0.23, 0.41, 0.08])),
            "control_lens": ("layer", [0.14, 0.14, 0.14]),
            **_ends("transition", ("document",), np.array([0.002, 0.25])),
        }
        coords |= {"layer": [-1, 0, 1], "document": ["A", "B"]}
    return Result(
        kind="fit_of_the_word",
        data=xr.Dataset(variables, coords),
        unit="share of the other language",
        sign="More is more of the other language",
        method="By hand.",
        provenance=provenance(),
        baselines={"epsilon": 0.15},
        notes={"control": "random weights", "n_samples": 120, "epsilon": 0.15},
    )


def _ends(name: str, dims: tuple[str, ...], values: np.ndarray) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    return {f"{name}{end}": (dims, values + shift) for end, shift in (("", 0.0), ("_low", -0.01), ("_high", 0.02))}
