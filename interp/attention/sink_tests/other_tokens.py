"""Tests that change the tokens: BOS on or off, random tokens, one token repeated."""

import numpy as np
from jaxtyping import Bool, Int

from interp.attention.sink_tests.arms import Arm, Replaced
from interp.attention.sink_tests.edits import RefusedError
from interp.attention.sink_tests.setting import Case, Setting
from interp.models import facts
from interp.prompts import TokenBatch

_NOT_COMPARABLE = "other tokens have another loss, so only attention is compared"


def bos(setting: Setting) -> Case:
    """Take BOS away where prompts begin with it, or put it there; control: the same with another token."""
    begins = setting.subject.batch.tokens[:, 0] == setting.bos
    if setting.bos is None:
        raise RefusedError("The model's tokenizer has no BOS token, so it can be neither put there nor taken away.")
    if begins.all():
        return _without_bos(setting)
    if begins.any():
        raise RefusedError(
            f"{int(begins.sum())} of {len(begins)} prompts begin with BOS. Expected all of them or none."
        )
    return _with_bos(setting)


def _without_bos(setting: Setting) -> Case:
    batch, rng = setting.subject.batch, np.random.default_rng(setting.seed)
    # Not the last token, which no other follows.
    draws = [np.array([rng.integers(1, length - 1) for length in batch.lengths]) for _ in range(setting.n_draws)]
    return Case(
        "bos",
        "leave BOS out",
        "leave one random other token out",
        Arm(replaced=_leave_out(batch, np.zeros(len(batch), int)), budget=1.0),
        tuple(Arm(replaced=_leave_out(batch, at), budget=1.0) for at in draws),
        budget_unit="tokens",
        note="the first token after BOS has no loss without it; positions move by one",
    )


def _with_bos(setting: Setting) -> Case:
    batch, known = setting.subject.batch, facts(setting.subject.model)
    if batch.tokens.shape[1] >= known.n_ctx:
        raise RefusedError(
            f"Prompts of {batch.tokens.shape[1]} tokens leave no room for BOS in a context of {known.n_ctx}."
        )
    rng = np.random.default_rng(setting.seed)
    others = [rng.choice(setting.ordinary, len(batch)) for _ in range(setting.n_draws)]
    return Case(
        "bos",
        "put BOS before the prompts, which begin without it",
        "put a random ordinary token before the prompts",
        Arm(replaced=_put_before(batch, np.full(len(batch), setting.bos)), budget=1.0),
        tuple(Arm(replaced=_put_before(batch, tokens), budget=1.0) for tokens in others),
        budget_unit="tokens",
        note="positions move by one; attention is to whatever token comes first",
    )


def random_tokens(setting: Setting) -> Case:
    """Replace the text by random tokens; control: the text's own tokens in random order."""
    rng = np.random.default_rng(setting.seed)
    kept = _kept_bos(setting)
    return Case(
        "random_tokens",
        "replace all tokens but BOS by random ones",
        "shuffle the text's own tokens behind BOS",
        Arm(replaced=_same_places(setting, _drawn(setting, rng, kept))),
        tuple(Arm(replaced=_same_places(setting, _shuffled(setting, rng, kept))) for _ in range(setting.n_draws)),
        scored=False,
        note=_NOT_COMPARABLE,
    )


def one_token_repeated(setting: Setting) -> Case:
    """Replace every token, the first too, by one; control: every token, the first too, by a random one."""
    batch, rng = setting.subject.batch, np.random.default_rng(setting.seed)
    one = np.broadcast_to(rng.choice(setting.ordinary, (len(batch), 1)), batch.tokens.shape)
    nothing = np.zeros(len(batch), bool)
    return Case(
        "one_token_repeated",
        "replace every token, the first one too, by the same random token",
        "replace every token, the first one too, by random tokens",
        Arm(replaced=_same_places(setting, one)),
        tuple(Arm(replaced=_same_places(setting, _drawn(setting, rng, nothing))) for _ in range(setting.n_draws)),
        scored=False,
        note=_NOT_COMPARABLE + "; a sink spread over equal tokens is not a sink removed",
    )


def _kept_bos(setting: Setting) -> Bool[np.ndarray, " prompt"]:
    return setting.subject.batch.tokens[:, 0] == (-1 if setting.bos is None else setting.bos)


def _drawn(setting: Setting, rng: np.random.Generator, kept: np.ndarray) -> Int[np.ndarray, "prompt pos"]:
    batch = setting.subject.batch
    tokens = rng.choice(setting.ordinary, batch.tokens.shape)
    tokens[kept, 0] = batch.tokens[kept, 0]
    return tokens


def _shuffled(setting: Setting, rng: np.random.Generator, kept: np.ndarray) -> Int[np.ndarray, "prompt pos"]:
    batch = setting.subject.batch
    tokens = batch.tokens.copy()
    for row, first, length in zip(tokens, kept.astype(int), batch.lengths, strict=True):
        row[first:length] = rng.permutation(row[first:length])
    return tokens


def _same_places(setting: Setting, tokens: np.ndarray) -> Replaced:
    mask = setting.subject.batch.mask
    filled = np.where(mask, tokens, setting.subject.batch.tokens).astype(np.int64)
    return Replaced(TokenBatch(filled, mask), np.where(mask, np.arange(mask.shape[1]), -1))


def _leave_out(batch: TokenBatch, at: Int[np.ndarray, " prompt"]) -> Replaced:
    places = [np.delete(np.arange(length), gone) for length, gone in zip(batch.lengths, at, strict=True)]
    return _replaced([row[kept] for row, kept in zip(batch.tokens, places, strict=True)], places)


def _put_before(batch: TokenBatch, first: Int[np.ndarray, " prompt"]) -> Replaced:
    rows = [np.append(token, row[:n]) for token, row, n in zip(first, batch.tokens, batch.lengths, strict=True)]
    return _replaced(rows, [np.arange(-1, length) for length in batch.lengths])


def _replaced(rows: list[np.ndarray], places: list[np.ndarray]) -> Replaced:
    batch = TokenBatch.of(rows)
    origin = np.full(batch.tokens.shape, -1)
    for row, place in zip(origin, places, strict=True):
        row[: len(place)] = place
    return Replaced(batch, origin)
