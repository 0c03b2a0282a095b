"""What every neuron, and the residual stream, does in each language: the values that edits set and add."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from interp.errors import InputError
from interp.neurons.passes import Places, read_units
from interp.neurons.rows import Rows
from interp.steering.corpus import Corpus, Texts, corpus_of
from interp.types import Model

MOST_TOKENS = 2000
"""Tokens of each language that are read."""

PerNeuron = Float[np.ndarray, "language layer neuron"]


@dataclass(frozen=True)
class LanguageLevels:
    """Activations by language, over tokens drawn from its texts."""

    languages: tuple[str, ...]
    mean: PerNeuron = field(repr=False)
    median: PerNeuron = field(repr=False)
    size: PerNeuron = field(repr=False)
    """Mean absolute activation: what random neurons are matched in."""
    stream: Float[np.ndarray, "language layer d_model"] = field(repr=False)
    """Mean of the residual stream after each block."""

    def number(self, language: str) -> int:
        """Place of a language.

        Raises:
            InputError: nothing was read in it.
        """
        if language not in self.languages:
            raise InputError(f"Nothing was read in {language!r}. Expected one of {list(self.languages)}.")
        return self.languages.index(language)

    def elsewhere(self, language: str) -> Float[np.ndarray, "layer neuron"]:
        """What neurons do in the other languages: the mean of their medians there."""
        others = np.arange(len(self.languages)) != self.number(language)
        return self.median[others].mean(0)


def read_levels(model: Model, rows: Texts | Rows | Corpus, *, seed: int = 0) -> LanguageLevels:
    """Read what neurons and the residual stream do in each language.

    Use other documents than those on which edits are measured: values learnt from the text under test know it.

    Args:
        model: A hooked model with the sites `post` and `resid_post`.
        rows: Text by language, as `corpus_of` takes it.
        seed: Decides which tokens are read where there are more than 2,000 of a language.

    Raises:
        SiteError: the model shows no neurons, as mixtures of experts whose experts share one hook.
        InputError: activations that are not finite, or rows that `corpus_of` refuses.
    """
    corpus, rng = corpus_of(model, rows), np.random.default_rng(seed)
    found = [_of_language(model, corpus, number, rng) for number in range(len(corpus.languages))]
    if not all(np.isfinite(each).all() for values in found for each in values):
        raise InputError("Activations hold NaN or infinity. Load the model in a wider dtype, such as float32.")
    return LanguageLevels(corpus.languages, *(np.stack(each) for each in zip(*found, strict=True)))


def _of_language(model: Model, corpus: Corpus, number: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    rows = corpus.rows(number)
    row, pos = np.nonzero(corpus.spoken[rows])
    chosen = np.sort(rng.permutation(len(row))[:MOST_TOKENS])
    places = Places(rows[row[chosen]], pos[chosen])
    post = read_units(model, corpus.batch, places).astype(np.float64)
    stream = read_units(model, corpus.batch, places, "residual").astype(np.float64)
    return post.mean(0), np.median(post, 0), np.abs(post).mean(0), stream.mean(0)
