"""Line-aligned files and the controls made of a text: worked examples, what must stay, and what is refused."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.errors import InputError
from interp.languages import TaggedText, code_mix, read_aligned_texts, romanise, shuffle_letters, shuffle_words

LINE = st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=12)
TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
TAGGED = TaggedText(("Привет", "и", "güle", "!"), ("ru", "ru", "tr", "other"), (True, True, False, False), "hello")


def _written(directory: Path, **contents: str | bytes) -> Path:
    for name, content in contents.items():
        data = content if isinstance(content, bytes) else content.encode()
        (directory / name.replace("_", ".")).write_bytes(data)
    return directory


def test_lines_that_are_empty_in_one_language_go_in_all(tmp_path: Path) -> None:
    _written(tmp_path, NOTICE_txt="not aligned with anything")
    here = _written(tmp_path, de_txt="eins\n\ndrei\r\nvier\n", tr_txt="bir\niki\nüç \n \n", de_ids="a\nb\nc\nd\n")
    found = read_aligned_texts(here)
    assert found.lines == {"de": ["eins", "drei"], "tr": ["bir", "üç"]}
    assert (found.ids, found.n_dropped, len(found)) == (("a", "c"), 2, 2)
    assert found[1:].ids == ("c",)
    chosen = read_aligned_texts({"tr": here / "tr.txt", "de": here / "de.txt"})
    assert list(chosen.lines) == ["tr", "de"]
    assert chosen.ids == ("1", "3")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(LINE, LINE), min_size=1, max_size=8))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]) -> None:
    here = tmp_path_factory.mktemp("aligned")
    for place, name in enumerate(("aa", "bb")):
        (here / f"{name}.txt").write_bytes("".join(f"{row[place]}\n" for row in rows).encode())
    kept = [tuple(cell.removeprefix("\ufeff" * (not n)).strip() for cell in row) for n, row in enumerate(rows)]
    full = [row for row in kept if all(row)]
    if not full:
        with pytest.raises(InputError, match="is filled in all"):
            read_aligned_texts(here)
        return
    found = read_aligned_texts(here)
    assert list(zip(*found.lines.values(), strict=True)) == full
    assert found.n_dropped == len(rows) - len(full)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"de_txt": "a\nb\n", "tr_txt": "a\n"}, r"unequal numbers of lines: .*de\.txt 2, .*tr\.txt 1"),
        ({"de_txt": "a\n", "tr_txt": b"\n\xff"}, r"tr\.txt, line 2: byte 0xff is no UTF-8"),
        ({"de_txt": "a\n"}, r"\['de'\] is nothing to align"),
        ({"de_txt": "a\n\n", "tr_txt": "\nb\n"}, "None of 2 lines"),
        ({"de_txt": "a\n", "tr_txt": "b\n", "de_ids": "1\n2\n"}, r"the texts 1, .*de\.ids 2"),
        ({"de_txt": "a\n", "tr_txt": "b\n", "de_ids": "1\n", "tr_ids": "2\n"}, r"Line 1 is '1' in .* and '2' in"),
    ],
)
def test_files_that_do_not_fit_together_are_refused(tmp_path: Path, files: dict, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_aligned_texts(_written(tmp_path, **files))


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no directory"):
        read_aligned_texts(tmp_path / "missing")
    with pytest.raises(InputError, match=r"Cannot read .*nowhere\.txt"):
        read_aligned_texts({"de": tmp_path / "nowhere.txt", "tr": tmp_path / "nowhere.txt"})


@pytest.mark.parametrize(
    ("text", "written", "kept"),
    [
        ("Ольга любит  Zürich", "Ol'ga lyubit  Zurich", "Ol'ga lyubit  Zürich"),
        ("深圳 नमस्ते", "ShenZhen nmste", "ShenZhen nmste"),
        ("güle güle!\n", "gule gule!\n", "güle güle!\n"),
        ("Zu\u0308rich", "Zurich", "Zürich"),
        ("\ue000", "?", "?"),
    ],
)
def test_romanised_by_hand(text: str, written: str, kept: str) -> None:
    assert romanise(text) == written
    assert romanise(text, keep_latin=True) == kept


@given(TEXT)
def test_romanised_text_has_as_many_words_and_is_ascii(text: str) -> None:
    written = romanise(text)
    assert all(word.isascii() for word in written.split())
    assert len(written.split()) == len(text.split())
    assert romanise(written) == written


@given(TEXT, st.integers(0, 99))
def test_shuffled_words_are_the_same_words_and_the_whitespace_stays(text: str, seed: int) -> None:
    shuffled = shuffle_words(text, np.random.default_rng(seed))
    assert Counter(shuffled.split()) == Counter(text.split())
    assert "".join(filter(str.isspace, shuffled)) == "".join(filter(str.isspace, text))


@given(TEXT, st.integers(0, 99))
def test_shuffled_letters_stay_in_their_word_and_all_else_stays_in_place(text: str, seed: int) -> None:
    shuffled = shuffle_letters(text, np.random.default_rng(seed))
    assert [Counter(word) for word in shuffled.split()] == [Counter(word) for word in text.split()]
    assert len(shuffled) == len(text)


def test_shuffled_by_hand() -> None:
    orders = {shuffle_words("a b c", np.random.default_rng(seed)) for seed in range(60)}
    assert orders == {"a b c", "a c b", "b a c", "b c a", "c a b", "c b a"}
    # The mark stays on its letter, the hyphen and the figure in their places.
    words = {shuffle_letters("a\u0301-b2", np.random.default_rng(seed)) for seed in range(20)}
    assert words == {"a\u0301-b2", "b-a\u03012"}
    assert len({shuffle_letters("straight", np.random.default_rng(seed)) for seed in range(20)}) > 15


def test_tagged_texts_keep_their_shape() -> None:
    rng = np.random.default_rng(0)
    assert romanise(TAGGED).text == "Privet i gule!"
    assert romanise(TAGGED).languages == TAGGED.languages
    assert [Counter(word) for word in shuffle_letters(TAGGED, rng).words] == [Counter(word) for word in TAGGED.words]
    shuffled = shuffle_words(TAGGED, rng)
    assert Counter(zip(shuffled.words, shuffled.languages, strict=True)) == Counter(
        zip(TAGGED.words, TAGGED.languages, strict=True)
    )
    assert code_mix(shuffled.languages).cmi == code_mix(TAGGED.languages).cmi
    assert (shuffled.spaced, shuffled.name) == (TAGGED.spaced, TAGGED.name)
