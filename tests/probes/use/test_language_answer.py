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
