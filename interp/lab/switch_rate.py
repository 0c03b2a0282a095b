"""How probable a switch of language is, as a function of how well the other language's word fits.

A language model that knows nothing but frequencies says a word of the other language with probability epsilon,
whatever it is. Where its own language has n equally good words, each has (1 - epsilon) / n, so that one fitting word of
the other language is the single most probable one as soon as n > (1 - epsilon) / epsilon. Decoding at a low temperature
then switches, though nothing prefers switching.

Positive numbers are shares of the other language, from 0 to 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.special import logsumexp
from torch import Tensor

from interp.errors import InputError, ModelError
from interp.models import ModelEncoder
from interp.prompts import TokenBatch
from interp.run import forward
from interp.types import Model

TEMPERATURES = (1.0, 0.5, 0.3, 0.0)
ROWS = 64
"""Rows of a forward pass."""

Word = tuple[int, ...]
"""A word's token ids, as they follow the context."""


@dataclass(frozen=True)
class Choice:
    """A place in a text where words of two languages fit.

    Raises:
        InputError: no words, a word given twice, or a word that another one begins with: their chances would overlap.
    """

    context: Int[np.ndarray, " pos"]
    """Token ids before the word."""
    home: tuple[Word, ...]
    """Fitting words of the text's own language."""
    other: tuple[Word, ...]
    """Fitting words of the other language."""

    def __post_init__(self) -> None:
        words = self.words
        if not self.home or not self.other or not all(words) or not len(self.context):
            raise InputError(
                f"{len(self.home)} words of the own and {len(self.other)} of the other language after "
                f"{len(self.context)} tokens. Expected at least one of each, none of them empty."
            )
        for number, word in enumerate(words):
            if any(other[: len(word)] == word for place, other in enumerate(words) if place != number):
                raise InputError(
                    f"Another word is or begins with tokens {list(word)}, so their chances overlap. "
                    "Give words none of which begins another, such as with the space that ends them."
                )

    @property
    def words(self) -> tuple[Word, ...]:
        """All words, those of the own language first."""
        return (*self.home, *self.other)


@dataclass(frozen=True)
class SwitchRate:
    """Where and how often a model switches."""

    temperatures: tuple[float, ...]
    share: Float[np.ndarray, "temperature choice"]
    """Chance that the word is of the other language, given that one of the choice's words is said."""
    fitting: Float[np.ndarray, " choice"]
    """Chance that one of the choice's words is said, at temperature 1."""
    greedy: Bool[np.ndarray, " choice"]
    """Whether the most probable token of the whole vocabulary begins a word of the other language, and none of the
    own."""


def choice_from_text(model: Model, context: str, home: Sequence[str], other: Sequence[str]) -> Choice:
    """Read a choice with a model's own tokenizer.

    Args:
        model: A hooked model with a tokenizer.
        context: The text before the word.
        home: Words of its language, spelled as they follow: mostly with a space before.
        other: Words of the other language.

    Raises:
        InputError: as `Choice`.
    """
    encoder = ModelEncoder(model)
    sides = [tuple(tuple(encoder.encode_answer(word).tolist()) for word in words) for words in (home, other)]
    return Choice(encoder.encode(context), *sides)


def closed_form(
    n: int | Int[np.ndarray, "..."] | Float[np.ndarray, "..."], temperature: float, epsilon: float, *, n_other: int = 1
) -> Float[np.ndarray, "..."]:
    """Say how often a perfectly calibrated model switches to the fitting word of the other language.

    e^(1/T) / (e^(1/T) + n ((1 - e) / n)^(1/T)) for one such word; at temperature 0 its limit: 0 while
    n < (1 - e) / e, then 1, and 1 / (1 + n) where all words are as probable.

    Args:
        n: Equally probable words of the own language.
        temperature: From 0.
        epsilon: Share of the other language's words in the corpus.
        n_other: Equally probable words of the other language.

    Raises:
        InputError: no words, a negative temperature, or an epsilon that is no share.
    """
    words = np.asarray(n, float) / n_other
    if not (words > 0).all() or temperature < 0 or not 0 < epsilon < 1:
        raise InputError(
            f"n {n}, temperature {temperature}, epsilon {epsilon}. Expected words, a temperature from 0 and an epsilon "
            "between 0 and 1."
        )
    # As a ratio of two words' chances: powers of small numbers would vanish at low temperatures.
    ratio = (1 - epsilon) / words / epsilon
    if temperature == 0:
        return np.where(np.isclose(ratio, 1), 1 / (1 + words), (ratio < 1).astype(float))
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + words * ratio ** (1 / temperature)))


def share_of_other(log_probs: Float[np.ndarray, " word"], n_home: int, temperature: float) -> float:
    """Share of the other language among some words at a temperature; at 0, of the most probable ones.

    Args:
        log_probs: Of the words, in nats, those of the own language first.
        n_home: How many those are.
        temperature: From 0.
    """
    if temperature == 0:
        best = log_probs >= log_probs.max() - 1e-9
        return float(best[n_home:].sum() / best.sum())
    scaled = log_probs / temperature
    return float(np.exp(logsumexp(scaled[n_home:]) - logsumexp(scaled)))


def switch_rate(model: Model, choices: Sequence[Choice], *, temperatures: Sequence[float] = TEMPERATURES) -> SwitchRate:
    """Measure how often a model would switch at some places, at several temperatures.

    The temperature acts on whole words and among the choice's words alone: sampling token by token from the whole
    vocabulary also weighs other concepts. A share is evidence of what the model says, not of a wish to switch: compare
    it with `closed_form`.

    Args:
        model: A hooked decoder.
        choices: The places, each with the words of both languages that fit there.
        temperatures: From 0, which takes the most probable word.

    Raises:
        InputError: no choices, or a negative temperature.
        ModelError: logits that are NaN or infinite.
    """
    if not choices or any(temperature < 0 for temperature in temperatures):
        raise InputError(
            f"{len(choices)} choices at {list(temperatures)}. Expected at least one, and no temperature below 0."
        )
    log_probs, first = _read_words(model, choices)
    read = list(zip(log_probs, choices, strict=True))
    return SwitchRate(
        temperatures=tuple(temperatures),
        share=np.array([[share_of_other(of, len(choice.home), t) for of, choice in read] for t in temperatures]),
        fitting=np.array([np.exp(logsumexp(of)) for of in log_probs]),
        greedy=np.array([_is_other(token, choice) for token, choice in zip(first, choices, strict=True)]),
    )


def _is_other(token: int, choice: Choice) -> bool:
    home, other = ({word[0] for word in words} for words in (choice.home, choice.other))
    return token in other - home


@dataclass(frozen=True)
class _Asked:
    """Words of a choice that share all tokens but the last, and so a row of a forward pass."""

    choice: int
    begin: Word
    words: tuple[int, ...]


def _read_words(model: Model, choices: Sequence[Choice]) -> tuple[list[Float[np.ndarray, " word"]], list[int]]:
    """Log probabilities of each choice's words, and the most probable token after each context."""
    found, first = [np.zeros(len(choice.words)) for choice in choices], [0] * len(choices)
    asked = [one for number, choice in enumerate(choices) for one in _asked(number, choice)]
    asked.sort(key=lambda one: len(choices[one.choice].context) + len(one.begin))
    for start in range(0, len(asked), ROWS):
        part = asked[start : start + ROWS]
        rows = [np.array([*choices[one.choice].context, *one.begin]) for one in part]
        logits = forward(model, TokenBatch.of(rows))
        for one, row, of in zip(part, rows, logits, strict=True):
            choice, begins = choices[one.choice], len(row) - len(one.begin) - 1
            after = finite_log_probs(of[begins : len(row)])
            if not one.begin:
                first[one.choice] = int(after[0].argmax())
            for number in one.words:
                word = choice.words[number]
                found[one.choice][number] = after[np.arange(len(word)), word].sum()
    return found, first


def _asked(number: int, choice: Choice) -> list[_Asked]:
    # The context alone is always read: it says what a greedy model goes on with.
    begins: dict[Word, list[int]] = {(): []}
    for place, word in enumerate(choice.words):
        begins.setdefault(word[:-1], []).append(place)
    return [_Asked(number, begin, tuple(words)) for begin, words in begins.items()]


def finite_log_probs(logits: Float[Tensor, "pos d_vocab"]) -> Float[np.ndarray, "pos d_vocab"]:
    """Turn logits into log probabilities, in nats.

    Raises:
        ModelError: logits that are NaN or infinite.
    """
    if not torch.isfinite(logits).all():
        raise ModelError("The model's logits are NaN or infinite. Load it in a wider dtype, such as float32.")
    return logits.double().log_softmax(-1).cpu().numpy()
