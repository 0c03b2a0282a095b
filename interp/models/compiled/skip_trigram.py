"""`compiled:skip-trigram`: `keep .. in` says `mind`, `keep .. at` says `bay`: one layer, one head for each last word.

    L0H0 in   where the word here is "in", looks at keep, hold, put or gave, and says mind, check, place or kind
    L0H1 at   where the word here is "at", looks at keep, hold, put or went, and says bay, gunpoint, risk or length

One head could not do both: what it says depends on the word it looks at alone. Elhage et al. 2021, A Mathematical
Framework for Transformer Circuits, "Skip-trigram bugs".
"""

import numpy as np

from interp.models.compiled.answer_key import Prediction, answer_key
from interp.models.compiled.language import OUT, Circuit, Head, Layer, Match, Move, Reader
from interp.models.compiled.model import CompiledModel, Drawn
from interp.models.compiled.words import FILLERS

GAIN = 10.0
TRIGRAMS = {
    "in": {"keep": "mind", "hold": "check", "put": "place", "gave": "kind"},
    "at": {"keep": "bay", "hold": "gunpoint", "put": "risk", "went": "length"},
}
_QUIET = tuple(word for word in FILLERS if word not in (*TRIGRAMS, "gave", "went"))
WORDS = ("keep", "hold", "put", *(word for said in TRIGRAMS.values() for word in said.values()), *FILLERS)

_see = Reader(WORDS)


def _head(last: str) -> Head:
    said = TRIGRAMS[last]
    return Head(
        last,
        looks=(Match(query=_see.any_word(only=[last]), key=_see.any_word(only=list(said))), _see.rests()),
        moves=(Move(_see.turned_into(said), writes=OUT, gain=GAIN),),
        does=f"after '{last}', what goes with the verb before, into the logits",
    )


def _draw(inputs: str, rng: np.random.Generator) -> Drawn:
    """Draw words with one verb among them; in the twin it is another verb. A verb of the other head may stand by."""
    said = TRIGRAMS[inputs]
    verb, other = (str(word) for word in rng.choice(list(said), size=2, replace=False))
    words = [str(word) for word in rng.choice(_QUIET, size=int(rng.integers(2, 20)))]
    if rng.random() < 0.5:
        words.insert(int(rng.integers(len(words) + 1)), "went" if inputs == "in" else "gave")
    place = int(rng.integers(len(words) + 1))
    clean, corrupted = ([*words[:place], said_verb, *words[place:], inputs] for said_verb in (verb, other))
    return Drawn(clean, corrupted, said[verb], said[other])


def build() -> CompiledModel:
    """Build the model."""
    circuit = Circuit(words=WORDS, scratch={}, layers=(Layer((_head("in"), _head("at"))),))
    key = answer_key(
        circuit,
        inputs=tuple((last, f"a verb, other words, and '{last}' at the end") for last in TRIGRAMS),
        predictions=tuple(Prediction(last, (last,), -GAIN) for last in TRIGRAMS),
    )
    return CompiledModel("skip-trigram", circuit, key, _draw)
