"""What each part of a compiled model writes, as a probing task: what a researcher who knows the model would label."""

from functools import cache
from typing import Any

import numpy as np

from interp.models import load_model
from interp.models.compiled import CompiledModel, Node, compiled_model
from interp.models.compiled.language import Head, Mlp
from interp.prompts import PromptPair, PromptSet, TokenBatch
from interp.run import capture
from interp.sites import Site
from probes import ProbeTask

FEWEST = 5
"""Samples of a label that is kept."""


@cache
def hooked(name: str) -> Any:
    return load_model(f"compiled:{name}")


@cache
def prompts_of(name: str, n: int) -> PromptSet:
    """Prompts of all families of a model's key together, each once."""
    built, pairs = compiled_model(name), dict[bytes, PromptPair]()
    for seed, family in enumerate(built.key.inputs):
        for pair in built.prompts(n, seed=seed, inputs=family.name):
            pairs.setdefault(pair.clean.tobytes(), pair)
    return PromptSet.of(list(pairs.values()))


def needed(name: str) -> set[str]:
    """Nodes that the answers of some family depend on."""
    return set[str]().union(*(family.needs for family in compiled_model(name).key.inputs))


def feature(name: str, node: Node, prompts: PromptSet) -> ProbeTask:
    """Label every position with what a head or an MLP tells there.

    For a head, the word that it reads where it looks; for the counter and the judge of brackets, the balance so far;
    for a head that looks everywhere alike, whether one word has been said.
    """
    built, batch = compiled_model(name), prompts.batch("clean")
    vocabulary, part = np.array(built.circuit.vocabulary), _part(built, node.name)
    if name == "brackets":
        labels = _balance(built, batch)
    elif node.name == "loud_echo":
        labels = np.maximum.accumulate(vocabulary[batch.tokens] == "small", axis=1).astype(str)
    else:
        assert isinstance(part, Head)
        labels = vocabulary[_word_read(built, hooked(name), node.site, part, batch)]
    rows, positions = np.nonzero(batch.mask)
    found = labels[rows, positions]
    names, counts = np.unique(found, return_counts=True)
    kept = np.isin(found, names[counts >= FEWEST])
    return ProbeTask(batch, rows[kept], positions[kept], found[kept], rows[kept], what=f"what {node.name} tells")


def _part(built: CompiledModel, name: str) -> Head | Mlp:
    parts = [part for layer in built.circuit.layers for part in (*layer.heads, layer.mlp) if part is not None]
    return next(part for part in parts if part.name == name)


def _word_read(built: CompiledModel, model: Any, site: Site, head: Head, batch: TokenBatch) -> np.ndarray:
    """Id of the word that stands in the space the head reads, at the place where it looks most."""
    pattern, before = Site(site.layer, "pattern", site.head), Site(site.layer, "resid_pre")
    seen = capture(model, batch, [pattern, before])
    looks = seen[pattern].numpy().argmax(-1)
    space = seen[before].numpy()[..., built.circuit.spaces[head.moves[0].value.space]]
    return np.take_along_axis(space.argmax(-1), looks, axis=1)


def _balance(built: CompiledModel, batch: TokenBatch) -> np.ndarray:
    from interp.models.compiled.brackets import CLOSING, OPENING

    words = np.array(built.circuit.vocabulary)[batch.tokens]
    return np.sign(np.cumsum(np.isin(words, OPENING) * 1 - np.isin(words, CLOSING) * 1, axis=1)).astype(str)
