"""Directions of the residual stream that tell switches: found on one half of the documents, tried on the other."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float
from scipy import stats

from interp.models import provenance
from interp.neurons.passes import read_units
from interp.neurons.rank_evidence import RankEvidence, rank_evidence
from interp.neurons.switch_material import Pairs, SwitchMaterial
from interp.results import Result
from interp.types import Model

N_SHUFFLES = 20
_METHOD = (
    "After every block: direction = mean over pairs of residual stream at the switch token minus at its match, on one "
    "half of the documents; score = AUROC of the stream's component along it on the other half, interval by bootstrap "
    "over documents, p by exchange of labels within documents. Control: directions of pairs whose labels were "
    "exchanged in half of the documents, mean and farthest of 20. That a direction tells switches does not show that "
    "the model reads it."
)

Stream = Float[np.ndarray, "pair layer d_model"]


def find_switching_directions(model: Model, material: SwitchMaterial, *, seed: int = 0) -> Result:
    """Find, after every block, the direction in which the stream differs at switches.

    Args:
        model: A hooked model.
        material: Switches beside matches.
        seed: Decides the split, the shuffles and the resamples.

    Returns:
        A `switching_directions` result over `layer`: `score`, the held-out AUROC, with interval, `p` and `q_fdr`;
        `control`, the mean of directions of shuffled labels, and `control_farthest`; `before`, the same search just
        before the switch; `direction`, unit vectors that point towards switches.

    Raises:
        InputError: fewer than four documents with switches.
    """
    halves = material.halves(seed=seed)
    at, before = (_held_out(model, halves, where, seed) for where in ("at", "before"))
    low, high = at.evidence.interval(seed=seed)
    values = {
        "score": at.evidence.auroc,
        "score_low": low,
        "score_high": high,
        "control": at.shuffled.mean(0),
        "control_farthest": 0.5 + np.abs(at.shuffled - 0.5).max(0),
        "p": at.evidence.p,
        "q_fdr": stats.false_discovery_control(at.evidence.p),
        "before": before.evidence.auroc,
        "before_q_fdr": stats.false_discovery_control(before.evidence.p),
    }
    n_layers, d_model = at.direction.shape
    return Result(
        kind="switching_directions",
        data=xr.Dataset(
            {name: ("layer", of) for name, of in values.items()} | {"direction": (("layer", "d_model"), at.direction)},
            {"layer": np.arange(n_layers), "d_model": np.arange(d_model)},
        ),
        unit="AUROC (probability that a switch token lies farther along the direction than a match), held out",
        sign="Above 0.5 means that the direction tells switches on documents it was not made from.",
        method=_METHOD,
        provenance=provenance(
            model, tokens=[material.tokens.batch.tokens], call=f"find_switching_directions(seed={seed})", seed=seed
        ),
        notes={
            "control": "directions made from the same pairs with the labels of whole documents exchanged",
            "n_samples": len(halves[1].at),
            "n_groups": len(halves[1].documents),
            "detectable_auroc": at.evidence.detectable(n_layers),
        },
    )


@dataclass(frozen=True)
class _HeldOut:
    """A direction for each layer from the first half, and what it tells on the second."""

    direction: Float[np.ndarray, "layer d_model"]
    evidence: RankEvidence
    shuffled: Float[np.ndarray, "shuffle layer"]
    """AUROC of directions of shuffled labels."""


def _held_out(model: Model, halves: tuple[SwitchMaterial, SwitchMaterial], where: str, seed: int) -> _HeldOut:
    (one, first), (two, second) = (_streams(model, half, getattr(half, where)) for half in halves)
    apart, rng = first[0] - first[1], np.random.default_rng(seed)
    documents, number = np.unique(one.document, return_inverse=True)
    # As many documents exchanged as kept: otherwise what is left of the true direction would be the control.
    turned = np.resize([-1.0, 1.0], len(documents))
    shuffled = []
    for _ in range(N_SHUFFLES):
        signs = rng.permutation(turned)[number]
        wrong = _unit((apart * signs[:, None, None]).mean(0))
        shuffled.append(_tried(second, two, wrong).auroc)
    direction = _unit(apart.mean(0))
    return _HeldOut(direction, _tried(second, two, direction), np.stack(shuffled))


def _tried(streams: tuple[Stream, Stream], pairs: Pairs, direction: Float[np.ndarray, "layer d_model"]) -> RankEvidence:
    switch, matched = (np.einsum("pld,ld->pl", stream, direction) for stream in streams)
    return rank_evidence(switch, matched, pairs.document)


def _streams(model: Model, half: SwitchMaterial, pairs: Pairs) -> tuple[Pairs, tuple[Stream, Stream]]:
    streams = [read_units(model, half.tokens.batch, places, "residual") for places in (pairs.switch, pairs.matched)]
    return pairs, (streams[0], streams[1])


def _unit(directions: Float[np.ndarray, "layer d_model"]) -> Float[np.ndarray, "layer d_model"]:
    length = np.linalg.norm(directions, axis=-1, keepdims=True)
    return directions / np.maximum(length, np.finfo(np.float32).tiny)
