"""Results of the census that are read off the residual stream, queries, keys, values and neurons."""

from collections import Counter

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from interp.attention.sinks.measures import secondary_sinks, sink_share
from interp.attention.sinks.residual import LIKE_FIRST, MASSIVE, MASSIVE_RATIO, N_LARGEST
from interp.attention.sinks.taken import Taken, Words, as_result, spread, spreads
from interp.results import Result

N_NEURONS = 5
SECONDARY_SHARE, BOS_LIKE_SHARE = 4 / 48, 33 / 48
"""Lives as shares of the layers: above the first a secondary sink, from the second on one that lives like BOS's."""
_DEPTH = Words(
    "sink_depth",
    "each measure has its own",
    "What a larger number means depends on the measure.",
    "The residual stream after each layer, and the share of sinks among the heads of that layer. Matrix entropy falls "
    "where one token's norm is huge, for that reason alone: read it beside the entropy without the first token.",
    detailed=True,
)
_SPIKES = Words(
    "sink_spikes",
    "magnitude of a residual activation",
    "A larger number means a larger activation.",
    f"The {N_LARGEST} largest magnitudes of the residual stream after each layer, and the median of all. massive: "
    f"share of sequences where the largest is above {MASSIVE:g} and {MASSIVE_RATIO:g} times the median (Sun et al. "
    "2024, arXiv:2402.17762). Position and dimension are the commonest over sequences. A large activation is not "
    "evidence that sinks need it.",
    detailed=True,
)
_MAP = Words(
    "sink_map",
    "magnitude of a residual activation",
    "A larger number means a larger activation.",
    "Magnitudes on one sequence after the layer where the largest stands out most, in the dimensions with the largest "
    "ones. One sequence, not a mean.",
    detailed=True,
)
_VALUES = Words(
    "sink_values",
    "ratio of lengths, first token over the mean of the others",
    "Below 1 means that the first token gives less than the others.",
    "value_ratio: length of the first token's value over the others' mean; written_ratio: the same behind W_O. "
    "first: weight on the first token. Scores of the first key split into q_norm, key_ratio (its length over the "
    "others' mean) and cosines. A small ratio says that looking there adds little, not that the head does nothing.",
    detailed=True,
)
_SECONDARY = Words(
    "sink_secondary",
    "tokens in a sequence",
    "A larger number means more such tokens.",
    f"Tokens behind the first whose residual stream lies within a cosine of {LIKE_FIRST} of the first's, or its "
    "opposite, by the layer where their longest run begins and its length in layers (Wong et al. 2025, "
    "arXiv:2512.22213; lives as shares of the layers). Streams may be alike without any sink: read the control.",
    detailed=True,
)
_NEURONS = Words(
    "sink_neurons",
    "length written into the residual stream",
    "A larger number means that the neuron writes more at the first token.",
    "|activation| times the length of the neuron's row of W_out, at the first token and on average at the others "
    "(`others`). Which neuron writes the spike is a candidate: ablate it to know.",
    detailed=True,
)
_MEASURES = (
    ("residual norm of the first token", "norm", "length", "norm_first"),
    ("median residual norm of the others", "norm", "length", "norm_others"),
    ("matrix entropy", "matrix entropy", "share of the most", "matrix_entropy"),
    (
        "matrix entropy without the first token",
        "matrix entropy",
        "share of the most",
        "matrix_entropy_rest",
    ),
    ("Sink^epsilon of the layer's heads", "sinks", "share", "sinks"),
    ("later tokens like the first", "sinks", "share", "like"),
)


def depth_result(taken: Taken) -> Result:
    """Norms, matrix entropies and sinks by depth."""
    found = []
    for *_, name in _MEASURES:
        ours, control = (_by_depth(taken, name, mine=mine) for mine in (True, False))
        part = spread(ours, control, "value", taken)
        # There are no heads before the first layer.
        lead = 1 if name == "sinks" else 0
        found.append({key: np.concatenate([np.full(lead, np.nan), values]) for key, values in part.items()})
    dims = ("measure", "layer")
    data = {key: (dims, np.stack([part[key] for part in found])) for key in found[0]}
    data["ran"] = (dims, np.isfinite(data["value"][1]))
    coords = {
        "measure": [name for name, *_ in _MEASURES],
        "panel": ("measure", [panel for _, panel, *_ in _MEASURES]),
        "unit": ("measure", [unit for _, _, unit, _ in _MEASURES]),
        "layer": taken.boundaries,
    }
    return as_result(taken, _DEPTH, xr.Dataset(data, coords))


def _by_depth(taken: Taken, name: str, *, mine: bool) -> Float[np.ndarray, "prompt boundary"]:
    numbers = taken.ours if mine else taken.control
    if name == "sinks":
        return sink_share(numbers["alpha"][: taken.n_detailed], taken.settings.epsilon)
    if name == "like":
        later = taken.batch.lengths[: taken.n_detailed] - 1
        return numbers["like_first"].sum(-1) / later[:, None]
    return numbers[name]


def spike_result(taken: Taken) -> Result:
    """The largest activations after each layer: how large, where, and in how many multiples of the median."""
    dims = ("layer", "rank")
    ratio, control_ratio = (n["top"] / n["median"][..., None] for n in (taken.ours, taken.control))
    data = {name: (dims, values) for name, values in spread(ratio, control_ratio, "ratio", taken).items()}
    data |= spreads(taken, ["top"], dims) | spreads(taken, ["median", "massive"], ("layer",))
    for name in ("pos", "dimension"):
        where, share = _commonest(taken.ours[f"top_{name}"])
        data |= {f"top_{name}": (dims, where), f"top_{name}_share": (dims, share)}
    data["top_value"] = (dims, taken.ours["top_value"].mean(0, dtype=np.float64))
    coords = {"layer": taken.boundaries, "rank": np.arange(1, N_LARGEST + 1)}
    return as_result(taken, _SPIKES, xr.Dataset(data, coords))


def map_result(taken: Taken, str_tokens: list[str]) -> Result:
    """Token by dimension, on the first sequence, after the layer with the largest multiple of the median."""
    ratio = (taken.ours["top"][..., 0] / taken.ours["median"]).mean(0)
    boundary = int(ratio.argmax())
    n_pos = min(int(taken.batch.lengths[0]), taken.ours["map"].shape[2])
    ours, control = (numbers["map"][0, boundary, :n_pos].astype(np.float64) for numbers in (taken.ours, taken.control))
    dimensions, others = (n["map_dimension"][0, boundary] for n in (taken.ours, taken.control))
    data = {
        "magnitude": (("pos", "place"), ours),
        "control": (("pos", "place"), control),
        "dimension": ("place", dimensions),
        "control_dimension": ("place", others),
    }
    notes = {
        "labels": str_tokens[:n_pos],
        "after_layer": boundary - 1,
        "n_prompts": None,
        "control": "the same tokens through random weights, in its own largest dimensions",
    }
    coords = {"pos": np.arange(n_pos), "place": np.arange(ours.shape[1])}
    return as_result(taken, _MAP, xr.Dataset(data, coords), notes=notes)


def value_result(taken: Taken) -> Result:
    """Value drain and the parts of the first key's score, beside the attention that the first token gets."""
    names = ["value_ratio", "written_ratio"]
    split = [name for name in ("q_norm", "key_ratio", "cos_first", "cos_others") if name in taken.ours]
    data = spreads(taken, names + split, ("layer", "head"))
    found = spread(taken.ours["first"][: taken.n_detailed], taken.control["first"], "first", taken)
    data |= {name: (("layer", "head"), values) for name, values in found.items()}
    notes = {} if split else {"no_cosines": "queries and keys of this family cannot be turned as its attention does"}
    return as_result(taken, _VALUES, xr.Dataset(data, taken.head_coords), notes=notes)


def secondary_result(taken: Taken) -> Result:
    """Later tokens that look like the first, by where they begin to and for how long."""
    ours, control = (secondary_sinks(numbers["like_first"]) for numbers in (taken.ours, taken.control))
    found = spread(ours, control, "tokens", taken)
    life, n_layers = np.arange(1, ours.shape[2] + 1), taken.n_layers
    like_bos = life >= BOS_LIKE_SHARE * n_layers
    secondary = ~like_bos & (life > SECONDARY_SHARE * n_layers)
    kinds = {"lives like BOS": like_bos, "secondary sink": secondary, "noise": ~like_bos & ~secondary}
    by_life = found["tokens"].sum(0)
    growth = np.diff(taken.ours["norm_first"].mean(0))
    start = int(growth.argmax())
    return as_result(
        taken,
        _SECONDARY,
        xr.Dataset(
            {name: (("created", "life"), values) for name, values in found.items()},
            {"created": taken.boundaries, "life": life},
        ),
        baselines={f"tokens in a sequence, {name}": float(by_life[where].sum()) for name, where in kinds.items()},
        notes={
            "secondary_from": SECONDARY_SHARE * n_layers,
            "like_bos_from": BOS_LIKE_SHARE * n_layers,
            "sink_window": [start, start + int(growth[start:].argmin())],
        },
    )


def neuron_result(taken: Taken) -> Result | None:
    """The neurons of each layer that write most at the first token; None where the model shows no neurons."""
    if "neuron_first" not in taken.ours:
        return None
    mean = taken.ours["neuron_first"].mean(0)
    n_kept = min(N_NEURONS, mean.shape[1])
    order = np.argsort(-mean, axis=1)[:, :n_kept]
    picked = np.take_along_axis(taken.ours["neuron_first"], order[None], 2)
    control = -np.sort(-taken.control["neuron_first"].mean(0), axis=1)[None, :, :n_kept]
    dims, growth = ("layer", "rank"), np.diff(taken.ours["norm_first"].mean(0))
    found = {name: (dims, values) for name, values in spread(picked, control, "written", taken).items()}
    others = np.take_along_axis(taken.ours["neuron_others"].mean(0, dtype=np.float64), order, 1)
    steepest = int(growth.argmax())
    return as_result(
        taken,
        _NEURONS,
        xr.Dataset(
            found | {"neuron": (dims, order), "others": (dims, others), "growth": ("layer", growth)},
            {"layer": np.arange(taken.n_layers), "rank": np.arange(1, n_kept + 1)},
        ),
        baselines={"growth of the first token's norm in that layer": float(growth[steepest])},
        notes={"spike_layer": steepest, "spike_neuron": int(order[steepest, 0])},
    )


def _commonest(found: Int[np.ndarray, "prompt layer rank"]) -> tuple[np.ndarray, np.ndarray]:
    """The commonest value over prompts, and its share of them."""
    where, share = np.empty(found.shape[1:], int), np.empty(found.shape[1:])
    for place in np.ndindex(found.shape[1:]):
        value, count = Counter(found[(slice(None), *place)].tolist()).most_common(1)[0]
        where[place], share[place] = value, count / len(found)
    return where, share
