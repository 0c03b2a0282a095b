"""How well a model predicts text: bits per byte on whole passages, and what a repetition saves it.

Bits per byte, not loss per token: it does not depend on how a tokenizer cuts the text, so models with other
tokenizers, and compressors, can be compared with it.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy import stats

from interp.errors import InputError, ModelError
from interp.models.identity import facts
from interp.models.tokenizers import body_ids, frame
from interp.statistics import N_RESAMPLES, bootstrap_interval
from interp.types import Model

ROWS = 8
"""Windows per forward pass."""
FEWEST_WINDOWS = 2
"""Below it there is no interval."""


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval, by bootstrap or Wilson's, and the count of what it is a mean of."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class TextLoss:
    """Summed loss and length of each window of some texts."""

    nats: Float[np.ndarray, " window"]
    n_bytes: Int[np.ndarray, " window"]
    n_tokens: int

    def bits_per_byte(self, *, seed: int = 0) -> Estimate:
        """Bits per byte of all windows together; the interval is over windows.

        Neighbouring windows are of one book, so the interval speaks of these books, not of the language.
        """
        found = stats.bootstrap(
            (self.nats, self.n_bytes),
            _bits_per_byte,
            paired=True,
            n_resamples=N_RESAMPLES,
            method="percentile",
            rng=np.random.default_rng(seed),
        )
        low, high = found.confidence_interval
        return Estimate(float(_bits_per_byte(self.nats, self.n_bytes)), float(low), float(high), len(self.nats))


@dataclass(frozen=True)
class RepeatLoss:
    """Mean loss, in nats per token, on random tokens and on the same tokens said again."""

    first: Estimate
    second: Estimate
    saved: Estimate
    """First minus second, by sequence: positive means that the repetition is used."""
    period: int


def text_loss(model: Model, texts: Sequence[str]) -> TextLoss:
    """Sum the loss on texts, every token scored once, in windows of the model's context length.

    Each window begins with BOS where the model wants it, and knows nothing of the window before, so the first tokens
    of a window are predicted from little: the number is an upper bound of what a longer context would give.

    Args:
        model: A hooked decoder with a byte-level tokenizer.
        texts: Passages; each begins a window of its own.

    Raises:
        ModelError: the model has no tokenizer, or one that is not byte-level.
        InputError: the texts fill fewer than two windows.
    """
    before = frame(model).before
    room = facts(model).n_ctx - len(before)
    bodies = [body for text in texts for body in _cut(_checked_ids(model, text), room)]
    if len(bodies) < FEWEST_WINDOWS:
        raise InputError(f"The texts fill {len(bodies)} windows of {room} tokens. Expected at least {FEWEST_WINDOWS}.")
    lengths = _byte_lengths(model)
    nats = np.array([losses.sum() for losses in _losses(model, [np.array([*before, *body]) for body in bodies])])
    # Without BOS nothing predicts the first token of a window, so its bytes do not count either.
    n_bytes = np.array([lengths[body[0 if before else 1 :]].sum() for body in bodies])
    n_tokens = sum(len(body) - (not before) for body in bodies)
    return TextLoss(nats.astype(np.float64), n_bytes, n_tokens)


def repeated_random_loss(model: Model, *, n_sequences: int = 64, period: int = 64, seed: int = 0) -> RepeatLoss:
    """Compare the loss on random tokens with the loss on their repetition, which only copying can lower.

    The first token of each copy is left out: nothing says that the repetition begins there.

    Args:
        model: A hooked decoder.
        n_sequences: How many sequences.
        period: Tokens in one copy.
        seed: Decides the tokens.

    Raises:
        InputError: two copies do not fit the context.

    Source: Olsson et al. 2022, In-context Learning and Induction Heads (arXiv:2209.11895).
    """
    known, before = facts(model), frame(model).before
    if not 2 <= period <= (known.n_ctx - len(before)) // 2:
        raise InputError(f"Two copies of {period} tokens do not fit a context of {known.n_ctx}. Use a shorter period.")
    special = set(model.tokenizer.all_special_ids)
    pool = np.array([token for token in range(known.d_vocab) if token not in special])
    random = np.random.default_rng(seed).choice(pool, size=(n_sequences, period))
    rows = [np.array([*before, *copy, *copy]) for copy in random]
    losses = np.stack(list(_losses(model, rows)))
    start = len(before)
    # The loss at index i is that of token i + 1.
    first = losses[:, start : start + period - 1].mean(1)
    second = losses[:, start + period : start + 2 * period - 1].mean(1)
    return RepeatLoss(estimate(first), estimate(second), estimate(first - second), period)


def byte_unigram_bits(train: Iterable[str], held_out: Iterable[str]) -> float:
    """Bits per byte of a code that knows only how often each byte occurs in the training text: the floor of any model.

    Every byte is counted once more than it occurs, so that none is impossible.
    """
    counts = 1.0 + _count_bytes(train)
    seen = _count_bytes(held_out)
    return float(-(seen * np.log2(counts / counts.sum())).sum() / seen.sum())


def estimate(values: Float[np.ndarray, " n"]) -> Estimate:
    """Mean of some values with its interval."""
    low, high = bootstrap_interval(values.astype(np.float64))
    return Estimate(float(values.mean()), float(low), float(high), len(values))


def share(hits: Bool[np.ndarray, " n"]) -> Estimate:
    """Share of true values with its 95 % Wilson interval, which is fit for shares near 0 and 1."""
    count = int(hits.sum())
    low, high = stats.binomtest(count, len(hits)).proportion_ci(method="wilson")
    return Estimate(count / len(hits), float(low), float(high), len(hits))


def next_log_probs(model: Model, prompts: Sequence[str], following: Sequence[str]) -> Float[np.ndarray, " prompt"]:
    """Mean log-probability, in nats per token, of a text after a prompt; the prompt's own tokens are not scored.

    Args:
        model: A hooked decoder.
        prompts: Texts; each begins as the model wants a text to begin.
        following: How each goes on, the space before its first word included.
    """
    before, tokenizer = frame(model).before, model.tokenizer
    ends = [body_ids(tokenizer, text) for text in following]
    rows = [np.array([*before, *body_ids(tokenizer, text), *end]) for text, end in zip(prompts, ends, strict=True)]
    return np.array([-found[-len(end) :].mean() for found, end in zip(_losses(model, rows), ends, strict=True)])


def _bits_per_byte(nats: np.ndarray, n_bytes: np.ndarray, axis: int = -1) -> np.ndarray | np.floating:
    return nats.sum(axis) / n_bytes.sum(axis) / math.log(2)


def _count_bytes(texts: Iterable[str]) -> np.ndarray:
    counts = [np.bincount(np.frombuffer(text.encode(), np.uint8), minlength=256) for text in texts]
    return np.sum(counts, axis=0)


def _checked_ids(model: Model, text: str) -> np.ndarray:
    ids = np.array(body_ids(model.tokenizer, text), np.int64)
    counted, real = int(_byte_lengths(model)[ids].sum()), len(text.encode())
    if counted != real:
        raise ModelError(
            f"The tokenizer's tokens spell {counted} bytes for a text of {real}. Expected a byte-level tokenizer, "
            "whose tokens spell exactly the text."
        )
    return ids


def _byte_lengths(model: Model) -> np.ndarray:
    """Bytes of each token: a byte-level tokenizer writes one character for one byte."""
    tokenizer: Any = model.tokenizer
    written = tokenizer.convert_ids_to_tokens(list(range(facts(model).d_vocab)))
    return np.array([len(token or "") for token in written])


def _cut(ids: np.ndarray, room: int) -> list[np.ndarray]:
    return [ids[start : start + room] for start in range(0, len(ids), room)]


@torch.no_grad()
def _losses(model: Model, rows: list[np.ndarray]) -> Iterable[np.ndarray]:
    """Loss of every token but the first of each row, in nats, in the order of the rows."""
    device = facts(model).device
    for start in range(0, len(rows), ROWS):
        part = rows[start : start + ROWS]
        longest = max(map(len, part))
        # Padding on the right: a causal model never looks there, and its losses are cut off below.
        tokens = torch.tensor(np.stack([np.pad(row, (0, longest - len(row))) for row in part]), device=device)
        log_probs = model(tokens).float().log_softmax(-1)
        losses = -log_probs[:, :-1].gather(-1, tokens[:, 1:, None])[..., 0].cpu().numpy()
        if not np.isfinite(losses).all():
            raise ModelError("The model's loss is NaN or infinite. Load it in a wider dtype, such as float32.")
        yield from (found[: len(row) - 1] for row, found in zip(part, losses, strict=True))
