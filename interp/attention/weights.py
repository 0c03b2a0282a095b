"""What heads do by their weights, beside random weights: who copies or suppresses, who looks at certain tokens."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from jaxtyping import Bool, Float, Int
from scipy import stats
from torch import Tensor

from interp.attention.materials import ordinary_tokens
from interp.attention.ov import (
    LOWERED,
    copy_suppression,
    copying,
    copying_ratio,
    decoder_of,
    most_lowered,
    ov_circuits,
    ov_products,
)
from interp.attention.qk import key_tokens, token_attention, token_pairs
from interp.attention.significance import DIMS, HeadScores, Measured, beside_random, smallest_p, smallest_q
from interp.attention.streaming import refuse_other_shape
from interp.errors import InputError
from interp.models import facts, provenance
from interp.results import Result
from interp.types import Model

OV_DETECTORS, QK_DETECTORS = ("copying", "copy_suppression"), ("key_tokens", "token_pairs")
DETECTORS = OV_DETECTORS + QK_DETECTORS
N_LOOKING = 512
"""Tokens that attention between tokens is computed for: its numbers grow with their square."""
N_GROUPS = 10
"""Groups of tokens that the jackknife leaves out in turn."""


@dataclass(frozen=True)
class Tokens:
    """The tokens that scores are taken over, in random order, and the same in another order."""

    ids: Int[np.ndarray, " token"]
    other: Int[np.ndarray, " token"]

    @property
    def looking(self) -> Int[np.ndarray, " token"]:
        """Those that look at each other."""
        return self.ids[:N_LOOKING]


def weight_scores(model: Model, control_models: Iterable[Model], *, n_tokens: int = 2000, seed: int = 0) -> Result:
    """Find heads that copy or suppress copying, and heads that look at certain tokens, from weights alone.

    What a pattern on random tokens cannot show: a head that only looks at a few words, or only from a few
    (`interp.attention.qk`), and what a head does with what it looks at (`interp.attention.ov`).

    Args:
        model: A hooked model of a decoder family.
        control_models: The same architecture with random weights, several seeds; 19 are needed for a head to be found,
            as in `head_scores`. May be a generator: one model is held at a time.
        n_tokens: Ordinary tokens that scores are taken over; drawn at random where the vocabulary has more.
        seed: Decides which tokens.

    Returns:
        `score` of each detector (`copying` from -1 to 1; `copy_suppression`, `key_tokens` and `token_pairs` from 0 to
        1) with its interval, `control` (random weights), `control_permuted` (this head with every token's logit
        exchanged for another's; for the last two, even attention), `threshold`, `p_corrected`, `q_fdr` and `found`.

    Raises:
        InputError: no control model, one of another shape or with the model's weights, or too few tokens.
        ModelError: the architecture cannot be taken apart, or the model has no tokenizer.
    """
    tokens = draw_tokens(model, n_tokens, seed)
    controls = []
    for control in control_models:
        refuse_other_shape(model, control)
        controls.append(score(control, tokens))
    if not controls:
        raise InputError("No control model was given. Expected at least one: load random: before the model's name.")
    null, measured = np.stack(controls), measure(model, tokens)
    variables = beside_random(measured, null, beats=np.ones(len(DETECTORS), dtype=bool))
    coords = {"detector": list(DETECTORS), "layer": np.arange(null.shape[2]), "head": np.arange(null.shape[3])}
    notes = _notes(tokens, len(null), null[0].size)
    return Result(
        kind="weight_scores",
        data=xr.Dataset(variables | {"control_permuted": (DIMS, measured.other)}, coords),
        unit="copying: sum of eigenvalues over sum of their sizes; copy suppression: share of tokens; key tokens and "
        "token pairs: share of tokens",
        sign="A larger number means that the head raises (copying) or lowers (copy suppression) the token it looks at, "
        "or that it leaves out more tokens (key tokens, token pairs).",
        method=_METHOD.format(**notes),
        provenance=provenance(model, tokens=[tokens.ids], call=f"weight_scores(n_tokens={n_tokens})", seed=seed),
        baselines={"random head, copying": 0.0, "random head, copy_suppression": LOWERED}
        | {f"even attention, {name}": 0.0 for name in QK_DETECTORS},
        notes=notes,
    )


def measure(model: Model, tokens: Tokens) -> Measured:
    """Score one model's heads, with intervals, and the same with tokens exchanged."""
    plain = score(model, tokens)
    other = np.concatenate([_ov_scores(model, tokens.ids, tokens.other), np.zeros_like(plain[len(OV_DETECTORS) :])])
    margin = np.concatenate([_ov_margins(model, tokens.ids), _qk_margins(model, tokens.looking)])
    least = np.array([-1.0, 0.0, 0.0, 0.0])[:, None, None]
    return Measured(plain, np.maximum(plain - margin, least), np.minimum(plain + margin, 1.0), other)


def draw_tokens(model: Model, n_tokens: int, seed: int) -> Tokens:
    """Draw the ordinary tokens that scores are taken over.

    Raises:
        InputError: too few tokens for an interval.
        ModelError: the model has no tokenizer.
    """
    pool = ordinary_tokens(model)
    if min(n_tokens, len(pool)) < 2 * N_GROUPS:
        raise InputError(
            f"{min(n_tokens, len(pool))} tokens give no interval over tokens. Expected at least {2 * N_GROUPS}."
        )
    rng = np.random.default_rng(seed)
    ids = rng.permutation(pool)[:n_tokens]
    # By one place: every token meets another one's logit, whatever the draw.
    return Tokens(ids, np.roll(ids, 1))


def score(model: Model, tokens: Tokens) -> HeadScores:
    """Score one model's heads."""
    everything = torch.ones(1, len(tokens.looking), dtype=torch.bool)
    return np.concatenate(
        [_ov_scores(model, tokens.ids, tokens.ids), _qk_scores(model, tokens.looking, everything)[:, 0]]
    )


def _qk_scores(
    model: Model, ids: Int[np.ndarray, " token"], kept: Bool[Tensor, "group token"]
) -> Float[np.ndarray, "detector group layer head"]:
    """Both detectors of what is looked at, for some choices of queries (key tokens) or of keys (token pairs)."""
    decoder, known = decoder_of(model), facts(model)
    tokens, chosen = torch.from_numpy(ids).to(known.device), kept.to(known.device)
    found = [
        [[[detect(weights, some) for some in chosen] for detect in (key_tokens, token_pairs)] for weights in heads]
        for heads in token_attention(decoder, tokens, known.n_ctx)
    ]
    return np.array(found).transpose(2, 3, 0, 1)


def _qk_margins(model: Model, ids: Int[np.ndarray, " token"]) -> np.ndarray:
    """Half the 95 % interval, by leaving out each of ten groups in turn.

    Of queries for key tokens, which are to be looked at whatever the query. Of keys for token pairs, where one query
    may be the point: a head that looks at one lone token from one lone token has no interval to speak of.
    """
    kept = torch.ones(N_GROUPS, len(ids), dtype=torch.bool)
    for group in range(N_GROUPS):
        kept[group, group::N_GROUPS] = False
    return _margin(_qk_scores(model, ids, kept))


def _ov_scores(model: Model, sources: Int[np.ndarray, " token"], targets: Int[np.ndarray, " token"]) -> np.ndarray:
    layers = [
        torch.stack([copying(values, outputs), copy_suppression(values, outputs)])
        for values, outputs in ov_circuits(model, sources, targets)
    ]
    return torch.stack(layers, 1).cpu().numpy()


def _ov_margins(model: Model, ids: Int[np.ndarray, " token"]) -> np.ndarray:
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
    return _margin(torch.stack(without, 2).cpu().numpy())


def _margin(left_out: Float[np.ndarray, "detector group layer head"]) -> np.ndarray:
    error = np.sqrt((N_GROUPS - 1) * left_out.var(axis=1))
    return float(stats.t.ppf(0.975, N_GROUPS - 1)) * error


_METHOD = (
    "From weights: embedding, the block's norm, W_V, W_O, the linear part of the final norm, unembedding; over "
    "{n_tokens} ordinary tokens. Copying: sum of the eigenvalues of that matrix over the sum of their sizes. Copy "
    "suppression: share of tokens whose own logit is among the 5 % lowered most. Key tokens and token pairs: attention "
    "between {n_looking} tokens from W_Q and W_K, as if each stood there once; share of tokens left out, "
    "1 - exp(entropy) / tokens, by the mean query, and by the query that leaves out most. Intervals: 95 %, jackknife "
    "over ten groups of tokens. Threshold, p and q: as for head scores, against {n_controls} random-weights models, "
    "over all heads and these detectors; p cannot be below {p_floor:.3g}. {found_when} "
    "Earlier layers and MLPs are left out. Copying does not ask where the head looks, nor looking what it does there."
)


def _notes(tokens: Tokens, n_controls: int, n_scores: int) -> dict[str, Any]:
    return {
        "control": f"the same scores, mean over {n_controls} models of the same architecture with random weights",
        "control_permuted": "the same head, each token's logit exchanged for another token's; for key tokens and token "
        "pairs, even attention",
        "n_tokens": len(tokens.ids),
        "n_looking": len(tokens.looking),
        "n_controls": n_controls,
        "p_floor": smallest_p(n_controls),
        "q_floor": smallest_q(n_controls, n_scores),
        "found_when": "Found: p up to 0.05, and the interval lies above the threshold, more than 0.1 above the mean "
        "control head, and above the same head with tokens exchanged.",
    }
