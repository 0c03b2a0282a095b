"""Text to token ids and back: BOS exactly once, bytes made readable, tokens grouped into words."""

import json
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Int
from transformer_lens.model_bridge import TransformerBridge

from interp.errors import PromptError
from interp.models.tokenizers import body_ids, frame


def encode(model: TransformerBridge, text: str) -> Int[np.ndarray, " pos"]:
    """Turn a text into token ids, framed as this model expects: BOS exactly once, or not at all.

    The whole text is kept: nothing is cut at the context length, and no leading token is taken for a BOS. A text that
    already begins with the BOS string gets no second one. Special tokens spelled inside the text are read as such,
    which is the tokenizer's own way.

    Raises:
        ModelError: the model has no tokenizer.
        PromptError: the tokenizer writes an id that the model has no row for.
    """
    framed = frame(model)
    body = body_ids(model.tokenizer, text)
    while framed.before and body[: len(framed.before)] == list(framed.before):
        body = body[len(framed.before) :]
    while framed.after and body[-len(framed.after) :] == list(framed.after):
        body = body[: -len(framed.after)]
    ids = np.array([*framed.before, *body, *framed.after], dtype=np.int64)
    _check_range(model, ids)
    return ids


def str_tokens(model: TransformerBridge, ids: Int[np.ndarray, " pos"]) -> list[str]:
    r"""Write each token readably: bytes as text, part of a character as `\xe2`, special tokens as they are written.

    Raises:
        ModelError: the model has no tokenizer.
        PromptError: an id outside the vocabulary.
    """
    frame(model)
    _check_range(model, ids)
    written = []
    for token in ids.tolist():
        piece = _piece(model, token)
        written.append(_written(model, token) if piece is None else _show(piece))
    return written


def word_spans(model: TransformerBridge, ids: Int[np.ndarray, " pos"]) -> list[tuple[str, int, int]]:
    """Group tokens into whitespace-delimited words, so that a word of nine byte tokens is one span.

    Every token lies in exactly one span. Whitespace belongs to the word after it, as in the token ` cat`, so the words
    of a text do not depend on how the tokenizer cuts it; at the end of a text it is a span of its own. A special token
    is always a span of its own. Where the tokenizer forgets spaces (BERT's), punctuation is a word of its own.

    Returns:
        Of each span the text without surrounding whitespace, the first token, and the one after the last.

    Raises:
        ModelError: the model has no tokenizer.
        PromptError: an id outside the vocabulary.
    """
    frame(model)
    _check_range(model, ids)
    pieces = [_piece(model, token) for token in ids.tolist()]
    starts = _word_starts(pieces)
    spans = []
    for start, stop in zip(starts, [*starts[1:], len(pieces)], strict=True):
        if pieces[start] is None:
            text = _written(model, int(ids[start]))
        else:
            text = _show(b"".join(piece or b"" for piece in pieces[start:stop]))
            text = text.strip() or text
        spans.append((text, start, stop))
    return spans


def _check_range(model: TransformerBridge, ids: np.ndarray) -> None:
    if bad := sorted({int(token) for token in ids if not 0 <= token < model.cfg.d_vocab}):
        raise PromptError(
            f"Token ids {bad[:5]} are outside the model's vocabulary. Expected 0 to {model.cfg.d_vocab - 1}."
        )


def _word_starts(pieces: list[bytes | None]) -> list[int]:
    starts, inside, ended = [], False, False
    for i, (piece, blank) in enumerate(zip(pieces, _blank_bytes(pieces), strict=True)):
        apart = piece is None or i == 0 or pieces[i - 1] is None
        if apart or (inside and blank and (ended or blank[0])):
            starts.append(i)
            inside = False
        if blank:
            inside, ended = inside or not all(blank), blank[-1]
    return starts


def _blank_bytes(pieces: list[bytes | None]) -> list[list[bool]]:
    """Mark the bytes of each piece that belong to whitespace, also of a character split over tokens."""
    joined = b"".join(piece or b"" for piece in pieces).decode("utf-8", errors="surrogateescape")
    flags = [char.isspace() for char in joined for _ in char.encode("utf-8", errors="surrogateescape")]
    ends = np.cumsum([len(piece or b"") for piece in pieces]).tolist()
    return [flags[end - len(piece or b"") : end] for piece, end in zip(pieces, ends, strict=True)]


def _show(piece: bytes) -> str:
    return piece.decode("utf-8", errors="backslashreplace")


def _written(model: TransformerBridge, token: int) -> str:
    written = model.tokenizer.convert_ids_to_tokens(token)
    return f"[{token}]" if written is None else written


def _piece(model: TransformerBridge, token: int) -> bytes | None:
    """Bytes that a token stands for; None for a special token and for a row of the embedding without a token."""
    if model not in _spellings:
        _spellings[model] = _Spelling(model.tokenizer)
    return _spellings[model].piece(token)


class _Spelling:
    """How one tokenizer writes bytes: byte-level (`Ġ`), SentencePiece (`▁`, `<0xE2>`), WordPiece (`##`) or words."""

    def __init__(self, tokenizer: Any):
        self.tokenizer = tokenizer
        self.special = set(tokenizer.all_special_ids)
        self.added = {token: str(added.content) for token, added in tokenizer.added_tokens_decoder.items()}
        backend = getattr(tokenizer, "backend_tokenizer", None)
        decoder = json.loads(backend.to_str())["decoder"] if backend else None
        self.spell = _spelling_of(json.dumps(decoder, ensure_ascii=False))

    def piece(self, token: int) -> bytes | None:
        written = self.tokenizer.convert_ids_to_tokens(token)
        if written is None or token in self.special:
            return None
        return self.added[token].encode() if token in self.added else self.spell(written)


def _spelling_of(decoder: str) -> Callable[[str], bytes]:
    """Choose how to read a token's bytes from the tokenizer's own decoder, as JSON."""
    if '"ByteLevel"' in decoder:
        return lambda written: b"".join(_BYTE_OF.get(char, char.encode()) for char in written)
    if '"WordPiece"' in decoder:
        return lambda written: written[2:].encode() if written.startswith("##") else f" {written}".encode()
    if "▁" in decoder:
        return _read_sentence_piece if '"ByteFallback"' in decoder else _read_metaspace
    return lambda written: f" {written}".encode()


def _read_sentence_piece(written: str) -> bytes:
    if len(written) == 6 and written.startswith("<0x") and written.endswith(">"):
        return bytes.fromhex(written[3:5])
    return _read_metaspace(written)


def _read_metaspace(written: str) -> bytes:
    return written.replace("▁", " ").encode()


_spellings: WeakKeyDictionary[TransformerBridge, _Spelling] = WeakKeyDictionary()


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's spelling of the 256 bytes as printable characters (Radford et al. 2019, encoder.py)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


_BYTE_OF = {char: bytes([byte]) for char, byte in _byte_alphabet().items()}
