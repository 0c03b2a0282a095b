import csv
import io
from functools import partial

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interp.errors import InputError
from interp.models import encode
from probes import read_task, token_language_task
from probes.samples.data import FEWEST_PER_CLASS
from probes.tasks.task_sources import text_language_task

ROWS = [f"text number {number},{'odd' if number % 2 else 'even'}" for number in range(12)]
NAMES = ["Ann", "Bob", "Cid", "Dan", "Eve", "Flo", "Gus", "Hal", "Ida", "Jon", "Kim", "Leo"]
SPANS = [f"{name} saw the dog,{'odd' if number % 2 else 'even'}" for number, name in enumerate(NAMES)]


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


def test_a_word_and_its_characters_are_the_same_place(tmp_path, tiny):
    by_word = read_task(write(tmp_path / "word.csv", "text,label,word", [f"{row},saw" for row in SPANS]), letters)
    by_span = read_task(write(tmp_path / "span.csv", "text,label,start,end", [f"{row},4,7" for row in SPANS]), letters)
    assert by_word.positions.tolist() == by_span.positions.tolist() == [6] * 12
    assert by_word.groups[0] == "Ann saw the dog"
    model = read_task(tmp_path / "word.csv", partial(encode, tiny))
    wanted = [len(encode(tiny, f"{name} saw")) - 1 for name in NAMES]
    assert model.positions.tolist() == wanted


def test_several_places_of_one_text_are_one_prompt(tmp_path):
    rows = [f"{row.split(',')[0]},{word},{word}" for row in SPANS for word in ("saw", "dog")]
    task = read_task(write(tmp_path / "task.csv", "text,label,word", rows), letters)
    assert (len(task.batch), len(task.labels)) == (12, 24)
    assert task.prompts.tolist() == np.repeat(np.arange(12), 2).tolist()
    assert task.positions.tolist() == [6, 14] * 12


def test_numbers_are_classes_until_amounts_are_asked_for(tmp_path):
    path = write(tmp_path / "task.csv", rows=[f"number {n},{n % 2}" for n in range(12)])
    assert read_task(path, letters).labels.tolist() == ["0", "1"] * 6
    amounts = write(tmp_path / "amounts.csv", rows=[f"text {n},{n}.5" for n in range(15)])
    with pytest.raises(InputError, match="has 1 samples"):
        read_task(amounts, letters)
    assert read_task(amounts, letters, n_classes=3).labels.tolist() == [0] * 5 + [1] * 5 + [2] * 5


@pytest.mark.parametrize(
    ("header", "rows", "words"),
    [
        ("text,class", ROWS, r"lacks the columns \['label'\]"),
        ("text,label,Group", [row + ",g" for row in ROWS], r"columns \['Group'\] that mean nothing"),
        ("text,label,label", [row + ",g" for row in ROWS], "a column twice"),
        ("text,label", [], "a header and no rows"),
        ("text,label", [*ROWS, ",even"], "row 13: the text is empty"),
        ("text,label", [*ROWS, "some text,"], "row 13: the label is empty"),
        ("text,label", [*ROWS, "some, text,even"], "row 13: not 2 cells"),
        ("text,label", [*ROWS, "only text"], "row 13: not 2 cells"),
        ("text,label", [*ROWS, "text number 0,odd"], "row 13: .* has two labels"),
        ("text,label", [row.split(",")[0] + ",same" for row in ROWS], "All 12 samples have the label 'same'"),
        ("text,label", [*ROWS, "one more,rare"], "Class 'rare' has 1 samples"),
        ("text,label", ['"never closed,even'], "Cannot read"),
        ("text,label,start", [row + ",1" for row in SPANS], r"has the columns \['start'\]"),
        ("text,label,word,start,end", [row + ",saw,4,7" for row in SPANS], "has the columns"),
        ("text,label,word", [*(f"{row},saw" for row in SPANS), "a cat or a cat,odd,cat"], "row 13: .* stands 2 times"),
        ("text,label,word", [*(f"{row},saw" for row in SPANS), "a concatenation,odd,cat"], "row 13: .* stands 0 times"),
        ("text,label,start,end", [*(f"{row},4,7" for row in SPANS), "short,odd,2,9"], "row 13: start '2' and end '9'"),
        ("text,label,start,end", [*(f"{row},4,7" for row in SPANS), "short,odd,3,3"], "row 13: start '3' and end '3'"),
        ("text,label,start,end", [*(f"{row},4,7" for row in SPANS), "short,odd,-3,2"], "row 13: start '-3'"),
        ("text,label,start,end", [*(f"{row},4,7" for row in SPANS), "Ann saw the dog,odd,5,7"], "row 13: .*two labels"),
        (
            "text,label,start,end",
            [*(f"{row},4,7" for row in SPANS), "Ann saw the dog,even,5,7"],
            "place as in row 1",
        ),
        (
            "text,label,word",
            [*(f"{row},saw" for row in SPANS), "Ann saw me,even,saw"],
            "13: .*as that of row 1",
        ),
    ],
)
def test_refusals(tmp_path, header, rows, words):
    with pytest.raises(InputError, match=words) as refusal:
        read_task(write(tmp_path / "task.csv", header, rows), letters)
    assert "task.csv" in str(refusal.value)


@pytest.mark.parametrize(("label", "words"), [("many", "row 13: the label 'many' is no number"), ("inf", "not finite")])
def test_what_is_no_amount_is_refused(tmp_path, label, words):
    path = write(tmp_path / "task.csv", rows=[*(f"text {n},{n}" for n in range(12)), f"more,{label}"])
    with pytest.raises(InputError, match=words):
        read_task(path, letters, n_classes=2)


def test_a_place_inside_a_token_is_refused(tmp_path):
    path = write(tmp_path / "task.csv", "text,label,start,end", [f"{row},4,6" for row in SPANS])
    read_task(path, letters)
    with pytest.raises(InputError, match="row 1: no token ends with 'sa' in 'Ann saw the dog'"):
        read_task(path, whole_words)


def whole_words(text: str) -> np.ndarray:
    """One number for each word."""
    return np.array([int.from_bytes(word.encode()[:7]) for word in text.split()], np.int64)


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
    for make in (token_language_task, text_language_task):
        with pytest.raises(InputError, match="There are no texts"):
            make({"en": []}, letters)
    with pytest.raises(InputError, match="'x' has no token from position 1 on"):
        text_language_task({"en": ["x", "yes"], "de": ["ja"]}, letters)


def test_all_tokens_of_a_text_carry_its_language():
    task = text_language_task({"en": ["the cat", "the dog"], "de": ["the Hund"]}, letters, max_tokens=7)
    assert task.labels.tolist() == ["en"] * 12 + ["de"] * 6
    assert task.positions.tolist() == [1, 2, 3, 4, 5, 6] * 3
    assert task.groups.tolist() == np.repeat([0, 1, 2], 6).tolist()


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\x00"), min_size=1).filter(str.strip)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(CELL, min_size=2 * FEWEST_PER_CLASS, max_size=14, unique=True),
    classes=st.lists(CELL, min_size=2, max_size=2, unique=True),
    data=st.data(),
)
def test_what_is_written_is_read(tmp_path, texts, classes, data):
    """Any text, commas, quotes and line ends in it: labels, groups and places come back as they were written."""
    rows = []
    for number, text in enumerate(texts):
        start = data.draw(st.sampled_from([place for place, char in enumerate(text) if not char.isspace()]))
        end = data.draw(st.integers(start + 1, len(text)))
        # The number in front keeps any two texts apart from the first character on.
        rows.append([f"{number:02}{text}", classes[number % 2], start + 2, end + 2])
    table = io.StringIO(newline="")
    csv.writer(table).writerows([["text", "label", "start", "end"], *rows])
    (tmp_path / "task.csv").write_bytes(table.getvalue().encode())
    task = read_task(tmp_path / "task.csv", letters)
    assert task.labels.tolist() == [label for _, label, _, _ in rows]
    assert task.groups.tolist() == [text for text, _, _, _ in rows]
    for prompt, position, (text, _, _, end) in zip(task.prompts, task.positions, rows, strict=True):
        read = bytes(task.batch.tokens[prompt, : position + 1].astype(np.uint8)).decode()
        assert read == text[:end]


def test_numbers_are_read_as_amounts(tmp_path):
    path = write(tmp_path / "amounts.csv", rows=[f"text {n},{n}.5" for n in range(15)])
    task = read_task(path, letters, labels="numbers")
    assert task.label_kind == "continuous"
    assert task.labels.tolist() == [n + 0.5 for n in range(15)]
    with pytest.raises(InputError, match="is no number, and numbers were asked for"):
        read_task(write(tmp_path / "task.csv"), letters, labels="numbers")
    with pytest.raises(InputError, match="Expected one class for each sample: cut numbers"):
        task.require_classes()


def test_several_labels_stand_with_bars_between_and_may_be_none(tmp_path):
    cells = ["b|a", "a", "", " b ", "a|b", ""] * 4
    path = write(tmp_path / "several.csv", rows=[f"text {number},{cell}" for number, cell in enumerate(cells)])
    task = read_task(path, letters, labels="several")
    assert (task.label_kind, task.label_names) == ("multilabel", ("a", "b"))
    assert task.labels[:6].tolist() == [
        [True, True],
        [True, False],
        [False, False],
        [False, True],
        [True, True],
        [False, False],
    ]
    with pytest.raises(InputError, match="row 3: the label is empty"):
        read_task(path, letters)
    nothing = write(tmp_path / "nothing.csv", rows=[f"text {number}," for number in range(6)])
    with pytest.raises(InputError, match=r"shape \(6, 0\)"):
        read_task(nothing, letters, labels="several")
