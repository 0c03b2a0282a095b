"""Prompts from text: one pair from strings, many from a JSON Lines file."""

from pathlib import Path
from typing import Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, ValidationError

from interp.errors import InputError, PromptError
from interp.prompts.pair import PromptPair
from interp.prompts.prompt_set import PromptSet
from interp.prompts.spans import Span, TokenIds


@runtime_checkable
class Encoder(Protocol):
    """What turns text into tokens; `interp.models.Encoder` is the one that belongs to a model."""

    def encode(self, text: str) -> TokenIds:
        """Ids of a prompt, beginning-of-sequence token included where the model wants one."""
        ...

    def encode_answer(self, text: str) -> TokenIds:
        """Ids of a continuation: no beginning-of-sequence token."""
        ...

    def str_tokens(self, ids: TokenIds) -> list[str]:
        """Text of each token."""
        ...

    def word_spans(self, ids: TokenIds) -> list[Span]:
        """Words of the text, as spans of tokens."""
        ...


class PromptRecord(BaseModel):
    """One line of a prompts file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    clean: str
    corrupted: str
    answer: str | None = None
    wrong_answer: str | None = None
    align: list[tuple[tuple[int, int], tuple[int, int]]] = []
    """Pairs of token spans, `[[clean start, clean stop], [corrupted start, corrupted stop]]`."""


def answer_token(text: str, encoder: Encoder) -> int:
    """The single token of an answer.

    Raises:
        PromptError: the answer is empty or several tokens long.
    """
    ids = encoder.encode_answer(text)
    if len(ids) != 1:
        pieces = encoder.str_tokens(ids)
        raise PromptError(
            f"The answer {text!r} is {len(ids)} tokens {pieces}. Expected exactly one: "
            "choose another word, or check its leading space."
        )
    return int(ids[0])


def pair_from_text(
    clean: str,
    corrupted: str,
    encoder: Encoder,
    *,
    answer: str | None = None,
    wrong_answer: str | None = None,
    align: list[tuple[tuple[int, int], tuple[int, int]]] | None = None,
) -> PromptPair:
    """Make a pair of two texts, with its token texts and word spans.

    Args:
        clean: Text of the clean prompt.
        corrupted: Text of the corrupted prompt.
        encoder: The model's way from text to tokens.
        answer: What should follow the clean prompt; one token, its leading space included.
        wrong_answer: What should follow the corrupted prompt.
        align: Token spans that stand for each other, where the lengths differ.

    Raises:
        PromptError: empty text, an answer of several tokens, or anything `PromptPair` refuses.
    """
    for side, text in (("clean", clean), ("corrupted", corrupted)):
        if not text.strip():
            raise PromptError(f"The {side} text is empty. Expected some words.")
    ids = encoder.encode(clean)
    return PromptPair(
        clean=ids,
        corrupted=encoder.encode(corrupted),
        answer=None if answer is None else answer_token(answer, encoder),
        wrong_answer=None if wrong_answer is None else answer_token(wrong_answer, encoder),
        alignment=tuple((Span(*left), Span(*right)) for left, right in align or []),
        words=tuple(encoder.word_spans(ids)),
        str_tokens=tuple(encoder.str_tokens(ids)),
    )


def read_prompts(path: Path, encoder: Encoder) -> PromptSet:
    """Read a JSON Lines file: one object a line with `clean`, `corrupted` and, where wanted, `answer`,
    `wrong_answer` and `align`.

    Raises:
        InputError: the file cannot be read, is not UTF-8, or a line is not such an object.
        PromptError: a prompt that cannot be analysed; the line is named.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Cannot read the prompts file {path}: {error}. Expected JSON Lines in UTF-8.") from error
    pairs = [_read_line(line, f"{path}, line {n}", encoder) for n, line in enumerate(lines, 1) if line.strip()]
    if not pairs:
        raise PromptError(f"{path} holds no prompts. Expected one JSON object a line with 'clean' and 'corrupted'.")
    return PromptSet.of(pairs)


def _read_line(line: str, where: str, encoder: Encoder) -> PromptPair:
    try:
        record = PromptRecord.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "line"
        raise InputError(
            f"{where}: {place}: {first['msg']}. Expected an object with 'clean' and 'corrupted'."
        ) from error
    try:
        fields = record.model_dump(exclude={"clean", "corrupted"})
        return pair_from_text(record.clean, record.corrupted, encoder, **fields)
    except PromptError as error:
        raise PromptError(f"{where}: {error}") from error
