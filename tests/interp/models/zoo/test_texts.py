import json
import unicodedata
from collections import Counter
from itertools import permutations

import pytest

from interp.models.zoo.corpus import LANGUAGE_FILES
from interp.models.zoo.texts import (
    AGREEMENT,
    TEXT,
    SwitchedSentence,
    read_alignments,
    read_sentences,
    read_switched,
    read_symbols,
)

LANGUAGES = list(LANGUAGE_FILES)
TABLES = ["sentences", "alignments", "switched", "symbols"]
# Chosen so that none is a word of another of the four languages in these texts.
OWN_WORDS = {
    "en": "the of and was were his her with that had not is they my to for it he she what you",
    "fr": "les et était dans elle il qui ne ses des est du avec une au nous sur je vous c'est à",
    "de": "der das und war nicht mit sie er den dem ein eine ich auf ist zu im daß von wir die",
    "es": "el los y las era con una su por del al no se lo más pero yo había para está muy",
}
QUOTES = {"en": '""', "fr": "«»", "de": "„“", "es": "«»"}


@pytest.fixture(scope="module")
def sentences():
    return read_sentences()


@pytest.fixture(scope="module")
def switched():
    return read_switched()


def own_words(text: str) -> dict[str, int]:
    bare = [word.strip(".,;:!?¿¡«»„“\"'").lower() for word in text.split()]
    return {language: sum(word in known.split() for word in bare) for language, known in OWN_WORDS.items()}


@pytest.mark.parametrize("table", TABLES)
def test_tables_are_clean_text(table):
    text = (TEXT / f"{table}.tsv").read_text(encoding="utf-8")
    lines = text.removesuffix("\n").split("\n")
    assert text.endswith("\n")
    assert unicodedata.is_normalized("NFC", text)
    assert len({line.count("\t") for line in lines}) == 1
    assert all(cell == cell.strip() != "" and "  " not in cell for line in lines for cell in line.split("\t"))
    assert not {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Co", "Zl", "Zp")} - {"\t", "\n"}
    assert not {c for c in text if unicodedata.category(c) == "Zs"} - {" "}
    assert len(set(lines)) == len(lines)


def test_all_that_ships_is_small():
    assert sum(path.stat().st_size for path in TEXT.iterdir()) < 300_000


def test_sentences_are_aligned_in_four_columns(sentences):
    assert list(sentences) == LANGUAGES
    assert len({len(rows) for rows in sentences.values()}) == 1
    assert len(sentences["en"]) >= 300
    assert {name: rows[:5] for name, rows in sentences.items()} == read_sentences(5)


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_are_distinct_whole_and_neither_short_nor_long(sentences, language):
    rows = sentences[language]
    assert len({row.casefold() for row in rows}) == len(rows)
    assert all(6 <= len(row.split()) <= 25 and len(row) < 200 for row in rows)
    assert all(row[-1] in '.!?»“"' and row.lstrip('"„«¿¡ ')[0].isupper() for row in rows)


@pytest.mark.parametrize("language", LANGUAGES)
def test_quotation_marks_are_those_of_the_language_and_balanced(sentences, language):
    opening, closing = QUOTES[language]
    found = {c for row in sentences[language] for c in row} & set("\"'«»„“”‘’‚‹›")
    assert found <= {opening, closing, "'"}
    assert any(opening in row for row in sentences[language])
    for row in sentences[language]:
        assert row.count(opening) == row.count(closing)
        assert opening != closing or row.count(opening) % 2 == 0


def test_spelling_follows_the_language(sentences):
    german = {word.strip(".,;„“").lower() for row in sentences["de"] for word in row.split()}
    assert {"daß", "mußte", "wußte"} <= german
    assert not german & {"dass", "muss", "musste", "wusste", "liess", "grosse", "schloss", "fluss", "passt", "lässt"}
    assert all(("?" in row) == ("¿" in row) and ("!" in row) == ("¡" in row) for row in sentences["es"])
    assert all(row[place - 1] == " " for row in sentences["fr"] for place, c in enumerate(row) if c in "?!;»")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_column_is_in_its_language(sentences, language):
    counts = [own_words(row) for row in sentences[language]]
    told = [count for count in counts if any(count.values())]
    right = [max(count, key=lambda name: count[name]) == language for count in told]
    assert len(told) > 0.9 * len(counts)
    assert sum(right) >= 0.97 * len(right)


def test_translations_ask_and_are_as_long_together(sentences):
    for rows in zip(*sentences.values(), strict=True):
        assert len({"?" in row for row in rows}) == 1
        lengths = [len(row) for row in rows]
        assert max(lengths) < 2 * min(lengths)


def test_alignments_link_words_that_are_there(sentences):
    alignments = read_alignments()
    assert len({alignment.row for alignment in alignments}) == len(alignments) >= 100
    assert set(Counter(alignment.languages for alignment in alignments)) == {("en", other) for other in LANGUAGES[1:]}
    assert min(Counter(alignment.languages for alignment in alignments).values()) >= 30
    for alignment in alignments:
        words = [sentences[language][alignment.row].split() for language in alignment.languages]
        assert len(set(alignment.links)) == len(alignment.links)
        for side in (0, 1):
            linked = {link[side] for link in alignment.links}
            assert linked <= set(range(len(words[side])))
            assert len(linked) >= 0.75 * sum(word not in "«»?;!" for word in words[side])


def test_alignments_name_the_same_word_alike(sentences):
    """Words that can only mean each other are linked to each other wherever they meet."""
    meanings = [
        ("fr", "and", "et"),
        ("de", "and", "und"),
        ("es", "and", "y"),
        ("fr", "but", "mais"),
        ("es", "but", "pero"),
    ]
    meanings += [("de", "the", "der"), ("fr", "in", "dans"), ("es", "his", "su"), ("de", "three", "drei")]
    met = Counter()
    for alignment in read_alignments():
        english, other = (sentences[language][alignment.row].split() for language in alignment.languages)
        for language, word, meaning in meanings:
            if alignment.languages[1] == language and english.count(word) == other.count(meaning) == 1:
                linked = (english.index(word), other.index(meaning)) in alignment.links
                met["linked" if linked else "apart"] += 1
    assert met["linked"] > 40
    assert met["apart"] <= 0.1 * met["linked"]


def test_a_known_alignment_by_hand(sentences):
    alignment = next(alignment for alignment in read_alignments() if alignment.row == 10)
    english, german = (sentences[language][10].split() for language in alignment.languages)
    assert [(english[left], german[right]) for left, right in alignment.links] == [
        *[("There", "liegen"), ("are", "liegen"), ("three", "drei"), ("keys", "Schlüssel,"), ("on", "Auf")],
        *[("the", "dem"), ("table,", "Tisch"), ("and", "und"), ("none", "keiner"), ("of", "keiner")],
        *[("them", "keiner"), ("fits.", "paßt.")],
    ]


def test_switched_sentences_cover_kinds_and_pairs(switched):
    assert Counter(sentence.kind for sentence in switched) == {
        "between-sentence": 60,
        "between-clause": 60,
        "single-word": 80,
    }
    assert len({sentence.text for sentence in switched}) == len(switched) == 200
    pairs = Counter((s.kind, s.languages[0], s.languages[s.switch_points[0]]) for s in switched)
    assert set(pairs) == {(kind, *pair) for kind in {s.kind for s in switched} for pair in permutations(LANGUAGES, 2)}
    assert max(pairs.values()) - min(pairs.values()) <= 2
    assert {sentence.kind for sentence in switched if sentence.fit} == {"single-word"}
    assert sum(sentence.fit for sentence in switched) >= 30


def test_every_switched_word_has_a_language_and_its_place(switched):
    for sentence in switched:
        assert len(sentence.words) == len(sentence.languages) >= 6
        assert set(sentence.languages) <= {*LANGUAGES, "x"}
        assert not any("/" in word or word != word.strip() or not word for word in sentence.words)
        spans = len(sentence.switch_points)
        assert spans == (2 if sentence.kind == "single-word" else 1)
        before = sentence.words[sentence.switch_points[0] - 1]
        assert (before[-1] in ".?!") == (sentence.kind == "between-sentence")
        assert sentence.text[0] in "¿¡" or sentence.text[0].isupper()
        assert sentence.text[-1] in ".?!"


def test_switched_words_are_in_their_languages(switched):
    parts = Counter()
    for sentence in switched:
        for language in set(sentence.languages):
            text = " ".join(w for w, tag in zip(sentence.words, sentence.languages, strict=True) if tag == language)
            count = own_words(text)
            if any(count.values()):
                parts[max(count, key=lambda name: count[name]) == language] += 1
    assert parts[True] > 280
    assert parts[True] >= 0.97 * parts.total()


def test_switch_points_skip_words_without_a_language():
    words = ("I", "met", "Anna", "gestern", "abend", "in", "1912", "again")
    tags = ("en", "en", "x", "de", "de", "de", "x", "en")
    assert SwitchedSentence(words, tags, "single-word", fit=False).switch_points == (3, 7)
    assert SwitchedSentence(words[:3], tags[:3], "single-word", fit=False).switch_points == ()


def test_symbols_are_one_picture_and_four_words():
    symbols = read_symbols()
    assert len(symbols) == len({symbol.emoji for symbol in symbols}) == 60
    for symbol in symbols:
        assert list(symbol.words) == LANGUAGES
        assert all(word.isalpha() for word in symbol.words.values())
        assert symbol.words["de"].istitle()
        picture = symbol.emoji.removesuffix("\N{VARIATION SELECTOR-16}")
        assert len(picture) == 1
        assert unicodedata.category(picture) == "So"


def test_agreement_prompts_differ_in_number_only():
    records = [json.loads(line) for line in AGREEMENT.read_text(encoding="utf-8").splitlines()]
    for record in records:
        assert record["clean"].replace(" il ", " ils ").replace("Il ", "Ils ") == record["corrupted"]
        assert record["answer"].replace("était", "étaient") == record["wrong_answer"]
    assert len({record["clean"] for record in records}) == len(records) >= 10


def test_agreement_prompts_are_read_by_the_shipped_tokenizer(shipped):
    from interp.models import ModelEncoder
    from interp.prompts import read_prompts

    prompts = read_prompts(AGREEMENT, ModelEncoder(shipped("")))
    assert len({(pair.answer, pair.wrong_answer) for pair in prompts}) == 1
    assert all((pair.clean != pair.corrupted).sum() == 1 for pair in prompts)


def test_the_shipped_model_predicts_the_sentences_far_better_than_random_weights(shipped):
    from interp.models.zoo.measure import text_loss

    passages = ["\n".join(rows) for rows in read_sentences(36).values()]
    model, control = (text_loss(shipped(prefix), passages).bits_per_byte() for prefix in ("", "random:"))
    assert model.high < 3.5
    assert model.high < 0.75 * control.low


def test_the_shipped_model_is_small(shipped):
    from interp.models.zoo import model_directory

    shipped("random:")
    size = sum(path.stat().st_size for path in model_directory("polyglot").iterdir())
    assert size < 15e6
