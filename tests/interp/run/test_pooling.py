import pytest
import torch

from interp.errors import PromptError
from interp.prompts import Span
from interp.run import pool_words

ACTIVATION = torch.tensor([[[1.0, 10.0], [2.0, 20.0], [6.0, 60.0]], [[4.0, 40.0], [5.0, 50.0], [0.0, 0.0]]])
WORDS = [[Span(0, 1), Span(1, 3)], [Span(0, 2)]]


def test_a_word_is_the_mean_or_the_last_of_its_tokens():
    first, second = pool_words(ACTIVATION, WORDS)
    assert first.tolist() == [[1.0, 10.0], [4.0, 40.0]]
    assert second.tolist() == [[4.5, 45.0]]
    assert pool_words(ACTIVATION, WORDS, how="last")[0].tolist() == [[1.0, 10.0], [6.0, 60.0]]


def test_words_that_do_not_fit_are_refused():
    with pytest.raises(PromptError, match="one list for each"):
        pool_words(ACTIVATION, WORDS[:1])
    with pytest.raises(PromptError, match="reaches past"):
        pool_words(ACTIVATION, [[Span(2, 4)], []])
