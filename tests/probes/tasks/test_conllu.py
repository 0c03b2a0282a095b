import gzip

import pytest

from interp.errors import InputError
from probes.tasks.conllu import TaggedSentence, TaggedWord, read_parts_of_speech

FRENCH = """\
# sent_id = 1
# text = Il va aux États-Unis.
1\tIl\til\tPRON\t_\t_\t2\tnsubj\t_\t_
2\tva\taller\tVERB\t_\t_\t0\troot\t_\t_
3-4\taux\t_\t_\t_\t_\t_\t_\t_\t_
3\tà\tà\tADP\t_\t_\t5\tcase\t_\t_
4\tles\tle\tDET\t_\t_\t5\tdet\t_\t_
4.1\tvu\tvoir\tVERB\t_\t_\t_\t_\t_\t_
5\tÉtats-Unis\tÉtats-Unis\tPROPN\t_\t_\t2\tobl\t_\tProper=True|SpaceAfter=No
6\t.\t.\tPUNCT\t_\t_\t2\tpunct\t_\t_

# text = Oui
1\tOui\toui\tINTJ\t_\t_\t0\troot\t_\t_
"""


def test_words_and_their_tags(tmp_path):
    (tmp_path / "fr.conllu").write_text(FRENCH, encoding="utf-8")
    first, second = read_parts_of_speech(tmp_path / "fr.conllu")
    assert first.text == "Il va aux États-Unis."
    assert [(first.text[word.start : word.end], word.tag) for word in first.words] == [
        ("Il", "PRON"),
        ("va", "VERB"),
        ("aux", "_"),
        ("États-Unis", "PROPN"),
        (".", "PUNCT"),
    ]
    assert second == TaggedSentence("Oui", (TaggedWord(0, 3, "INTJ"),))
    (tmp_path / "fr.conllu.gz").write_bytes(gzip.compress(FRENCH.replace("\n", "\r\n").encode()))
    assert read_parts_of_speech(tmp_path / "fr.conllu.gz") == [first, second]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"# nothing\n", "holds no sentence"),
        (FRENCH.replace("1\tIl\t", "1\t").encode(), "line 3: .* is no word"),
        (FRENCH.replace("2\tva", "x\tva").encode(), "line 4"),
        (FRENCH.replace("3-4\t", "3-\t").encode(), "line 5"),
        (b"caf\xe9", "Cannot read the treebank"),
    ],
)
def test_refusals(tmp_path, content, words):
    (tmp_path / "some.conllu").write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_parts_of_speech(tmp_path / "some.conllu")


def test_unreadable_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="Cannot read the treebank"):
        read_parts_of_speech(tmp_path / "none.conllu")
    (tmp_path / "torn.conllu.gz").write_bytes(gzip.compress(FRENCH.encode())[:-20])
    with pytest.raises(InputError, match="Cannot read the treebank"):
        read_parts_of_speech(tmp_path / "torn.conllu.gz")


@pytest.mark.parametrize("words", [((0, 0),), ((1, 3), (0, 1)), ((2, 9),)])
def test_words_outside_their_text_are_refused(words):
    with pytest.raises(InputError, match="out of order or outside"):
        TaggedSentence("a word", tuple(TaggedWord(start, end, "X") for start, end in words))
