"""Results of a sink census made by hand: one sink, one spike, and names that try to break the page."""

from typing import Any

import numpy as np
import xarray as xr

from interp.results import Result
from tests.interp.plots.synthetic import HOSTILE, provenance

N_LAYERS, N_HEADS = 4, 3
HEADS = {"layer": np.arange(N_LAYERS), "head": np.arange(N_HEADS)}
BOUNDARIES = np.arange(-1, N_LAYERS)


def spread(name: str, dims: tuple[str, ...], values: np.ndarray, control: float | np.ndarray = 0.05) -> dict[str, Any]:
    """A variable with its interval and control."""
    found = {name: values, f"{name}_low": values * 0.9, f"{name}_high": values * 1.1 + 0.01}
    return {key: (dims, at) for key, at in found.items()} | {
        f"control_{name}": (dims, np.broadcast_to(control, values.shape).copy())
    }


def result(kind: str, data: dict[str, Any], coords: dict[str, Any], **notes: Any) -> Result:
    known = {"n_prompts": 12, "policy": "Alpha and Sink^epsilon at T = 64, epsilon = 0.3.", "learned_sinks": False}
    return Result(
        kind=kind,
        data=xr.Dataset(data, coords),
        unit="attention weight (share of the row)",
        sign="A larger number means more",
        method="Made by hand.",
        provenance=provenance(),
        notes=known | {"control": "the same architecture with random weights"} | notes,
    )


def weights(*before: int) -> np.ndarray:
    """Small weights, but 0.9 at L2H1."""
    values = np.random.default_rng(0).beta(1, 20, (*before, N_LAYERS, N_HEADS))
    values[..., 2, 1] = 0.9
    return values


def heads(*, learned: bool = False) -> Result:
    dims, data = ("layer", "head"), {}
    for name in ("first", "alpha", "learned", "entropy"):
        data |= spread(name, dims, weights())
    above = (weights() > 0.3).astype(float)
    return result("sink_heads", data | spread("sink_share", dims, above, 0.0), HEADS, learned_sinks=learned)


def classes() -> Result:
    data = spread("weight", ("token_class", "layer", "head"), weights(2)) | {"uniform": ("token_class", [0.06, 0.94])}
    return result("sink_classes", data, {"token_class": ["bos", "other"], **HEADS})


def domains() -> Result:
    dims, values = ("domain", "layer", "head"), weights(2)
    values[1, 2, 1] = 0.1
    data = spread("first", dims, values) | {"control_shuffled": (dims, np.full_like(values, 0.4))}
    apart = np.ptp(values, axis=0)
    data |= {"spread": (dims[1:], apart), "control_spread": (dims[1:], apart / 9)}
    return result(
        "sink_domains",
        data | {"p_corrected": (dims[1:], np.where(apart > 0.5, 0.001, 0.7))},
        {"domain": ["code", HOSTILE[0]], **HEADS},
    )


def epsilons() -> Result:
    epsilon = np.round(np.arange(0.05, 1, 0.05), 2)
    by_layer = np.clip(np.linspace(0.2, 1, N_LAYERS)[None] - epsilon[:, None], 0, 1)
    data = spread("sink_share", ("epsilon", "layer"), by_layer, 0.0)
    data |= spread("overall", ("epsilon",), by_layer.mean(1), 0.0)
    return result("sink_epsilons", data, {"epsilon": epsilon, "layer": np.arange(N_LAYERS)})


def keys() -> Result:
    values = np.random.default_rng(1).beta(1, 30, (N_LAYERS, 20))
    values[2:, 0] = 0.6
    data = spread("alpha_mean", ("layer", "pos"), values) | spread("alpha_above", ("layer", "pos"), values)
    return result("sink_keys", data, {"layer": np.arange(N_LAYERS), "pos": np.arange(20)})


def distances() -> Result:
    data = spread("weight", ("distance", "layer", "head"), weights(5))
    return result("sink_distances", data, {"distance": ["0", "1", "2", "3-4", "5-8"], **HEADS})


def secondary() -> Result:
    n = len(BOUNDARIES)
    data = spread("tokens", ("created", "life"), np.random.default_rng(2).poisson(1, (n, n)).astype(float))
    return result(
        "sink_secondary",
        data,
        {"created": BOUNDARIES, "life": np.arange(1, n + 1)},
        secondary_from=0.33,
        like_bos_from=3,
        sink_window=[1, 3],
    )


def spike_map() -> Result:
    random = np.random.default_rng(3)
    magnitude, control = random.exponential(1, (len(HOSTILE), 6)), random.exponential(0.1, (len(HOSTILE), 6))
    magnitude[0, 0] = 2500
    dims = ("pos", "place")
    data = {
        "magnitude": (dims, magnitude),
        "control": (dims, control),
        "dimension": ("place", np.array([2533, 1415, 7, 8, 9, 10])),
        "control_dimension": ("place", np.arange(6)),
    }
    coords = {"pos": np.arange(len(HOSTILE)), "place": np.arange(6)}
    return result("sink_map", data, coords, labels=HOSTILE, after_layer=2, n_prompts=None)


def depth() -> Result:
    names = ["first norm", "others' norm", "matrix entropy", "without the first", "sinks", HOSTILE[0]]
    panels = ["norm", "norm", "matrix entropy", "matrix entropy", "sinks", "sinks"]
    values = np.abs(np.random.default_rng(4).normal(1, 0.3, (6, len(BOUNDARIES))))
    values[4, 0] = np.nan
    data = spread("value", ("measure", "layer"), values, 0.2 * values)
    coords = {"measure": np.array(names, object), "layer": BOUNDARIES}
    coords |= {"panel": ("measure", np.array(panels, object)), "unit": ("measure", np.array(["length"] * 6, object))}
    return result("sink_depth", data | {"ran": (("measure", "layer"), np.isfinite(values))}, coords)


def spikes() -> Result:
    dims, n = ("layer", "rank"), len(BOUNDARIES)
    top = np.array([[3.0, 2, 1], [5, 4, 3], [900, 300, 9], [950, 310, 9], [20, 10, 5]])
    data = spread("top", dims, top, 2.0) | spread("ratio", dims, top / 0.5, 4.0)
    data |= spread("median", ("layer",), np.full(n, 0.5), 0.4)
    data |= spread("massive", ("layer",), np.array([0.0, 0, 1, 1, 0]), 0.0)
    whole = {"top_pos": 0, "top_dimension": 39, "top_pos_share": 1.0, "top_dimension_share": 0.5, "top_value": -1.0}
    data |= {name: (dims, np.full((n, 3), value)) for name, value in whole.items()}
    return result("sink_spikes", data, {"layer": BOUNDARIES, "rank": np.arange(1, 4)})


def values() -> Result:
    dims = ("layer", "head")
    data = spread("first", dims, weights()) | spread("written_ratio", dims, 1.2 - weights(), 1.0)
    data |= spread("value_ratio", dims, 1.1 - weights(), 1.0)
    for name in ("key_ratio", "cos_first", "cos_others"):
        data |= spread(name, dims, weights())
    return result("sink_values", data, HEADS)


def neurons() -> Result:
    dims = ("layer", "rank")
    written = np.array([[3.0, 2], [90, 5], [4, 3], [2, 1]])
    data = spread("written", dims, written, 1.0)
    data |= {"neuron": (dims, np.arange(8).reshape(4, 2)), "others": (dims, written / 50)}
    data |= {"growth": ("layer", np.array([1.0, 80, 2, 1]))}
    coords = {"layer": np.arange(N_LAYERS), "rank": np.arange(1, 3)}
    return result("sink_neurons", data, coords, spike_layer=1, spike_neuron=2)


SINK_MAKERS = {
    "sink_heads": heads,
    "sink_classes": classes,
    "sink_domains": domains,
    "sink_epsilons": epsilons,
    "sink_keys": keys,
    "sink_distances": distances,
    "sink_secondary": secondary,
    "sink_map": spike_map,
    "sink_depth": depth,
    "sink_spikes": spikes,
    "sink_values": values,
    "sink_neurons": neurons,
}
