"""Attention patterns of every layer and head, beside those of the same architecture with random weights."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float

from interp.attention.streaming import ROW_SUM_TOLERANCE, refuse_other_shape, stream_patterns
from interp.errors import InputError
from interp.models import facts, provenance
from interp.models import str_tokens as texts_of
from interp.prompts import TokenBatch
from interp.results import Result
from interp.types import Model

MOST_BYTES = 2 * 10**9
_DIMS = ("prompt", "layer", "head", "dest_pos", "src_pos")
_METHOD = (
    "Attention weights after the softmax, as the model computed them on these prompts; rows are queries (dest), "
    "columns keys (src); zero at padding. Where a head looks is not evidence of what it moves, nor that the answer "
    "depends on it."
)
_CONTROL = "the same prompts through the same architecture with random weights"


def attention_patterns(
    model: Model,
    batch: TokenBatch,
    control_model: Model,
    *,
    str_tokens: list[list[str]] | None = None,
    max_bytes: int = MOST_BYTES,
) -> Result:
    """Keep every head's attention on some prompts, for looking at.

    Args:
        model: A hooked model.
        batch: The prompts.
        control_model: The same architecture with random weights.
        str_tokens: Text of each token of each prompt; by default as the model's tokenizer writes it.
        max_bytes: Refuse to make a larger result.

    Returns:
        `pattern` and `control_pattern` in float32, from 0 to 1, and the `length` of each prompt. The notes say whether
        attention is causal and whether some row sums to less than one, as with learned sinks.

    Raises:
        InputError: the result would be larger than `max_bytes`, the control has another shape or the same weights, or
            token texts do not fit the prompts.
        PromptError: prompts that do not fit the model.
    """
    refuse_other_shape(model, control_model)
    _refuse_too_large(model, batch, max_bytes)
    texts = str_tokens if str_tokens is not None else _texts(model, batch)
    _check_texts(texts, batch)
    taken, control = _collect(model, batch), _collect(control_model, batch)
    coords = {dim: np.arange(size) for dim, size in zip(_DIMS, taken.pattern.shape, strict=True)}
    variables = {"pattern": (_DIMS, taken.pattern), "control_pattern": (_DIMS, control.pattern)}
    return Result(
        kind="attention_patterns",
        data=xr.Dataset(variables | {"length": ("prompt", batch.lengths)}, coords),
        unit="attention weight (share of the row)",
        sign="A larger number means that the query puts more of its attention on that source.",
        method=_METHOD,
        provenance=provenance(
            model, tokens=[batch.tokens, batch.mask], call=f"attention_patterns({len(batch)} prompts)"
        ),
        notes={
            "str_tokens": texts,
            "causal": taken.causal,
            "row_sums_below_one": taken.row_sums_below_one,
            "bos": facts(model).bos,
            "control": _CONTROL,
            "n_prompts": len(batch),
        },
    )


@dataclass(frozen=True)
class _Collected:
    pattern: Float[np.ndarray, "prompt layer head dest_pos src_pos"]
    causal: bool
    """No weight on later positions anywhere in these prompts."""
    row_sums_below_one: bool


def _collect(model: Model, batch: TokenBatch) -> _Collected:
    known = facts(model)
    n_pos = batch.tokens.shape[1]
    pattern = np.zeros((len(batch), known.n_layers, known.n_heads, n_pos, n_pos), np.float32)
    above, short = False, False
    for rows, mask, layers in stream_patterns(model, batch):
        for layer, part in enumerate(layers):
            pattern[rows, layer] = part.numpy()
            above |= bool(part.triu(1).any())
            missing = (1 - part.sum(-1)).masked_fill(~mask[:, None], 0.0)
            short |= bool((missing > ROW_SUM_TOLERANCE).any())
    return _Collected(pattern, not above, short)


def _refuse_too_large(model: Model, batch: TokenBatch, max_bytes: int) -> None:
    known, n_pos = facts(model), batch.tokens.shape[1]
    needed = 2 * 4 * len(batch) * known.n_layers * known.n_heads * n_pos**2
    if needed > max_bytes:
        raise InputError(
            f"The patterns of {len(batch)} prompts of {n_pos} tokens take {needed / 1e9:.3g} GB with their control, "
            f"and {max_bytes / 1e9:.3g} GB are allowed. Give fewer or shorter prompts, or raise max_bytes."
        )


def _texts(model: Model, batch: TokenBatch) -> list[list[str]]:
    return [texts_of(model, row[:length]) for row, length in zip(batch.tokens, batch.lengths, strict=True)]


def _check_texts(texts: list[list[str]], batch: TokenBatch) -> None:
    counts, lengths = [len(text) for text in texts], batch.lengths.tolist()
    if counts != lengths:
        raise InputError(
            f"str_tokens holds {counts[:5]} texts for prompts of {lengths[:5]} tokens. Give one for each token."
        )
