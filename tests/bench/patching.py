"""Time a whole sweep by the engine against TransformerLens's one forward pass per cell, on the same weights.

    python -m tests.bench.patching --shape gpt2 --batch 4 --seq 16 --first-diff 2 --sweep resid_pre --json

Both run interleaved on one thread. TransformerLens pays the same for every cell, so it is timed on a random sample of
cells in each round and scaled to the whole sweep; the engine is timed on the whole sweep with both base runs, without
placebos (TransformerLens has none). Times are CPU seconds, which other load on the machine disturbs little. The last
line is one JSON object; `share_of_peak` is the least arithmetic that the sweep needs (see `interp.patching.engine`),
over the time, against the rate of a large matrix product in the same process.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformer_lens import patching as theirs
from transformers import GPT2Config, GPT2LMHeadModel

from interp.metrics import as_metric
from interp.models import load_model
from interp.models.decoder import as_decoder
from interp.patching.cells import columns_of
from interp.patching.exact import ExactSweep
from interp.patching.plan import SweepPlan
from interp.prompts import PromptPair, PromptSet
from tests.bench.flops import peak_rate, sweep_flops
from tests.families import byte_level_tokenizer

SHAPES = {
    "gpt2": {"n_layer": 12, "n_embd": 768, "n_head": 12},
    "small": {"n_layer": 4, "n_embd": 256, "n_head": 4},
    "tiny": {"n_layer": 3, "n_embd": 64, "n_head": 4, "vocab_size": 512},
}
HEAD_KINDS = ("q", "k", "v", "z", "pattern")
SWEEPS: dict[str, list[tuple[str, str]]] = {
    "resid_pre": [("resid_pre", "pos")],
    "attn_out": [("attn_out", "pos")],
    "mlp_out": [("mlp_out", "pos")],
    **{f"{kind}_all": [(kind, "head")] for kind in HEAD_KINDS},
    "five_all": [(kind, "head") for kind in HEAD_KINDS],
    "z_pos": [("z", "pos_head")],
}
SAMPLE = 6
"""Cells of each round that TransformerLens runs."""


def build(shape: str, seed: int = 0) -> Any:
    """A GPT-2 of random weights, with biases and gains that matter, loaded as any model is."""
    torch.manual_seed(seed)
    model = GPT2LMHeadModel(GPT2Config(**SHAPES[shape], bos_token_id=0, eos_token_id=0))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    with tempfile.TemporaryDirectory() as directory:
        model.save_pretrained(directory)
        byte_level_tokenizer(bos="<s>", eos="<s>", prepends_bos=False).save_pretrained(directory)
        return load_model(directory)


def prompts_for(model: Any, batch: int, seq: int, first_diff: int, seed: int = 0) -> PromptSet:
    """Pairs that differ at `first_diff` and at two thirds of the prompt."""
    rng, d_vocab = np.random.default_rng(seed), model.cfg.d_vocab
    pairs = []
    for _ in range(batch):
        clean = rng.integers(1, d_vocab, seq)
        corrupted = clean.copy()
        for place in {first_diff, max(first_diff, 2 * seq // 3)}:
            corrupted[place] = (clean[place] + 1 + rng.integers(d_vocab - 2)) % d_vocab
        pairs.append(PromptPair(clean, corrupted, *rng.choice(d_vocab, 2, replace=False).tolist()))
    return PromptSet.of(pairs)


def ours(model: Any, prompts: PromptSet, kind: str, by: Any) -> np.ndarray:
    """Mean metric of every cell: `[layer, column]`."""
    decoder = as_decoder(model)
    assert decoder is not None
    columns = columns_of(prompts, kind, by, model.cfg.n_heads)
    plan = SweepPlan(kind, columns, as_metric("logit_diff"), "denoising", 0, tuple(range(model.cfg.n_layers)))
    return ExactSweep(model, decoder, prompts, plan).numbers(placebo=False).patched.mean(0)


SETTERS = {
    "pos": (theirs.layer_pos_patch_setter, ["layer", "pos"]),
    "head": (theirs.layer_head_vector_patch_setter, ["layer", "head"]),
    "pos_head": (theirs.layer_pos_head_vector_patch_setter, ["layer", "pos", "head"]),
}


class TheirSweep:
    """TransformerLens's sweep of one kind, on chosen cells."""

    def __init__(self, model: Any, prompts: PromptSet, kind: str, by: str):
        self.model, self.kind = model, kind
        self.setter, self.axes = SETTERS[by]
        if kind == "pattern":
            self.setter = theirs.layer_head_pattern_patch_setter
        self.corrupted = torch.from_numpy(prompts.batch("corrupted").tokens)
        _, self.cache = model.run_with_cache(torch.from_numpy(prompts.batch("clean").tokens))
        self.answers = torch.from_numpy(prompts.answers("answer"))
        self.wrong = torch.from_numpy(prompts.answers("wrong_answer"))

    def metric(self, logits: torch.Tensor) -> torch.Tensor:
        """Mean logit difference at the last position."""
        rows, each = logits[:, -1], torch.arange(len(logits))
        return (rows[each, self.answers] - rows[each, self.wrong]).mean()

    def values(self, cells: np.ndarray) -> np.ndarray:
        """Metric of some cells, one forward pass each."""
        found = theirs.generic_activation_patch(
            self.model,
            self.corrupted,
            self.cache,
            self.metric,
            self.setter,
            self.kind,
            index_df=pd.DataFrame(cells, columns=self.axes),
        )
        return found.numpy()


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of this thread's process, and what the work gave."""
    began = time.process_time()
    made = work()
    return time.process_time() - began, made


@torch.no_grad()
def measure(shape: str, batch: int, seq: int, first_diff: int, sweep: str, rounds: int) -> dict[str, Any]:
    """Interleave both and compare."""
    model = build(shape)
    prompts = prompts_for(model, batch, seq, first_diff)
    kinds = SWEEPS[sweep]
    sizes = {"pos": (seq,), "head": (model.cfg.n_heads,), "pos_head": (seq, model.cfg.n_heads)}
    peers = [TheirSweep(model, prompts, kind, by) for kind, by in kinds]
    grids = [(model.cfg.n_layers, *sizes[by]) for _, by in kinds]
    n_cells = sum(int(np.prod(grid)) for grid in grids)
    runs = [partial(ours, model, prompts, kind, by) for kind, by in kinds]
    rng, our_times, their_times, worst = np.random.default_rng(0), [], [], 0.0
    for found, peer in zip([run() for run in runs], peers, strict=True):  # both warmed up
        del found
        peer.values(np.zeros((1, len(peer.axes)), int))
    for _ in range(rounds):
        our_time, found = timed(lambda: [run() for run in runs])
        their_time = 0.0
        for values, grid, peer in zip(found, grids, peers, strict=True):
            chosen = rng.choice(int(np.prod(grid)), SAMPLE, replace=False)
            cells = np.stack(np.unravel_index(chosen, grid), 1)
            spent, truth = timed(partial(peer.values, cells))
            their_time += spent / SAMPLE * int(np.prod(grid))
            worst = max(worst, float(np.abs(values.reshape(grid)[tuple(cells.T)] - truth).max()))
        our_times.append(our_time)
        their_times.append(their_time)
    needed = sum(sweep_flops(model.cfg, batch, seq, first_diff, kind, by) for kind, by in kinds)
    return {
        "ours_s": round(median(our_times), 4),
        "theirs_s": round(median(their_times), 3),
        "ratio": round(median(t / o for t, o in zip(their_times, our_times, strict=True)), 2),
        "max_abs_diff": worst,
        "share_of_peak": round(needed / median(our_times) / peak_rate(), 3),
        "cells": n_cells,
    }


def main() -> None:
    """Measure one sweep and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--seq", type=int, default=16)
    parser.add_argument("--first-diff", type=int, default=2)
    parser.add_argument("--sweep", choices=SWEEPS, default="resid_pre")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="the figures alone, without the settings")
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = measure(given.shape, given.batch, given.seq, given.first_diff, given.sweep, given.rounds)
    told = found if given.json else vars(given) | found
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
