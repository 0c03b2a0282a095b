"""`compiled:induction`: a previous-token head and an induction head that reads it through its keys (K-composition).

    L0H0 previous    at i: looks at i-1, notes its word as "previous"
    L1H0 induction   looks where "previous" is the current word, and says the word it finds there

Elhage et al. 2021, A Mathematical Framework for Transformer Circuits, "Induction heads".
"""

import numpy as np

from interp.models.compiled.answer_key import Prediction, answer_key
from interp.models.compiled.language import OUT, Circuit, Head, Layer, Match, Move, Reader, position
from interp.models.compiled.model import CompiledModel, Drawn
from interp.models.compiled.words import WORDS

GAIN = 10.0

_see = Reader(WORDS)


def previous_head() -> Head:
    """Look one place back and note the word there."""
    return Head(
        "previous",
        looks=(Match(query=position(back=1), key=position()),),
        moves=(Move(_see.words(), writes="previous"),),
        does="the word before, into the space 'previous'",
    )


def induction_head() -> Head:
    """Look after the earlier occurrence of this word, and say the word there."""
    return Head(
        "induction",
        looks=(Match(query=_see.words(), key=_see.words("previous")), _see.rests()),
        moves=(Move(_see.words(), writes=OUT, gain=GAIN),),
        does="the word that followed this one earlier, into the logits",
    )


def draw_induction(inputs: str, rng: np.random.Generator) -> Drawn:  # noqa: ARG001 -- one family only
    """Draw `.. A B .. X C .. A` and its twin with A and X exchanged, which makes C follow A."""
    words = [str(word) for word in rng.choice(WORDS, size=int(rng.integers(8, 30)), replace=False)]
    first, second = sorted(int(place) for place in rng.choice(len(words) // 2 - 1, size=2, replace=False) * 2)
    if rng.random() < 0.5:
        first, second = second, first
    exchanged = words.copy()
    exchanged[first], exchanged[second] = words[second], words[first]
    return Drawn([*words, words[first]], [*exchanged, words[first]], words[first + 1], words[second + 1])


def build() -> CompiledModel:
    """Build the model."""
    circuit = Circuit(
        words=WORDS,
        scratch={"previous": len(_see.ids)},
        layers=(Layer((previous_head(),)), Layer((induction_head(),))),
    )
    key = answer_key(
        circuit,
        inputs=(("repeat", "the last word stood earlier once, followed by the answer"),),
        predictions=(Prediction("repeat", ("previous",), -GAIN), Prediction("repeat", ("induction",), -GAIN)),
    )
    return CompiledModel("induction", circuit, key, draw_induction)
