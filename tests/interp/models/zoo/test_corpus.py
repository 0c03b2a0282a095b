import shutil

import pytest

from interp.errors import InputError
from interp.models.zoo.corpus import HELD_OUT_NOVELS, LANGUAGE_FILES, read_aligned, read_novels

N_SENTENCES = 60


@pytest.fixture
def own(corpus, tmp_path):
    """A copy of the corpus that a test may spoil."""
    return shutil.copytree(corpus, tmp_path / "own")


def test_the_last_novels_are_held_out_whole(corpus):
    novels = read_novels(corpus)
    assert list(novels) == list(LANGUAGE_FILES)
    for language, split in novels.items():
        code = LANGUAGE_FILES[language][:3]
        assert len(split.held_out) == HELD_OUT_NOVELS
        assert [text.splitlines()[0] for text in split.train] == [f"Novel {n} of {code}." for n in range(2)]
        assert [text.splitlines()[0] for text in split.held_out] == [f"Novel {n} of {code}." for n in (2, 3)]
        known = {line for text in split.train for line in text.splitlines()}
        assert not known & {line for text in split.held_out for line in text.splitlines()}


@pytest.mark.parametrize("missing", ["novels/deu.train.txt", "parallel/es.txt"])
def test_a_missing_language_is_refused_by_name(own, missing):
    (own / missing).unlink()
    read = read_novels if missing.startswith("novels") else read_aligned
    with pytest.raises(InputError, match=f"No file {missing.split('/')[1]} in .*Expected novels/.*parallel/"):
        read(own)


def test_too_few_novels_are_refused(own):
    (own / "novels" / "spa.train.txt").write_text("Una novela.\n\nOtra.\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"spa\.train\.txt holds 2 novels; at least 3"):
        read_novels(own)


def test_a_file_that_is_no_utf8_is_refused_by_name(own):
    (own / "parallel" / "fr.txt").write_bytes("Il était là.\n".encode("latin-1") * N_SENTENCES)
    with pytest.raises(InputError, match=r"fr\.txt cannot be read.*UTF-8"):
        read_aligned(own)


def test_every_tenth_sentence_is_held_out_in_every_language(corpus):
    aligned = read_aligned(corpus)
    assert list(aligned.train) == list(aligned.held_out) == list(LANGUAGE_FILES)
    for language in LANGUAGE_FILES:
        # A sentence holds its number, three times.
        numbers = [
            [{int(word) for word in row.split() if word.isdigit()} for row in rows]
            for rows in (aligned.train[language], aligned.held_out[language])
        ]
        assert numbers[1] == [{n} for n in range(9, N_SENTENCES, 10)]
        assert numbers[0] == [{n} for n in range(N_SENTENCES) if n % 10 != 9]


def test_an_empty_line_keeps_its_place(own):
    for language, row in (("en", 0), ("fr", N_SENTENCES - 1)):
        path = own / "parallel" / f"{language}.txt"
        rows = path.read_text(encoding="utf-8").splitlines()
        rows[row] = ""
        path.write_text("".join(f"{each}\n" for each in rows), encoding="utf-8")
    aligned = read_aligned(own)
    assert aligned.train["en"][0] == ""
    assert " 1 " in aligned.train["en"][1]
    assert " 1 " in aligned.train["fr"][1]
    assert aligned.held_out["fr"][-1] == ""


@pytest.mark.parametrize("kept", [N_SENTENCES - 1, 9])
def test_files_that_are_not_aligned_or_too_short_are_refused(own, kept):
    for language in LANGUAGE_FILES:
        path = own / "parallel" / f"{language}.txt"
        rows = path.read_text(encoding="utf-8").splitlines(keepends=True)
        # Unequal: one file has lost a line. Too short: all have nine.
        if kept == 9 or language == "de":
            path.write_text("".join(rows[:kept]), encoding="utf-8")
    with pytest.raises(InputError, match=rf"'de': {kept}.*Expected as many in every one.*at least 10"):
        read_aligned(own)
