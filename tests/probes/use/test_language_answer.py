"""The next token's language, by hand and under erasure."""

import numpy as np
import pytest
import torch
from scipy.special import softmax

from interp.errors import InputError
from interp.prompts import TokenBatch
from probes import ProbeTask
from probes.use.language_answer import next_language_answer

LANGUAGES = ("en", "fr")
SHARES = np.array([[1.0, 0], [0, 1.0], [0.5, 0.5], [0, 0]])


def task(labels=("en", "fr") * 5) -> ProbeTask:
    batch = TokenBatch.of([np.array([3, row % 4, row % 3]) for row in range(5)])
    prompts = np.repeat(np.arange(5), 2)
    return ProbeTask(batch, prompts, np.tile([1, 2], 5), np.array(labels), prompts)


def test_by_hand():
    """Probabilities .4 English, .1 French, .2 shared, .3 none: odds (.4 + .1) to (.1 + .1)."""
    logits = torch.log(torch.tensor([0.4, 0.1, 0.2, 0.3])).expand(5, 3, 4)
    read = next_language_answer(task(("en",) * 5 + ("fr",) * 5), SHARES, LANGUAGES)
    # Prompts 0 and 1 are English throughout, prompt 2 half, 3 and 4 French.
    wanted = np.log(0.5 / 0.2) * np.array([1, 1, 0, -1, -1])
    np.testing.assert_allclose(read.score(logits, logits, slice(0, 5)).numpy(), wanted, atol=1e-6)


def test_of_some_rows_and_only_the_labelled_positions():
    rng = np.random.default_rng(0)
    logits, given = rng.normal(size=(5, 3, 4)).astype(np.float32), task()
    read = next_language_answer(given, SHARES, LANGUAGES)
    mass = softmax(logits.astype(float), -1) @ SHARES
    odds = np.log(mass[..., 0] / mass[..., 1])
    wanted = (odds[:, 1] - odds[:, 2]) / 2
    found = read.score(torch.from_numpy(logits[2:4]), torch.from_numpy(logits[2:4]), slice(2, 4))
    np.testing.assert_allclose(found.numpy(), wanted[2:4], atol=1e-6)


def test_a_language_that_is_nearly_certain_keeps_its_odds():
    """1 - p in float32 would be 0 here."""
    logits = torch.tensor([40.0, 0, -1000, -1000]).expand(5, 3, 4)
    read = next_language_answer(task(), SHARES, LANGUAGES).score(logits, logits, slice(0, 5))
    np.testing.assert_allclose(read.numpy(), 0, atol=1e-9)
    read = next_language_answer(task(("en",) * 5 + ("fr",) * 5), SHARES, LANGUAGES)
    assert float(read.score(logits, logits, slice(0, 5))[0]) == pytest.approx(40)


def test_odds_past_float32_and_languages_in_any_order():
    """e to the -200 is 0 in float32; and the columns of the shares follow the languages as they are given."""
    given = task(("en",) * 5 + ("fr",) * 5)
    logits = torch.tensor([200.0, 0, -1000, -1000]).expand(5, 3, 4)
    for shares, languages in ((SHARES, LANGUAGES), (SHARES[:, ::-1].copy(), LANGUAGES[::-1])):
        read = next_language_answer(given, shares, languages).score(logits, logits, slice(0, 5))
        np.testing.assert_allclose(read.numpy(), [200, 200, 0, -200, -200])


def test_of_some_rows_it_reads_their_own_languages_and_positions():
    """The last prompts: French at position 2 alone, after others that are English at position 1."""
    batch = TokenBatch.of(list(np.arange(30).reshape(10, 3)))
    rows, half = np.arange(10), np.arange(10) >= 5
    given = ProbeTask(batch, rows, np.where(half, 2, 1), np.where(half, "fr", "en"), rows)
    logits = torch.zeros(2, 3, 4)
    logits[:, 1, 0], logits[:, 2, 1] = 7.0, 3.0
    read = next_language_answer(given, SHARES, LANGUAGES)
    own, other = np.exp(3) + 0.5, 1 + 0.5
    np.testing.assert_allclose(read.score(logits, logits, slice(8, 10)), np.log(own / other), atol=1e-6)


def test_shares_are_of_one_token_together():
    rounded = SHARES * (1 + 1e-9)
    next_language_answer(task(), rounded, LANGUAGES)
    with pytest.raises(InputError, match="above 1 together"):
        next_language_answer(task(), np.array([[1.0, 0], [0, 1], [0.7, 0.7], [0, 0]]), LANGUAGES)


@pytest.mark.parametrize(
    ("shares", "languages", "words"),
    [
        (SHARES, ("en", "fr", "de"), "2 columns of shares"),
        (SHARES, ("en", "en"), "each once"),
        (SHARES, ("en", "de"), r"labels \['fr'\]"),
        (SHARES * 2, LANGUAGES, "above 1"),
        (-SHARES, LANGUAGES, "negative"),
        (SHARES * np.array([1, np.nan]), LANGUAGES, "not finite"),
        (SHARES * np.array([1, 0]), LANGUAGES, r"No token speaks for \['fr'\]"),
    ],
)
def test_refusals(shares, languages, words):
    with pytest.raises(InputError, match=words):
        next_language_answer(task(), shares, languages)


def test_a_vocabulary_of_another_size_is_refused():
    logits = torch.zeros(5, 3, 7)
    with pytest.raises(InputError, match="4 tokens have languages and the model has 7"):
        next_language_answer(task(), SHARES, LANGUAGES).score(logits, logits, slice(0, 5))
