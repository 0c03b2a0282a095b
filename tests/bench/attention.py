"""Time the census's pass over patterns against caching them with TransformerLens and reducing the cache.

    python -m tests.bench.attention --sequences 500 --length 512 --sample 12 --json

The model has GPT-2 small's shape and random weights; tokens are random. Both make the same numbers for every sequence,
layer and head: attention to the first token, received attention, row sums, row entropies, weight by class of token and
by distance. Both take the same sequences in turn, a few at a time, on one thread. Each sequence costs the same, so a
random sample of the sequences is timed and scaled to all. Times are CPU seconds. `ours_peak_mb` is the most resident
memory during our pass above model and one batch: above that of the same forward passes with nothing read (`batch_mb`).
The last line is one JSON object.
"""

import argparse
import ctypes
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import psutil
import torch
from torch import Tensor

from interp.attention.sinks.measures import EPSILON
from interp.attention.sinks.patterns import PatternSettings, distance_bins
from interp.attention.sinks.stream import Numbers, pattern_reductions, rows_at_once, stream
from interp.attention.sinks.token_classes import TokenClasses
from interp.prompts import TokenBatch
from interp.run import observe
from interp.sites import Site
from tests.bench.patching import build, timed

N_CLASSES = 7
AT_ONCE = 4
"""Sequences of one round, and of one of TransformerLens's batches."""


def theirs(model: Any, tokens: Tensor, classes: Tensor, settings: PatternSettings) -> Numbers:
    """Cache the patterns of all layers, then reduce them."""
    names = [f"blocks.{layer}.attn.hook_pattern" for layer in range(model.cfg.n_layers)]
    _, cache = model.run_with_cache(tokens, names_filter=names)
    length = tokens.shape[1]
    one_hot = torch.nn.functional.one_hot(classes, settings.n_classes).float()
    apart = (torch.arange(length)[:, None] - torch.arange(length)).clamp(min=0)
    bins = torch.bucketize(apart, torch.tensor(settings.distances), right=True) - 1
    in_bin = torch.nn.functional.one_hot(bins, len(settings.distances)).float()
    layers = [_reduced(cache[name], one_hot, in_bin, settings) for name in names]
    return {name: torch.stack([layer[name] for layer in layers], 1).numpy() for name in layers[0]}


def _reduced(pattern: Tensor, one_hot: Tensor, in_bin: Tensor, settings: PatternSettings) -> dict[str, Tensor]:
    length = pattern.shape[-1]
    received = pattern.sum(2)
    alpha = (received / torch.arange(length, 0, -1))[..., : settings.n_keys]
    behind = (received - pattern[:, :, 0]) / (length - 1)
    later = pattern[:, :, 1:]
    return {
        "first": behind[..., 0],
        "alpha": alpha[..., 0],
        "learned": (1 - later.sum(-1).mean(-1)).clamp(min=0),
        "entropy": -(later * (later + 1e-30).log()).sum(-1).mean(-1),
        "classes": torch.einsum("bhk,bkc->bhc", behind, one_hot),
        "distances": torch.einsum("bhqk,qkd->bhd", later, in_bin[1:]) / (length - 1),
        "alpha_mean": alpha.mean(1),
        "alpha_above": (alpha > settings.epsilon).float().mean(1),
    }


def peak_of(work: Callable[[], Any]) -> float:
    """Resident megabytes above those before, at the worst moment of some work."""
    process, done, peak = psutil.Process(), threading.Event(), [0]
    ctypes.CDLL(None).malloc_trim(0)  # what earlier work freed and the allocator still holds would hide the peak
    before = process.memory_info().rss

    def watch() -> None:
        while not done.wait(0.002):
            peak[0] = max(peak[0], process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    return (peak[0] - before) / 1e6


@dataclass(frozen=True)
class Round:
    """A few sequences that both take."""

    model: Any
    tokens: np.ndarray
    classes: np.ndarray
    settings: PatternSettings

    @property
    def batch(self) -> TokenBatch:
        """The sequences, without padding."""
        return TokenBatch(self.tokens, np.ones(self.tokens.shape, bool))

    def ours(self) -> Numbers:
        """One pass that keeps no pattern."""
        classes = TokenClasses(tuple(map(str, range(N_CLASSES))), self.classes)
        return stream(self.model, self.batch, pattern_reductions(self.model, classes, self.settings))

    def theirs(self) -> Numbers:
        """A cache of all patterns, then reduced."""
        return theirs(self.model, torch.from_numpy(self.tokens), torch.from_numpy(self.classes), self.settings)

    def plain(self) -> None:
        """The forward passes of `ours`, with nothing read."""
        rows = rows_at_once(self.model, self.batch)
        readers = {Site(layer, "pattern"): _look_away for layer in range(self.model.cfg.n_layers)}
        for start in range(0, len(self.batch), rows):
            observe(self.model, self.batch[start : start + rows], readers)


def _look_away(activation: Tensor) -> None:
    del activation


def rounds(length: int, n: int) -> Iterator[Round]:
    """The model and sequences of every round."""
    model, rng = build("gpt2"), np.random.default_rng(0)
    settings = PatternSettings(length, True, N_CLASSES, distance_bins(length), EPSILON)
    for _ in range(n):
        tokens = rng.integers(0, model.cfg.d_vocab, (AT_ONCE, length))
        yield Round(model, tokens, rng.integers(0, N_CLASSES, tokens.shape), settings)


@torch.no_grad()
def measure(n_sequences: int, length: int, sample: int) -> dict[str, Any]:
    """Interleave both and compare."""
    given = rounds(length, 1 + max(1, sample // AT_ONCE))
    first = next(given)
    first.ours()
    first.theirs()
    batch_mb, peak_mb = peak_of(first.plain), peak_of(first.ours)
    our_times, their_times, worst = [], [], 0.0
    for part in given:
        our_time, found = timed(part.ours)
        their_time, truth = timed(part.theirs)
        assert found.keys() == truth.keys()
        worst = max(worst, *(float(np.abs(found[name] - truth[name]).max()) for name in found))
        our_times.append(our_time / AT_ONCE)
        their_times.append(their_time / AT_ONCE)
    return {
        "ours_s": round(median(our_times) * n_sequences, 2),
        "theirs_s": round(median(their_times) * n_sequences, 2),
        "ratio": round(median(t / o for t, o in zip(their_times, our_times, strict=True)), 3),
        "ours_peak_mb": round(max(0.0, peak_mb - batch_mb), 1),
        "batch_mb": round(batch_mb, 1),
        "max_abs_diff": worst,
        "sequences_timed": len(our_times) * AT_ONCE,
    }


def main() -> None:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sequences", type=int, default=500)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--sample", type=int, default=12, help="sequences that are timed")
    parser.add_argument("--json", action="store_true", help="the figures alone, without the settings")
    given = parser.parse_args()
    torch.set_num_threads(1)
    began = time.perf_counter()
    found = measure(given.sequences, given.length, given.sample)
    told = found if given.json else vars(given) | found | {"wall_s": round(time.perf_counter() - began, 1)}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
