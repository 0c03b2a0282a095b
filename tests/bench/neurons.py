"""Time counting every neuron of zoo:polyglot by language against the forward passes alone.

    python -m tests.bench.neurons --tokens 5000000 --corpus DIRECTORY --json

Rows of 512 tokens, the languages in turn; with `--corpus` from the training novels there (`novels/`), else from the
shipped sentences, said again until there are enough. Each forward pass of 4,096 tokens is run twice, with and without
counting, the two in turn first, in one process on one thread. The passes alone end where counting does, at the last
MLP, so that the ratio is not flattered by an unembedding that neither needs; `ratio_to_logits` is against passes that
go on to the logits, timed on one pass in sixteen. Times are CPU seconds. `grown_mb` is the resident memory at the worst
moment above that after a twentieth of the passes. The last line is one JSON object.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from jaxtyping import Int
from tqdm.auto import tqdm

from interp.models import encode, facts, load_model
from interp.models.zoo.corpus import LANGUAGE_FILES, read_novels
from interp.models.zoo.texts import read_sentences
from interp.neurons.count import count_neurons, counted, fires_before_gate
from interp.neurons.counters import NeuronCounters
from interp.neurons.rows import Part, parts, stream_rows
from interp.run import forward, observe
from interp.sites import Site
from tests.bench.patching import timed

LENGTH = 512
LOGITS_EVERY = 16
_PIECE = 20_000
"""Characters of a novel that are encoded at a time."""


def texts(corpus: Path | None) -> dict[str, list[str]]:
    """Passages by language."""
    if corpus is None:
        return read_sentences()
    novels = read_novels(corpus)
    return {
        name: [text[start : start + _PIECE] for text in novels[name].train for start in range(0, len(text), _PIECE)]
        for name in LANGUAGE_FILES
    }


def rows_of(model: Any, passages: list[str], n_tokens: int) -> Iterator[Int[np.ndarray, " pos"]]:
    """Rows of `LENGTH`, each begun as the model expects, until they hold as many tokens."""
    left, held = n_tokens, np.array([], np.int64)
    for text in cycle(passages):
        ids = encode(model, text)
        held = np.concatenate([held, ids[1:]])
        while len(held) >= LENGTH - 1 and left > 0:
            yield np.concatenate([ids[:1], held[: LENGTH - 1]])
            held, left = held[LENGTH - 1 :], left - (LENGTH - 1)
        if left <= 0:
            return


def look_away(activation: torch.Tensor) -> None:
    """Read nothing."""
    del activation


def plain(model: Any, part: Part) -> None:
    """The forward pass of counting, with nothing read."""
    observe(model, part.batch, {Site(layer, "post"): look_away for layer in range(facts(model).n_layers)})


def measure(n_tokens: int, corpus: Path | None) -> dict[str, Any]:
    """Interleave both, pass by pass."""
    model, passages = load_model("zoo:polyglot"), texts(corpus)
    known, gated, process = facts(model), fires_before_gate(model), psutil.Process()
    each = -(-n_tokens // len(passages))
    rows = {name: rows_of(model, some, each) for name, some in passages.items()}
    zeros = NeuronCounters.zeros(
        tuple(rows), n_layers=known.n_layers, n_neurons=known.d_mlp, model=known.fingerprint, sampled=16
    )
    warm = next(parts(stream_rows(model, {name: rows_of(model, some, 4000) for name, some in passages.items()})))
    counted(model, warm, zeros + zeros, gated=gated)
    counters, ours, alone, logits, passed, memory = zeros + zeros, 0.0, 0.0, 0.0, 0, []
    n_passes = -(-n_tokens // 4088)
    for number, part in enumerate(tqdm(parts(stream_rows(model, rows)), total=n_passes, mininterval=60)):
        for counting in (number % 2 == 0, number % 2 == 1):
            if counting:
                seconds, counters = timed(lambda part=part, held=counters: counted(model, part, held, gated=gated))
                ours += seconds
            else:
                seconds, _ = timed(lambda part=part: plain(model, part))
                alone += seconds
        if number % LOGITS_EVERY == 0:
            logits += timed(lambda part=part: forward(model, part.batch))[0]
            passed += 1
        memory.append(process.memory_info().rss)
    check_one_pass(model, passages)
    passes = len(memory)
    return {
        "ratio": round(ours / alone, 4),
        "ratio_to_logits": round((ours / passes) / (logits / passed), 4),
        "counting_s": round(ours, 1),
        "forward_s": round(alone, 1),
        "tokens": int(counters.n.sum()),
        "passes": passes,
        "grown_mb": round((max(memory) - memory[passes // 20]) / 1e6, 1),
        "rss_mb": round(max(memory) / 1e6, 1),
        "checksum": f"{int(counters.fires.sum())}-{counters.rows_sum:016x}",
    }


def check_one_pass(model: Any, passages: dict[str, list[str]]) -> None:
    """What is timed is what `count_neurons` does: the same counters, to the last bit."""
    rows = {name: list(islice(rows_of(model, some, 4000), 4)) for name, some in passages.items()}
    found = count_neurons(model, rows)
    known = facts(model)
    again = NeuronCounters.zeros(
        tuple(rows), n_layers=known.n_layers, n_neurons=known.d_mlp, model=known.fingerprint, sampled=16
    )
    for part in parts(stream_rows(model, rows)):
        again = counted(model, part, again, gated=fires_before_gate(model))
    assert again == found


def main() -> None:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tokens", type=int, default=200_000)
    parser.add_argument("--corpus", type=Path, help="directory with novels/; by default the shipped sentences")
    parser.add_argument("--json", action="store_true", help="the figures alone, without the settings")
    given = parser.parse_args()
    torch.set_num_threads(1)
    began = time.perf_counter()
    found = measure(given.tokens, given.corpus)
    told = found if given.json else {"asked": given.tokens, **found, "wall_s": round(time.perf_counter() - began, 1)}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
