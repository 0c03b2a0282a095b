"""Time direct paths from one head to every later head against TransformerLens's one forward pass per receiver.

    python -m tests.bench.paths --shape gpt2 --batch 4 --seq 16 --first-diff 10 --layer 0 --receiver q --json

Interleaved, one thread, CPU seconds, the same weights; TransformerLens is timed on a random sample of receivers
in each round and scaled. Ours is the whole call, both base runs and the statistics included, without placebos.
"""

import argparse
import json
import sys
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import torch
from transformer_lens import patching as theirs

from interp.patching import direct_paths
from interp.sites import Site
from tests.bench.patching import SHAPES, TheirSweep, build, prompts_for, timed

SAMPLE = 4
"""Receivers of each round that TransformerLens runs."""


class TheirPaths:
    """The body of TransformerLens's sweep over receivers, on chosen ones."""

    def __init__(self, model: Any, prompts: Any, sender: Site, receiver: str):
        peer = TheirSweep(model, prompts, "z", "head")
        _, base = model.run_with_cache(peer.corrupted)
        assert sender.head is not None
        change = peer.cache[sender.hook_name] - base[sender.hook_name]
        self.change = change[:, :, sender.head] @ model.blocks[sender.layer].attn.W_O[sender.head]
        self.model, self.peer, self.receiver = model, peer, receiver

    def values(self, receivers: np.ndarray) -> np.ndarray:
        """Metric of some receivers (layer, head), one forward pass each."""
        found = []
        with theirs._split_qkv_input(self.model):
            for layer, head in receivers.tolist():
                hook = theirs._make_direct_path_hook(self.change, head, [])
                name = f"blocks.{layer}.attn.hook_{self.receiver}_input"
                logits = self.model.run_with_hooks(self.peer.corrupted, fwd_hooks=[(name, hook)])
                found.append(self.peer.metric(logits).item())
        return np.array(found)


@torch.no_grad()
def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Interleave both and compare."""
    model = build(given.shape)
    prompts = prompts_for(model, given.batch, given.seq, given.first_diff)
    sender = Site(given.layer, "z", head=1)
    ours = partial(direct_paths, model, prompts, sender, given.receiver, control=False)
    peer = TheirPaths(model, prompts, sender, given.receiver)
    later = [(layer, head) for layer in range(given.layer + 1, model.cfg.n_layers) for head in range(model.cfg.n_heads)]
    rng, our_times, their_times, worst = np.random.default_rng(0), [], [], 0.0
    ours()
    peer.values(np.array(later[:1]))
    for _ in range(given.rounds):
        our_time, found = timed(ours)
        chosen = np.array(later)[rng.choice(len(later), min(SAMPLE, len(later)), replace=False)]
        their_time, truth = timed(partial(peer.values, chosen))
        values = [float(found.data["values"].mean("prompt").sel(layer=layer, head=head)) for layer, head in chosen]
        worst = max(worst, float(np.abs(np.array(values) - truth).max()))
        our_times.append(our_time)
        their_times.append(their_time / len(chosen) * len(later))
    return {
        "ours_s": round(median(our_times), 3),
        "theirs_s": round(median(their_times), 2),
        "ratio": round(median(t / o for t, o in zip(their_times, our_times, strict=True)), 2),
        "max_abs_diff": worst,
        "cells": len(later),
    }


def main() -> None:
    """Measure one sender and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--seq", type=int, default=16)
    parser.add_argument("--first-diff", type=int, default=10)
    parser.add_argument("--layer", type=int, default=0)
    parser.add_argument("--receiver", choices=("q", "k", "v"), default="q")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="the figures alone, without the settings")
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = measure(given)
    sys.stdout.write(json.dumps(found if given.json else vars(given) | found) + "\n")


if __name__ == "__main__":
    main()
