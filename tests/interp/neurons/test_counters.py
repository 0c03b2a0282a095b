"""Counters add up, come back from disk as they went, and read quantiles off their histogram."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from interp.errors import InputError
from interp.neurons.count import binned
from interp.neurons.counters import NeuronCounters, bin_edges

ZEROS = NeuronCounters.zeros(("en", "fr"), n_layers=3, n_neurons=5, model="m")


def tallied(values: np.ndarray, language: np.ndarray) -> NeuronCounters:
    """Counters of values `[token, layer, neuron]`, each a row of its own; fires where a value is above 0.5."""
    arrays = {name: getattr(ZEROS, name).copy() for name in ("fires", "over_zero", "total", "squares", "low", "high")}
    histogram = ZEROS.histogram.copy()
    for token, number in zip(values, language, strict=True):
        arrays["fires"][number] += token > 0.5
        arrays["over_zero"][number] += token > 0
        arrays["total"][number] += token
        arrays["squares"][number] += token**2
        arrays["low"][number] = np.minimum(arrays["low"][number], token)
        arrays["high"][number] = np.maximum(arrays["high"][number], token)
        place = np.searchsorted(bin_edges()[1:-1], token, side="right")
        np.put_along_axis(
            histogram[number], place[..., None], 1 + np.take_along_axis(histogram[number], place[..., None], -1), -1
        )
    hashes = sum(hash((token.tobytes(), int(n))) % 2**64 for token, n in zip(values, language, strict=True)) % 2**64
    n = np.bincount(language, minlength=2)
    return replace(ZEROS, **arrays, histogram=histogram, n=n, n_rows=len(values), rows_sum=hashes)


@pytest.fixture
def tokens() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    # Eighths: their sums are exact, whatever the order.
    return rng.integers(-40, 60, (300, 3, 5)) / 8, rng.integers(0, 2, 300)


def test_shards_add_up_to_the_whole_in_any_order(tokens):
    values, language = tokens
    whole = tallied(values, language)
    parts = [tallied(values[part], language[part]) for part in (slice(0, 50), slice(50, 51), slice(51, 300))]
    assert parts[0] != whole
    assert parts[0] + parts[1] + parts[2] == whole == parts[2] + (parts[1] + parts[0])
    assert whole + ZEROS == whole


def test_what_is_read_off_is_what_numpy_says_of_the_tokens(tokens):
    values, language = tokens
    counters = tallied(values, language)
    for number in range(2):
        mine = values[language == number]
        np.testing.assert_allclose(counters.probability[number], (mine > 0.5).mean(0))
        np.testing.assert_allclose(counters.mean[number], mine.mean(0))
        np.testing.assert_allclose(counters.std[number], mine.std(0))
        np.testing.assert_array_equal(counters.low[number], mine.min(0))
        np.testing.assert_array_equal(counters.high[number], mine.max(0))


def test_quantiles_lie_within_a_bin_of_the_true_ones_and_end_at_the_extremes(tokens):
    values, language = tokens
    values = np.sign(values) * np.abs(values) ** 3 / 30
    counters = tallied(values, language)
    for share in (0.05, 0.25, 0.5, 0.9):
        true = np.stack([np.quantile(values[language == n], share, axis=0, method="inverted_cdf") for n in range(2)])
        assert (np.abs(counters.quantile(share) - true) <= np.maximum(0.25 * np.abs(true), 2**-7)).all()
    assert (counters.quantile(0.0) <= counters.quantile(0.01)).all()
    np.testing.assert_array_equal(counters.quantile(1.0), counters.high)
    assert (counters.quantile(0.0) >= counters.low).all()


def test_a_median_worked_by_hand():
    # Three values of 1, one of 1.1 (same bin, 1 to 1.25), one of 3 (bin 3 to 3.5): the median is the 2.5th of five, so
    # 2.5 of the 4 in the first bin, which reaches from the least value, 1, to 1.25.
    values = np.ones((5, 3, 5))
    values[3], values[4] = 1.1, 3.0
    both = np.concatenate([values, values])
    counters = tallied(both, np.repeat([0, 1], 5))
    np.testing.assert_allclose(counters.quantile(0.5), 1 + 0.25 * 2.5 / 4)


def test_bits_find_the_bins_that_searching_finds():
    edges = bin_edges()
    rng = np.random.default_rng(0)
    values = np.concatenate([edges[1:-1], np.nextafter(np.float32(edges[1:-1]), np.float32(0)), [0, -0.0, 1e30, -1e30]])
    values = np.concatenate([values, np.exp(rng.normal(0, 4, 4000)) * rng.choice([-1, 1], 4000)]).astype(np.float32)
    found = binned(torch.from_numpy(values)[:, None])[0]
    magnitude = np.searchsorted(edges[len(edges) // 2 : -1], np.abs(values).astype(float), side="right")
    middle = len(found) // 2
    np.testing.assert_array_equal(found, np.bincount(middle + np.sign(values).astype(int) * magnitude, minlength=129))
    assert np.all(np.diff(edges) > 0)


def test_counters_come_back_from_disk_to_the_last_bit(tokens, tmp_path):
    counters = tallied(*tokens)
    assert NeuronCounters.load(counters.save(tmp_path / "counters.safetensors")) == counters
    empty = ZEROS.save(tmp_path / "empty.safetensors")
    assert NeuronCounters.load(empty) == ZEROS
    assert sorted(path.name for path in tmp_path.iterdir()) == ["counters.safetensors", "empty.safetensors"]


@pytest.mark.parametrize("change", [{"total": 1}, {"low": 1}, {"n": 1}, {"histogram": 1}])
def test_one_changed_number_is_a_difference(tokens, change):
    counters = tallied(*tokens)
    (name,) = change
    changed = getattr(counters, name).copy()
    changed.flat[0] += 1
    assert replace(counters, **{name: changed}) != counters
    assert replace(counters, rows_sum=7) != counters


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "counters.safetensors"
    with pytest.raises(InputError, match=r"cannot be read as neuron counters"):
        NeuronCounters.load(path)
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"cannot be read as neuron counters"):
        NeuronCounters.load(path)


@pytest.mark.parametrize("change", [{"model": "other"}, {"languages": ("en", "de")}, {"sampled": 4}])
def test_counters_that_do_not_belong_together_are_refused(tokens, change):
    counters = tallied(*tokens)
    with pytest.raises(InputError, match="cannot be added"):
        counters + replace(counters, **change)


def test_a_language_without_tokens_has_no_mean_and_no_quantile(tokens):
    values, _ = tokens
    counters = tallied(values, np.zeros(len(values), int))
    with pytest.raises(InputError, match=r"No tokens were counted in \['fr'\]"):
        counters.mean  # noqa: B018
    with pytest.raises(InputError, match="no sampled tokens"):
        counters.quantile(0.5)
    with pytest.raises(InputError, match=r"no quantile 1\.5"):
        counters.quantile(1.5)
