"""A task that makes a sink necessary: what its eviction costs is known."""

import numpy as np
import pytest
import torch

from interp.errors import InputError
from interp.models import load_model
from interp.models.decoder import as_decoder
from interp.models.zoo.sink import SEEDS, load_arm
from interp.models.zoo.sink_task import Recipe, measure
from interp.streaming import stream_errors
from interp.streaming.banded import BandedStream
from interp.streaming.cached import CachedStream
from interp.streaming.policy import Policy

CONTROL = "control: 1 from 5"


def errors(arm, seed):
    return stream_errors(load_arm(arm, seed), n_streams=8).data


@pytest.mark.parametrize("seed", SEEDS)
def test_softmax_needs_bos_and_no_other_token(seed):
    data = errors("softmax", seed)
    other = dict(zip(data["arm"].values, data["mse_other"].values, strict=True))
    assert other["window"] > 100 * other["1 sink"]
    assert other[CONTROL] > 0.9 * other["window"] > 0.04
    assert other["1 sink"] < 1e-5
    assert data["mse_other_low"].sel(arm="window").item() > 100 * data["mse_other_high"].sel(arm="1 sink").item()
    kept = data.sel(arm="1 sink")
    assert kept["bos_attention_other"].item() > 0.98
    assert kept["bos_attention_trigger"].item() < 0.02
    # The same at the length it was trained on, with everything in sight.
    trained = measure(load_arm("softmax", seed))
    assert trained.bos_attention_other > 0.98
    assert trained.bos_attention_trigger < 0.02
    np.testing.assert_array_equal(data["control_mse_other"].sel(arm="1 sink"), other[CONTROL])


@pytest.mark.parametrize("seed", SEEDS)
def test_the_others_need_it_less_or_not_at_all(seed):
    softmax, off_by_one, relu = (errors(arm, seed)["mse_other"] for arm in ("softmax", "off-by-one", "relu"))
    assert off_by_one.sel(arm="window") < softmax.sel(arm="window") / 5
    assert relu.max() < 1e-6
    assert errors("relu", seed)["bos_attention_other"].max() < 1e-3


@pytest.mark.parametrize("kept", [range(0), range(1), range(5, 6)])
def test_the_hooked_model_streams_to_the_same_errors(kept):
    # The plain module under a mask, and the same weights as a hooked model through the two ways to stream.
    plain, model = load_arm("softmax", 1), load_model("zoo:sink-softmax-1")
    decoder, policy, n = as_decoder(model), Policy(16, kept), 100
    tokens = torch.randint(2, 258, (2, n), generator=torch.Generator().manual_seed(0))
    tokens[:, 0] = 1
    from interp.models.zoo.sink_native import token_inputs

    places = torch.arange(n)
    expected = plain(token_inputs(Recipe())[tokens], policy.mask(places, places))[0]
    for stream in (BandedStream(decoder, policy, block=n), CachedStream(decoder, policy)):
        torch.testing.assert_close(decoder.logits(stream.advance(tokens)), expected, rtol=0, atol=1e-5)


def test_relu_divides_by_what_it_sees():
    model = load_arm("relu", 0)
    inputs = torch.randn(1, 6, 10, generator=torch.Generator().manual_seed(0)) * 3
    places = torch.arange(6)
    pattern = model(inputs, Policy(2).mask(places, places))[1]
    x = model.embed(inputs)
    scores = (model.q(x) @ model.k(x).mT / 32**0.5)[0].relu()
    for query in range(1, 6):
        torch.testing.assert_close(pattern[0, query, query - 1 : query + 1], scores[query, query - 1 : query + 1] / 2)
        assert not pattern[0, query, : query - 1].any()


@pytest.mark.parametrize("settings", [{"keep": 0}, {"keep": 16}, {"window": 65}, {"length": 64}, {"n_streams": 1}])
def test_what_measures_nothing_is_refused(settings):
    with pytest.raises(InputError, match="measure nothing"):
        stream_errors(load_arm("softmax", 0), **settings)
