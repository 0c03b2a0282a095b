"""Scores of all heads' OV circuits beside random weights: who copies, and who suppresses copying."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from jaxtyping import Int
from scipy import stats

from interp.attention.materials import ordinary_tokens
from interp.attention.ov import (
    LOWERED,
    copy_suppression,
    copying,
    copying_ratio,
    most_lowered,
    ov_circuits,
    ov_products,
)
from interp.attention.significance import against_random, smallest_q
from interp.attention.streaming import refuse_other_shape
from interp.errors import InputError
from interp.models import provenance
from interp.results import Result
from interp.types import Model

DETECTORS = ("copying", "copy_suppression")
N_GROUPS = 10
"""Groups of tokens that the jackknife leaves out in turn."""
_DIMS = ("detector", "layer", "head")


@dataclass(frozen=True)
class _Tokens:
    """The tokens that scores are taken over, in random order, and the same in another order."""

    ids: Int[np.ndarray, " token"]
    other: Int[np.ndarray, " token"]


def weight_scores(model: Model, control_models: Iterable[Model], *, n_tokens: int = 2000, seed: int = 0) -> Result:
    """Find heads that copy, and heads that suppress copying, from weights alone.

    Args:
        model: A hooked model of a decoder family.
        control_models: The same architecture with random weights, several seeds; 20 are needed for one lone head to be
            found, as in `head_scores`. May be a generator: one model is held at a time.
        n_tokens: Ordinary tokens that scores are taken over; drawn at random where the vocabulary has more.
        seed: Decides which tokens.

    Returns:
        `score` of both detectors (`copying` from -1 to 1, `copy_suppression` from 0 to 1) with its interval, `control`
        (random weights), `control_permuted` (this head with every token's logit exchanged for another's), `threshold`,
        `p_corrected`, `q_fdr` and `found`.

    Raises:
        InputError: no control model, one of another shape or with the model's weights, or too few tokens.
        ModelError: the architecture cannot be taken apart, or the model has no tokenizer.
    """
    tokens = _draw(model, n_tokens, seed)
    controls = []
    for control in control_models:
        refuse_other_shape(model, control)
        controls.append(_scores(control, tokens.ids, tokens.ids))
    if not controls:
        raise InputError("No control model was given. Expected at least one: load random: before the model's name.")
    null, score = np.stack(controls), _scores(model, tokens.ids, tokens.ids)
    permuted = _scores(model, tokens.ids, tokens.other)
    margin = _margins(model, tokens.ids)
    bounds = np.array([-1.0, 0.0])[:, None, None]
    low, high = np.maximum(score - margin, bounds), np.minimum(score + margin, 1.0)
    against = against_random(score, null)
    values = {"score": score, "score_low": low, "score_high": high, "control": null.mean(0)}
    values |= {"control_permuted": permuted, "p_corrected": against.p_corrected, "q_fdr": against.q_fdr}
    values["found"] = against.found(low, permuted)
    limits = {"threshold": ("detector", against.threshold), "found_above": ("detector", against.found_above)}
    coords = {"detector": list(DETECTORS), "layer": np.arange(score.shape[1]), "head": np.arange(score.shape[2])}
    notes = _notes(len(tokens.ids), len(null), score[0].size)
    return Result(
        kind="weight_scores",
        data=xr.Dataset({name: (_DIMS, array) for name, array in values.items()} | limits, coords),
        unit="copying: sum of eigenvalues over sum of their sizes; copy suppression: share of tokens",
        sign="A larger number means that the head raises (copying) or lowers (copy suppression) the token it looks at.",
        method=_METHOD.format(**notes),
        provenance=provenance(model, tokens=[tokens.ids], call=f"weight_scores(n_tokens={n_tokens})", seed=seed),
        baselines={"random head, copying": 0.0, "random head, copy_suppression": LOWERED},
        notes=notes,
    )


def _draw(model: Model, n_tokens: int, seed: int) -> _Tokens:
    pool = ordinary_tokens(model)
    if min(n_tokens, len(pool)) < 2 * N_GROUPS:
        raise InputError(
            f"{min(n_tokens, len(pool))} tokens give no interval over tokens. Expected at least {2 * N_GROUPS}."
        )
    rng = np.random.default_rng(seed)
    ids = rng.permutation(pool)[:n_tokens]
    # By one place: every token meets another one's logit, whatever the draw.
    return _Tokens(ids, np.roll(ids, 1))


def _scores(model: Model, sources: Int[np.ndarray, " token"], targets: Int[np.ndarray, " token"]) -> np.ndarray:
    """Both detectors over all layers and heads: `[detector, layer, head]`."""
    layers = [
        torch.stack([copying(values, outputs), copy_suppression(values, outputs)])
        for values, outputs in ov_circuits(model, sources, targets)
    ]
    return torch.stack(layers, 1).cpu().numpy()


def _margins(model: Model, ids: Int[np.ndarray, " token"]) -> np.ndarray:
    """Half the 95 % interval of both detectors, by leaving out each of ten groups of tokens in turn.

    Source: Efron & Tibshirani 1993, An Introduction to the Bootstrap, ch. 11, for the jackknife; with Student's t.
    """
    without = []
    for values, outputs in ov_circuits(model, ids, ids):
        parts = [slice(group, None, N_GROUPS) for group in range(N_GROUPS)]
        products = torch.stack([ov_products(values[part], outputs[:, :, part]) for part in parts])
        lowered, written = (
            torch.stack([counted[part].double().sum(0) for part in parts]) for counted in most_lowered(values, outputs)
        )
        share = (lowered.sum(0) - lowered) / (written.sum(0) - written).clamp(min=1)
        without.append(torch.stack([copying_ratio(products.sum(0) - products), share]))
    left_out = torch.stack(without, 2).cpu().numpy()  # [detector, group, layer, head]
    error = np.sqrt((N_GROUPS - 1) * left_out.var(axis=1))
    return float(stats.t.ppf(0.975, N_GROUPS - 1)) * error


_METHOD = (
    "From weights: embedding, the block's norm, W_V, W_O, the linear part of the final norm, unembedding; over "
    "{n_tokens} ordinary tokens. Copying: sum of the eigenvalues of that matrix over the sum of their sizes. Copy "
    "suppression: share of tokens whose own logit is among the 5 % lowered most. Intervals: 95 %, jackknife over ten "
    "groups of tokens. Threshold, p and q: against {n_controls} random-weights models, as for head scores; p cannot be "
    "below {p_floor:.3g}, q not below {q_floor:.3g} for a head that stands out alone. {found_when} "
    "Earlier layers and MLPs are left out, and where the head looks is not asked."
)


def _notes(n_tokens: int, n_controls: int, n_heads: int) -> dict[str, Any]:
    return {
        "control": f"the same scores, mean over {n_controls} models of the same architecture with random weights",
        "control_permuted": "the same head, each token's logit exchanged for another token's",
        "n_tokens": n_tokens,
        "n_controls": n_controls,
        "p_floor": 1 / (n_controls + 1),
        "q_floor": smallest_q(n_controls, n_heads),
        "found_when": "Found: q up to 0.05, and the interval lies above the mean control head by more than twice what "
        "the largest control head does and by more than 0.1, and above the same head with tokens exchanged.",
    }
