"""`compiled:decoys`: an induction circuit with a backup head that sleeps, among loud heads that change nothing.

    L0H0 loud_words    looks at the previous token, writes 40 times a random image of its word where nobody listens
    L0H1 previous      as in `compiled:induction`
    L1H0 induction     as in `compiled:induction`; and notes "done" where it found something
    L1H1 loud_twin     looks exactly where the induction head looks, writes where only another decoy listens
    L2H0 loud_echo     looks everywhere alike, reads what the other decoys wrote, writes it again
    L2H1 backup        the induction head once more, but looks at BOS where "done" is noted (Q-composition)

By attention pattern or by norm the decoys look important; by effect they are nothing. The backup's own ablation changes
nothing either, until the induction head is gone: Wang et al. 2022 (arXiv:2211.00593), "backup heads".
"""

from dataclasses import replace

import numpy as np

from interp.models.compiled.answer_key import Prediction, answer_key
from interp.models.compiled.induction import GAIN, draw_induction, induction_head, previous_head
from interp.models.compiled.language import (
    OUT,
    SHARPNESS,
    Circuit,
    Head,
    Layer,
    Match,
    Move,
    Read,
    Reader,
    always,
    flag,
    position,
)
from interp.models.compiled.model import CompiledModel
from interp.models.compiled.words import WORDS

BACKUP_GAIN, LOUD = 8.0, 40.0

_see = Reader(WORDS)


def _scrambled(space: str, seed: int) -> Read:
    """Read a space through a random matrix that keeps lengths."""
    width = len(_see.ids)
    matrix, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(width, width)))
    return Read(space, matrix)


def _loud(name: str, looks: tuple[Match, ...], space: str, seed: int) -> Head:
    moves = (Move(_scrambled(space, seed), writes="attic", gain=LOUD),)
    return Head(name, looks, moves, does="a loud random image, into 'attic', which no part of the circuit reads")


def _layers() -> tuple[Layer, ...]:
    induction = induction_head()
    noting = replace(induction, moves=(*induction.moves, Move(_see.any_word(), writes="done")))
    backup = Head(
        "backup",
        looks=(*induction.looks, Match(query=flag("done"), key=_see.begins(), sharpness=2 * SHARPNESS)),
        moves=(Move(_see.words(), writes=OUT, gain=BACKUP_GAIN),),
        does="the word that followed this one earlier, into the logits, unless 'done' is noted",
    )
    back = (Match(query=position(back=1), key=position()),)
    everywhere = (Match(query=always(), key=always(), sharpness=0.0),)
    return (
        Layer((_loud("loud_words", back, "token", 1), previous_head())),
        Layer((noting, _loud("loud_twin", induction.looks, "token", 2))),
        Layer((_loud("loud_echo", everywhere, "attic", 3), backup)),
    )


def build() -> CompiledModel:
    """Build the model."""
    width = len(_see.ids)
    circuit = Circuit(WORDS, {"previous": width, "done": 1, "attic": width}, _layers())
    key = answer_key(
        circuit,
        inputs=(("repeat", "the last word stood earlier once, followed by the answer"),),
        predictions=(
            Prediction("repeat", ("previous",), -GAIN),
            Prediction("repeat", ("induction",), BACKUP_GAIN - GAIN),
            Prediction("repeat", ("induction", "backup"), -GAIN),
            Prediction("repeat", ("previous", "backup"), -GAIN),
        ),
    )
    return CompiledModel("decoys", circuit, key, draw_induction)
