"""Planted directions are found as well as theory allows, and labels that mean nothing are not."""

import numpy as np
import pytest
from scipy.special import gammaln, hyp1f1
from scipy.stats import binom

from probes.estimators import (
    ContrastConsistentProbe,
    LogisticProbe,
    MeanDifferenceProbe,
    NearestCentroidProbe,
    RidgeProbe,
)

WIDTH = 16


def unit(seed: int, width: int = WIDTH) -> np.ndarray:
    direction = np.random.default_rng(seed).normal(size=width)
    return direction / np.linalg.norm(direction)


FINDING = [
    (LogisticProbe(C=10.0), "class"),
    (MeanDifferenceProbe(), "class"),
    (MeanDifferenceProbe(whiten=True), "class"),
    (NearestCentroidProbe(), "class"),
    (RidgeProbe(), "number"),
]


@pytest.mark.parametrize(("probe", "what"), FINDING, ids=[f"{probe}" for probe, _ in FINDING])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_without_noise_in_the_labels_the_planted_direction_is_found(probe, what, seed):
    truth = unit(seed)
    X = np.random.default_rng(100 + seed).normal(size=(6000, WIDTH)) + 4 * unit(50)
    heights = X @ truth
    y = heights if what == "number" else (heights > np.median(heights)).astype(int)
    assert probe.fit(X, y).direction_ @ truth >= 0.99
    order = np.random.default_rng(seed).permutation(len(y))
    assert abs(probe.fit(X, y[order]).direction_ @ truth) < 0.9


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_contrast_pairs_give_the_planted_direction_without_labels(seed):
    rng, truth = np.random.default_rng(seed), unit(seed)
    signs = rng.choice([-1, 1], size=2000)
    shared = rng.normal(size=(2000, WIDTH)) @ (np.eye(WIDTH) - np.outer(truth, truth))
    X = np.stack([shared + np.outer(signs, truth), shared - np.outer(signs, truth)], axis=1)
    X[:, 0] += rng.normal(size=WIDTH)
    assert abs(ContrastConsistentProbe(n_starts=3).fit(X).direction_ @ truth) >= 0.99


def exact_cosine(length: float, width: int) -> float:
    """E[z1 / |z|] for z normal with mean (length, 0, ..., 0) and unit covariance."""
    ratio = np.exp(gammaln((width + 1) / 2) - gammaln(width / 2 + 1))
    return length / np.sqrt(2) * ratio * hyp1f1(0.5, width / 2 + 1, -(length**2) / 2)


@pytest.mark.parametrize("n", [20, 60, 200, 1000])
def test_under_isotropic_noise_the_mean_difference_finds_as_much_of_the_direction_as_theory_allows(n):
    """The difference of two means of n/2 samples each, of noise sigma per coordinate, in d dimensions.

    Each mean has noise of variance sigma^2 / (n/2) per coordinate, so that their difference is delta u + e, with u the
    true unit direction and e normal of variance s^2 = 2 sigma^2 / (n/2) = 4 sigma^2 / n per coordinate. Let e = a u + r
    with r at right angles to u: a has variance s^2, and |r|^2 is s^2 chi^2 of d - 1 degrees, mean s^2 (d - 1). Then
        cosine = (delta + a) / sqrt((delta + a)^2 + |r|^2).
    With |r|^2 at its mean (it varies by a share of sqrt(2 / (d - 1)) only) and a << delta,
        cosine ~ 1 / sqrt(1 + s^2 (d - 1) / delta^2) = 1 / sqrt(1 + 4 sigma^2 (d - 1) / (n delta^2)).
    Exactly, the cosine is z1 / |z| with z = (delta u + e) / s, normal around a vector of length m = delta / s:
        E = m / sqrt(2) Gamma((d + 1) / 2) / Gamma(d / 2 + 1) 1F1(1/2; d / 2 + 1; -m^2 / 2).
    """
    delta, sigma, width, n_seeds = 3.0, 1.5, 48, 60
    truth, y = unit(7, width), np.arange(n) % 2
    found = []
    for seed in range(n_seeds):
        X = sigma * np.random.default_rng(seed).normal(size=(n, width)) + delta * np.outer(y, truth)
        found.append(MeanDifferenceProbe().fit(X, y).direction_ @ truth)
    limit = 1 / np.sqrt(1 + 4 * sigma**2 * (width - 1) / (n * delta**2))
    exact = exact_cosine(delta * np.sqrt(n) / (2 * sigma), width)
    assert np.mean(found) == pytest.approx(limit, rel=0.05)
    assert abs(np.mean(found) - exact) < 4 * np.std(found) / np.sqrt(n_seeds)


def test_the_exact_cosine_by_hand_in_one_dimension():
    """In one dimension the cosine is the sign of a normal number around m: P(z > 0) - P(z < 0) = erf(m / sqrt 2)."""
    assert exact_cosine(1.0, 1) == pytest.approx(0.6826894921)


def test_under_noise_that_differs_by_direction_whitening_finds_the_bayes_direction_and_plain_means_do_not():
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(WIDTH, WIDTH)) * np.exp(rng.normal(size=WIDTH))
    difference, y = 2 * unit(3), np.arange(20000) % 2
    X = rng.normal(size=(20000, WIDTH)) @ mixing.T + np.outer(y, difference)
    bayes = np.linalg.solve(mixing @ mixing.T, difference)
    bayes /= np.linalg.norm(bayes)
    assert MeanDifferenceProbe(whiten=True).fit(X, y).direction_ @ bayes > 0.99
    assert abs(MeanDifferenceProbe().fit(X, y).direction_ @ bayes) < 0.9


@pytest.mark.parametrize(
    "probe", [LogisticProbe(), MeanDifferenceProbe(), MeanDifferenceProbe(whiten=True), NearestCentroidProbe()], ids=str
)
def test_shuffled_labels_are_guessed_at_chance_over_a_hundred_seeds(probe):
    """Of each half of 60 samples half belong to either class, and labels are shuffled within the halves.

    So each held-out prediction is right with chance 1/2 whatever it is, and a binomial interval (99.9 %, all seeds
    together) is wide enough. Shuffling across the halves would not do: a class that is frequent in one is rare in the
    other, which brings accuracy below chance.
    """
    truth, halves = unit(1), np.arange(120).reshape(2, 60)
    right = {"true": 0, "shuffled": 0}
    for seed in range(100):
        rng = np.random.default_rng(seed)
        y = np.arange(120) % 2
        X = rng.normal(size=(120, WIDTH)) + 2 * np.outer(y, truth)
        shuffled = np.concatenate([rng.permutation(y[half]) for half in halves])
        for name, labels in (("true", y), ("shuffled", shuffled)):
            fitted = probe.fit(X[halves[0]], labels[halves[0]])
            right[name] += int((fitted.predict(X[halves[1]]) == labels[halves[1]]).sum())
    low, high = binom.interval(0.999, 6000, 0.5)
    assert low <= right["shuffled"] <= high
    assert right["true"] > 0.7 * 6000
