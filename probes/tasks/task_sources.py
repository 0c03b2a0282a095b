"""Probing tasks from text: the language of tokens; `read_task`, for labels of your own, stands here, too."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from interp.errors import InputError
from interp.prompts import TokenBatch
from probes.tasks.task import ProbeTask
from probes.tasks.task_file import read_task as read_task
from probes.tasks.token_places import Encode


def token_language_task(
    texts_by_language: Mapping[str, Sequence[str]],
    encode: Encode,
    *,
    samples_per_text: int = 8,
    first_position: int = 4,
    max_tokens: int = 64,
    seed: int = 0,
) -> ProbeTask:
    """Label tokens with the language of the text they stand in.

    Each text is cut to `max_tokens` and is one group. Some of its tokens are drawn: none before `first_position`, and
    none up to which another text reads the same, because a causal model cannot tell the two apart there.

    Args:
        texts_by_language: Texts of each language; give passages of different works, since texts are the groups.
        encode: The model's way from text to ids.
        samples_per_text: Tokens drawn from each text, or all that may be drawn where they are fewer.
        first_position: First position that may be drawn.
        max_tokens: Length to which each text is cut; at most the model's context.
        seed: Decides which tokens are drawn.

    Raises:
        InputError: a text without a token that may be drawn, or anything `ProbeTask` refuses.
    """
    rng = np.random.default_rng(seed)
    texts = [(language, text) for language, given in texts_by_language.items() for text in given]
    rows = [encode(text)[:max_tokens] for _, text in texts]
    if not rows:
        raise InputError("There are no texts. Expected some texts of at least two languages.")
    drawn = [
        np.sort(rng.choice(free, min(samples_per_text, len(free)), replace=False))
        for free in _free_positions(rows, first_position)
    ]
    prompts = np.repeat(np.arange(len(rows)), [len(positions) for positions in drawn])
    return ProbeTask(
        TokenBatch.of(rows),
        prompts,
        np.concatenate(drawn),
        np.array([language for language, _ in texts])[prompts],
        prompts,
        what="language of the text",
    )


def _free_positions(rows: Sequence[np.ndarray], first_position: int) -> list[np.ndarray]:
    """Positions from `first_position` on whose text up to there is that of no other row."""
    shared = Counter(row[: stop + 1].tobytes() for row in rows for stop in range(len(row)))
    free = [
        np.array([pos for pos in range(first_position, len(row)) if shared[row[: pos + 1].tobytes()] == 1], int)
        for row in rows
    ]
    for number, positions in enumerate(free):
        if not len(positions):
            raise InputError(
                f"Text {number} has {len(rows[number])} tokens, and none from position {first_position} on that tells "
                "it from the other texts. Expected longer texts, each given once."
            )
    return free


def text_language_task(
    texts_by_language: Mapping[str, Sequence[str]], encode: Encode, *, first_position: int = 1, max_tokens: int = 64
) -> ProbeTask:
    """Label all tokens with the language of their text: to erase a language from whole texts, not to probe for it.

    Beginnings that several texts share are labelled in each, so that the concept is erased from all that later tokens
    may read it from. A probe would be tested on what it was fitted to: use `token_language_task` for probing.

    Args:
        texts_by_language: Texts of each language, each given once.
        encode: The model's way from text to ids.
        first_position: First position that is labelled; 1 leaves out a BOS, which has no language.
        max_tokens: Length to which each text is cut; at most the model's context.

    Raises:
        InputError: no texts, one without a token to label, or anything `ProbeTask` refuses.
    """
    texts = [(language, text) for language, given in texts_by_language.items() for text in given]
    rows = [encode(text)[:max_tokens] for _, text in texts]
    if short := [text for (_, text), row in zip(texts, rows, strict=True) if len(row) <= first_position]:
        raise InputError(f"{short[0]!r} has no token from position {first_position} on. Expected longer texts.")
    if not rows:
        raise InputError("There are no texts. Expected some texts of at least two languages.")
    prompts = np.repeat(np.arange(len(rows)), [len(row) - first_position for row in rows])
    positions = np.concatenate([np.arange(first_position, len(row)) for row in rows])
    labels = np.array([language for language, _ in texts])[prompts]
    return ProbeTask(TokenBatch.of(rows), prompts, positions, labels, prompts, what="language of the text, all tokens")
