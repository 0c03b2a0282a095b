"""Small models in which it is known which neurons know a language, because no other can.

Every concept has one word in each language. A word's embedding is the concept's vector, a one in the language's own
dimension and a one in a dimension of constants. Attention and all other neurons neither read nor write the dimensions
of languages and constants, and nothing is normed: what they do is a function of the concepts alone, the same in every
language. So the null hypothesis holds exactly for every neuron that was not planted.

Concepts are as frequent in all languages (Zipf's law), and every document favours some of its own, so texts of one
document are alike. Besides those for languages, neurons are planted that fire at the most frequent concepts, in all
languages alike: the confound.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from interp.models import load_model, native

LANGUAGES = ("aa", "bb", "cc")
N_CONCEPTS, N_LAYERS, D_MLP, D_CONCEPT = 120, 4, 600, 44
D_MODEL = D_CONCEPT + len(LANGUAGES) + 1
N_TOKENS = 24
PER_LAYER = 2
"""Neurons planted in each layer for each language: 24 of 2,400, the published 1 %."""
N_CONFOUNDS = 6
"""Neurons in each layer that fire at frequent words of any language."""
_CONSTANT = D_MODEL - 1


@dataclass(frozen=True)
class Planted:
    """A model and the neurons planted in it."""

    model: Any
    truth: np.ndarray
    """`[layer, neuron, language]`."""
    confounds: np.ndarray
    """`[layer, neuron]`."""


def plant(directory: Path, *, gated: bool = False, seed: int = 0) -> Planted:
    """Build the model, write it, and load it as any other."""
    rng = np.random.default_rng(seed)
    words = ["<unk>", native.BOS, *(f"{name}{c}" for name in LANGUAGES for c in range(N_CONCEPTS))]
    settings = {
        "d_model": D_MODEL,
        "d_head": D_MODEL // 2,
        "n_heads": 2,
        "n_layers": N_LAYERS,
        "n_ctx": N_TOKENS + 1,
        "d_vocab": len(words),
        "d_mlp": D_MLP,
        "act_fn": "silu" if gated else "gelu",
        "gated_mlp": gated,
        "normalization_type": None,
    }
    state = native.build(settings, seed=seed).state_dict()
    _embed(state, rng)
    truth = np.zeros((N_LAYERS, D_MLP, len(LANGUAGES)), bool)
    confounds = np.zeros((N_LAYERS, D_MLP), bool)
    for layer in range(N_LAYERS):
        chosen = rng.permutation(D_MLP)
        own = chosen[: PER_LAYER * len(LANGUAGES)].reshape(len(LANGUAGES), -1)
        for language, neurons in enumerate(own):
            truth[layer, neurons, language] = True
        confounds[layer, chosen[own.size : own.size + N_CONFOUNDS]] = True
        _blind_attention(state, layer)
        _set_mlp(state, layer, truth[layer], confounds[layer], rng)
    native.write_directory(directory, settings, state, words)
    return Planted(load_model(str(directory)), truth, confounds)


def draw_rows(
    n_documents: int, *, texts_each: int = 3, seed: int = 0
) -> tuple[dict[str, list[np.ndarray]], dict[str, np.ndarray]]:
    """Rows by language, and the document of each row: so many documents per language, of so many texts each."""
    rng = np.random.default_rng(seed)
    rows: dict[str, list[np.ndarray]] = {}
    documents: dict[str, np.ndarray] = {}
    frequent = 1 / np.arange(1, N_CONCEPTS + 1)
    for number, name in enumerate(LANGUAGES):
        rows[name] = []
        documents[name] = number * n_documents + np.repeat(np.arange(n_documents), texts_each)
        for _ in range(n_documents):
            chance = frequent * rng.gamma(1.0, size=N_CONCEPTS)
            for _ in range(texts_each):
                concepts = rng.choice(N_CONCEPTS, N_TOKENS, p=chance / chance.sum())
                rows[name].append(np.array([1, *(2 + number * N_CONCEPTS + concepts)]))
    return rows, documents


def _embed(state: dict[str, torch.Tensor], rng: np.random.Generator) -> None:
    concepts = rng.standard_normal((N_CONCEPTS, D_CONCEPT)) / np.sqrt(D_CONCEPT)
    table = np.zeros((2 + len(LANGUAGES) * N_CONCEPTS, D_MODEL))
    table[:, _CONSTANT] = 1
    table[:2, :D_CONCEPT] = rng.standard_normal((2, D_CONCEPT)) / np.sqrt(D_CONCEPT)
    for number in range(len(LANGUAGES)):
        mine = slice(2 + number * N_CONCEPTS, 2 + (number + 1) * N_CONCEPTS)
        table[mine, :D_CONCEPT] = concepts
        table[mine, D_CONCEPT + number] = 1
    state["tok_embed.weight"].copy_(torch.from_numpy(table))
    state["pos.weight"][:, D_CONCEPT:] = 0
    state["pos.weight"] *= 0.2


def _blind_attention(state: dict[str, torch.Tensor], layer: int) -> None:
    for part in "qkv":
        state[f"layers.{layer}.attn.{part}.weight"][:, D_CONCEPT:] = 0
    state[f"layers.{layer}.attn.o.weight"][D_CONCEPT:] = 0


def _set_mlp(
    state: dict[str, torch.Tensor], layer: int, truth: np.ndarray, confounds: np.ndarray, rng: np.random.Generator
) -> None:
    """Inputs of every neuron: concepts at random, a constant, and for planted ones the language or frequent words."""
    reads = np.zeros((D_MLP, D_MODEL))
    reads[:, :D_CONCEPT] = rng.standard_normal((D_MLP, D_CONCEPT))
    reads[:, _CONSTANT] = rng.normal(-0.5, 0.5, D_MLP)
    n_planted = int(truth.sum())
    reads[truth.any(1), _CONSTANT] = -1.8
    reads[truth.any(1), D_CONCEPT:_CONSTANT] = truth[truth.any(1)] * rng.uniform(3.2, 4.0, (n_planted, 1))
    concepts = state["tok_embed.weight"][2 : 2 + N_CONCEPTS, :D_CONCEPT].numpy()
    reads[confounds, :D_CONCEPT] = 4 * concepts[:4].sum(0)
    reads[confounds, _CONSTANT] = -2.0
    gated = f"layers.{layer}.mlp.gate.weight" in state
    into, out = ("gate", "out") if gated else ("fc_in", "fc_out")
    state[f"layers.{layer}.mlp.{into}.weight"].copy_(torch.from_numpy(reads))
    if gated:
        state[f"layers.{layer}.mlp.in.weight"][:, D_CONCEPT:] = 0
    else:
        state[f"layers.{layer}.mlp.{into}.bias"].zero_()
    # A planted neuron tells nobody of the language it knows, or the neurons behind it would know it, too.
    written = state[f"layers.{layer}.mlp.{out}.weight"]
    written[D_CONCEPT:] = 0
    written[:, torch.from_numpy(truth.any(1))] = 0
    written *= 0.2
