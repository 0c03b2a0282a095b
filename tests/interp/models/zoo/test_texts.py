import json

import pytest

from interp.models.zoo.corpus import LANGUAGE_FILES
from interp.models.zoo.texts import AGREEMENT, TEXT, read_sentences


def test_sentences_are_aligned_in_four_columns():
    lines = (TEXT / "sentences.tsv").read_text(encoding="utf-8").splitlines()
    assert {line.count("\t") for line in lines} == {3}
    sentences = read_sentences()
    assert list(sentences) == list(LANGUAGE_FILES)
    assert {len(rows) for rows in sentences.values()} == {len(lines) - 1}
    assert len(lines) > 20


def test_sentences_are_distinct_and_clean():
    every = [sentence for rows in read_sentences().values() for sentence in rows]
    assert len(set(every)) == len(every)
    assert all(sentence == sentence.strip() and sentence[-1] in '.!?»“"' for sentence in every)


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

    passages = ["\n".join(rows) for rows in read_sentences().values()]
    model, control = (text_loss(shipped(prefix), passages).bits_per_byte() for prefix in ("", "random:"))
    assert model.high < 3.5
    assert model.high < 0.75 * control.low


def test_the_shipped_model_is_small(shipped):
    from interp.models.zoo import model_directory

    shipped("random:")
    size = sum(path.stat().st_size for path in model_directory("polyglot").iterdir())
    assert size < 15e6


@pytest.mark.parametrize("language", list(LANGUAGE_FILES))
def test_no_sentence_is_longer_than_the_shortest_context(language):
    assert max(len(sentence) for sentence in read_sentences()[language]) < 200
