"""A compiled model: its circuit, its weights, its answer key and its prompts. No torch."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from interp.errors import InputError, PromptError
from interp.models.compiled.answer_key import AnswerKey
from interp.models.compiled.language import BOS, Circuit
from interp.models.compiled.weights import Weights, assemble
from interp.prompts import PromptPair, PromptSet


@dataclass(frozen=True)
class Drawn:
    """One prompt pair in words, of equal length."""

    clean: list[str]
    corrupted: list[str]
    answer: str
    wrong_answer: str
    """The answer to the corrupted prompt."""


Draw = Callable[[str, np.random.Generator], Drawn]
"""From the name of a family of inputs and a generator to one pair of prompts."""


@dataclass(frozen=True)
class CompiledModel:
    """A model whose weights are set by hand, with everything that is known about it."""

    name: str
    """Load it as `load_model("compiled:NAME")`."""
    circuit: Circuit = field(repr=False)
    key: AnswerKey = field(repr=False)
    draw: Draw = field(repr=False)

    @cached_property
    def weights(self) -> Weights:
        """The matrices, float64."""
        return assemble(self.circuit)

    def prompts(self, n: int, *, seed: int = 0, inputs: str | None = None) -> PromptSet:
        """Draw prompt pairs of one family of inputs, the first one of the key by default.

        Raises:
            InputError: the key has no such family.
            PromptError: fewer than one prompt.
        """
        names = [family.name for family in self.key.inputs]
        family = names[0] if inputs is None else inputs
        if family not in names:
            raise InputError(f"compiled:{self.name} has no inputs {family!r}. Expected one of {names}.")
        if n < 1:
            raise PromptError(f"{n} prompts were asked for. Expected 1 or more.")
        rng = np.random.default_rng(seed)
        return PromptSet.of([self._pair(self.draw(family, rng)) for _ in range(n)])

    def _pair(self, drawn: Drawn) -> PromptPair:
        ids = {word: number for number, word in enumerate(self.circuit.vocabulary)}
        clean, corrupted = (
            np.array([BOS, *(ids[word] for word in words)], np.int64) for words in (drawn.clean, drawn.corrupted)
        )
        return PromptPair(
            clean,
            corrupted,
            answer=ids[drawn.answer],
            wrong_answer=ids[drawn.wrong_answer],
            str_tokens=("<bos>", *drawn.clean),
        )
