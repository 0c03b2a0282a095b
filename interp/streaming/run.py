"""Loss by position of a stream that is longer than the window, for every way to keep the window full."""

import time
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm.auto import tqdm

from interp.errors import InputError
from interp.models import facts, provenance
from interp.prompts import TokenBatch
from interp.results import Result
from interp.run import capture
from interp.sites import Site
from interp.streaming.banded import BandedStream
from interp.streaming.bins import BinnedLosses, bin_edges
from interp.streaming.cached import CachedStream
from interp.streaming.losses import Stream, measure
from interp.streaming.plan import Arm, Plan, make_plan
from interp.streaming.recompute import recompute_losses, sampled_positions
from interp.streaming.table import as_result
from interp.types import Model

Path = Literal["mask", "cache"]
SCORE_BYTES = 64 * 2**20
"""Attention scores of one layer held at once, about."""
SMALLEST_BLOCK = 128
"""Tokens of a stream read at once, where memory allows: fewer would leave the machine waiting for Python."""
_TIMED_SECONDS = 2.0


@dataclass(frozen=True)
class StreamingEstimate:
    """What `stream_losses` will take."""

    tokens: int
    """Tokens that the model reads, over all arms."""
    seconds: float

    @property
    def text(self) -> str:
        """The estimate in one sentence."""
        return f"{self.tokens:,} tokens to read over all arms: about {self.seconds:.0f} s."


def stream_losses(  # noqa: PLR0913 -- all but the first two are keywords
    model: Model,
    tokens: Int[np.ndarray, "stream pos"],
    *,
    window: int,
    sinks: tuple[int, ...] = (0, 1, 2, 4, 8),
    keep: int | None = None,
    path: Path = "mask",
    dense_to: int | None = None,
    recompute: int = 8,
    seed: int = 0,
) -> Result:
    """Measure what a model loses when the beginning of a stream leaves its window, and what keeping it would save.

    Arms, all with `window` keys for each query, its own included, once that many tokens have come: `window` keeps none;
    `4 sinks` keeps the first four for ever; `control: 4 from 8` keeps four others, from position 8 on; `recompute`
    reads the last `window` tokens anew for every position it measures; `dense` sees everything, as far as it can.
    Positions are those inside the cache, so that none is ever larger than in a text of `window` tokens; in layers that
    have a window of their own, so is the distance it cuts at.

    With learned positions (GPT-2) that is an approximation: a token's position enters where the token is read, as its
    slot then, and its keys cannot be moved afterwards as the cache moves on. From the window on all tokens have the
    last slot's position. There the arms are to be compared with each other, and not with `recompute` or `dense`.

    Streams are read side by side in memory that does not grow with their length, but for the dense arm's.

    Args:
        model: A hooked decoder of `interp.models.decoder.FAMILIES`, without hooks of yours.
        tokens: Independent streams of one length, as `cut_streams` makes them; intervals are over streams.
        window: Keys in the cache.
        sinks: Numbers of first tokens to keep.
        keep: Where the tokens that the controls keep instead begin; None for 5, or behind the last sink.
        path: `mask` reads blocks of tokens under a mask; `cache` reads token by token with a cache of slots, which is
            many times slower and gives the same numbers up to rounding.
        dense_to: Positions that the dense arm reads; None for twice the model's context, or as many as it has.
        recompute: Positions that `recompute` measures in each bin after the window is full.
        seed: Decides which, and the resamples of the intervals.

    Returns:
        By arm and bin of positions `loss_nats`, its 95 % interval, `control_loss_nats`, and `perplexity`; by arm
        `full_loss_nats` (mean over all positions with a full window), `saved_nats` (by how much that is below its
        control's: positive means that the arm is better) and `above_window_nats`, with intervals where there are two
        streams or more.

    Raises:
        ModelError: a model that cannot be streamed.
        InputError: settings that do not fit together, or losses that are not finite.
        PromptError: streams that are too short, or token ids out of range.
        HookError: somebody left hooks on the model.

    Source: Xiao et al. 2023, Efficient Streaming Language Models with Attention Sinks (arXiv:2309.17453).
    """
    plan = make_plan(model, tokens, window=window, sinks=sinks, keep=keep, dense_to=dense_to)
    _refuse_hooks(model, tokens)
    if recompute < 1:
        raise InputError(f"recompute={recompute} measures nothing. Expected at least 1 position in each bin.")
    run = _Run(plan, path, torch.from_numpy(tokens).to(facts(model).device), recompute, seed)
    with tqdm(total=run.n_tokens, desc="stream", unit="token", unit_scale=True, leave=False, delay=2) as bar:
        means = run.losses(bar)
    settings = f"window={window}, sinks={sinks}, keep={keep}, path={path!r}, dense_to={dense_to}, recompute={recompute}"
    call = f"stream_losses({tokens.shape[0]} streams of {tokens.shape[1]} tokens, {settings}, seed={seed})"
    made_by = provenance(model, tokens=[tokens], call=call, seed=seed)
    return as_result(model, plan, run.edges, means, made_by, recompute=recompute)


def estimate_streaming(  # noqa: PLR0913 -- the settings of stream_losses
    model: Model,
    tokens: Int[np.ndarray, "stream pos"],
    *,
    window: int,
    sinks: tuple[int, ...] = (0, 1, 2, 4, 8),
    keep: int | None = None,
    path: Path = "mask",
    dense_to: int | None = None,
    recompute: int = 8,
) -> StreamingEstimate:
    """Say what `stream_losses` with these settings will take, from about two seconds of one arm.

    Raises:
        InterpError: as `stream_losses`, for whatever it would refuse before it runs.
    """
    plan = make_plan(model, tokens, window=window, sinks=sinks, keep=keep, dense_to=dense_to)
    run = _Run(plan, path, torch.from_numpy(tokens).to(facts(model).device), recompute, 0)
    some = min(tokens.shape[1], 2 * window + 2 if path == "mask" else window + 32)
    arm = next(arm for arm in plan.arms if arm.kind == "window")
    seconds, read = 0.0, 0
    while not read or seconds < _TIMED_SECONDS / 2:
        begun = time.perf_counter()
        measure(run.stream(arm), run.tokens[:, :some], run.block, [BinnedLosses(len(tokens), run.edges)])
        seconds += time.perf_counter() - begun
        read += len(tokens) * (some - 1)
    return StreamingEstimate(run.n_tokens, seconds / read * run.n_tokens)


class _Run:
    """One run over all arms."""

    def __init__(self, plan: Plan, path: Path, tokens: Int[Tensor, "stream pos"], per_bin: int, seed: int):
        self.plan, self.path, self.tokens = plan, path, tokens
        self.edges = bin_edges(plan.n_positions, [plan.window, plan.dense_stop, plan.n_ctx])
        self.sampled = sampled_positions(self.edges, plan.window, per_bin, seed=seed)
        self.block = self._block()
        self.window_sampled = BinnedLosses(len(tokens), self.edges, self.sampled)
        self.window_means: Float[np.ndarray, "stream bin"]

    @property
    def n_tokens(self) -> int:
        """Tokens read over all arms."""
        each = {"dense": self.plan.dense_stop, "recompute": len(self.sampled) * self.plan.window}
        return len(self.tokens) * sum(each.get(arm.kind, self.plan.n_positions) for arm in self.plan.arms)

    def losses(self, bar: tqdm) -> dict[str, Float[np.ndarray, "stream bin"]]:
        """Losses of each arm, by streams and bins; NaN where the dense arm was stopped."""
        return {
            arm.name: self._recomputed(bar) if arm.kind == "recompute" else self._streamed(arm, bar)
            for arm in self.plan.arms
        }

    def _streamed(self, arm: Arm, bar: tqdm) -> Float[np.ndarray, "stream bin"]:
        binned = BinnedLosses(len(self.tokens), self.edges)
        also = [self.window_sampled] if arm.kind == "window" else []
        tokens = self.tokens[:, : self.plan.dense_stop + 1] if arm.kind == "dense" else self.tokens
        measure(self.stream(arm), tokens, self.block, [binned, *also], bar)
        if arm.kind == "window":
            self.window_means = binned.means
        return binned.means

    def _recomputed(self, bar: tqdm) -> Float[np.ndarray, "stream bin"]:
        """The window's loss, and what recomputation changes where both were measured: less noisy than few positions."""
        plan, sampled = self.plan, BinnedLosses(len(self.tokens), self.edges, self.sampled)
        at_once = max(len(self.tokens), self._rows(plan.window * plan.window))
        recompute_losses(plan.decoder, self.tokens, plan.window, at_once, sampled, bar)
        changed = sampled.means - self.window_sampled.means
        return self.window_means + np.where(self.edges[:-1] < plan.window, 0.0, changed)

    def stream(self, arm: Arm) -> Stream:
        """What reads the streams as the arm does."""
        policy = self.plan.policy(arm)
        if self.path == "cache" and arm.kind != "dense":
            return CachedStream(self.plan.decoder, policy)
        return BandedStream(self.plan.decoder, policy, block=self.block)

    def _block(self) -> int:
        window, decoder = self.plan.window, self.plan.decoder
        widest = max(window, self.plan.dense_stop) + SMALLEST_BLOCK
        block = max(1, min(self._rows(widest) // len(self.tokens), max(SMALLEST_BLOCK, window // 2)))
        if decoder.learned_positions or decoder.n_positions is None:
            return block
        # A block and what it looks back on must not need more positions than can be rotated.
        return min(block, decoder.n_positions - window + 1)

    def _rows(self, scores_per_head: int) -> int:
        decoder = self.plan.decoder
        n_bytes = 8 if decoder.w_u()[0].dtype == torch.float64 else 4
        return SCORE_BYTES // (decoder.blocks[0].attention.n_heads * scores_per_head * n_bytes)


def _refuse_hooks(model: Model, tokens: Int[np.ndarray, "stream pos"]) -> None:
    """Hooks would change the model's own passes and not these: reading anything through one refuses them."""
    few = tokens[:1, :2]
    capture(model, TokenBatch(few, np.ones(few.shape, bool)), [Site(0, "resid_pre")])
