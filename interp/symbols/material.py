"""Symbols in sentences: every form of every concept in every carrier, as rows of tokens."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from interp.errors import InputError
from interp.languages.symbol_sets import WORD, Carrier, SymbolSet
from interp.models import ModelEncoder
from interp.prompts import TokenBatch
from interp.types import Model


@dataclass(frozen=True)
class Slots:
    """Rows of tokens in the order of form, concept, carrier: arrays by row reshape to `shape`."""

    forms: tuple[str, ...]
    """The plain word first."""
    concepts: tuple[str, ...]
    n_carriers: int
    batch: TokenBatch = field(repr=False)
    start: Int[np.ndarray, " row"]
    """First token of the symbol."""
    stop: Int[np.ndarray, " row"]
    """The one after its last."""
    n_bytes: Float[np.ndarray, "form concept"]
    """UTF-8 bytes of the symbol, without the space before it."""
    word_token: Int[np.ndarray, " concept"]
    """First token of the plain word as it follows a text."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Forms, concepts, carriers."""
        return len(self.forms), len(self.concepts), self.n_carriers

    @property
    def n_tokens(self) -> Float[np.ndarray, "form concept"]:
        """Tokens of the symbol; the same in every carrier."""
        return (self.stop - self.start).reshape(self.shape)[..., 0].astype(float)


def slots_of(model: Model, sets: Sequence[SymbolSet], carriers: Sequence[Carrier]) -> Slots:
    """Put every form of every concept into every carrier.

    The parts are tokenized apart and joined, so that it is known which tokens are the symbol's, and so that the
    sentence after it is the same tokens for every form. The symbol carries the space before it, as words do.

    Args:
        model: A hooked model with a tokenizer.
        sets: Concepts that all have the same forms.
        carriers: Sentences.

    Raises:
        InputError: fewer than two concepts, no carrier, sets of unequal forms, or a symbol that the tokenizer drops.
    """
    forms = _forms(sets, carriers)
    encoder = ModelEncoder(model)
    before = [encoder.encode(carrier.before) for carrier in carriers]
    after = [encoder.encode_answer(carrier.after) for carrier in carriers]
    symbols = [[encoder.encode_answer(f" {one.forms[form]}") for one in sets] for form in forms]
    for form, ids in zip(forms, symbols, strict=True):
        if empty := [one.concept for one, of in zip(sets, ids, strict=True) if not len(of)]:
            raise InputError(f"The tokenizer makes no token of the {form!r} of {empty}. Leave these concepts out.")
    rows, start = [], []
    for of_form in symbols:
        for ids in of_form:
            for first, rest in zip(before, after, strict=True):
                rows.append(np.concatenate([first, ids, rest]))
                start.append(len(first))
    lengths = np.array([len(ids) for of_form in symbols for ids in of_form]).repeat(len(carriers))
    return Slots(
        forms=forms,
        concepts=tuple(one.concept for one in sets),
        n_carriers=len(carriers),
        batch=TokenBatch.of(rows),
        start=np.array(start),
        stop=np.array(start) + lengths,
        n_bytes=np.array([[float(len(one.forms[form].encode())) for one in sets] for form in forms]),
        word_token=np.array([int(ids[0]) for ids in symbols[0]]),
    )


def _forms(sets: Sequence[SymbolSet], carriers: Sequence[Carrier]) -> tuple[str, ...]:
    if len(sets) < 2 or not carriers:
        raise InputError(f"{len(sets)} concepts in {len(carriers)} carriers. Expected two concepts and one carrier.")
    names = set(sets[0].forms)
    if unlike := [one.concept for one in sets if set(one.forms) != names]:
        raise InputError(
            f"The forms of {unlike[:5]} are not those of {sets[0].concept!r}, {sorted(names)}. Give all concepts alike."
        )
    return (WORD, *(form for form in sets[0].forms if form != WORD))
