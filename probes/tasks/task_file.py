"""A probing task from a table that somebody made: texts, labels and, where wanted, the words that carry them."""

import csv
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np

from interp.errors import InputError
from interp.prompts import TokenBatch
from probes.tasks.task import ProbeTask
from probes.tasks.token_places import Encode, TokenizedText
from probes.tasks.word_samples import quantile_classes

NEEDED = ("text", "label")
COLUMNS = (*NEEDED, "group", "word", "start", "end")
_EXPECTED = "Expected text, label, maybe group, and either word, or start and end, or none of the three"

Record = dict[str, str]
"""Cells of a row by column."""
LabelColumn = Literal["classes", "numbers", "several"]
"""How the cells of the label column are read: as written, as amounts, or as several labels with bars between."""
BAR = "|"
Place = tuple[int, int]
"""Characters of a text, the second excluded."""


def read_task(
    path: str | Path, encode: Encode, *, labels: LabelColumn = "classes", n_classes: int | None = None
) -> ProbeTask:
    """Read a CSV file with columns `text`, `label` and, where wanted, `group` and where in the text the label belongs.

    A label belongs to the last token of its text; with a column `word`, to the last token of that word, which must
    stand in the text exactly once; with `start` and `end`, to the last token of those characters (counted from 0, the
    end excluded). With such columns a text may have many rows, one for each place. Without a `group` column each
    distinct text is a group of its own.

    Labels are classes as they are written, numbers too: `7` and `7.0` are two classes. Numbers that mean an amount
    have to be asked for, as have several labels to a sample, which stand with bars between them (`noun|plural`; an
    empty cell is none of them).

    Args:
        path: A UTF-8 file.
        encode: The model's way from text to ids.
        labels: What the cells of the label column are.
        n_classes: Cut numbers into so many classes of about equal size, 0 the smallest, rather than predict them.

    Raises:
        InputError: the file cannot be read, is not UTF-8 or not such a table; a cell is empty; a place is not in its
            text, or not once, or no token ends there; one place has two labels or, in a table with places, is given
            twice or reads the same as one in another group; a label is no number though numbers were asked for; or
            anything `ProbeTask` refuses.
    """
    path = Path(path)
    records = _read_records(path)
    for number, record in enumerate(records, 1):
        for name, cell in record.items():
            if not cell.strip() and (name, labels) != ("label", "several"):
                raise InputError(f"{path}, row {number}: the {name} is empty. Fill it in, or drop the row.")
    places = [_place(record, f"{path}, row {number}") for number, record in enumerate(records, 1)]
    _refuse_two_labels(records, places, path)
    read = _read_labels(records, path, labels, n_classes)
    groups = np.array([record.get("group", record["text"]) for record in records])
    if places[0] is None:
        batch, prompts, positions = _whole(records, encode, path)
    else:
        batch, prompts, positions = _inside(records, places, encode, path)
        _refuse_twins(batch, prompts, positions, groups, path)
    try:
        return ProbeTask(batch, prompts, positions, groups=groups, what=f"label in {path.name}", **read)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _read_records(path: Path) -> list[Record]:
    """Read the rows, each with exactly the columns of the header."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            columns, records = list(reader.fieldnames or []), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"Cannot read {path}: {error}. Expected a CSV file in UTF-8.") from error
    _check_columns(columns, path)
    if not records:
        raise InputError(f"{path} has a header and no rows. Expected one row for each text.")
    for number, record in enumerate(records, 1):
        if None in record or None in record.values():
            raise InputError(f"{path}, row {number}: not {len(columns)} cells. Put texts with commas in double quotes.")
    return records


def _check_columns(columns: list[str], path: Path) -> None:
    if missing := [name for name in NEEDED if name not in columns]:
        raise InputError(f"{path} lacks the columns {missing}; it has {columns}. {_EXPECTED}.")
    if unknown := [name for name in columns if name not in COLUMNS]:
        raise InputError(f"{path} has columns {unknown} that mean nothing here. {_EXPECTED}.")
    if len(set(columns)) < len(columns):
        raise InputError(f"{path} has a column twice: {columns}. Give each once.")
    given = {"word", "start", "end"} & set(columns)
    if given not in (set(), {"word"}, {"start", "end"}):
        raise InputError(f"{path} has the columns {sorted(given)} to say where labels belong. {_EXPECTED}.")


def _place(record: Record, where: str) -> Place | None:
    """Where in its text the label of a row belongs; None for the whole text."""
    text = record["text"]
    if "word" in record:
        found = _occurrences(record["word"], text)
        if len(found) != 1:
            raise InputError(
                f"{where}: the word {record['word']!r} stands {len(found)} times in {text[:60]!r}. Expected it once: "
                "mend the row, or say which one with the columns start and end."
            )
        return found[0], found[0] + len(record["word"])
    if "start" not in record:
        return None
    cells = record["start"], record["end"]
    # Not isdigit alone: it is true of digits such as a superscript two, which are no numbers.
    start, end = (int(cell) if cell.isascii() and cell.isdigit() else -1 for cell in cells)
    if not 0 <= start < end <= len(text) or not text[start:end].strip():
        raise InputError(
            f"{where}: start {cells[0]!r} and end {cells[1]!r} mark no word in a text of {len(text)} characters. "
            "Expected whole numbers, counted from 0, the end excluded."
        )
    return start, end


def _occurrences(word: str, text: str) -> list[int]:
    """Where a word begins in a text: not inside another word, but also where two of them overlap."""
    before = r"(?<!\w)" if re.match(r"\w", word[0]) else ""
    after = r"(?!\w)" if re.match(r"\w", word[-1]) else ""
    return [found.start() for found in re.finditer(f"{before}(?={re.escape(word)}{after})", text)]


def _refuse_two_labels(records: list[Record], places: list[Place | None], path: Path) -> None:
    labels: dict[object, str] = {}
    for number, (record, place) in enumerate(zip(records, places, strict=True), 1):
        end = place[1] if place else len(record["text"])
        if labels.setdefault((record["text"], end), record["label"]) != record["label"]:
            raise InputError(
                f"{path}, row {number}: the text {record['text'][:60]!r} has two labels at one place. Keep one."
            )


def _read_labels(records: list[Record], path: Path, labels: LabelColumn, n_classes: int | None) -> dict[str, Any]:
    """Labels, and what they are, as a task has them."""
    if labels == "several":
        cells = [{name.strip() for name in record["label"].split(BAR)} - {""} for record in records]
        names = sorted(set().union(*cells))
        has = np.array([[name in cell for name in names] for cell in cells], bool).reshape(len(cells), len(names))
        return {"labels": has, "label_kind": "multilabel", "label_names": tuple(names)}
    if n_classes is not None:
        return {"labels": quantile_classes(_numbers(records, path), n_classes)}
    if labels == "numbers":
        return {"labels": _numbers(records, path), "label_kind": "continuous"}
    return {"labels": np.array([record["label"] for record in records])}


def _numbers(records: list[Record], path: Path) -> np.ndarray:
    values = []
    for number, record in enumerate(records, 1):
        try:
            values.append(float(record["label"]))
        except ValueError as error:
            raise InputError(
                f"{path}, row {number}: the label {record['label']!r} is no number, and numbers were asked for. "
                "Mend it, or read labels as classes."
            ) from error
        if not np.isfinite(values[-1]):
            raise InputError(f"{path}, row {number}: the label {record['label']!r} is not finite. Drop the row.")
    return np.array(values)


def _whole(records: list[Record], encode: Encode, path: Path) -> tuple[TokenBatch, np.ndarray, np.ndarray]:
    """One prompt for each row, labelled at its last token."""
    rows = [encode(record["text"]) for record in records]
    if not all(map(len, rows)):
        empty = [len(row) for row in rows].index(0)
        raise InputError(f"{path}, row {empty + 1}: the text has no tokens. Drop the row.")
    batch = TokenBatch.of(rows)
    return batch, np.arange(len(rows)), batch.lengths - 1


def _inside(
    records: list[Record], places: list[Place | None], encode: Encode, path: Path
) -> tuple[TokenBatch, np.ndarray, np.ndarray]:
    """One prompt for each distinct text, labelled at the last token of each place in it."""
    texts = {text: TokenizedText(text, encode) for text in dict.fromkeys(record["text"] for record in records)}
    numbers = {text: number for number, text in enumerate(texts)}
    positions = []
    for number, (record, place) in enumerate(zip(records, places, strict=True), 1):
        position = texts[record["text"]].last_token(*place) if place else None
        if place is None or position is None:
            raise InputError(
                f"{path}, row {number}: no token ends with {record['text'][slice(*place or (0,))]!r} in "
                f"{record['text'][:60]!r}: this model's tokens go across its end. Mark what ends where a token does."
            )
        positions.append(position)
    prompts = np.array([numbers[record["text"]] for record in records])
    return TokenBatch.of([text.ids for text in texts.values()]), prompts, np.array(positions)


def _refuse_twins(
    batch: TokenBatch, prompts: np.ndarray, positions: np.ndarray, groups: np.ndarray, path: Path
) -> None:
    """Refuse one place given twice, and places in two groups that read the same up to there."""
    home: dict[bytes, int] = {}
    for number, (prompt, position) in enumerate(zip(prompts, positions, strict=True)):
        twin = home.setdefault(batch.tokens[prompt, : position + 1].tobytes(), number)
        if twin != number and prompts[twin] == prompt:
            raise InputError(f"{path}, row {number + 1}: the same place as in row {twin + 1}. Drop one of them.")
        if groups[twin] != groups[number]:
            raise InputError(
                f"{path}, row {number + 1}: its text reads the same as that of row {twin + 1} up to the label, which "
                f"is in another group ({groups[number].item()!r} and {groups[twin].item()!r}): a probe could be tested "
                "on what it was fitted to. Put both in one group, or drop one."
            )
