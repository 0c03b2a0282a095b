"""Where in its text a label of a table belongs: words and characters by hand, and what marks no place."""

import numpy as np
import pytest

from interp.errors import InputError
from probes import read_task

NAMES = ["Ann", "Bob", "Cid", "Dan", "Eve", "Flo", "Gus", "Hal", "Ida", "Jon", "Kim", "Leo"]
ROWS = [f"{name} saw the dog,{'odd' if number % 2 else 'even'}" for number, name in enumerate(NAMES)]
WORDS = [f"{row},saw" for row in ROWS]
SPANS = [f"{row},4,7" for row in ROWS]


def letters(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), np.uint8).astype(np.int64)


def write(path, header, rows):
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "word", "end"),
    [
        ("the cat", "cat", 7),
        ("a concatenated cat", "cat", 18),
        ("cats and a cat", "cat", 14),
        ("bobcat or cat", "cat", 13),
        ("it is Ann's", "'s", 11),
        ("ask Mr.Smith", "Mr.", 7),
        ("so what? whats", "what?", 8),
        ("a.c or abc", "a.c", 3),
    ],
)
def test_by_hand_the_last_letter_of_a_word_that_stands_alone(tmp_path, text, word, end):
    task = read_task(write(tmp_path / "task.csv", "text,label,word", [*WORDS, f"{text},odd,{word}"]), letters)
    assert int(task.positions[-1]) == end - 1


@pytest.mark.parametrize(
    ("text", "word", "times"), [("bobcat", "cat", 0), ("cats", "cat", 0), ("abc", "a.c", 0), ("- - -", "- -", 2)]
)
def test_a_word_that_stands_in_others_alone_or_overlaps_itself_is_refused(tmp_path, text, word, times):
    path = write(tmp_path / "task.csv", "text,label,word", [*WORDS, f"{text},odd,{word}"])
    with pytest.raises(InputError, match=f"row 13: .* stands {times} times"):
        read_task(path, letters)


@pytest.mark.parametrize(("start", "end"), [("one", "4"), ("²", "4"), ("1.0", "4"), ("5", "6"), ("4", "3"), ("0", "٣")])
def test_characters_that_mark_no_word_are_refused(tmp_path, start, end):
    path = write(tmp_path / "task.csv", "text,label,start,end", [*SPANS, f"short text,odd,{start},{end}"])
    with pytest.raises(InputError, match=f"row 13: start '{start}' and end '{end}' mark no word"):
        read_task(path, letters)


def test_a_cell_of_spaces_is_empty(tmp_path):
    for row in ("   ,even,saw", "Max saw it,even,  "):
        with pytest.raises(InputError, match=r"row 13: the (text|word) is empty"):
            read_task(write(tmp_path / "task.csv", "text,label,word", [*WORDS, row]), letters)


def test_texts_that_differ_in_the_labelled_letter_alone_may_be_in_two_groups(tmp_path):
    rows = [f"{name} {verb},{verb},4,7" for name in NAMES for verb in ("sat", "saw")]
    task = read_task(write(tmp_path / "task.csv", "text,label,start,end", rows), letters)
    assert len(np.unique(task.groups)) == 24


def test_a_text_without_tokens_is_refused(tmp_path):
    path = write(tmp_path / "task.csv", "text,label", [*ROWS, "silent,odd"])
    with pytest.raises(InputError, match="row 13: the text has no tokens"):
        read_task(path, lambda text: letters(text.replace("silent", "")))


@pytest.mark.parametrize(("label", "words"), [("inf", "is not finite"), ("many", "is no number")])
def test_a_label_that_is_no_amount_is_named_with_its_row(tmp_path, label, words):
    path = write(tmp_path / "task.csv", "text,label", [*(f"text {n},{n}" for n in range(12)), f"more,{label}"])
    with pytest.raises(InputError, match=f"row 13: the label '{label}' {words}"):
        read_task(path, letters, n_classes=2)
