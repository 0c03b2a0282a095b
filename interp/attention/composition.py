"""Which heads read what earlier heads write: composition through queries, keys or values, from weights alone."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
import xarray as xr
from jaxtyping import Bool, Float

from interp.attention.significance import against_random, smallest_p, smallest_q
from interp.attention.streaming import refuse_other_shape
from interp.errors import InputError, ModelError
from interp.models import facts, provenance
from interp.results import RAN, Result
from interp.types import Model

_DIMS = ("writer", "reader")
_READS = {"Q": "queries", "K": "keys", "V": "values"}
MARGIN = 0.1
"""A found pair scores at least this share more than the mean control pair."""
_METHOD = (
    "Composition score ||W_OV W_R|| / (||W_OV|| ||W_R||), Frobenius norms, of an earlier head's W_V W_O with what a "
    "later head reads for its {reads} (TransformerLens). Norms between the layers are left out. A function of the "
    "weights alone, without sampling, so without interval. Random weights do not score 0: of width d, about "
    "1/sqrt(d). Control: the same pair, mean over {n_controls} random-weights models. p: distance from the mean "
    "control pair against the furthest pair of each of those models (max-T over pairs); it cannot be below "
    "{p_floor:.3g}. q: against all their pairs pooled, by Benjamini and Hochberg over pairs. Found: p up to 0.05, and "
    "a tenth more than the mean control pair. A high score shows that a head could read what another writes; it is not "
    "evidence that it does so on any text."
)


def composition_scores(model: Model, control_models: Iterable[Model], *, kind: str = "K") -> Result:
    """Score every pair of an earlier and a later head by how much of the one's output the other reads.

    Args:
        model: A hooked model of one residual stream.
        control_models: The same architecture with random weights, several seeds; 19 are needed for a pair to be found.
            May be a generator: one model is held at a time.
        kind: What the later head reads with: queries (Q), keys (K; how an induction head reads a previous-token
            head) or values (V).

    Returns:
        `score` from 0 to 1 over writers and readers, `control` (random weights), `p_corrected`, `q_fdr` and `found`;
        pairs that are not of an earlier and a later layer were not run. Positive means the reader's subspace holds more
        of what the writer writes.

    Raises:
        InputError: an unknown kind, no control model, one of another shape or with the model's weights, or a model of
            one layer.
        ModelError: a model whose heads have no such matrices.

    Source: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits, "Two-Layer Attention-Only
    Transformers".
    """
    if kind not in _READS:
        raise InputError(f"There is no composition of kind {kind!r}. Expected one of {list(_READS)}.")
    known = facts(model)
    if known.n_layers < 2:
        raise InputError("A model of one layer has no later head to read an earlier one. Expected at least 2 layers.")
    scores, controls = _scores(model, kind), []
    for control in control_models:
        refuse_other_shape(model, control)
        controls.append(_scores(control, kind))
    if not controls:
        raise InputError("No control model was given. Expected at least one: load random: before the model's name.")
    ran, null = _earlier(known.n_layers, known.n_heads), np.stack(controls)
    # Pairs are to composition what heads are to a detector.
    pairs = scores[ran][None, None]
    of_pairs = null[:, ran][:, None, None]
    against = against_random(pairs, of_pairs, least=MARGIN * float(of_pairs.mean()))
    values = {
        "score": pairs,
        "control": null[:, ran].mean(0),
        "p_corrected": against.p_corrected,
        "q_fdr": against.q_fdr,
        "found": against.found(pairs),
    }
    heads = [f"L{layer}H{head}" for layer in range(known.n_layers) for head in range(known.n_heads)]
    variables = {name: (_DIMS, _spread(ran, array)) for name, array in values.items()}
    notes = _notes(kind, len(null), int(ran.sum()))
    return Result(
        kind="composition_scores",
        data=xr.Dataset(variables | {RAN: (_DIMS, ran)}, {"writer": heads, "reader": heads}),
        unit="share of the product of both norms",
        sign=f"A larger number means that the reader's {_READS[kind]} read more of what the writer writes.",
        method=_METHOD.format(**notes),
        provenance=provenance(model, tokens=[], call=f"composition_scores(kind={kind!r})"),
        baselines={"largest control pair": float(against.threshold[0]), "found above": float(against.found_above[0])},
        notes=notes,
    )


def _scores(model: Model, kind: str) -> Float[np.ndarray, "writer reader"]:
    known = facts(model)
    if not all(bool(torch.isfinite(weight).all()) for weight in model.parameters()):
        raise ModelError(f"{known.name} has weights that are NaN or infinite. Load the model in a wider dtype.")
    try:
        with torch.no_grad():
            found = model.all_composition_scores(kind).scores
    except (AttributeError, NotImplementedError, ValueError) as error:
        raise ModelError(
            f"TransformerLens has no composition scores for {known.architecture}: {str(error).splitlines()[0]} "
            "Expected a decoder whose attention has W_Q, W_K, W_V and W_O by head."
        ) from error
    n_heads = known.n_layers * known.n_heads
    if found.numel() != n_heads**2:
        raise ModelError(
            f"{known.architecture} has attention in {found.shape[0]} of {known.n_layers} layers. "
            "Expected attention in every layer."
        )
    # Finite weights give NaN only as 0 / 0, where a head's matrix is 0: it writes or reads nothing.
    return found.reshape(n_heads, n_heads).double().nan_to_num(nan=0.0).cpu().numpy()


def _earlier(n_layers: int, n_heads: int) -> Bool[np.ndarray, "writer reader"]:
    layer = np.arange(n_layers).repeat(n_heads)
    return layer[:, None] < layer


def _spread(ran: Bool[np.ndarray, "writer reader"], values: np.ndarray) -> np.ndarray:
    """Numbers of the pairs that were run, in their places."""
    flat = values.ravel()
    spread = np.full(ran.shape, False if flat.dtype == bool else np.nan)
    spread[ran] = flat
    return spread


def _notes(kind: str, n_controls: int, n_pairs: int) -> dict[str, Any]:
    return {
        "control": f"the same pair, mean over {n_controls} models of the same architecture with random weights",
        "composition": kind,
        "reads": _READS[kind],
        "n_controls": n_controls,
        "p_floor": smallest_p(n_controls),
        "q_floor": smallest_q(n_controls, n_pairs),
    }
