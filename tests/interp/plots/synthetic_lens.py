"""A result of the language lens, made by hand: two languages, one of them with a hostile name, a lead at layer 1."""

import numpy as np
import xarray as xr

from interp.results import Result
from tests.interp.plots.synthetic import HOSTILE, provenance

LANGUAGES = np.array(["en", HOSTILE[1], HOSTILE[12]], object)
LAYERS = np.arange(-1, 3)


def language_lens(*, random: bool = True) -> Result:
    actual, layer = ("actual", "language", "layer"), ("actual", "layer")
    own = np.array([0.1, 0.1, 0.4, 0.6])
    mass = np.where(np.eye(3)[..., None] == 1, own, 0.15) + np.arange(3)[:, None, None] / 100
    decided = np.array([[0.2, 0.25, 0.8, 0.9]] * 3)
    tables = {
        "mass": (actual, mass),
        "top": (actual, mass / 2),
        "entropy": (layer, np.array([[9.0, 8.0, 6.0, 4.0]] * 3)),
        "energy": (layer, np.array([[0.8, 0.9, 0.9, 0.5]] * 3)),
        "decided": (layer, decided),
        "decided_at": (("actual",), np.array([1.0, 1.2, 2.9])),
        "overall_decided": (("layer",), decided[0]),
        "overall_decided_at": (("over",), np.array([1.7])),
    }
    shuffled = ("mass", "decided", "decided_at", "overall_decided", "overall_decided_at")
    tables |= {f"control_shuffled_{name}": (tables[name][0], tables[name][1] * 0.3) for name in shuffled}
    if random:
        kept = [name for name in tables if not name.startswith("control")]
        tables |= {f"control_{name}": (tables[name][0], tables[name][1] * 0.2) for name in kept}
    ends = (("", 0.0), ("_low", -0.01), ("_high", 0.02))
    data = xr.Dataset(
        {f"{name}{end}": (dims, values + shift) for name, (dims, values) in tables.items() for end, shift in ends},
        {"actual": LANGUAGES, "language": LANGUAGES, "layer": LAYERS, "over": np.array(["all languages"], object)},
    )
    return Result(
        kind="language_lens",
        data=data,
        unit="probability of the next token (mass), bits (entropy)",
        sign="Larger mass: the lens expects a word of that language",
        method="Logit lens by hand.",
        provenance=provenance(),
        notes={"n_samples": 40, "n_groups": 20, "n_dropped": 3, "read_at": "the end of 40 prompts"},
    )
