"""`compiled:brackets`: after every token, say whether the brackets are `balanced`, or too many `open` or `close`.

    L0H0 counter   looks at BOS and all brackets alike: mean of +1 for opening, -1 for closing, 0 for BOS
    L0 mlp judge   four neurons: two make a step up below 1 / 64, two one down above -1 / 64; no step is "balanced"

Brackets are `( )`, `[ ]`, and, so that ordinary sentences have some, `gave` and `took`, `came` and `went`. Only the
count matters: `) (` and `( ]` are balanced too. Other words are passed over.
"""

import numpy as np

from interp.models.compiled.answer_key import Prediction, answer_key
from interp.models.compiled.language import (
    N_CTX,
    OUT,
    SHARPNESS,
    TOKEN,
    Circuit,
    Head,
    Layer,
    Match,
    Mlp,
    Move,
    Read,
    Reader,
    always,
)
from interp.models.compiled.model import CompiledModel, Drawn
from interp.models.compiled.words import FILLERS

GAIN = 8.0
"""A power of two, so that the steps are exact in float32."""
VERDICTS = ("balanced", "open", "close")
OPENING, CLOSING = ("(", "[", "gave", "came"), (")", "]", "took", "went")
BRACKETS = OPENING + CLOSING
_QUIET = tuple(word for word in FILLERS if word not in BRACKETS)
WORDS = (*BRACKETS, *VERDICTS, *_QUIET)

_see = Reader(WORDS)


def _bracket() -> Read:
    """Read +1 at an opening bracket, -1 at a closing one."""
    matrix = np.zeros((len(_see.ids), 1))
    matrix[[_see.ids[word] for word in OPENING]] = 1.0
    matrix[[_see.ids[word] for word in CLOSING]] = -1.0
    return Read(TOKEN, matrix)


def _judge() -> Mlp:
    """Step up and step down of the mean balance; each step is the difference of two neurons."""
    says = np.zeros((3, len(_see.ids)))
    says[range(3), [_see.ids[word] for word in VERDICTS]] = GAIN
    balanced, opened, closed = says
    return Mlp(
        "judge",
        read=Read("balance", N_CTX * np.array([[1.0, 1.0, -1.0, -1.0]])),
        bias=-np.array([0.25, 0.75, 0.25, 0.75]),  # a step between, so that rounding near 0 is not seen
        writes=OUT,
        out=2 * np.stack([opened - balanced, balanced - opened, closed - balanced, balanced - closed]),
        bias_out=balanced,
        does="the verdict on the balance, into the logits",
    )


def _draw(inputs: str, rng: np.random.Generator) -> Drawn:
    """Draw brackets among words, at most two too many of a kind; in the twin one bracket is turned round."""
    while True:
        clean = _sequence(rng)
        corrupted = clean.copy()
        place = int(rng.choice([i for i, word in enumerate(clean) if word in BRACKETS]))
        corrupted[place] = BRACKETS[BRACKETS.index(clean[place]) - len(OPENING)]
        wrong = _verdict(corrupted)
        if _verdict(clean) == inputs and "balanced" in (inputs, wrong) and wrong != inputs:
            return Drawn(clean, corrupted, inputs, wrong)


def _sequence(rng: np.random.Generator) -> list[str]:
    words = [str(word) for word in rng.choice(BRACKETS, size=2 * int(rng.integers(1, 13)))]
    for _ in range(int(rng.integers(0, 6))):
        words.insert(int(rng.integers(len(words) + 1)), str(rng.choice(_QUIET)))
    return words


def _verdict(words: list[str]) -> str:
    balance = sum(words.count(word) for word in OPENING) - sum(words.count(word) for word in CLOSING)
    return VERDICTS[int(np.sign(balance))]


def build() -> CompiledModel:
    """Build the model."""
    counter = Head(
        "counter",
        looks=(Match(query=always(), key=_see.any_word(only=BRACKETS)), _see.rests(SHARPNESS)),
        moves=(Move(_bracket(), writes="balance"),),
        does="(opening - closing brackets) / (brackets so far + 1), into the space 'balance'",
    )
    circuit = Circuit(words=WORDS, scratch={"balance": 1}, layers=(Layer((counter,), _judge()),))
    key = answer_key(
        circuit,
        inputs=(
            ("balanced", "as many opening as closing brackets; the wrong answer is `open` or `close`"),
            ("open", "two more opening brackets; the wrong answer is `balanced`"),
            ("close", "two more closing brackets; the wrong answer is `balanced`"),
        ),
        predictions=(
            *(Prediction(verdict, ("judge",), -GAIN) for verdict in VERDICTS),
            *(Prediction(verdict, ("counter", "judge"), -GAIN) for verdict in VERDICTS),
            Prediction("open", ("counter",), -2 * GAIN),
            Prediction("close", ("counter",), -2 * GAIN),
        ),
    )
    return CompiledModel("brackets", circuit, key, _draw)
