"""Ready tasks: labels by hand, no beginning twice, and what the number of the subject is told by."""

from functools import partial

import numpy as np
import pytest

from interp.errors import InputError
from interp.languages import TaggedText
from interp.models import encode, load_model, str_tokens
from interp.models.zoo.texts import AGREEMENT_IN, read_agreement, read_sentences
from probes import ProbeTask
from probes.tasks.conllu import TaggedSentence, TaggedWord
from probes.tasks.ready_tasks import (
    next_language_task,
    part_of_speech_task,
    sentence_position_task,
    subject_number_task,
    switched_texts,
)


@pytest.fixture(scope="module")
def reader():
    return partial(encode, load_model("zoo:polyglot"))


def words(text: str) -> np.ndarray:
    """One number for each word."""
    return np.array([int.from_bytes(word.encode()[:7]) for word in text.split(" ") if word], np.int64)


def beginnings(task: ProbeTask) -> list[bytes]:
    return [
        task.batch.tokens[prompt, : position + 1].tobytes()
        for prompt, position in zip(task.prompts, task.positions, strict=True)
    ]


def tagged(text: str) -> TaggedText:
    forms, tags = zip(*(piece.split("/") for piece in text.split()), strict=True)
    return TaggedText(forms, tags, (True,) * len(forms))


MIXED = [tagged(f"w{n}/en is/en eine/de schöne/de Stadt{n}/de today/en x/x again{n}/en") for n in range(6)]


def test_next_language_by_hand():
    task = next_language_task(MIXED, words, range(6), languages=["en", "de"])
    # `is` stands before a switch to German, `Stadt` before one back; `today` and `x` have no language beside them.
    switches = {1: "de", 4: "en"}
    others = {0: "en", 2: "de", 3: "de"}
    labels = dict(switches | others)
    assert {labels[position] for position in task.positions.tolist()} == {"en", "de"}
    assert all(labels[place] == label for place, label in zip(task.positions.tolist(), task.labels, strict=True))
    before = np.isin(task.positions, list(switches))
    assert (before.sum(), (~before).sum()) == (12, 12)
    assert "in 50%" in task.what
    rare = next_language_task(MIXED, words, range(6), languages=["en", "de"], switch_share=0.45)
    assert len(rare.labels) == 12 + 15
    assert "in 44%" in rare.what


def test_next_language_refusals():
    with pytest.raises(InputError, match="switch_share=1"):
        next_language_task(MIXED, words, range(6), languages=["en", "de"], switch_share=1.0)
    with pytest.raises(InputError, match="12 words stand before a switch and 18 elsewhere"):
        next_language_task(MIXED, words, range(6), languages=["en", "de"], switch_share=0.1)
    with pytest.raises(InputError, match="0 words stand before a switch"):
        next_language_task(MIXED, words, range(6), languages=["en"])


def test_switched_texts_share_the_group_of_their_sentence(reader):
    texts, groups = switched_texts(read_sentences(12))
    assert len(texts) == len(groups) > 12
    assert set(groups) <= set(range(12))
    for text, group in zip(texts, groups, strict=True):
        sentence = {language: rows[group].split() for language, rows in read_sentences(12).items()}
        assert len(set(text.languages)) == 2
        assert all(word in sentence[tag] for word, tag in zip(text.words, text.languages, strict=True))
    task = next_language_task(texts, reader, groups, languages=list(AGREEMENT_IN))
    assert len(set(beginnings(task))) == len(task.labels)


def french(number: int) -> TaggedSentence:
    """`du chien3 court`, where the first word is of two parts and so of no tag."""
    noun, text = f"chien{number}", f"du chien{number} court"
    return TaggedSentence(
        text,
        (
            TaggedWord(0, 2, "_"),
            TaggedWord(3, 3 + len(noun), "NOUN"),
            TaggedWord(4 + len(noun), len(text), "VERB"),
        ),
    )


TAGS = [french(number) for number in range(16)]


def test_parts_of_speech_by_hand():
    task = part_of_speech_task(TAGS, words)
    assert task.positions.tolist() == [1, 2] * 16
    assert task.labels.tolist() == ["NOUN", "VERB"] * 16
    assert task.groups.tolist() == np.repeat(np.arange(16), 2).tolist()
    assert len(part_of_speech_task(TAGS, words, samples_per_text=1, fewest_groups=1).labels) == 16
    # A tag of nine sentences is rare.
    adverbs = [TaggedSentence(f"{n} vite", (TaggedWord(2, 6, "ADV"),)) for n in range(9)]
    assert "ADV" not in part_of_speech_task([*TAGS, *adverbs], words).labels
    assert "ADV" in part_of_speech_task([*TAGS, *adverbs], words, fewest_groups=9).labels


def test_grouped_by_word_neither_word_nor_sentence_is_shared():
    task = part_of_speech_task(TAGS, words, group_by="word", fewest_groups=1)
    assert len(task.labels) == len(task.batch) == 16
    assert task.groups[task.labels == "VERB"].tolist() == ["court"] * int((task.labels == "VERB").sum())
    assert len(set(task.groups[task.labels == "NOUN"])) == (task.labels == "NOUN").sum()
    with pytest.raises(InputError, match="No word is left"):
        part_of_speech_task(TAGS[:3], words)


def test_places_by_hand():
    texts = [f"a{n} b c d" for n in range(8)]
    task = sentence_position_task(texts, words, n_classes=2)
    assert task.positions.tolist() == [0, 1, 2, 3] * 8
    assert task.labels.tolist() == [0, 0, 1, 1] * 8
    # Of seven words the fourth is halfway, of four the second is a third of the way.
    both = sentence_position_task([*texts, *(f"z{n} b c d e f g" for n in range(8))], words, n_classes=2, relative=True)
    long = both.labels[both.prompts >= 8].tolist()
    assert long == [0, 0, 0, 1, 1, 1, 1] * 8 or long == [0, 0, 0, 0, 1, 1, 1] * 8
    with pytest.raises(InputError, match="n_classes=1"):
        sentence_position_task(texts, words, n_classes=1)


def test_beginnings_that_sentences_share_are_sampled_once():
    texts = [f"the old {'cat' if n % 2 else 'dog'} {n}" for n in range(10)] + [f"{n} alone" for n in range(4)]
    task = sentence_position_task(texts, words, n_classes=2)
    assert len(set(beginnings(task))) == len(task.labels) == 1 + 1 + 2 + 10 + 8


def test_the_number_of_the_subject(reader):
    task = subject_number_task(reader)
    model = load_model("zoo:polyglot")
    n_pairs = sum(len(read_agreement(language)) for language in AGREEMENT_IN)
    assert len(task.labels) == len(task.batch) == 2 * n_pairs
    assert (task.positions == task.batch.lengths - 1).all()
    for group in np.unique(task.groups):
        rows = np.flatnonzero(task.groups == group)
        # Both numbers of each noun, and the same token at the label: the token alone tells nothing.
        assert sorted(task.labels[rows].tolist()) == ["plural", "singular"] * (len(rows) // 2) or len(rows) > 2
        assert (task.labels[rows] == "plural").sum() == len(rows) // 2
        ends = task.batch.tokens[rows, task.positions[rows]]
        assert len(np.unique(ends)) <= len(rows) // 2
    assert {"en book", "fr ami", "fr livre", "de Buch", "es libro"} <= set(task.groups.tolist())
    everywhere = subject_number_task(reader, languages=["fr"], every_token=True)
    first = everywhere.positions[everywhere.prompts == 2].min()
    assert str_tokens(model, everywhere.batch.tokens[2][: first + 1])[1:] == ["L", "'", "am", "i"]
    with pytest.raises(InputError, match=r"No agreement prompts in \['it'\]"):
        subject_number_task(reader, languages=["it"])
