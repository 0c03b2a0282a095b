"""Results of the census that are read off attention patterns."""

from itertools import pairwise

import numpy as np
import xarray as xr
from jaxtyping import Float

from interp.attention.sinks.measures import BARBERO_EPSILON, sink_share
from interp.attention.sinks.taken import Taken, Variable, Words, as_result, spread, spreads
from interp.results import Result

EPSILONS = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""Thresholds swept; 0.3 and 0.8 are the published ones."""
_PERMUTATIONS = 1000
_WEIGHT = "attention weight (share of the row)"
_NO_PROOF = "Where attention goes is not evidence of what it moves, nor that the answer depends on it."
_HEADS = Words(
    "sink_heads",
    _WEIGHT,
    "A larger number means that the head puts more of its attention on the first token.",
    "first: mean weight on the first token over the queries behind it. alpha: attention the first token receives among "
    "the first T tokens. sink_share: share of sequences with alpha above epsilon. learned: one minus the row sum, "
    "weight that goes to no token (learned sinks), apart from what the first token gets. entropy: of rows, in nats. "
    + _NO_PROOF,
)
_EPSILONS = Words(
    "sink_epsilons",
    "share of heads",
    "A larger number means that more heads count as sinks at that threshold.",
    "Sink^epsilon of the first token: for each sequence the share of heads with alpha above epsilon, then the mean "
    f"over sequences. At the first token it is also the sink rate of Barbero et al., with epsilon {BARBERO_EPSILON}. "
    "It counts heads above a threshold and is no attention mass; it falls with T, so different T are not comparable.",
)
_KEYS = Words(
    "sink_keys",
    _WEIGHT,
    "A larger number means that the position receives more attention from those that can see it.",
    "alpha_mean: received attention of each position, mean over heads. alpha_above: share of heads with alpha above "
    "epsilon there. " + _NO_PROOF,
)
_CLASSES = Words(
    "sink_classes",
    _WEIGHT,
    "A larger number means that the head puts more of its attention on tokens of that class.",
    "Weight on all tokens of a class, mean over the queries behind the first. A class with many tokens gets more by "
    "number alone: read it beside uniform attention. " + _NO_PROOF,
)
_DISTANCES = Words(
    "sink_distances",
    _WEIGHT,
    "A larger number means that more attention goes to tokens that far away.",
    "Weight by distance between query and key, in bins that double, mean over the queries behind the first. "
    + _NO_PROOF,
)
_DOMAINS = Words(
    "sink_domains",
    _WEIGHT,
    "A larger number means that the head looks more at the first token on that domain: it is more dormant there.",
    "Weight on the first token by domain. spread: largest less smallest domain mean; p_corrected: against shuffled "
    "domain labels, corrected over all heads (max-T). A head that rests on one domain and not on another is active-"
    "dormant; that its work matters there needs an ablation (Guo et al. 2024, arXiv:2410.13835).",
)


def head_result(taken: Taken) -> Result:
    """First-token weight, alpha, learned sink mass and row entropy of every head."""
    dims = ("layer", "head")
    data = spreads(taken, ["first", "alpha", "learned", "entropy"], dims)
    above = [(numbers["alpha"] > taken.settings.epsilon).astype(float) for numbers in (taken.ours, taken.control)]
    data |= {name: (dims, values) for name, values in spread(above[0], above[1], "sink_share", taken).items()}
    baselines = _uniform(taken) | {
        "largest alpha of any head with random weights": float(taken.control["alpha"].mean(0).max())
    }
    return as_result(taken, _HEADS, xr.Dataset(data, taken.head_coords), baselines=baselines)


def epsilon_result(taken: Taken) -> Result:
    """Sink^epsilon by threshold and layer, and over all layers (`overall`)."""
    ours, control = (
        np.stack([sink_share(numbers["alpha"], epsilon) for epsilon in EPSILONS], 1)
        for numbers in (taken.ours, taken.control)
    )
    found = spread(ours, control, "sink_share", taken)
    data: dict[str, Variable] = {name: (("epsilon", "layer"), values) for name, values in found.items()}
    whole = spread(ours.mean(-1), control.mean(-1), "overall", taken)
    data |= {name: ("epsilon", values) for name, values in whole.items()}
    published = {epsilon: float(sink_share(taken.ours["alpha"], epsilon).mean()) for epsilon in (0.3, BARBERO_EPSILON)}
    return as_result(
        taken,
        _EPSILONS,
        xr.Dataset(data, {"epsilon": list(EPSILONS), "layer": np.arange(taken.n_layers)}),
        baselines={f"all layers, epsilon {epsilon:g}": value for epsilon, value in published.items()},
    )


def key_result(taken: Taken) -> Result:
    """Received attention by position."""
    data = spreads(taken, ["alpha_mean", "alpha_above"], ("layer", "pos"))
    coords = {"layer": np.arange(taken.n_layers), "pos": np.arange(taken.settings.n_keys)}
    return as_result(taken, _KEYS, xr.Dataset(data, coords))


def class_result(taken: Taken) -> Result:
    """Weight by class of token."""
    uniform = [
        float(_uniform_share(taken, taken.classes.numbers == place)) for place in range(len(taken.classes.names))
    ]
    data = _by_last_axis(taken, "classes", "token_class") | {"uniform": ("token_class", uniform)}
    return as_result(taken, _CLASSES, xr.Dataset(data, {"token_class": list(taken.classes.names), **taken.head_coords}))


def distance_result(taken: Taken) -> Result:
    """Weight by distance."""
    starts = (*taken.settings.distances, taken.batch.tokens.shape[1])
    names = [str(start) if stop - start == 1 else f"{start}-{stop - 1}" for start, stop in pairwise(starts)]
    data = _by_last_axis(taken, "distances", "distance")
    return as_result(taken, _DISTANCES, xr.Dataset(data, {"distance": names, **taken.head_coords}))


def domain_result(taken: Taken, domains: list[str]) -> Result:
    """First-token weight by domain, and how far domains are apart."""
    first, names = taken.ours["first"], sorted(set(domains))
    numbers, rng = np.array([names.index(name) for name in domains]), np.random.default_rng(taken.seed)
    parts = [spread(first[numbers == place], taken.control["first"], "first", taken) for place in range(len(names))]
    data: dict[str, Variable] = {
        name: (("domain", "layer", "head"), np.stack([part[name] for part in parts])) for name in parts[0]
    }
    observed = np.ptp(_domain_means(first, numbers, len(names)), axis=0)
    shuffled = [_domain_means(first, rng.permutation(numbers), len(names)) for _ in range(_PERMUTATIONS)]
    spreads_of = np.ptp(np.stack(shuffled), axis=1)
    best = spreads_of.max((1, 2))[:, None, None]
    data |= {
        "control_shuffled": (("domain", "layer", "head"), shuffled[0]),
        "spread": (("layer", "head"), observed),
        "control_spread": (("layer", "head"), spreads_of.mean(0)),
        "p_corrected": (("layer", "head"), (1 + (best >= observed).sum(0)) / (1 + _PERMUTATIONS)),
    }
    notes = {
        "n_by_domain": {name: domains.count(name) for name in names},
        "control": f"the same heads with the labels of the sequences shuffled; p over {_PERMUTATIONS} shuffles",
    }
    return as_result(taken, _DOMAINS, xr.Dataset(data, {"domain": names, **taken.head_coords}), notes=notes)


def _domain_means(first: Float[np.ndarray, "prompt layer head"], numbers: np.ndarray, n: int) -> np.ndarray:
    return np.stack([first[numbers == place].mean(0) for place in range(n)])


def _by_last_axis(taken: Taken, name: str, dim: str) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    found = spread(taken.ours[name], taken.control[name], "weight", taken)
    return {variable: ((dim, "layer", "head"), np.moveaxis(values, -1, 0)) for variable, values in found.items()}


def _uniform(taken: Taken) -> dict[str, float]:
    """What heads have that spread their attention evenly over all they may see."""
    n_tokens = taken.settings.n_tokens
    is_first = np.arange(taken.batch.tokens.shape[1]) == 0
    alpha = np.mean(1 / np.arange(1, n_tokens + 1)) if taken.settings.causal else np.mean(1 / taken.batch.lengths)
    return {
        "first, uniform attention": float(_uniform_share(taken, np.broadcast_to(is_first, taken.batch.tokens.shape))),
        "alpha, uniform attention": float(alpha),
    }


def _uniform_share(taken: Taken, chosen: np.ndarray) -> float:
    """Mean weight on chosen tokens if every query behind the first spread its attention evenly."""
    mask, queries = taken.batch.mask, taken.batch.mask.copy()
    queries[:, 0] = False
    counted = chosen & mask
    if taken.settings.causal:
        share = counted.cumsum(1) / np.arange(1, mask.shape[1] + 1)
    else:
        share = np.broadcast_to((counted.sum(1) / mask.sum(1))[:, None], mask.shape)
    return float(((share * queries).sum(1) / queries.sum(1)).mean())
