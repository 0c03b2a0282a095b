"""Prompts of random tokens said twice: the only way to predict the second copy is to look at the first."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from interp.errors import InputError
from interp.prompts import TokenBatch

SHORTEST_PERIOD = 3
"""Below it, induction looks at the previous token or at itself, and the detectors measure the same thing."""


@dataclass(frozen=True)
class RepeatedTokens:
    """`[BOS?] + r + r` for random r of `period` distinct tokens, and the same without the repetition."""

    batch: TokenBatch
    unrepeated: TokenBatch
    """`[BOS?] + r + s`, where s has none of r's tokens: what positions alone bring about."""
    period: int
    start: int
    """Position of the first token of r: 1 after BOS, else 0."""


def repeated_tokens(
    pool: Int[np.ndarray, " token"], *, bos: int | None, n_sequences: int, period: int, seed: int = 0
) -> RepeatedTokens:
    """Draw sequences of random tokens, each followed by itself.

    The tokens of one copy are distinct, so that each has exactly one previous occurrence.

    Args:
        pool: Token ids to draw from: ordinary ones, no special tokens.
        bos: Id put before each sequence, or None for models whose policy is to have none.
        n_sequences: How many.
        period: Tokens in one copy.
        seed: Decides the draw.

    Raises:
        InputError: too short a period, fewer than two sequences, or a pool smaller than two periods.
    """
    if period < SHORTEST_PERIOD:
        raise InputError(f"A period of {period} cannot tell the detectors apart. Expected at least {SHORTEST_PERIOD}.")
    if n_sequences < 2:
        raise InputError(f"{n_sequences} sequence gives no interval. Expected at least 2 sequences.")
    if len(pool) < 2 * period:
        raise InputError(
            f"{len(pool)} token ids cannot give two times {period} distinct tokens. Use a period of "
            f"{len(pool) // 2} or less."
        )
    rng = np.random.default_rng(seed)
    drawn = np.stack([rng.choice(pool, size=2 * period, replace=False) for _ in range(n_sequences)])
    first, other = drawn[:, :period], drawn[:, period:]
    front = np.full((n_sequences, 0 if bos is None else 1), -1 if bos is None else bos)
    batch, unrepeated = (
        TokenBatch.of(list(np.concatenate([front, first, second], axis=1))) for second in (first, other)
    )
    return RepeatedTokens(batch, unrepeated, period, front.shape[1])
