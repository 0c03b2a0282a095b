"""Tagged corpora: what is written is what is read back, and a line that does not fit is named."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.errors import InputError
from interp.languages import TaggedText, code_mix, read_tagged

CONLLU = """\
# sent_id = one
# text = Ders für sözlü sınav.
1\tDers\tders\tNOUN\t_\t_\t6\tobj\t_\tCSID=TR|Lang=tr
2\tfür\tfür\tADP\t_\t_\t6\tcase\t_\tCSID=DE|Lang=de
3-4\tsözlü\t_\t_\t_\t_\t_\t_\t_\tCSID=TR|Lang=tr
3\tsöz\tsöz\tNOUN\t_\t_\t6\tobj\t_\tCSID=XX
4\tlü\tli\tADP\t_\t_\t3\tcase\t_\tCSID=XX
4.1\tempty\t_\t_\t_\t_\t_\t_\t_\tCSID=XX
5\tsınav\tsınav\tNOUN\t_\t_\t0\troot\t_\tCSID=TR|Lang=tr|SpaceAfter=No
6\t.\t.\tPUNCT\t_\t_\t5\tpunct\t_\tCSID=OTHER

# sent_id = two
1\tHallo\thallo\tINTJ\t_\t_\t0\troot\t_\tLang=de
"""


def written(directory, text, name="corpus.txt"):
    path = directory / name
    path.write_text(text, encoding="utf-8")
    return path


def test_conllu_reads_whole_words_with_the_spaces_between_them(tmp_path):
    one, two = read_tagged(written(tmp_path, CONLLU))
    assert one.words == ("Ders", "für", "sözlü", "sınav", ".")
    assert one.languages == ("TR", "DE", "TR", "TR", "OTHER")
    assert (one.name, one.text) == ("one", "Ders für sözlü sınav.")
    assert [one.text[start:stop] for start, stop in one.spans] == list(one.words)
    assert code_mix(one.languages).switch_points == (1, 2)
    assert (two.name, two.words, two.languages) == ("two", ("Hallo",), ("de",))


def test_columns_are_parted_by_empty_lines(tmp_path):
    text = "# sent_enum = 1\nI\tlang1\nquiero\tlang2\n\n# sent_enum = 2\n@ana\tother\n#tag\tother\n"
    one, two = read_tagged(written(tmp_path, text))
    assert (one.words, one.languages, one.name) == (("I", "quiero"), ("lang1", "lang2"), "1")
    assert (two.words, two.name, two.text) == (("@ana", "#tag"), "2", "@ana #tag")


def test_slashes_inside_words_are_part_of_them(tmp_path):
    (only,) = read_tagged(written(tmp_path, "\nand/or/EN también/ES :)/OTHER\n"))
    assert only.words == ("and/or", "también", ":)")
    assert only.languages == ("EN", "ES", "OTHER")


@pytest.mark.parametrize(
    ("text", "layout", "says"),
    [
        ("hello/EN world\n", "slash", r"line 1: 'world' does not fit.*slash"),
        ("I\tlang1\nquiero\n", "columns", r"line 2: 'quiero'.*tab"),
        ("I\tlang1\n\t lang2\n", "columns", "line 2"),
        (CONLLU.replace("CSID=TR|Lang=tr\n", "_\n", 1), "conllu", r"line 3.*'_'.*CSID="),
        (CONLLU.replace("1\tHallo\thallo", "1\tHallo"), "conllu", r"line 13: 9 columns"),
        ("", None, "holds no text"),
        ("# only = words\n", "conllu", "holds no text"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, text, layout, says):
    with pytest.raises(InputError, match=says):
        read_tagged(written(tmp_path, text), layout)


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path):
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    for name in ("missing", "bytes"):
        with pytest.raises(InputError, match="Cannot read the tagged corpus"):
            read_tagged(tmp_path / name)


def test_a_marker_at_the_beginning_is_no_part_of_a_word(tmp_path):
    assert read_tagged(written(tmp_path, "\ufeffhola/ES"))[0].words == ("hola",)


WORD = st.text(st.characters(codec="utf-8", exclude_categories=("Z", "C")), min_size=1, max_size=8)
TEXT = st.lists(st.tuples(WORD, st.sampled_from(["EN", "ES", "OTHER"]), st.booleans()), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=4))
def test_every_layout_gives_back_what_was_written(tmp_path_factory, texts):
    directory = tmp_path_factory.mktemp("layouts")
    expected = [tuple(zip(*text, strict=True)) for text in texts]
    slash = "\n".join(" ".join(f"{word}/{tag}" for word, tag, _ in text) for text in texts)
    columns = "\n\n".join("\n".join(f"{word}\t{tag}" for word, tag, _ in text) for text in texts)
    rows = [
        "\n".join(
            "\t".join([str(number), word, *["_"] * 7, f"CSID={tag}" + "|SpaceAfter=No" * (not spaced)])
            for number, (word, tag, spaced) in enumerate(text, start=1)
        )
        for text in texts
    ]
    for layout, content in (("slash", slash), ("columns", columns), ("conllu", "\n\n".join(rows) + "\n\n")):
        found = read_tagged(written(directory, content), layout)
        assert [(text.words, text.languages) for text in found] == [each[:2] for each in expected]
    assert [text.spaced for text in found] == [each[2] for each in expected]
    for text in found:
        assert [text.text[start:stop] for start, stop in text.spans] == list(text.words)


def test_the_parts_of_a_tagged_text_are_frozen():
    text = TaggedText(("a",), ("EN",), (True,))
    with pytest.raises(AttributeError):
        text.name = "b"
