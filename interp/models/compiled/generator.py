"""Random circuits with a known answer: chains of heads that find a word, one step per layer, among loud decoys."""

import numpy as np

from interp.errors import InputError
from interp.models.compiled.answer_key import Prediction, answer_key
from interp.models.compiled.chain import Chain, Step, grow_chain
from interp.models.compiled.language import OUT, Circuit, Head, Layer, Match, Move, Read, Reader, position
from interp.models.compiled.model import CompiledModel, Drawn
from interp.models.compiled.words import WORDS

MAX_DEPTH, MAX_WIDTH = 6, 8
N_WORDS = 24
"""Words of a prompt, BOS not counted."""
LOUD = 20.0

_see = Reader(WORDS)


def random_circuit(seed: int, depth: int, width: int) -> CompiledModel:
    """Make a random circuit whose answer key is known.

    Each layer has one working head, which moves a word from a fixed distance, or looks for a word that an earlier head
    noted; the last layer has one or more, which say it with different gains. All other heads are decoys: they read
    what the working heads wrote, and write twenty times a random image of it where nobody listens.

    Args:
        seed: Decides everything but the size.
        depth: Layers, 1 to 6.
        width: Heads per layer, 1 to 8.

    Returns:
        The model, named `random-DEPTHxWIDTH-SEED`; `load_model("compiled:random-3x4-7")` loads it.

    Raises:
        InputError: a depth, width or seed out of range.
    """
    if not (1 <= depth <= MAX_DEPTH and 1 <= width <= MAX_WIDTH and seed >= 0):
        raise InputError(
            f"No random circuit of depth {depth}, width {width}, seed {seed}. "
            f"Expected depth 1 to {MAX_DEPTH}, width 1 to {MAX_WIDTH}, seed 0 or more."
        )
    rng = np.random.default_rng([seed, depth, width])
    chain = grow_chain(rng, depth)
    gains = [float(gain) for gain in rng.integers(3, 12, size=int(rng.integers(1, max(1, width // 2) + 1)))]
    layers = tuple(_layer(rng, chain, number, gains, width) for number in range(depth))
    spaces = [step.writes for step in chain.steps[:-1]]
    circuit = Circuit(WORDS, dict.fromkeys([*spaces, "attic"], len(_see.ids)), layers)
    names = [head.name for layer in layers for head in layer.heads if head.name.startswith("step")]
    predictions = [Prediction("words", (name,), -sum(gains)) for name in names]
    predictions += [Prediction("words", (f"writer{number}",), -gain) for number, gain in enumerate(gains)]
    key = answer_key(circuit, (("words", chain.says),), tuple(predictions))
    return CompiledModel(f"random-{depth}x{width}-{seed}", circuit, key, lambda _, rng: _draw(chain, rng))


def _layer(rng: np.random.Generator, chain: Chain, number: int, gains: list[float], width: int) -> Layer:
    step = chain.steps[number]
    if number < len(chain.steps) - 1:
        heads = [_working(f"step{number}", step, step.writes, 1.0)]
    else:
        heads = [_working(f"writer{which}", step, OUT, gain) for which, gain in enumerate(gains)]
    readable = ["token", *(earlier.writes for earlier in chain.steps[:number])] + ["attic"] * (number > 0)
    while len(heads) < width:
        heads.append(_decoy(rng, f"decoy{number}_{len(heads)}", readable))
    return Layer(tuple(heads[place] for place in rng.permutation(width)))


def _working(name: str, step: Step, writes: str, gain: float) -> Head:
    if step.back is not None:
        looks = (Match(query=position(back=step.back), key=position()), _see.rests())
    else:
        looks = (Match(query=_see.words(step.query), key=_see.words(step.key)), _see.rests())
    return Head(name, looks, (Move(_see.words(step.value), writes, gain),), does=f"{step.says}, into '{writes}'")


def _decoy(rng: np.random.Generator, name: str, readable: list[str]) -> Head:
    width = len(_see.ids)
    read = Read(str(rng.choice(readable)), rng.normal(size=(width, width)) / np.sqrt(width))
    if rng.random() < 0.5:
        looks = (Match(query=position(back=int(rng.integers(0, 4))), key=position()), _see.rests())
    else:
        query, key = (_see.words(str(rng.choice(readable))) for _ in range(2))
        looks = (Match(query=query, key=key, sharpness=float(rng.uniform(1, 20))),)
    return Head(name, looks, (Move(read, "attic", LOUD),), does="a loud random image, into the space 'attic'")


def _draw(chain: Chain, rng: np.random.Generator) -> Drawn:
    """Draw different words; in the twin the same words stand in another order."""
    words = rng.choice(WORDS, size=N_WORDS, replace=False)
    clean, answer = _arranged(chain, rng, words)
    while True:
        corrupted, wrong = _arranged(chain, rng, words)
        if wrong != answer:
            return Drawn(clean, corrupted, answer, wrong)


def _arranged(chain: Chain, rng: np.random.Generator, words: np.ndarray) -> tuple[list[str], str]:
    row = [str(word) for word in rng.permutation(words)]
    last = len(row) - 1
    repeated = last
    if chain.repeats:
        repeated = int(rng.choice([place for place in range(8, 15) if place - last not in chain.offsets_from_last]))
        row[last] = row[repeated]
    return row, row[(repeated if chain.anchor == "repeated" else last) + chain.offset]


def parse_random(name: str) -> tuple[int, int, int] | None:
    """Read `random-DEPTHxWIDTH-SEED` as (seed, depth, width); None for any other name."""
    kind, _, rest = name.partition("-")
    size, _, seed = rest.partition("-")
    depth, _, width = size.partition("x")
    if kind == "random" and all(part.isascii() and part.isdigit() for part in (seed, depth, width)):
        return int(seed), int(depth), int(width)
    return None
