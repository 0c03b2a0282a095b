"""INLP takes a planted concept out, direction by direction, says when it could not, and leaves shuffled labels."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from interp.errors import InputError
from probes import LogisticProbe, leace, random_eraser
from probes.use.nullspace import nullspace

N, WIDTH = 1200, 12


def planted(n: int = N, *, seed: int = 0, classes: int = 3, strength: float = 3.0):
    """Correlated activations whose class moves the mean; three classes span two directions."""
    rng, fixed = np.random.default_rng(seed), np.random.default_rng(7)
    mixing = np.eye(WIDTH) + 0.5 * fixed.normal(size=(WIDTH, WIDTH))
    means = strength * fixed.normal(size=(classes, WIDTH))
    number = rng.integers(classes, size=n)
    X = rng.normal(size=(n, WIDTH)) @ mixing + means[number] + 5
    return X, np.array(["de", "en", "fr"])[number], np.arange(n) % 60


def two_readings(n: int = N, *, seed: int = 0):
    """A class of two written twice: a reader of either direction alone can tell it."""
    rng = np.random.default_rng(seed)
    number = rng.integers(2, size=n)
    X = rng.normal(size=(n, WIDTH))
    X[:, 0] += 4 * number
    X[:, 1] = 10 * X[:, 1] + 60 * number
    return X, number, np.arange(n) % 60


def accuracy_on_new(eraser, make, **settings) -> tuple[float, float]:
    """Accuracy of a new probe on samples the eraser never saw, and of the majority."""
    X, labels, _ = make(seed=1, **settings)
    erased, half = eraser.erase(X), N // 2
    correct = LogisticProbe().fit(erased[:half], labels[:half]).score(erased[half:], labels[half:])
    return correct, float(np.unique(labels[half:], return_counts=True)[1].max() / half)


def test_by_hand_one_direction_along_a_coordinate():
    """Only the first coordinate tells the class and nothing else varies with it: exactly that coordinate is removed."""
    signs = np.array(np.meshgrid(*[[-1.0, 1.0]] * 3)).reshape(3, -1).T
    X = np.concatenate([signs] * 12) * [2, 3, 5] + [10, 20, 30]
    labels = (X[:, 0] > 10).astype(int)
    # Each group holds the whole cube; they differ by a small shift of the third coordinate.
    groups = np.repeat(np.arange(12), 8)
    X[:, 2] += groups * 1e-3
    fit = nullspace(X, labels, groups)
    assert fit.rounds == 1
    assert fit.stopped == "majority"
    assert fit.eraser.how == "INLP, 1 round"
    np.testing.assert_allclose(fit.accuracy, [1.0, 0.5], atol=1e-12)
    assert fit.majority == 0.5
    np.testing.assert_allclose(fit.eraser.matrix, np.diag([0.0, 1, 1]), atol=1e-6)
    np.testing.assert_allclose(fit.eraser.erase(np.array([[7.0, 1, 2]])), [[10, 1, 2]], atol=1e-4)


@pytest.mark.parametrize("make", [planted, two_readings])
def test_a_planted_concept_takes_its_directions_and_new_samples_do_not_tell_it(make):
    X, labels, groups = make()
    fit = nullspace(X, labels, groups)
    assert fit.stopped == "majority"
    assert fit.eraser.rank >= 2
    assert len(fit.accuracy) == fit.rounds + 1
    assert fit.accuracy[0] > 0.9
    assert fit.accuracy_low[-1] <= fit.majority <= fit.accuracy_high[-1] + 0.05
    assert (fit.accuracy_low[:-1] > fit.majority).all()
    correct, majority = accuracy_on_new(fit.eraser, make)
    assert correct < majority + 0.05
    # The control: as many directions at random leave the labels to be told.
    assert accuracy_on_new(random_eraser(X, min(fit.eraser.rank, WIDTH // 2)), make)[0] > majority + 0.2


def test_a_concept_written_twice_takes_two_rounds_and_the_same_in_every_scale():
    X, labels, groups = two_readings()
    fit = nullspace(X, labels, groups)
    assert fit.rounds >= 2
    scaled = nullspace(X * 1e-3, labels, groups)
    torch.testing.assert_close(scaled.eraser.matrix, fit.eraser.matrix, rtol=0, atol=1e-6)


def test_leace_does_it_with_fewer_directions():
    X, labels, groups = planted()
    fit, least = nullspace(X, labels, groups), leace(X, labels)
    assert least.rank == 2
    assert fit.eraser.rank > least.rank
    assert accuracy_on_new(least, planted)[0] < 0.42


def test_the_projection_is_orthogonal_and_keeps_the_mean():
    X, labels, groups = planted()
    eraser = nullspace(X, labels, groups).eraser
    matrix = eraser.matrix
    torch.testing.assert_close(matrix, matrix.T, rtol=0, atol=1e-12)
    torch.testing.assert_close(matrix @ matrix, matrix, rtol=0, atol=1e-12)
    assert np.linalg.matrix_rank(matrix.numpy()) == WIDTH - eraser.rank
    np.testing.assert_allclose(eraser(eraser.mean), eraser.mean, atol=1e-12)
    once = eraser.erase(X)
    np.testing.assert_allclose(eraser.erase(once), once, atol=1e-10)


def test_the_first_round_is_the_classifier_of_scikit_learn():
    """One round removes the direction of a logistic regression fitted to the same samples, and nothing else."""
    X, labels, groups = two_readings()
    eraser = nullspace(X, labels, groups, max_rounds=1).eraser
    held_in = np.isin(groups, np.setdiff1d(groups, held_out_groups(X, labels, groups)))
    scale = X[held_in].std(0)
    weights = (
        LogisticRegression(C=0.01, max_iter=1000)
        .fit((X[held_in] - X[held_in].mean(0)) / scale, labels[held_in])
        .coef_[0]
        / scale
    )
    unit = torch.from_numpy(weights / np.linalg.norm(weights))
    assert eraser.rank == 1
    torch.testing.assert_close(eraser.left[:, 0] * torch.sign(eraser.left[0, 0] * unit[0]), unit, rtol=0, atol=1e-5)


def held_out_groups(X: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The groups held out by default."""
    from probes.samples.split import group_folds

    return np.unique(groups[group_folds(labels, groups, n_splits=3, seed=0)[0].test])


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_labels_stop_at_once(seed):
    X, labels, groups = planted()
    fit = nullspace(X, np.random.default_rng(seed).permutation(labels), groups)
    assert fit.stopped == "majority"
    assert fit.rounds <= 1
    if not fit.rounds:
        assert fit.eraser.rank == 0
        np.testing.assert_array_equal(fit.eraser.erase(X), X)


def test_it_stops_by_samples_held_out_not_by_those_fitted_to():
    """With nearly as many coordinates as samples the classifier knows its own samples by heart, and no others."""
    rng = np.random.default_rng(0)
    X, labels = rng.normal(size=(240, 100)), rng.integers(2, size=240)
    memory = LogisticProbe(C=10.0).fit(X[:160], labels[:160])
    assert memory.score(X[:160], labels[:160]) > 0.95
    fit = nullspace(X, labels, np.arange(240), probe=LogisticProbe(C=10.0))
    assert fit.rounds <= 1
    assert fit.accuracy[0] < 0.65


def test_the_most_rounds_are_said_not_silent():
    X, labels, groups = two_readings()
    fit = nullspace(X, labels, groups, max_rounds=1)
    assert fit.stopped == "max_rounds"
    assert fit.rounds == 1
    assert "stopped by their number" in fit.eraser.how
    assert fit.accuracy_low[-1] > fit.majority


def test_a_concept_in_every_direction_leaves_nothing_and_says_so():
    X, labels, groups = two_readings()
    fit = nullspace(X[:, :2], labels, groups)
    assert fit.stopped == "nothing_left"
    assert fit.eraser.rank == 1
    assert "no direction left" in fit.eraser.how
    assert fit.accuracy_low[-1] > fit.majority


def test_what_varies_in_the_held_out_samples_alone_is_not_blown_up():
    """One-hot coordinates, some of them seen in one group only: their rounding must not pass for a direction."""
    rng = np.random.default_rng(0)
    number, place = rng.integers(3, size=300), rng.integers(40, size=300)
    X = np.concatenate([np.eye(3)[number], np.eye(40)[place]], axis=1)
    fit = nullspace(X, number, number * 100 + place)
    assert fit.stopped == "majority"
    assert 1 < fit.rounds < 10
    moved = fit.eraser.erase(X) - X
    assert np.abs(moved).max() < 2


def test_seeds_decide_and_the_probe_can_be_chosen():
    X, labels, groups = planted()
    one, again, other = (nullspace(X, labels, groups, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(one.eraser.left, again.eraser.left)
    assert not np.array_equal(one.accuracy, other.accuracy)
    weak = nullspace(X, labels, groups, probe=LogisticProbe(C=1e-6))
    assert weak.accuracy[0] <= one.accuracy[0]


def test_refusals():
    X, labels, groups = planted()
    with pytest.raises(InputError, match="0 rounds project nothing out"):
        nullspace(X, labels, groups, max_rounds=0)
    with pytest.raises(InputError, match="1199 labels for 1200"):
        nullspace(X, labels[:-1], groups)
    with pytest.raises(InputError, match="All samples are in one group"):
        nullspace(X, labels, np.zeros(N, int))
    bad = X.copy()
    bad[0, 0] = np.nan
    with pytest.raises(InputError, match="NaN or infinite"):
        nullspace(bad, labels, groups)
    with pytest.raises(InputError, match="All 1200 samples"):
        nullspace(X, np.full(N, "de"), groups)
