import numpy as np
import pytest

from interp.errors import InputError
from probes import read_task, token_language_task

ROWS = [f"text number {number},{'odd' if number % 2 else 'even'}" for number in range(12)]


def letters(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), np.uint8).astype(np.int64)


def write(path, header="text,label", rows=ROWS):
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def test_labels_stand_at_the_last_token(tmp_path):
    task = read_task(write(tmp_path / "task.csv"), letters)
    assert task.labels.tolist() == ["even", "odd"] * 6
    assert task.groups.tolist()[:2] == ["text number 0", "text number 1"]
    assert (task.positions == task.batch.lengths - 1).all()
    assert task.batch.tokens[10, :14].tobytes() == letters("text number 10").tobytes()


def test_groups_quotes_commas_and_a_byte_order_mark(tmp_path):
    rows = [f'"a, b ""{number}""",NA,g{number % 3}' for number in range(6)] + [f"b{n},x,g{n % 3}" for n in range(6)]
    path = tmp_path / "task.csv"
    path.write_bytes(b"\xef\xbb\xbf" + "\n".join(["text,label,group", *rows]).encode())
    task = read_task(path, letters)
    assert set(task.labels.tolist()) == {"NA", "x"}
    assert set(task.groups.tolist()) == {"g0", "g1", "g2"}
    assert bytes(task.batch.tokens[0, : task.batch.lengths[0]].astype(np.uint8)) == b'a, b "0"'


def test_the_same_text_twice_is_one_group(tmp_path):
    task = read_task(write(tmp_path / "task.csv", rows=ROWS + ROWS[:2]), letters)
    assert task.groups[12] == task.groups[0]


@pytest.mark.parametrize(
    ("header", "rows", "words"),
    [
        ("text,class", ROWS, r"lacks the columns \['label'\]"),
        ("text,label,Group", [row + ",g" for row in ROWS], r"columns \['Group'\] that mean nothing"),
        ("text,label", [], "a header and no rows"),
        ("text,label", [*ROWS, ",even"], "row 13: the text is empty"),
        ("text,label", [*ROWS, "some text,"], "row 13: the label is empty"),
        ("text,label", [*ROWS, "some, text,even"], "row 13: not 2 cells"),
        ("text,label", [*ROWS, "only text"], "row 13: not 2 cells"),
        ("text,label", [*ROWS, "text number 0,odd"], "has two labels"),
        ("text,label", [row.split(",")[0] + ",same" for row in ROWS], "All 12 samples have the label 'same'"),
        ("text,label", [*ROWS, "one more,rare"], "Class 'rare' has 1 samples"),
        ("text,label", ['"never closed,even'], "Cannot read"),
    ],
)
def test_refusals(tmp_path, header, rows, words):
    with pytest.raises(InputError, match=words) as refusal:
        read_task(write(tmp_path / "task.csv", header, rows), letters)
    assert "task.csv" in str(refusal.value)


def test_unreadable_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="Cannot read"):
        read_task(tmp_path / "none.csv", letters)
    (tmp_path / "latin.csv").write_bytes("text,label\ncafé,a\n".encode("latin-1"))
    with pytest.raises(InputError, match="UTF-8"):
        read_task(tmp_path / "latin.csv", letters)
    (tmp_path / "empty.csv").write_bytes(b"")
    with pytest.raises(InputError, match="lacks the columns"):
        read_task(tmp_path / "empty.csv", letters)


def test_no_texts_are_refused():
    with pytest.raises(InputError, match="There are no texts"):
        token_language_task({"en": []}, letters)
