"""Random prompts of every shape, and both ways of sweeping, for the tests of patching."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from hypothesis import strategies as st

from interp.metrics import as_metric
from interp.models import describe, encode, facts, load_model
from interp.models.decoder import as_decoder
from interp.patching.cells import columns_of
from interp.patching.exact import ExactSweep
from interp.patching.hooked import HookedSweep
from interp.patching.plan import SweepPlan
from interp.prompts import PromptPair, PromptSet, Span, repeated_random_prompts

FAMILIES = ("gpt2", "llama", "qwen2", "qwen3", "gemma2", "gemma3", "gpt_neox", "mistral")
"""Those that can be taken apart."""
SHIPPED = ("compiled:brackets", "compiled:random-3x4-1", "zoo:modular", "zoo:polyglot")
VECTORS = ("resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out", "post")
HEADS = ("z", "q", "k", "v", "pattern")
SWEEPS = [(kind, "pos") for kind in VECTORS + HEADS] + [(kind, by) for kind in HEADS for by in ("head", "pos_head")]
"""Every kind with every way to lay out its columns, but words."""
ATOL = {torch.float64: 1e-12, torch.float32: 2e-5}


def has(model, kind):
    """Whether the model has sites of a kind whose edit matters."""
    row = describe(model).row(kind)
    return row.causal and not row.needs_flag


def plan_of(model, prompts, kind, by="pos", *, metric="logit_diff", direction="denoising", seed=0, layers=None):
    known = facts(model)
    columns = columns_of(prompts, kind, by, known.n_kv_heads if kind in ("k", "v") else known.n_heads)
    return SweepPlan(kind, columns, as_metric(metric), direction, seed, layers or tuple(range(known.n_layers)))


def exact(model, prompts, plan, *, placebo=False):
    decoder = as_decoder(model)
    assert decoder is not None
    return ExactSweep(model, decoder, prompts, plan).numbers(placebo=placebo)


def assert_engine_equals_hooks(model, prompts, kind, by="pos", **settings):
    """Every number of a sweep, both ways; returns the engine's."""
    plan = plan_of(model, prompts, kind, by, **settings)
    ours, theirs = exact(model, prompts, plan), HookedSweep(model, prompts, plan).numbers(placebo=False)
    size = max(1.0, np.nanmax(np.abs(theirs.patched)))
    for name in ("clean", "corrupted", "unpatched", "patched"):
        np.testing.assert_allclose(
            getattr(ours, name),
            getattr(theirs, name),
            rtol=0,
            atol=ATOL[next(model.parameters()).dtype] * size,
            err_msg=f"{name}: {kind} by {by} {settings}",
        )
    return ours


def pair_of(rng, *, d_vocab=400, length=8, first=2, changed=2, **settings):
    """A pair of one length whose sides differ at `first` and, if there is room, at a few later positions."""
    clean = rng.integers(5, d_vocab, length)
    later = rng.permutation(np.arange(first + 1, length))[: changed - 1]
    corrupted = clean.copy()
    for position in (first, *later):
        corrupted[position] = (clean[position] - 5 + rng.integers(1, d_vocab - 5)) % (d_vocab - 5) + 5
    answer, wrong = rng.choice(np.arange(5, d_vocab), 2, replace=False).tolist()
    return PromptPair(clean, corrupted, answer, wrong, **settings)


def prompts_of(*lengths, seed=0, d_vocab=400, first=2, changed=2):
    rng = np.random.default_rng(seed)
    return PromptSet.of(
        [
            pair_of(rng, d_vocab=d_vocab, length=length, first=min(first, length - 1), changed=changed)
            for length in lengths
        ]
    )


def inserted(rng, pair):
    """The same pair with tokens put into either side here and there, and a few tokens that stand for nothing."""
    sides, alignment = ([], []), []
    for clean, corrupted in zip(pair.clean, pair.corrupted, strict=True):
        spans = []
        for side, token in zip(sides, (clean, corrupted), strict=True):
            extra = rng.integers(5, 20, rng.choice([0, 0, 0, 1, 2])).tolist()
            spans.append(Span(len(side), len(side) + 1 + len(extra)))
            side += [*extra, int(token)]
        if rng.random() < 0.85:
            alignment.append(tuple(spans))
    if not alignment:
        alignment.append(tuple(spans))
    clean, corrupted = (np.array(side) for side in sides)
    return PromptPair(clean, corrupted, pair.answer, pair.wrong_answer, alignment=tuple(alignment))


def with_words(rng, pair):
    """The same pair with words of one to three clean tokens; at least one word has an aligned position."""
    cuts = sorted({0, len(pair.clean), *rng.integers(0, len(pair.clean) + 1, len(pair.clean) // 2).tolist()})
    words = tuple(Span(start, stop, f"w{start}") for start, stop in pairwise(cuts))
    return PromptPair(pair.clean, pair.corrupted, pair.answer, pair.wrong_answer, alignment=pair.alignment, words=words)


@dataclass(frozen=True)
class Drawn:
    """A recipe for prompts; they are made outside of hypothesis, which wants no other source of chance inside."""

    seed: int
    shapes: list[tuple[int, int, int]]
    """Length, first difference and number of different tokens of each."""
    shifted: bool
    """Whether tokens are put in, so that positions stand for others."""

    def prompts(self, d_vocab=400):
        rng = np.random.default_rng(self.seed)
        pairs = []
        for length, first, changed in self.shapes:
            pair = pair_of(rng, d_vocab=d_vocab, length=length, first=first % length, changed=changed)
            pairs.append(with_words(rng, inserted(rng, pair) if self.shifted else pair))
        return PromptSet.of(pairs)


def drawn(longest=9):
    """Sets of prompts, ragged or not, that differ somewhere from the first position to the last."""
    shape = st.tuples(st.integers(1, longest), st.integers(0, longest - 1), st.integers(1, 3))
    return st.builds(Drawn, st.integers(0, 10_000), st.lists(shape, min_size=1, max_size=4), st.booleans())


def whole(pair):
    """The same pair as one word."""
    words = (Span(0, len(pair.clean), "all"),)
    return PromptPair(pair.clean, pair.corrupted, pair.answer, pair.wrong_answer, words=words)


def repeated_prompts(model, n=2, period=5):
    bos = int(encode(model, "a")[0]) if facts(model).bos else None
    return repeated_random_prompts(n, period, ids=range(10, 200), bos=bos, seed=4)


def hooked(name):
    return load_model(f"compiled:{name}", dtype="float64")
