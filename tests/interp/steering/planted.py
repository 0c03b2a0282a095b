"""A model in which what is expected next follows the language by six neurons for each language, and nothing else.

Every word has the language of its own dimension. In both layers three neurons for each language read that dimension,
and write on the language's words: each makes them half a nat likelier. All other neurons read the concepts of words,
the same in every language, and write a little on words at random. Attention does nothing.
"""

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import torch

from interp.models import load_model, native
from interp.neurons.next_language import LanguageVocabulary, learn_vocabulary
from interp.neurons.units import Neurons
from interp.types import Model

LANGUAGES = ("en", "fr", "de")
N_CONCEPTS, N_LAYERS, D_MLP, D_CONCEPT, N_CTX = 12, 2, 60, 8, 40
PER_LAYER = 3
LOGIT = 0.5
"""What one neuron adds to each word of its language."""
D_VOCAB = 2 + len(LANGUAGES) * N_CONCEPTS
_LANGUAGE = slice(D_CONCEPT, D_CONCEPT + len(LANGUAGES))
_D_MODEL = D_CONCEPT + len(LANGUAGES) + D_VOCAB
N_WORDS = 9


def neurons_of(language: str) -> Neurons:
    """The planted ones."""
    first = PER_LAYER * LANGUAGES.index(language)
    numbers = np.arange(first, first + PER_LAYER)
    return Neurons(np.repeat(np.arange(N_LAYERS), PER_LAYER), np.tile(numbers, N_LAYERS))


@cache
def planted_model(noise: float = 0.02) -> Model:
    """Load the model; `noise` is how much other neurons write."""
    words = ["<unk>", native.BOS, *(f"{name}{c}" for name in LANGUAGES for c in range(N_CONCEPTS))]
    settings = {
        "d_model": _D_MODEL,
        "d_head": 8,
        "n_heads": 1,
        "n_layers": N_LAYERS,
        "n_ctx": N_CTX,
        "d_vocab": len(words),
        "d_mlp": D_MLP,
        "act_fn": "relu",
        "gated_mlp": False,
        "normalization_type": None,
    }
    state = {name: torch.zeros_like(weight) for name, weight in native.build(settings).state_dict().items()}
    rng = np.random.default_rng(0)
    table = np.zeros((len(words), _D_MODEL))
    table[2:, :D_CONCEPT] = np.tile(rng.standard_normal((N_CONCEPTS, D_CONCEPT)), (len(LANGUAGES), 1))
    table[2:, _LANGUAGE] = np.repeat(np.eye(len(LANGUAGES)), N_CONCEPTS, 0)
    table[0] = table[2]  # so that a text of unknown words, by which a site is known to be causal, has logits
    state["tok_embed.weight"].copy_(torch.from_numpy(table))
    state["head.weight"][:, _LANGUAGE.stop :] = torch.eye(len(words))
    for layer in range(N_LAYERS):
        reads, writes = np.zeros((D_MLP, _D_MODEL)), np.zeros((_D_MODEL, D_MLP))
        n_planted = PER_LAYER * len(LANGUAGES)
        reads[:n_planted, _LANGUAGE] = np.repeat(np.eye(len(LANGUAGES)), PER_LAYER, 0)
        reads[n_planted:, :D_CONCEPT] = rng.standard_normal((D_MLP - n_planted, D_CONCEPT)) / 2
        says = np.zeros((D_MLP, len(words)))
        says[:n_planted, 2:] = LOGIT * np.repeat(np.repeat(np.eye(len(LANGUAGES)), N_CONCEPTS, 1), PER_LAYER, 0)
        says[n_planted:] = noise * rng.standard_normal((D_MLP - n_planted, len(words)))
        writes[_LANGUAGE.stop :] = says.T
        state[f"layers.{layer}.mlp.fc_in.weight"].copy_(torch.from_numpy(reads))
        state[f"layers.{layer}.mlp.fc_out.weight"].copy_(torch.from_numpy(writes))
    directory = Path(mkdtemp())
    native.write_directory(directory, settings, state, words)
    return load_model(str(directory))


def texts(n: int = 6, seed: int = 0) -> dict[str, list[str]]:
    """So many texts of nine words in every language; equal places hold the same concepts."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, N_CONCEPTS, (n, N_WORDS))
    return {name: [" ".join(f"{name}{c}" for c in row) for row in drawn] for name in LANGUAGES}


@cache
def vocabulary() -> LanguageVocabulary:
    """Words are of one language each, and next to nothing is added to the counts."""
    return learn_vocabulary(planted_model(), texts(60, seed=9), smoothing=1e-9)
