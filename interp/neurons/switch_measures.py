"""What an edit changes around switches and elsewhere, document by document."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from interp.errors import InputError
from interp.neurons.next_language import Edit, LanguageVocabulary, Reading, before_words, read_predictions
from interp.neurons.switch_material import Continuations, SwitchMaterial, first_tokens
from interp.types import Model

SHARE, NATS, LOSS = "probability", "nats per token", "nats per token, positive is worse"
MEASURES = {
    "new language, at the switch": SHARE,
    "new language, after its first word": SHARE,
    "new word over old word, at the switch": NATS,
    "new word over old word, after its first word": NATS,
    "loss after the switch": LOSS,
    "own language elsewhere": SHARE,
    "loss elsewhere": LOSS,
}
"""Units by measure. Elsewhere: sentences of one language."""
AFTER = (1, 3, 4)
"""Measures that an edit at the switch token can reach: it comes before them, and elsewhere is no switch."""

PerDocument = Float[np.ndarray, "document measure"]


@dataclass(frozen=True)
class Trial:
    """The part of a material that edits are measured on."""

    material: SwitchMaterial
    cases: Continuations
    documents: Int[np.ndarray, " document"]
    rows: Int[np.ndarray, " row"]

    @classmethod
    def of(cls, material: SwitchMaterial) -> "Trial":
        """Take everything that a measure needs.

        Raises:
            InputError: material whose switches nobody listed.
        """
        if material.cases is None:
            raise InputError("This material lists no switches. Expected that of switch_aligned or pair_switches.")
        cases = material.cases
        rows = np.concatenate([cases.row, cases.old_row, cases.back_row, material.plain])
        return cls(material, cases, material.documents, np.unique(rows[rows >= 0]))


def measure(model: Model, trial: Trial, vocabulary: LanguageVocabulary, edit: Edit | None = None) -> PerDocument:
    """Run the model, edited or not, and take the mean of every measure by document.

    Returns:
        By document and measure, in the order of `MEASURES`; NaN where a document has none.
    """
    batch = trial.material.tokens.batch
    reading = read_predictions(model, batch, vocabulary, rows=trial.rows, edit=edit)
    return np.stack([*_at_cases(trial, reading), *_elsewhere(trial, reading)], 1)


def _at_cases(trial: Trial, reading: Reading) -> list[np.ndarray]:
    tokens, cases = trial.material.tokens, trial.cases
    row, pos, new = cases.row, cases.pos, cases.new_language
    word = tokens.word[row, pos]
    second = first_tokens(tokens, row, word + 1)  # 0 where there is no second word
    after = np.where(second > 0, reading.share[row, second - 1, new], np.nan)
    first_word = -_word_loss(trial, reading, row, word) + _word_loss(trial, reading, cases.old_row, word)
    next_word = -_word_loss(trial, reading, row, word + 1) + _word_loss(trial, reading, cases.back_row, word + 1)
    ends = zip(row, pos, tokens.batch.lengths[row], strict=True)
    tail = [reading.loss[number, start:stop].mean() for number, start, stop in ends]
    found = [reading.share[row, pos - 1, new], after, first_word, next_word, np.array(tail)]
    return [_by_document(values, cases.document, trial.documents) for values in found]


def _word_loss(trial: Trial, reading: Reading, row: np.ndarray, word: np.ndarray) -> Float[np.ndarray, " case"]:
    """Mean loss of a word's tokens; NaN where the row, or the word in it, is not there."""
    inside = (trial.material.tokens.word[row] == word[:, None]) & (row >= 0)[:, None]
    count = inside.sum(1)
    total = np.where(inside, np.nan_to_num(reading.loss[row]), 0.0).sum(1)
    return np.divide(total, count, out=np.full(len(row), np.nan), where=count > 0)


def _elsewhere(trial: Trial, reading: Reading) -> list[np.ndarray]:
    tokens, plain = trial.material.tokens, trial.material.plain
    own = np.take_along_axis(reading.share[plain, :-1], np.maximum(tokens.language[plain, 1:], 0)[..., None], 2)[..., 0]
    before = before_words(tokens)[plain, :-1]
    shares = np.where(before, own, 0.0).sum(1) / np.maximum(before.sum(1), 1)
    shares = np.where(before.any(1), shares, np.nan)
    losses = np.nanmean(reading.loss[plain], 1)
    return [_by_document(values, tokens.text[plain], trial.documents) for values in (shares, losses)]


def _by_document(values: np.ndarray, document: np.ndarray, documents: np.ndarray) -> Float[np.ndarray, " document"]:
    there = np.isfinite(values)
    place = np.searchsorted(documents, document[there])
    total, count = (
        np.bincount(place, weights, minlength=len(documents)) for weights in (values[there], np.ones(there.sum()))
    )
    return np.divide(total, count, out=np.full(len(documents), np.nan), where=count > 0)
