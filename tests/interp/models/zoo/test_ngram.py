import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp.errors import InputError
from interp.models.zoo.ngram import KneserNey

A, B, C = 0, 1, 2


def test_a_bigram_probability_worked_out_by_hand():
    # Stream: a b a b a c. Bigrams ab 2, ba 2, ac 1; one singleton, two doubletons: discount 1 / (1 + 2 * 2) = 0.2.
    # Continuation counts: a after {b} = 1, b after {a} = 1, c after {a} = 1; no doubletons: discount 0.5.
    model = KneserNey.fit(np.array([A, B, A, B, A, C]), d_vocab=4, order=2)
    unigram_b = (1 - 0.5) / 3 + 0.5 * 3 / 3 * (1 / 4)
    after_a = (2 - 0.2) / 3 + 0.2 * 2 / 3 * unigram_b
    assert 2 ** model.log2_prob(np.array([A, B])) == pytest.approx([(1 - 0.5) / 3 + 0.5 / 4, after_a])


def test_an_unseen_context_is_predicted_from_the_shorter_one():
    model = KneserNey.fit(np.array([A, B, A, B, A, C]), d_vocab=4, order=2)
    after_unseen, alone = model.log2_prob(np.array([3, A]))[1], model.log2_prob(np.array([A]))[0]
    assert after_unseen == pytest.approx(alone)


@given(st.lists(st.integers(0, 5), min_size=5, max_size=60), st.lists(st.integers(0, 5), min_size=0, max_size=4))
def test_probabilities_after_any_context_sum_to_one(stream, context):
    model = KneserNey.fit(np.array(stream), d_vocab=6, order=4)
    total = sum(2 ** model.log2_prob(np.array([*context, token]))[-1] for token in range(6))
    assert total == pytest.approx(1.0)


def test_what_was_counted_is_predicted_better_than_what_was_shuffled():
    rng = np.random.default_rng(0)
    stream = np.resize(rng.integers(0, 50, 200), 4000)
    model = KneserNey.fit(stream, d_vocab=50)
    assert model.log2_prob(stream[:500]).mean() > -0.2
    assert model.log2_prob(rng.permutation(stream)[:500]).mean() < -4


@pytest.mark.parametrize(("tokens", "d_vocab"), [(np.arange(3), 10), (np.arange(9), 2**14)])
def test_too_little_text_and_too_many_tokens_are_refused(tokens, d_vocab):
    with pytest.raises(InputError, match=r"fewer than|64"):
        KneserNey.fit(tokens, d_vocab=d_vocab)
