"""What the heads of a model look at: the best head of each kind, and how much goes to the first token."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from interp.attention import received_attention
from interp.attention.detectors import HeadScore as Weights
from interp.attention.streaming import score_heads
from interp.models import encode, facts
from interp.models.tokenizers import body_ids, frame
from interp.models.zoo import texts
from interp.models.zoo.measure import Estimate
from interp.models.zoo.scores import HeadScore, Sinks
from interp.prompts import TokenBatch
from interp.results import Result
from interp.statistics import N_RESAMPLES
from interp.types import Mask, Model, Pattern

FIRST_QUERY = 8
"""Queries before it see so few tokens that the first one gets much of any attention."""
AT_LEAST = 5.0
"""Times uniform, from which a head counts as one that attends to the first token."""
EPSILON, EPSILON_TOKENS = 0.3, 64
"""Threshold and length of Sink^epsilon, as in its source."""
DETECTORS = ("previous_token", "duplicate_token", "induction", "first_token")
"""Kinds of heads that a card names; of the others each model has a best one that says little."""
WINDOWS = 6
"""Windows for each text: patterns of a long context are large."""


def shipped_sentences(model: Model) -> TokenBatch:
    """The shipped sentences that a first look reads, one to a prompt."""
    sentences = texts.read_sentences(texts.N_FIRST_LOOK)
    return TokenBatch.of([encode(model, text) for rows in sentences.values() for text in rows])


def best_heads(scores: Result) -> list[HeadScore]:
    """The head with the highest score of each detector that a card names."""
    found = []
    for detector in DETECTORS:
        rows = scores.data.sel(detector=detector)
        where = rows.score.argmax(...)
        best = rows.isel(where)
        values = {name: float(best[variable]) for name, variable in _HEAD_VALUES.items()}
        found.append(HeadScore(detector=str(detector), head=f"L{int(best['layer'])}H{int(best['head'])}", **values))
    return found


def windows(model: Model, passages: Sequence[str], *, length: int | None = None, n: int = WINDOWS) -> TokenBatch:
    """The beginnings of passages in full windows of one length, so that no query is at a padded place.

    Args:
        model: A hooked model; each window begins as it wants a text to begin.
        passages: Long texts.
        length: Tokens of a window; the context length by default.
        n: Windows for each passage, or as many as it fills.
    """
    before = frame(model).before
    room = (length or facts(model).n_ctx) - len(before)
    rows = []
    for text in passages:
        ids = body_ids(model.tokenizer, text)
        starts = range(0, len(ids) - room + 1, room)[:n]
        rows += [np.array([*before, *ids[start : start + room]]) for start in starts]
    return TokenBatch.of(rows)


def later_first_token(pattern: Pattern, mask: Mask) -> Weights:
    """Score attention to position 0 by queries from `FIRST_QUERY` on: the mean of A[i, 0] over them."""
    counted = mask.clone()
    counted[:, :FIRST_QUERY] = False
    return pattern[..., 0].masked_fill(~counted[:, None], 0.0).sum(-1) / counted.sum(-1)[:, None]


def measure_sinks(model: Model, control: Model, passages: Sequence[str], text: str) -> Sinks:
    """Measure attention to the first token on full windows of some passages, beside random weights.

    Args:
        model: A hooked model.
        control: The same architecture with random weights.
        passages: Long texts, each of at least one context length.
        text: What they are, in words.

    Source: Gu et al. 2025, When Attention Sink Emerges in Language Models, sec. 3 (arXiv:2410.10781), for Sink^epsilon.
    """
    full, short = windows(model, passages), windows(model, passages, length=EPSILON_TOKENS)
    weights = first_token_weights(model, full)
    uniform = uniform_weight(full)
    mean = weights.mean(0)
    order = np.argsort(-mean, axis=None)
    places = [np.unravel_index(place, mean.shape) for place in order]
    return Sinks(
        text=text,
        share=sink_share(weights, uniform),
        uniform=uniform,
        heads={f"L{layer}H{head}": float(mean[layer, head]) for layer, head in places},
        random_weights=float((first_token_weights(control, full).mean(0) >= AT_LEAST * uniform).mean()),
        epsilon=_above_epsilon(model, short),
        epsilon_random_weights=_above_epsilon(control, short),
    )


def first_token_weights(model: Model, batch: TokenBatch) -> Float[np.ndarray, "prompt layer head"]:
    """Mean attention of each head to the first token, on each prompt."""
    return score_heads(model, batch, {"later first token": later_first_token})[0]


def uniform_weight(batch: TokenBatch) -> float:
    """What the first token would get if every query spread its attention evenly over what it sees."""
    queries = np.arange(batch.tokens.shape[1])
    counted: Bool[np.ndarray, "prompt pos"] = batch.mask & (queries >= FIRST_QUERY)
    return float(((counted / (queries + 1)).sum(1) / counted.sum(1)).mean())


def sink_share(weights: Float[np.ndarray, "prompt layer head"], uniform: float, *, seed: int = 0) -> Estimate:
    """Share of heads whose mean attention is at least `AT_LEAST` times uniform; the interval is over prompts."""
    drawn = np.random.default_rng(seed).integers(len(weights), size=(N_RESAMPLES, len(weights)))
    resampled = [(weights[rows].mean(0) >= AT_LEAST * uniform).mean() for rows in drawn]
    low, high = np.quantile(resampled, [0.025, 0.975])
    value = (weights.mean(0) >= AT_LEAST * uniform).mean()
    return Estimate(float(value), float(low), float(high), len(weights))


def _above_epsilon(model: Model, batch: TokenBatch) -> float:
    received = score_heads(model, batch, {"received": _received_by_first})[0]
    return float((received > EPSILON).mean())


def _received_by_first(pattern: Pattern, mask: Mask) -> Weights:
    return received_attention(pattern, mask)[..., 0]


_HEAD_VALUES = {
    "score": "score",
    "low": "score_low",
    "high": "score_high",
    "threshold": "threshold",
    "p_corrected": "p_corrected",
}
