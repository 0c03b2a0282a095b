import numpy as np
import pytest
import torch

from interp.errors import InputError, ModelError
from interp.prompts import TokenBatch
from interp.run import forward
from interp.run.lens import EMBED, lens_layers, lens_probabilities


@pytest.fixture
def batch():
    return TokenBatch.of([np.array([3, 5, 7, 9]), np.array([4, 6])])


def test_the_last_layer_reads_what_the_model_predicts(tiny, batch):
    pos, tokens = np.array([2, 1]), [np.array([1, 8, 20]), np.array([0])]
    read = lens_probabilities(tiny, batch, pos, tokens)
    predicted = forward(tiny, batch).softmax(-1)
    assert [of.shape for of in read] == [(4, 3), (4, 1)]
    for row, (of, at, chosen) in enumerate(zip(read, pos, tokens, strict=True)):
        np.testing.assert_allclose(of[-1], predicted[row, at, chosen].numpy(), rtol=1e-4)


def test_the_first_layer_reads_the_embedding_alone(tiny, batch):
    assert lens_layers(tiny) == [EMBED, 0, 1, 2]
    read = lens_probabilities(tiny, batch, np.array([3, 1]), [np.array([2])] * 2)
    other = TokenBatch.of([np.array([1, 1, 1, 9]), np.array([4, 6])])
    again = lens_probabilities(tiny, other, np.array([3, 1]), [np.array([2])] * 2)
    np.testing.assert_allclose(read[0][0], again[0][0], rtol=1e-5)
    assert abs(read[0][-1] - again[0][-1]) > 1e-7, "other tokens must matter later, or this proves nothing"


def test_a_position_at_padding_is_refused(tiny, batch):
    with pytest.raises(InputError, match="position inside"):
        lens_probabilities(tiny, batch, np.array([1, 2]), [np.array([2])] * 2)


def test_an_encoder_is_refused(family_model):
    with pytest.raises(ModelError, match="no logit lens"):
        lens_probabilities(family_model("bert"), TokenBatch.of([np.array([1, 2])]), np.array([0]), [np.array([2])])


def test_all_probabilities_of_a_layer_sum_to_one(tiny, batch):
    every = np.arange(tiny.cfg.d_vocab)
    read = lens_probabilities(tiny, batch, np.array([0, 0]), [every, every])
    np.testing.assert_allclose(torch.tensor(np.stack(read)).sum(-1), 1, rtol=1e-4)
