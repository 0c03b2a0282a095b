import numpy as np
import pytest
import torch

from interp.attention import head_scores
from interp.models.zoo.texts import read_sentences
from interp.zoo_heads import (
    FIRST_QUERY,
    best_heads,
    first_token_weights,
    later_first_token,
    measure_sinks,
    sink_share,
    uniform_weight,
    windows,
)


@pytest.fixture(scope="module")
def passages():
    return ["\n".join(rows) for rows in read_sentences().values()]


def test_attention_to_the_first_token_by_hand():
    pattern = torch.zeros(1, 2, 10, 10)
    # Head 0 gives the first token 0.2 at query 8 and 0.4 at query 9; head 1 looks there before, which does not count.
    pattern[0, 0, 8:, 0] = torch.tensor([0.2, 0.4])
    pattern[0, 1, :8, 0] = 1.0
    found = later_first_token(pattern, torch.ones(1, 10, dtype=torch.bool))
    torch.testing.assert_close(found, torch.tensor([[0.3, 0.0]]))
    mask = torch.ones(1, 10, dtype=torch.bool)
    mask[0, 9] = False
    torch.testing.assert_close(later_first_token(pattern, mask)[0, 0].item(), 0.2, atol=1e-6, rtol=0)


def test_uniform_attention_is_what_a_model_of_zeros_has(uniform_model, passages):
    batch = windows(uniform_model, passages, length=30, n=1)
    queries = np.arange(FIRST_QUERY, 30)
    assert uniform_weight(batch) == pytest.approx((1 / (queries + 1)).mean())
    np.testing.assert_allclose(first_token_weights(uniform_model, batch), uniform_weight(batch), rtol=1e-5)


def test_windows_are_full_and_follow_each_other(trained_model, passages, recipe):
    batch = windows(trained_model, passages[:2], n=2)
    assert batch.tokens.shape == (4, recipe.n_ctx)
    assert batch.mask.all()
    assert (batch.tokens[:, 0] == 0).all()
    text = trained_model.tokenizer.decode(np.concatenate(batch.tokens[:2, 1:]))
    assert passages[0].startswith(text)


def test_a_share_of_heads_counts_those_above_five_times_uniform():
    weights = np.full((4, 2, 2), 0.01)
    weights[:, 0, 1] = 0.051
    # One text alone does not make a sink: the mean over texts counts.
    weights[0, 1, 1] = 0.1
    found = sink_share(weights, 0.01)
    assert (found.value, found.n) == (0.25, 4)
    assert found.low == 0.25 <= found.high == 0.5
    assert sink_share(weights, 0.011).value == 0.0


def test_sinks_stand_beside_random_weights(trained_model, uniform_model, passages):
    found = measure_sinks(trained_model, uniform_model, passages[:2], "sentences")
    assert found.random_weights == found.epsilon_random_weights == 0
    weights = first_token_weights(trained_model, windows(trained_model, passages[:2])).mean(0)
    assert list(found.heads.values()) == sorted(found.heads.values(), reverse=True)
    assert {name: pytest.approx(found.heads[name]) for name in found.heads} == {
        f"L{layer}H{head}": weights[layer, head] for layer in range(2) for head in range(2)
    }
    assert found.share.value == (weights >= 5 * found.uniform).mean()


def test_the_best_head_is_the_best_of_all(trained_model, uniform_model):
    scores = head_scores(trained_model, texts=None, control_models=[uniform_model], n_sequences=4)
    for found in best_heads(scores):
        of_kind = scores.data.sel(detector=found.detector)
        layer, head = int(found.head[1]), int(found.head[3])
        assert found.score == of_kind["score"].max() == of_kind["score"].sel(layer=layer, head=head)
        assert found.low == of_kind["score_low"].sel(layer=layer, head=head)
        assert found.threshold == of_kind["threshold"]
