"""Tokens of texts by their place in the text: for words that no space parts, and for a tokenizer of any kind."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from interp.errors import InputError
from interp.languages import TaggedText
from interp.languages.code_mix import LANGUAGE_LESS
from interp.models import encode
from interp.models.tokenizers import body_ids, frame
from interp.neurons.labelled import LabelledTokens
from interp.prompts import TokenBatch
from interp.types import Model


def label_spelled(
    model: Model, texts: Sequence[TaggedText], *, languages: Sequence[str] | None = None
) -> LabelledTokens:
    """Carry the languages of words to tokens by the characters that each token stands for.

    Unlike `label_tokens` this reads words that no space parts, such as a full stop after its word in a treebank, and
    tokenizers that forget spaces or change letters, such as BERT's. A token belongs to the word that most of its
    characters lie in, whitespace to the word after it; a word whose characters all went to a neighbour's token has
    none.

    Args:
        model: A hooked model with a tokenizer that tells the places of its tokens (a `fast` one).
        texts: Words with their languages; each text is a document of its own.
        languages: Which tags are languages; None for all but those of `LANGUAGE_LESS`.

    Raises:
        InputError: no text, one whose tokens are none, or a tokenizer that does not tell places.
        ModelError: the model has no tokenizer.
    """
    if not texts:
        raise InputError("No texts were given. Expected at least one, with a language for every word.")
    known = tuple(languages or _languages(texts))
    rows = [_row(model, text, known) for text in texts]
    batch = TokenBatch.of([row.ids for row in rows])
    filled = np.full((3, *batch.tokens.shape), -1, np.int64)
    switch = np.zeros(batch.tokens.shape, bool)
    for number, row in enumerate(rows):
        filled[:, number, : len(row.ids)] = row.labels
        switch[number, : len(row.ids)] = row.switches
    language, word, place = filled
    return LabelledTokens(batch, known, language, word, place, switch, np.arange(len(texts)))


def token_places(model: Model, text: str) -> tuple[Int[np.ndarray, " pos"], Int[np.ndarray, "pos 2"]]:
    """Ids of a text, framed as the model expects, and the characters of the text that each stands for.

    Returns:
        Ids as `encode` gives them; first character and the one after the last, both 0 for tokens around the text. The
        tokens of one character that is several have the same place.

    Raises:
        InputError: the tokenizer does not tell places.
    """
    ids, framed = encode(model, text), frame(model)
    if not getattr(model.tokenizer, "is_fast", False):
        raise InputError(
            "The model's tokenizer does not tell which characters its tokens stand for. Expected a fast one "
            "(tokenizer.json); with words that spaces part, use label_tokens."
        )
    told = model.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    body = ids[len(framed.before) : len(ids) - len(framed.after)].tolist()
    # A frame that is spelled in the text itself is written once: see `encode`.
    whole = body_ids(model.tokenizer, text)
    skipped = next(start for start in range(len(whole) + 1) if whole[start : start + len(body)] == body)
    places = np.zeros((len(ids), 2), np.int64)
    places[len(framed.before) : len(framed.before) + len(body)] = np.array(
        told["offset_mapping"][skipped : skipped + len(body)], np.int64
    ).reshape(-1, 2)
    return ids, places


@dataclass(frozen=True)
class _Row:
    ids: Int[np.ndarray, " pos"]
    labels: Int[np.ndarray, "3 pos"]
    """Language, word and place in the word."""

    @property
    def switches(self) -> np.ndarray:
        first = np.flatnonzero((self.labels[2] == 0) & (self.labels[0] >= 0))
        spoken, found = self.labels[0, first], np.zeros(len(self.ids), bool)
        found[first[1:]] = spoken[1:] != spoken[:-1]
        return found


def _languages(texts: Sequence[TaggedText]) -> list[str]:
    tags = dict.fromkeys(tag for text in texts for tag in text.languages)
    return [tag for tag in tags if tag.lower() not in LANGUAGE_LESS]


def _row(model: Model, text: TaggedText, languages: tuple[str, ...]) -> _Row:
    ids, places = token_places(model, text.text)
    word = _words(text, places)
    if (word < 0).all():
        raise InputError(f"The tokenizer makes no token of {text.text[:40]!r}. Expected a text that it can read.")
    number = np.array([languages.index(tag) if tag in languages else -1 for tag in text.languages])
    starts = np.flatnonzero(np.diff(word, prepend=-2))
    run = np.arange(len(word)) - starts[np.searchsorted(starts, np.arange(len(word)), side="right") - 1]
    labels = np.stack([np.where(word >= 0, number[word], -1), word, np.where(word >= 0, run, -1)])
    return _Row(ids, labels)


def _words(text: TaggedText, places: Int[np.ndarray, "pos 2"]) -> Int[np.ndarray, " pos"]:
    """The word each token belongs to; -1 for none."""
    spans, written = np.array(text.spans), text.text
    found = np.full(len(places), -1, np.int64)
    for place, (start, stop) in enumerate(places.tolist()):
        if start == stop:
            continue
        if written[start:stop].isspace():
            after = np.flatnonzero(spans[:, 0] >= stop)
            found[place] = after[0] if len(after) else -1
            continue
        shared = np.minimum(spans[:, 1], stop) - np.maximum(spans[:, 0], start)
        found[place] = shared.argmax() if shared.max() > 0 else -1
    return found
