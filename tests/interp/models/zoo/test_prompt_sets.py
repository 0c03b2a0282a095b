import numpy as np
import pytest

from interp.errors import InputError, PromptError
from interp.models import zoo
from interp.models.zoo.prompt_sets import ARTICLES, NAMES, agreement_prompts, prompts
from interp.models.zoo.texts import AGREEMENT_IN, read_agreement, read_sentences, read_switched


@pytest.fixture(scope="module")
def model(shipped):
    return shipped("")


@pytest.fixture(scope="module")
def encoder(model):
    from interp.models import ModelEncoder

    return ModelEncoder(model)


def written(encoder, ids) -> str:
    # Not the token texts: a letter of two byte tokens is no letter there.
    return encoder.model.tokenizer.decode(ids, clean_up_tokenization_spaces=False)


@pytest.mark.parametrize("name", NAMES)
def test_every_set_has_pairs_that_the_model_can_read(name, model, encoder):
    made = prompts(name, encoder)
    assert len(made) >= 8
    made.check_fits(d_vocab=model.cfg.d_vocab, n_ctx=model.cfg.n_ctx)
    for pair in made:
        assert pair.answer != pair.wrong_answer
        assert pair.str_tokens
        assert pair.words
        # The last tokens stand for each other: both answers are read there.
        assert tuple(pair.aligned_positions[-1]) == (len(pair.clean) - 1, len(pair.corrupted) - 1)


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_decides_the_set(name, encoder):
    assert same(prompts(name, encoder, n=8, seed=3), prompts(name, encoder, n=8, seed=3))
    assert same(prompts(name, encoder, n=8, seed=3), prompts(name, encoder, n=12, seed=3).take(range(8)))
    assert not same(prompts(name, encoder, n=8, seed=3), prompts(name, encoder, n=8, seed=4))


def same(left, right) -> bool:
    return len(left) == len(right) and all(
        np.array_equal(a.clean, b.clean) and np.array_equal(a.corrupted, b.corrupted) and a.answer == b.answer
        for a, b in zip(left, right, strict=True)
    )


def test_agreement_asks_every_shipped_pair_of_all_languages(encoder):
    records = [record for language in AGREEMENT_IN for record in read_agreement(language)]
    made = prompts("polyglot/agreement", encoder)
    assert len(made) == len(records) >= 48
    asked = {(written(encoder, pair.clean[1:]), written(encoder, pair.corrupted[1:])) for pair in made}
    assert asked == {(record["clean"], record["corrupted"]) for record in records}
    # What both sides end with stands for itself, so that a patch at the verb's place is a patch at the verb's place.
    for pair in made:
        words = written(encoder, pair.clean[1:]).split()[-2:]
        shared = len(encoder.encode_answer(" " + " ".join(words)))
        aligned = pair.aligned_positions[-shared:]
        np.testing.assert_array_equal(pair.clean[aligned[:, 0]], pair.corrupted[aligned[:, 1]])


def test_agreement_of_one_language_holds_its_pairs_alone(encoder):
    for language in AGREEMENT_IN:
        made = agreement_prompts(language, encoder)
        assert [written(encoder, pair.clean[1:]) for pair in made] == [
            record["clean"] for record in read_agreement(language)
        ]


def test_induction_repeats_a_sentence_and_asks_for_the_word_that_stood_there(encoder):
    known = {row for rows in read_sentences().values() for row in rows}
    made = prompts("polyglot/induction", encoder)
    for pair in made:
        text = written(encoder, pair.clean[1:])
        sentence = next(row for row in known if text.startswith(f"{row} "))
        again = text.removeprefix(f"{sentence} ")
        answer, wrong = (written(encoder, [token]) for token in (pair.answer, pair.wrong_answer))
        assert sentence.startswith(again + answer)
        (place,) = np.flatnonzero(pair.clean != pair.corrupted)
        assert (pair.clean[place], pair.corrupted[place]) == (pair.answer, pair.wrong_answer)
        assert wrong.strip() not in sentence.split()


def test_language_pairs_are_translations_cut_before_words_of_their_own_language(encoder):
    sentences = read_sentences()
    place = {row: (language, number) for language, rows in sentences.items() for number, row in enumerate(rows)}
    first = set()
    for pair in prompts("polyglot/language", encoder):
        sides = [
            written(encoder, [*ids[1:], answer])
            for ids, answer in ((pair.clean, pair.answer), (pair.corrupted, pair.wrong_answer))
        ]
        (language, row), (other, other_row) = (
            next(where for sentence, where in place.items() if sentence.startswith(f"{side} ")) for side in sides
        )
        assert row == other_row
        assert (language == "en") != (other == "en")
        first.add(language)
        assert tuple(pair.aligned_positions[0]) == (0, 0)
    assert first == set(sentences)


def test_switch_shows_two_words_of_the_new_language_and_asks_which_goes_on(encoder):
    switched = {" ".join(s.words[: s.switch_points[0] + 2]): s for s in read_switched()}
    for pair in prompts("polyglot/switch", encoder):
        sentence = switched[written(encoder, pair.clean[1:])]
        assert sentence.kind == "between-clause"
        point = sentence.switch_points[0]
        assert written(encoder, pair.corrupted[1:]) == " ".join(sentence.words[:point])
        assert written(encoder, [pair.answer]) == ARTICLES[sentence.languages[point]]
        assert written(encoder, [pair.wrong_answer]) == ARTICLES[sentence.languages[point - 1]]
        assert pair.clean[: len(pair.corrupted)].tolist() == pair.corrupted.tolist()
        # What both prompts begin with stands for itself; the new words stand for the last old ones.
        clean, corrupted = pair.aligned_positions.T
        new = clean >= len(pair.corrupted)
        np.testing.assert_array_equal(clean[~new], corrupted[~new])
        assert len(new) == len(pair.corrupted)
        assert new.sum() == min(len(pair.clean) - len(pair.corrupted), len(pair.corrupted) - 1)


@pytest.mark.parametrize("name", ["polyglot/language", "polyglot/switch"])
def test_the_shipped_model_tells_the_two_sides_apart(name, model, encoder):
    from interp.zoo_agreement import logit_differences

    made = prompts(name, encoder, n=32)
    clean, corrupted = (logit_differences(model, made, side) for side in ("clean", "corrupted"))
    assert clean.mean() > 1
    assert corrupted.mean() < -1


def test_an_unknown_name_is_refused_with_the_known_ones(encoder):
    with pytest.raises(InputError, match=r"polyglot/nothing.*polyglot/agreement.*polyglot/switch"):
        prompts("polyglot/nothing", encoder)


def test_a_number_that_cannot_be_made_is_refused(encoder):
    with pytest.raises(InputError, match="n=0"):
        prompts("polyglot/switch", encoder, n=0)
    with pytest.raises(PromptError, match=r"has \d+ pairs for this tokenizer, not 100000"):
        prompts("polyglot/switch", encoder, n=100_000)


def test_the_zoo_opens_on_its_prompts():
    assert zoo.prompts is prompts
    with pytest.raises(AttributeError, match="nothing"):
        zoo.nothing  # noqa: B018
