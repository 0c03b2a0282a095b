"""`compiled:copy`: who gets the drink? Two movers copy the name said once, a suppressor pushes down the other.

    L0H0 duplicate    at a name's second mention: looks at the first, marks the name as "said twice"
    L1H0 collector    brings the mark from wherever it stands to here
    L2H0 mover_a      looks at names other than the marked one (Q-composition), says them
    L2H1 mover_b      the same, more quietly
    L2H2 suppressor   looks at the marked name (Q-composition), says it with a minus sign

A cleaned-up version of Wang et al. 2022, Interpretability in the Wild (arXiv:2211.00593).
"""

import numpy as np

from interp.models.compiled.answer_key import Prediction, answer_key
from interp.models.compiled.language import (
    OUT,
    SHARPNESS,
    Circuit,
    Head,
    Layer,
    Match,
    Move,
    Reader,
    always,
    position,
)
from interp.models.compiled.model import CompiledModel, Drawn
from interp.models.compiled.words import NAMES, WORDS

MOVER_A, MOVER_B, SUPPRESSOR = 6.0, 4.0, 5.0

_see = Reader(WORDS)
_name = _see.words(only=NAMES)

_duplicate = Head(
    "duplicate",
    looks=(
        Match(query=_name, key=_name),
        Match(query=position(), key=position(), sharpness=-2 * SHARPNESS),  # not at itself
        _see.rests(),
    ),
    moves=(Move(_name, writes="said_twice"),),
    does="the name, at its second mention, into the space 'said_twice'",
)
_collector = Head(
    "collector",
    looks=(Match(query=always(), key=_see.any_word("said_twice", only=NAMES)), _see.rests()),
    moves=(Move(_see.words("said_twice", only=NAMES), writes="twice_here"),),
    does="the name said twice, everywhere after, into the space 'twice_here'",
)


def _mover(name: str, gain: float) -> Head:
    return Head(
        name,
        looks=(
            Match(query=always(), key=_see.any_word(only=NAMES)),
            Match(query=_see.words("twice_here", only=NAMES), key=_name, sharpness=-2 * SHARPNESS),
            _see.rests(),
        ),
        moves=(Move(_name, writes=OUT, gain=gain),),
        does="the names not said twice, into the logits",
    )


_suppressor = Head(
    "suppressor",
    looks=(Match(query=_see.words("twice_here", only=NAMES), key=_name), _see.rests()),
    moves=(Move(_name, writes=OUT, gain=-SUPPRESSOR),),
    does="the name said twice, negatively, into the logits",
)

_WITHOUT_MARK = -(MOVER_A + MOVER_B) / 3 - (MOVER_A + MOVER_B + SUPPRESSOR)
"""Without the mark the movers see three mentions alike, two of them the wrong name: 1/3 - 2/3 of their gain remains."""


def _draw(inputs: str, rng: np.random.Generator) -> Drawn:
    one, two = (str(name) for name in rng.choice(NAMES, size=2, replace=False))
    place, thing = rng.choice(["store", "house", "garden", "river", "road"]), rng.choice(["drink", "letter", "apple"])
    if inputs == "alone":
        clean, corrupted = (
            f"when {name} went to the {place} , the dog gave a {thing} to".split() for name in (one, two)
        )
        return Drawn(clean, corrupted, one, two)
    first, second = (one, two) if rng.random() < 0.5 else (two, one)
    clean, corrupted = (
        f"when {first} and {second} went to the {place} , {again} gave a {thing} to".split() for again in (two, one)
    )
    return Drawn(clean, corrupted, one, two)


def build() -> CompiledModel:
    """Build the model."""
    circuit = Circuit(
        words=WORDS,
        scratch={"said_twice": len(_see.ids), "twice_here": len(_see.ids)},
        layers=(
            Layer((_duplicate,)),
            Layer((_collector,)),
            Layer((_mover("mover_a", MOVER_A), _mover("mover_b", MOVER_B), _suppressor)),
        ),
    )
    key = answer_key(
        circuit,
        inputs=(("repeat", "two names, one of them again"), ("alone", "one name, said once")),
        predictions=(
            Prediction("repeat", ("duplicate",), _WITHOUT_MARK),
            Prediction("repeat", ("collector",), _WITHOUT_MARK),
            Prediction("repeat", ("mover_a",), -MOVER_A),
            Prediction("repeat", ("mover_b",), -MOVER_B),
            Prediction("repeat", ("suppressor",), -SUPPRESSOR),
            Prediction("repeat", ("mover_a", "mover_b"), -(MOVER_A + MOVER_B)),
            Prediction("repeat", ("duplicate", "suppressor"), _WITHOUT_MARK),
            Prediction("alone", ("mover_a",), -MOVER_A),
            Prediction("alone", ("mover_b",), -MOVER_B),
            Prediction("alone", ("mover_a", "mover_b"), -(MOVER_A + MOVER_B)),
        ),
    )
    return CompiledModel("copy", circuit, key, _draw)
