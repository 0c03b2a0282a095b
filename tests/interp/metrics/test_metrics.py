import math

import pytest
import torch

from interp.errors import InputError, ResultError
from interp.metrics import METRICS, Reading, as_metric

LOGITS = torch.tensor([[math.log(1.0), math.log(2.0), math.log(5.0)], [0.0, 3.0, 1.0]])
READING = Reading(
    LOGITS,
    answers=torch.tensor([2, 2]),
    wrong_answers=torch.tensor([1, 1]),
    reference=torch.tensor([[math.log(1.0), math.log(1.0), math.log(2.0)], [0.0, 3.0, 1.0]]),
)

# Probabilities of the first prompt are 1/8, 2/8, 5/8, worked out by hand; of its reference 1/4, 1/4, 2/4.
BY_HAND = {
    "logit_diff": [math.log(2.5), -2.0],
    "log_prob": [math.log(5 / 8), 1 - math.log(1 + math.exp(3) + math.exp(1))],
    "prob": [5 / 8, math.exp(1) / (1 + math.exp(3) + math.exp(1))],
    "rank": [0.0, 1.0],
    "accuracy": [1.0, 0.0],
    "kl": [0.25 * math.log(2.0) + 0.25 * math.log(1.0) + 0.5 * math.log(0.8), 0.0],
}


@pytest.mark.parametrize("name", METRICS)
def test_each_metric_equals_the_number_worked_out_by_hand(name):
    torch.testing.assert_close(METRICS[name](READING), torch.tensor(BY_HAND[name]), atol=1e-6, rtol=0)


def test_any_function_of_a_reading_is_a_metric():
    def entropy(reading):
        return -(reading.logits.softmax(-1) * reading.logits.log_softmax(-1)).sum(-1)

    assert as_metric(entropy).name == "entropy"
    assert as_metric(entropy)(READING).shape == (2,)


def test_nan_is_an_error_and_never_averaged():
    with pytest.raises(ResultError, match="NaN or infinite for 2 of 2"):
        as_metric(lambda reading: reading.logits[:, 0] * float("nan"))(READING)


def test_a_metric_that_returns_one_number_for_all_prompts_is_refused():
    with pytest.raises(ResultError, match="one number per prompt"):
        as_metric(lambda reading: reading.logits.mean())(READING)


def test_an_unknown_metric_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="logit_diff"):
        as_metric("logit_dif")
