"""Probing tasks from text: the language of tokens, and labels read from a file."""

import csv
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from interp.errors import InputError
from interp.prompts import TokenBatch
from interp.prompts.spans import TokenIds
from probes.task import ProbeTask

Encode = Callable[[str], TokenIds]
"""Turns text into token ids the way the model wants them, BOS included."""
COLUMNS = ("text", "label", "group")


def token_language_task(
    texts_by_language: Mapping[str, Sequence[str]],
    encode: Encode,
    *,
    samples_per_text: int = 8,
    first_position: int = 4,
    max_tokens: int = 64,
    seed: int = 0,
) -> ProbeTask:
    """Label tokens with the language of the text they stand in.

    Each text is cut to `max_tokens` and is one group. Some of its tokens are drawn: none before `first_position`, and
    none up to which another text reads the same, because a causal model cannot tell the two apart there.

    Args:
        texts_by_language: Texts of each language; give passages of different works, since texts are the groups.
        encode: The model's way from text to ids.
        samples_per_text: Tokens drawn from each text, or all that may be drawn where they are fewer.
        first_position: First position that may be drawn.
        max_tokens: Length to which each text is cut; at most the model's context.
        seed: Decides which tokens are drawn.

    Raises:
        InputError: a text without a token that may be drawn, or anything `ProbeTask` refuses.
    """
    rng = np.random.default_rng(seed)
    texts = [(language, text) for language, given in texts_by_language.items() for text in given]
    rows = [encode(text)[:max_tokens] for _, text in texts]
    if not rows:
        raise InputError("There are no texts. Expected some texts of at least two languages.")
    drawn = [
        np.sort(rng.choice(free, min(samples_per_text, len(free)), replace=False))
        for free in _free_positions(rows, first_position)
    ]
    prompts = np.repeat(np.arange(len(rows)), [len(positions) for positions in drawn])
    return ProbeTask(
        TokenBatch.of(rows),
        prompts,
        np.concatenate(drawn),
        np.array([language for language, _ in texts])[prompts],
        prompts,
        what="language of the text",
    )


def _free_positions(rows: Sequence[np.ndarray], first_position: int) -> list[np.ndarray]:
    """Positions from `first_position` on whose text up to there is that of no other row."""
    shared = Counter(row[: stop + 1].tobytes() for row in rows for stop in range(len(row)))
    free = [
        np.array([pos for pos in range(first_position, len(row)) if shared[row[: pos + 1].tobytes()] == 1], int)
        for row in rows
    ]
    for number, positions in enumerate(free):
        if not len(positions):
            raise InputError(
                f"Text {number} has {len(rows[number])} tokens, and none from position {first_position} on that tells "
                "it from the other texts. Expected longer texts, each given once."
            )
    return free


def read_task(path: str | Path, encode: Encode) -> ProbeTask:
    """Read a CSV file with columns `text`, `label` and, where wanted, `group`; the label is probed at the last token.

    Without a `group` column each distinct text is a group of its own.

    Raises:
        InputError: the file cannot be read, is not UTF-8 or not such a table; a cell is empty; one text has two
            labels; or anything `ProbeTask` refuses.
    """
    path = Path(path)
    records = _read_records(path)
    _check_records(records, path)
    rows = [encode(record["text"]) for record in records]
    if not all(map(len, rows)):
        empty = [len(row) for row in rows].index(0)
        raise InputError(f"{path}, row {empty + 1}: the text has no tokens. Drop the row.")
    batch = TokenBatch.of(rows)
    try:
        return ProbeTask(
            batch,
            np.arange(len(rows)),
            batch.lengths - 1,
            np.array([record["label"] for record in records]),
            np.array([record.get("group", record["text"]) for record in records]),
            what=f"label in {path.name}",
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _read_records(path: Path) -> list[dict[str, str]]:
    """Read the rows, each with exactly the columns of the header."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            columns, records = list(reader.fieldnames or []), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"Cannot read {path}: {error}. Expected a CSV file in UTF-8.") from error
    if missing := [name for name in COLUMNS[:2] if name not in columns]:
        raise InputError(f"{path} lacks the columns {missing}; it has {columns}. Expected text, label and maybe group.")
    if unknown := [name for name in columns if name not in COLUMNS]:
        raise InputError(f"{path} has columns {unknown} that mean nothing here. Expected text, label and maybe group.")
    if not records:
        raise InputError(f"{path} has a header and no rows. Expected one row for each text.")
    for number, record in enumerate(records, 1):
        if None in record or None in record.values():
            raise InputError(f"{path}, row {number}: not {len(columns)} cells. Put texts with commas in double quotes.")
    return records


def _check_records(records: list[dict[str, str]], path: Path) -> None:
    labels: dict[str, str] = {}
    for number, record in enumerate(records, 1):
        for name, cell in record.items():
            if not cell.strip():
                raise InputError(f"{path}, row {number}: the {name} is empty. Fill it in, or drop the row.")
        if labels.setdefault(record["text"], record["label"]) != record["label"]:
            raise InputError(f"{path}, row {number}: the text {record['text'][:60]!r} has two labels. Keep one.")
