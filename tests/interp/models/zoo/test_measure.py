import math

import numpy as np
import pytest
import torch

from interp.errors import InputError, ModelError
from interp.models.zoo.corpus import read_novels
from interp.models.zoo.measure import (
    Estimate,
    TextLoss,
    byte_unigram_bits,
    estimate,
    next_log_probs,
    repeated_random_loss,
    share,
    text_loss,
)


@pytest.fixture(scope="module")
def passages(corpus):
    return [split.held_out[0] for split in read_novels(corpus).values()]


def test_bits_per_byte_by_hand():
    # 3 ln 2 nats over 2 bytes and 5 ln 2 nats over 6 bytes: 8 bits over 8 bytes, not the mean of 3/2 and 5/6.
    loss = TextLoss(np.array([3, 5]) * math.log(2), np.array([2, 6]), n_tokens=4)
    found = loss.bits_per_byte()
    assert found.value == pytest.approx(1)
    assert (found.low, found.high, found.n) == (pytest.approx(5 / 6), pytest.approx(3 / 2), 2)


def test_a_model_that_knows_nothing_needs_log2_of_the_vocabulary_for_each_token(uniform_model, passages, recipe):
    n_tokens = sum(len(uniform_model.tokenizer(text, add_special_tokens=False)["input_ids"]) for text in passages)
    n_bytes = sum(len(text.encode()) for text in passages)
    assert n_bytes > sum(map(len, passages))
    loss = text_loss(uniform_model, passages)
    assert loss.n_tokens == n_tokens
    assert loss.n_bytes.sum() == n_bytes
    assert loss.bits_per_byte().value == pytest.approx(math.log2(recipe.d_vocab) * n_tokens / n_bytes)


def test_every_token_is_scored_once_after_bos_and_what_stands_before_it(trained_model, passages, recipe):
    """The same sum from the Hugging Face model, a window at a time."""
    from transformers import AutoModelForCausalLM

    directory = trained_model.cfg.model_name
    plain = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    ids = trained_model.tokenizer(passages[1], add_special_tokens=False)["input_ids"]
    room = recipe.n_ctx - 1
    wanted = []
    for start in range(0, len(ids), room):
        window = torch.tensor([[0, *ids[start : start + room]]])
        with torch.no_grad():
            wanted.append(plain(window, labels=window).loss.item() * (window.shape[1] - 1))
    assert len(wanted) > 3
    np.testing.assert_allclose(text_loss(trained_model, passages[1:2]).nats, wanted, rtol=1e-4)


def test_training_beats_its_controls_on_held_out_novels(trained_model, uniform_model, passages, corpus):
    found = text_loss(trained_model, passages).bits_per_byte()
    assert found.low < found.value < found.high
    assert found.high < text_loss(uniform_model, passages).bits_per_byte().low
    train = [text for split in read_novels(corpus).values() for text in split.train]
    assert found.high < byte_unigram_bits(train, passages)


def test_a_text_of_one_window_gives_no_interval(uniform_model):
    with pytest.raises(InputError, match="1 windows"):
        text_loss(uniform_model, ["la maison"])


def test_a_tokenizer_that_is_not_byte_level_is_refused(family_model):
    model = family_model("bert")
    with pytest.raises(ModelError, match="byte-level"):
        text_loss(model, ["the old clock", "in the hall"])


def test_byte_frequencies_by_hand():
    # Three a and one b, each byte counted once more: a 4/260, b 2/260.
    wanted = -(math.log2(4 / 260) + math.log2(2 / 260)) / 2
    assert byte_unigram_bits(["aa", "ab"], ["ba"]) == pytest.approx(wanted)
    # A byte never seen in training is improbable, not impossible.
    assert byte_unigram_bits(["aaab"], ["é"]) == pytest.approx(math.log2(260))


def test_repetition_saves_a_model_that_knows_nothing_nothing(uniform_model, recipe):
    found = repeated_random_loss(uniform_model, n_sequences=4, period=10)
    for side in (found.first, found.second):
        assert side.value == pytest.approx(math.log(recipe.d_vocab), rel=1e-5)
        assert side.n == 4
    assert found.saved.value == pytest.approx(0, abs=1e-5)
    assert found.period == 10


def test_copies_are_compared_token_by_token_without_their_first(trained_model, recipe):
    """The same numbers from one plain forward pass over the same draw."""
    period, n_sequences = 6, 5
    found = repeated_random_loss(trained_model, n_sequences=n_sequences, period=period, seed=3)
    random = np.random.default_rng(3).choice(np.arange(3, recipe.d_vocab), size=(n_sequences, period))
    tokens = torch.tensor(np.concatenate([np.zeros((n_sequences, 1), int), random, random], axis=1))
    with torch.no_grad():
        log_probs = trained_model(tokens).log_softmax(-1)
    # Position of each token: BOS 0, first copy 1 to 6, second copy 7 to 12; it is predicted one position earlier.
    first, second = (
        -np.mean([[log_probs[row, at - 1, tokens[row, at]].item() for at in places] for row in range(n_sequences)])
        for places in (range(2, 7), range(8, 13))
    )
    assert found.first.value == pytest.approx(first, rel=1e-5)
    assert found.second.value == pytest.approx(second, rel=1e-5)
    assert found.saved.value == pytest.approx(first - second, abs=1e-5)


def test_two_copies_must_fit_the_context(uniform_model, recipe):
    repeated_random_loss(uniform_model, n_sequences=2, period=(recipe.n_ctx - 1) // 2)
    with pytest.raises(InputError, match="do not fit"):
        repeated_random_loss(uniform_model, n_sequences=2, period=recipe.n_ctx // 2)


def test_an_estimate_is_a_mean_with_its_interval():
    found = estimate(np.array([1.0, 2.0, 3.0, 6.0]))
    assert (found.value, found.n) == (3.0, 4)
    assert 1 <= found.low < 3 < found.high <= 6
    assert estimate(np.ones(5)) == Estimate(1.0, 1.0, 1.0, 5)


def test_a_share_has_wilsons_interval():
    # Wilson at 9 of 10 by hand: centre (0.9 + z²/20) / (1 + z²/10), half-width z sqrt(0.009 + z²/400) / (1 + z²/10).
    z2, n = 1.959964**2, 10
    centre, half = (0.9 + z2 / 20) / (1 + z2 / 10), (z2 * (0.009 + z2 / 400)) ** 0.5 / (1 + z2 / 10)
    found = share(np.arange(n) > 0)
    assert found.value == 0.9
    assert (found.low, found.high, found.n) == (pytest.approx(centre - half), pytest.approx(centre + half), n)
    assert share(np.ones(5, bool)).low < share(np.ones(5, bool)).high == pytest.approx(1)


def test_the_text_after_a_prompt_is_scored_and_the_prompt_is_not(trained_model, uniform_model, recipe):
    prompts, following = ["la maison", "the old clock was"], [" était nuit", " letter"]
    found = next_log_probs(uniform_model, prompts, following)
    np.testing.assert_allclose(found, -math.log(recipe.d_vocab), rtol=1e-5)
    wanted = []
    for prompt, end in zip(prompts, following, strict=True):
        start = trained_model.tokenizer(prompt)["input_ids"]
        ids = trained_model.tokenizer(end, add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            log_probs = trained_model(torch.tensor([[*start, *ids]]))[0].log_softmax(-1)
        wanted.append(np.mean([log_probs[len(start) + at - 1, token].item() for at, token in enumerate(ids)]))
    np.testing.assert_allclose(next_log_probs(trained_model, prompts, following), wanted, rtol=1e-4)


def test_the_shipped_model_copies_and_random_weights_do_not(shipped):
    model, control = (repeated_random_loss(shipped(prefix), n_sequences=8) for prefix in ("", "random:"))
    assert model.saved.low > 0.2
    assert abs(control.saved.value) < 0.1
