"""Trees over words as they are written: by hand, always trees, and lines that do not fit are named."""

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from interp.errors import InputError
from probes.samples.trees import ROOT
from probes.tasks.conllu import TaggedWord, read_parts_of_speech
from probes.tasks.treebank import ParsedSentence, read_trees

TREEBANKS = os.environ.get("INTERP_PUD")
"""Directory of `*_pud.conllu.gz`, the Parallel Universal Dependencies treebanks."""
FRENCH = """\
# text = Il parle du chat, noir.
1\tIl\til\tPRON\t_\t_\t2\tnsubj\t_\t_
2\tparle\tparler\tVERB\t_\t_\t0\troot\t_\t_
2.1\tdit\tdire\tVERB\t_\t_\t_\t_\t_\t_
3-4\tdu\t_\t_\t_\t_\t_\t_\t_\t_
3\tde\tde\tADP\t_\t_\t5\tcase\t_\t_
4\tle\tle\tDET\t_\t_\t5\tdet\t_\t_
5\tchat\tchat\tNOUN\t_\t_\t2\tobl\t_\tSpaceAfter=No
6\t,\t,\tPUNCT\t_\t_\t7\tpunct\t_\t_
7\tnoir\tnoir\tADJ\t_\t_\t5\tamod\t_\tSpaceAfter=No
8\t.\t.\tPUNCT\t_\t_\t2\tpunct\t_\t_
"""


def written(directory: Path, text: str) -> Path:
    path = directory / "some.conllu"
    path.write_text(text, encoding="utf-8")
    return path


def lines(heads: list[int], ranges: list[tuple[int, int]] = ()) -> str:
    """CoNLL-U of words with these heads, counted from 1, some written as one."""
    begins = {first: f"{first}-{last}\tw{first}\t_\t_\t_\t_\t_\t_\t_\t_\n" for first, last in ranges}
    rows = [f"{place}\tp{place}\t_\tX\t_\t_\t{head}\t_\t_\t_\n" for place, head in enumerate(heads, 1)]
    return "".join(begins.get(place, "") + row for place, row in enumerate(rows, 1))


def test_words_of_several_parts_are_one_word_in_the_tree(tmp_path):
    path = written(tmp_path, FRENCH)
    (sentence,) = read_trees(path)
    assert sentence.text == "Il parle du chat, noir."
    spelled = [sentence.text[word.start : word.end] for word in sentence.words]
    assert spelled == ["Il", "parle", "du", "chat", ",", "noir", "."]
    assert [word.tag for word in sentence.words] == ["PRON", "VERB", "_", "NOUN", "PUNCT", "ADJ", "PUNCT"]
    assert sentence.heads == (1, ROOT, 3, 1, 5, 3, 1)
    (tagged,) = read_parts_of_speech(path)
    assert (tagged.text, tagged.words) == (sentence.text, sentence.words)


def test_the_part_nearest_to_the_root_decides_what_a_word_hangs_on(tmp_path):
    """Part 1 hangs on part 3, which hangs on part 2: by part 1, the words 1-2 and 3 would hang on each other."""
    (sentence,) = read_trees(written(tmp_path, lines([3, 0, 2, 1], [(1, 2)])))
    assert sentence.heads == (ROOT, 0, 0)


def test_a_word_whose_parts_hang_on_each_other_hangs_on_what_is_above_both(tmp_path):
    (sentence,) = read_trees(written(tmp_path, lines([3, 1, 0, 2], [(1, 2)])))
    assert sentence.heads == (1, ROOT, 0)


def test_any_tree_stays_one_whatever_parts_are_written_as_one(tmp_path):
    rng = np.random.default_rng(0)
    for _ in range(60):
        n = int(rng.integers(4, 14))
        place = rng.permutation(n)
        heads = np.zeros(n, int)
        for node in range(1, n):
            heads[place[node]] = place[rng.integers(node)] + 1
        cuts = sorted({1, n + 1, *rng.integers(1, n + 2, 4).tolist()})
        ranges = [(first, after - 1) for first, after in pairwise(cuts) if after > first + 1]
        (sentence,) = read_trees(written(tmp_path, lines(heads.tolist(), ranges)))  # refuses what is no tree
        assert len(sentence.heads) == n - sum(last - first for first, last in ranges)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lines([2, 0]).replace("2\tp2", "3\tp2"), "line 2: word 3 stands where 2 does"),
        (lines([2, 0]).replace("X\t_\t_\t2", "X\t_\t_\t_"), "line 1: the head of 'p1' is '_'"),
        (lines([2, 0, 4]), "line 3: the head of 'p3' is '4'. Expected the number of one of the sentence's 3 words"),
        (lines([0, 1]) + "\n" + lines([0, 1, 0]), "line 6: 'p3' is a second root"),
        (lines([0, 3, 2]), "line 2: from 'p2' the heads lead in a circle"),
        (lines([2, 1]), "line 1: .* lead in a circle"),
        (
            lines([0, 1]).replace("1\tp1", "1-3\tw\t_\t_\t_\t_\t_\t_\t_\t_\n1\tp1"),
            "line 1: 'w' is made of the words 1-3",
        ),
        (lines([0, 1, 1], [(2, 1)]), "line 2: 'w2' is made of the words 2-1"),
        (lines([0, 1, 1]).replace("3\tp3", "2-3\tw\t_\t_\t_\t_\t_\t_\t_\t_\n3\tp3"), "line 3: 'w'"),
        ("", "holds no sentence"),
    ],
)
def test_lines_that_do_not_fit_are_named(tmp_path, content, words):
    with pytest.raises(InputError, match=words):
        read_trees(written(tmp_path, content))


def test_sentences_by_hand_must_be_trees():
    words = (TaggedWord(0, 1, "X"), TaggedWord(2, 3, "X"))
    assert ParsedSentence("a b", words, (ROOT, 0)).heads == (ROOT, 0)
    for heads, message in (((ROOT,), "1 heads for 2 words"), ((1, 0), "0 roots"), ((ROOT, 5), "has the head 5")):
        with pytest.raises(InputError, match=message):
            ParsedSentence("a b", words, heads)
    with pytest.raises(InputError, match="outside the text"):
        ParsedSentence("a", words, (ROOT, 0))


@pytest.mark.skipif(TREEBANKS is None, reason="set INTERP_PUD to the directory of the treebanks")
@pytest.mark.parametrize(("language", "several"), [("en", 129), ("fr", 595), ("de", 331), ("es", 467)])
def test_parallel_treebanks(language, several):
    sentences = read_trees(Path(str(TREEBANKS)) / f"{language}_pud.conllu.gz")
    assert len(sentences) == 1000
    words = [word for sentence in sentences for word in sentence.words]
    assert sum(word.tag == "_" for word in words) == several
    # Punctuation is a leaf: what is left without it is the same tree.
    for sentence in sentences:
        assert all(head == ROOT or sentence.words[head].tag != "PUNCT" for head in sentence.heads)
