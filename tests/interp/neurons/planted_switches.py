"""A model set by hand in which some neurons fire at switches, and others for a language, a rare word, or noise.

A head reads the language of the word before, another the word here; neurons of the MLP behind them read both. What the
model expects next follows the language of the word before, unless a switch neuron fires: then it is the new one.
"""

from functools import cache
from itertools import permutations

import numpy as np
import torch

from interp.languages import TaggedText
from interp.models.compiled.answer_key import answer_key
from interp.models.compiled.bridge import boot_compiled
from interp.models.compiled.language import (
    OUT,
    SPECIAL,
    TOKEN,
    Circuit,
    Head,
    Layer,
    Match,
    Mlp,
    Move,
    Read,
    position,
)
from interp.models.compiled.model import CompiledModel
from interp.neurons.labelled import label_tokens
from interp.neurons.switch_material import SwitchMaterial, switch_aligned
from interp.neurons.switch_pairs import pair_switches
from interp.types import Model

LANGUAGES = {"en": ["and", "or", "but"], "fr": ["et", "mais", "pour"], "de": ["und", "aber", "oder"]}
"""Openers of phrases: `switch` cuts there."""
N_WORDS, N_RARE = 12, 6
N_INTO, N_FROM, N_LANGUAGE, N_BEFORE, N_RARITY, N_NOISE = 12, 9, 15, 15, 15, 15
PLANTED = np.arange(N_INTO + N_FROM)
RARITY = np.arange(N_RARITY) + N_INTO + N_FROM + N_LANGUAGE + N_BEFORE
N_NEURONS = N_INTO + N_FROM + N_LANGUAGE + N_BEFORE + N_RARITY + N_NOISE
N_SENTENCES = 40


def words_of(language: str) -> list[str]:
    return [*LANGUAGES[language], *(f"{language}{number}" for number in range(N_WORDS))]


WORDS = tuple(word for language in LANGUAGES for word in words_of(language))
IDS = {word: number for number, word in enumerate((*SPECIAL, *WORDS))}


def _of_language(number: int) -> np.ndarray:
    found = np.zeros(len(IDS))
    found[[IDS[word] for word in words_of(list(LANGUAGES)[number])]] = 1.0
    return found


def _rare() -> np.ndarray:
    found = np.zeros(len(IDS))
    found[[IDS[f"{language}{number}"] for language in LANGUAGES for number in range(N_WORDS - N_RARE, N_WORDS)]] = 1.0
    return found


def _neurons() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What each neuron reads of the word here and of the language before, its bias, and what it says."""
    rng, n = np.random.default_rng(0), len(LANGUAGES)
    here, before = np.zeros((len(IDS), N_NEURONS)), np.zeros((n, N_NEURONS))
    bias, says = np.zeros(N_NEURONS), np.zeros((N_NEURONS, len(IDS)))
    for neuron in range(N_NEURONS):
        mine = neuron % n
        others = np.arange(n) != mine
        if neuron < N_INTO:
            here[:, neuron], before[others, neuron], bias[neuron] = _of_language(mine), 1.0, -1.2
            says[neuron] = _of_language(mine)
        elif neuron < N_INTO + N_FROM:
            here[:, neuron] = sum(_of_language(other) for other in np.flatnonzero(others))
            before[mine, neuron], bias[neuron] = 1.0, -1.2
            says[neuron] = -_of_language(mine)
        elif neuron < N_INTO + N_FROM + N_LANGUAGE:
            here[:, neuron] = _of_language(mine)
        elif neuron < N_INTO + N_FROM + N_LANGUAGE + N_BEFORE:
            before[mine, neuron], says[neuron] = 1.0, 0.5 * _of_language(mine)
        elif neuron < N_INTO + N_FROM + N_LANGUAGE + N_BEFORE + N_RARITY:
            here[:, neuron], bias[neuron] = _rare(), -0.3
    here += rng.normal(0, 0.05, here.shape)
    here[:, -N_NOISE:] += rng.normal(0, 1.0, (len(IDS), N_NOISE))
    return np.concatenate([here, before]), bias, says


def _heads() -> tuple[Head, Head]:
    n, width = len(LANGUAGES), len(IDS) + len(LANGUAGES)
    word, language = np.eye(len(IDS), width), np.zeros((len(IDS), width))
    for number in range(n):
        language[:, len(IDS) + number] = _of_language(number)
    return (
        Head("here", (Match(position(), position()),), (Move(Read(TOKEN, word), "seen"),), "the word here"),
        Head(
            "before",
            (Match(position(back=1), position()),),
            (Move(Read(TOKEN, language), "seen"),),
            "the language of the word before",
        ),
    )


@cache
def planted_model() -> Model:
    reads, bias, says = _neurons()
    mlp = Mlp("neurons", Read("seen", reads), bias, OUT, says, np.zeros(len(IDS)), "the language of the next word")
    circuit = Circuit(WORDS, {"seen": len(IDS) + len(LANGUAGES)}, (Layer(_heads(), mlp),))
    compiled = CompiledModel("switches", circuit, answer_key(circuit, (), ()), lambda *_: None)
    model = boot_compiled(compiled, dtype=torch.float32, device=torch.device("cpu"))
    return model.eval().requires_grad_(False)


def aligned_sentences(n: int = N_SENTENCES, seed: int = 0) -> dict[str, list[str]]:
    """Sentences of the same words by number in every language, a phrase of two or three words after each opener."""
    rng = np.random.default_rng(seed)
    weights = np.where(np.arange(N_WORDS) < N_WORDS - N_RARE, 4.0, 2.0)
    rows: dict[str, list[str]] = {language: [] for language in LANGUAGES}
    for _ in range(n):
        numbers = rng.choice(N_WORDS, size=16, p=weights / weights.sum())
        phrases = np.split(numbers, np.cumsum(rng.integers(2, 4, size=5)))
        openers = rng.integers(0, 3, size=len(phrases))
        for language, starts in LANGUAGES.items():
            written = [
                [*([starts[opener]] if place else []), *(f"{language}{number}" for number in phrase)]
                for place, (opener, phrase) in enumerate(zip(openers, phrases, strict=True))
            ]
            rows[language].append(" ".join(word for phrase in written for word in phrase))
    return rows


@cache
def planted_material(n: int = N_SENTENCES) -> SwitchMaterial:
    return switch_aligned(planted_model(), aligned_sentences(n))


@cache
def written_material(n: int = N_SENTENCES) -> SwitchMaterial:
    """Switches as somebody would have written them: every text with one, or none, and nothing known but that."""
    aligned, texts = aligned_sentences(n), []
    for row in range(n):
        for first, second in permutations(aligned, 2):
            before, after = aligned[first][row].split()[:5], aligned[second][row].split()[5:]
            texts.append(_tagged({first: before, second: after}))
    texts += [
        _tagged({name: line.split()}) for name, lines in aligned_sentences(2 * n, seed=1).items() for line in lines
    ]
    return pair_switches(planted_model(), label_tokens(planted_model(), texts, languages=tuple(LANGUAGES)))


def _tagged(pieces: dict[str, list[str]]) -> TaggedText:
    words = [word for piece in pieces.values() for word in piece]
    return TaggedText(tuple(words), tuple(name for name in pieces for _ in pieces[name]), (True,) * len(words))
