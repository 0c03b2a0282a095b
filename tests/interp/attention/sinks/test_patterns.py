"""Reducing one pattern: golden values, and the same numbers as sums written out plainly."""

import numpy as np
import pytest
import torch
from torch import Tensor

from interp.attention.sinks.patterns import PatternSettings, by_distance, distance_bins, reduce_pattern
from interp.errors import InputError


def settings(n_tokens: int = 64, *, causal: bool = True, n_classes: int = 2) -> PatternSettings:
    return PatternSettings(n_tokens, causal, n_classes, distance_bins(n_tokens), 0.3)


def uniform(n: int) -> Tensor:
    return torch.ones(n, n).tril() / torch.arange(1, n + 1)[:, None]


def random_pattern(n_heads: int, n: int, *, causal: bool = True, seed: int = 0) -> Tensor:
    scores = 2 * torch.randn(n_heads, n, n, generator=torch.Generator().manual_seed(seed))
    return (scores.masked_fill(torch.ones(n, n).triu(1).bool(), -torch.inf) if causal else scores).softmax(-1)


def classes(n: int) -> Tensor:
    return (torch.arange(n) == 0).long()


def test_uniform_causal_attention_gives_its_golden_values() -> None:
    found = reduce_pattern(uniform(64)[None], classes(64), settings())
    assert found["alpha"].item() == pytest.approx(0.0741233, abs=1e-6)
    assert found["alpha_mean"][0].item() == pytest.approx(0.0741233, abs=1e-6)
    assert found["first"].item() == pytest.approx((1 / np.arange(2, 65)).mean(), abs=1e-6)
    assert found["entropy"].item() == pytest.approx(np.log(np.arange(2, 65)).mean(), abs=1e-5)
    assert found["learned"].item() == pytest.approx(0, abs=1e-6)
    assert len(found["alpha_mean"]) == 64 - 8


@pytest.mark.parametrize(("epsilon", "share"), [(0.3, 0.243960), (0.8, 0.783989)])
def test_a_mixture_crosses_the_thresholds_where_it_should(epsilon: float, share: float) -> None:
    to_bos = torch.zeros(64, 64)
    to_bos[:, 0] = 1
    mixtures = torch.stack([a * to_bos + (1 - a) * uniform(64) for a in (share - 1e-4, share + 1e-4)])
    alpha = reduce_pattern(mixtures, classes(64), settings())["alpha"]
    assert alpha[0] < epsilon < alpha[1]
    assert reduce_pattern(to_bos[None], classes(64), settings())["alpha"].item() == 1


def test_what_goes_to_a_learned_sink_is_the_sigmoid_of_its_score_over_the_others() -> None:
    scores = torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(1)).masked_fill(
        torch.ones(32, 32).triu(1).bool(), -torch.inf
    )
    sink = torch.tensor([-2.0, 0.0, 3.0])
    with_sink = torch.cat([sink[:, None, None].expand(3, 32, 1), scores], -1)
    found = reduce_pattern(with_sink.softmax(-1)[..., 1:], classes(32), settings(32))
    expected = torch.sigmoid(sink[:, None] - scores.logsumexp(-1))[:, 1:].mean(1)
    torch.testing.assert_close(found["learned"], expected)
    plain = reduce_pattern(scores.softmax(-1), classes(32), settings(32))
    torch.testing.assert_close(found["entropy"], plain["entropy"], msg="what goes to tokens keeps its shape")
    assert (found["first"] < plain["first"]).all()


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("stride", [40, 57])
def test_all_numbers_equal_plain_sums(causal: bool, stride: int) -> None:
    n, n_tokens = 40, 24 if causal else 40
    whole = torch.full((3, stride, stride), torch.nan)
    whole[:, :n, :n] = random_pattern(3, n, causal=causal)
    pattern, kinds = whole[:, :n, :n], torch.arange(n) % 3
    given = settings(n_tokens, causal=causal, n_classes=3)
    found = reduce_pattern(pattern, kinds, given)
    p = pattern.double().numpy()
    behind = p[:, 1:]
    rows = np.arange(n_tokens, 0, -1) if causal else np.full(n_tokens, n)
    alpha = (p[:, :n_tokens, :n_tokens] if causal else p).sum(1) / rows
    np.testing.assert_allclose(found["first"], behind[..., 0].mean(1), rtol=1e-5)
    np.testing.assert_allclose(found["alpha"], alpha[:, 0], rtol=1e-5)
    np.testing.assert_allclose(found["alpha_mean"], alpha[:, : given.n_keys].mean(0), rtol=1e-5)
    np.testing.assert_allclose(found["alpha_above"], (alpha[:, : given.n_keys] > 0.3).mean(0), rtol=1e-5)
    logs = np.log(behind, out=np.zeros_like(behind), where=behind > 0)
    np.testing.assert_allclose(found["entropy"], -(behind * logs).sum(-1).mean(1), rtol=1e-4)
    by_class = [behind[..., kinds.numpy() == kind].sum(-1).mean(1) for kind in range(3)]
    np.testing.assert_allclose(found["classes"], np.stack(by_class, 1), rtol=1e-5)
    apart = np.abs(np.arange(n)[1:, None] - np.arange(n))
    bins = np.searchsorted(given.distances, apart, side="right") - 1
    by_bin = [np.where(bins == place, behind, 0).sum(-1).mean(1) for place in range(len(given.distances))]
    np.testing.assert_allclose(found["distances"], np.stack(by_bin, 1), rtol=1e-4, atol=1e-7)


def test_diagonals_are_summed_without_the_first_query() -> None:
    pattern = random_pattern(2, 9)
    found = by_distance(pattern)
    for distance in range(9):
        diagonal = torch.diagonal(pattern, -distance, 1, 2).sum(-1) - (pattern[:, 0, 0] if distance == 0 else 0)
        torch.testing.assert_close(found[:, distance], diagonal)


def test_bins_of_distances_double() -> None:
    assert distance_bins(40) == (0, 1, 2, 3, 5, 9, 17, 33)
    assert distance_bins(2) == (0, 1)


def test_a_pattern_is_read_and_never_changed() -> None:
    pattern = random_pattern(2, 32)
    before = pattern.clone()
    reduce_pattern(pattern, classes(32), settings(32))
    assert torch.equal(pattern, before)


def test_rows_that_look_nowhere_have_entropy_zero() -> None:
    pattern = random_pattern(1, 32)
    pattern[:, 5:] = 0  # as ReLU attention may
    found = reduce_pattern(pattern, classes(32), settings(32))
    assert all(bool(values.isfinite().all()) for values in found.values())
    assert found["learned"].item() == pytest.approx(27 / 31, abs=1e-5)


def test_weights_that_are_not_finite_or_look_ahead_are_refused() -> None:
    pattern = random_pattern(1, 32)
    pattern[0, 20, 3] = torch.nan
    with pytest.raises(InputError, match="NaN or infinity"):
        reduce_pattern(pattern, classes(32), settings(32))
    with pytest.raises(InputError, match="looks at later ones"):
        reduce_pattern(random_pattern(1, 32, causal=False), classes(32), settings(32))
