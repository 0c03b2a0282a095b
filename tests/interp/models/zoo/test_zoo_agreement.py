import json

import numpy as np
import pytest

from interp.models.zoo.texts import AGREEMENT_IN, read_agreement
from interp.zoo_agreement import measure_agreement


def test_the_shipped_prompts_differ_in_the_number_of_the_subject():
    for language, path in AGREEMENT_IN.items():
        records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        assert records == read_agreement(language)
        assert len({record["clean"] for record in records}) == len(records) >= 12
        for record in records:
            clean, corrupted = record["clean"].split(), record["corrupted"].split()
            # A subject of at most two words, then at least two words that both sides share.
            assert clean[0:2] != corrupted[0:2]
            assert clean[2:] == corrupted[2:] or clean[1:] == corrupted[2:]
            assert len(clean) >= 3
            assert record["answer"] != record["wrong_answer"]


@pytest.mark.parametrize("language", AGREEMENT_IN)
def test_answers_are_single_tokens_of_the_shipped_tokenizer(language, shipped):
    tokenizer = shipped("").tokenizer
    for record in read_agreement(language):
        for name in ("answer", "wrong_answer"):
            assert len(tokenizer(record[name], add_special_tokens=False)["input_ids"]) == 1


def test_agreement_is_counted_by_pairs(trained_model, uniform_model):
    """The tokenizer of the invented corpus knows the French verbs only, so only French can be asked."""
    (found,) = measure_agreement(trained_model, uniform_model)
    assert found.language == "fr"
    differences = []
    for record in read_agreement("fr"):
        ids = [
            trained_model.tokenizer(record[name], add_special_tokens=False)["input_ids"]
            for name in ("answer", "wrong_answer")
        ]
        if all(len(each) == 1 for each in ids):
            ((answer,), (wrong,)) = ids
            sides = [trained_model(trained_model.to_tokens(record[side]))[0, -1] for side in ("clean", "corrupted")]
            differences.append([(logits[answer] - logits[wrong]).item() for logits in sides])
    clean, corrupted = np.array(differences).T
    assert found.right.n == len(differences) >= 10
    measured = [found.clean.value, found.corrupted.value, found.difference.value]
    np.testing.assert_allclose(measured, [clean.mean(), corrupted.mean(), (clean - corrupted).mean()], atol=1e-4)
    assert found.right.value == ((clean > 0) & (corrupted < 0)).mean()
    # Even chances prefer neither verb.
    assert found.random_weights.value == 0
    assert found.example == read_agreement("fr")[0]
