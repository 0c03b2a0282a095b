"""Texts of one language each, cut into rows that a model takes, each row with the document it was cut from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from interp.errors import InputError
from interp.models import facts
from interp.models.tokenizers import body_ids, frame
from interp.neurons.rows import NO_LANGUAGE
from interp.prompts import TokenBatch
from interp.types import Model

N_TOKENS = 128
"""Tokens of a row, its frame included."""
SHORTEST_REST = 16
"""What is left of a document after its last whole row is a row of its own from so many tokens on."""


@dataclass(frozen=True)
class LabelledPassages:
    """Rows of tokens with the language of each token, as `text_activity` and `count_neurons` take them."""

    batch: TokenBatch
    languages: tuple[str, ...]
    language: Int[np.ndarray, "text pos"]
    """Index into `languages`; -1 for framing and padding."""
    text: Int[np.ndarray, " text"]
    """Document a row was cut from: the unit of shuffles, halves and intervals."""

    def of(self, documents: Int[np.ndarray, " chosen"]) -> "LabelledPassages":
        """The rows of some documents."""
        rows = np.flatnonzero(np.isin(self.text, documents))
        return LabelledPassages(self.batch[rows], self.languages, self.language[rows], self.text[rows])


def label_passages(
    model: Model, documents: Mapping[str, Sequence[str]], *, n_tokens: int = N_TOKENS
) -> LabelledPassages:
    """Cut documents into rows, each framed as the model expects.

    Documents are numbered in order, the first language's first. A document shorter than a row is a row of its own.

    Args:
        model: A hooked model with a tokenizer.
        documents: Texts by language, each in that language alone.
        n_tokens: Tokens of a row; fewer where the model's context is shorter.

    Raises:
        InputError: a language without a document, a document without a token, or rows too short for a frame.
    """
    if empty := [name for name, texts in documents.items() if not texts]:
        raise InputError(f"There is no text in {empty}. Give text in every language, or leave the language out.")
    framed = frame(model)
    n_before, n_after = len(framed.before), len(framed.after)
    room = min(n_tokens, facts(model).n_ctx or n_tokens) - n_before - n_after
    if room < 1:
        raise InputError(f"A row of {n_tokens} tokens has no room for text beside its frame. Expected more tokens.")
    rows, language, text = [], [], []
    every = [(number, written) for number, texts in enumerate(documents.values()) for written in texts]
    for document, (number, written) in enumerate(every):
        for piece in _pieces(body_ids(model.tokenizer, written), room, written):
            rows.append(np.array([*framed.before, *piece, *framed.after], np.int64))
            language.append(np.r_[[NO_LANGUAGE] * n_before, [number] * len(piece), [NO_LANGUAGE] * n_after])
            text.append(document)
    batch = TokenBatch.of(rows)
    labels = np.full(batch.tokens.shape, NO_LANGUAGE, np.int64)
    for place, labelled in enumerate(language):
        labels[place, : len(labelled)] = labelled
    return LabelledPassages(batch, tuple(documents), labels, np.array(text))


def _pieces(body: list[int], room: int, written: str) -> list[list[int]]:
    if not body:
        raise InputError(f"The document {written[:40]!r} holds no token. Leave it out.")
    pieces = [body[start : start + room] for start in range(0, len(body), room)]
    return pieces[:-1] if len(pieces) > 1 and len(pieces[-1]) < min(SHORTEST_REST, room) else pieces
