"""A small model in which it is known at which layer each language takes the lead, because the weights are set by hand.

Every word's embedding says that a word of the wrong language comes next. In `LAYER`, and nowhere else, the MLP reads
which language the word has and says that one, twice as loud. Attention writes nothing, nothing is normed, and the
unembedding reads one dimension for each language: what the lens sees after each layer can be worked out by hand.
"""

from pathlib import Path

import numpy as np
import torch

from interp.models import load_model, native
from interp.types import Model

LANGUAGES = ("aa", "bb", "cc")
N_WORDS, N_LAYERS, LAYER = 8, 4, 2
WRONG, RIGHT = 1.5, 4.0
"""What is added to the logits of the wrong language's words from the start, and of the right one's in `LAYER`."""
N = len(LANGUAGES)
WORDS = ["<unk>", native.BOS, *(f"{language}{number}" for language in LANGUAGES for number in range(N_WORDS))]
SETTINGS = {
    "d_model": 2 * N,
    "d_head": N,
    "n_heads": 2,
    "n_layers": N_LAYERS,
    "n_ctx": 16,
    "d_vocab": len(WORDS),
    "d_mlp": N,
    "act_fn": "relu",
    "gated_mlp": False,
    "normalization_type": None,
}


def planted_model(directory: Path) -> Model:
    """Dimensions 0 to 2 say which language comes next, 3 to 5 which one the word has."""
    state = {name: torch.zeros_like(weight) for name, weight in native.build(SETTINGS).state_dict().items()}
    for number in range(N):
        mine = slice(2 + number * N_WORDS, 2 + (number + 1) * N_WORDS)
        state["tok_embed.weight"][mine, (number + 1) % N] = WRONG
        state["tok_embed.weight"][mine, N + number] = 1
        state["head.weight"][mine, number] = 1
        state[f"layers.{LAYER}.mlp.fc_in.weight"][number, N + number] = 1
        state[f"layers.{LAYER}.mlp.fc_out.weight"][number, number] = RIGHT
    native.write_directory(directory, SETTINGS, state, WORDS)
    return load_model(str(directory))


def texts(n: int = 12, seed: int = 0) -> dict[str, list[str]]:
    """Texts of eight words, in each language alone."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, N_WORDS, (n, 8)).tolist()
    return {language: [" ".join(f"{language}{word}" for word in row) for row in drawn] for language in LANGUAGES}


def mass_by_hand(right: float, wrong: float) -> tuple[float, float]:
    """Mass on the right and on the wrong language, where their words' logits are these and all others' are 0."""
    weights = N_WORDS * np.exp([right, wrong, 0.0])
    total = weights.sum() + 2  # the unknown word and the beginning of a text
    return float(weights[0] / total), float(weights[1] / total)
