import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError

from interp.errors import InputError
from probes.estimators import ContrastConsistentProbe
from probes.estimators.contrast import UNINFORMED, contrast_loss

WIDTH = 16
TRUTH = np.random.default_rng(9).normal(size=WIDTH) / 4


def planted(n: int = 400, seed: int = 0):
    """Pairs that differ along the truth, each half with an offset of its own that says which half it is."""
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=n)
    signed = np.outer(2 * y - 1, TRUTH)
    X = np.stack([signed, -signed], axis=1) + rng.normal(size=(n, 1, WIDTH)) + 0.4 * rng.normal(size=(n, 2, WIDTH))
    return X + 5 * np.random.default_rng(1).normal(size=(2, WIDTH)), y


def test_the_truth_is_found_without_labels_and_random_directions_do_worse():
    X, y = planted()
    new, truth = planted(seed=1)
    probe = ContrastConsistentProbe().fit(X)
    score = max(probe.score(new, truth), 1 - probe.score(new, truth))
    assert score > 0.95
    assert abs(probe.direction_ @ TRUTH) / np.linalg.norm(TRUTH) > 0.9
    gaps = (X[:, 0] - X[:, 1]) - (X[:, 0] - X[:, 1]).mean(0)
    rng, seen = np.random.default_rng(0), torch.from_numpy(X - X.mean(0))
    for _ in range(50):
        direction = rng.normal(size=WIDTH)
        direction /= np.linalg.norm(direction)
        right = ((gaps @ direction > 0) == y).mean()
        assert max(right, 1 - right) < score
        scaled = [float(contrast_loss(torch.from_numpy(np.append(s * direction, 0)), seen)) for s in (0.3, 1, 3, 10)]
        assert min(scaled) > 1.2 * probe.loss_


def test_pairs_without_contrast_leave_nothing_to_find():
    """The two halves exchanged at random within the pairs hold no sign for a label drawn by itself."""
    X, _ = planted()
    new, _ = planted(seed=1)
    drawn = np.random.default_rng(3).integers(2, size=400)
    assert 0.4 < ContrastConsistentProbe().fit(X).score(new, drawn) < 0.6


def test_labels_decide_the_sign_and_nothing_else():
    X, y = planted()
    free = ContrastConsistentProbe().fit(X)
    aligned, opposed = ContrastConsistentProbe().fit(X, y), ContrastConsistentProbe().fit(X, 1 - y)
    assert aligned.score(X, y) > 0.95
    assert opposed.score(X, 1 - y) > 0.95
    np.testing.assert_array_equal(np.abs(aligned.coef_), np.abs(free.coef_))
    np.testing.assert_allclose(aligned.coef_, -opposed.coef_)
    np.testing.assert_allclose(aligned.predict_proba(X), opposed.predict_proba(X)[:, ::-1], atol=1e-12)
    assert aligned.direction_ @ TRUTH > 0
    few = np.where(np.arange(400) < 7, y, -1)
    np.testing.assert_array_equal(ContrastConsistentProbe().fit(X, few).coef_, aligned.coef_)
    named = ContrastConsistentProbe().fit(X, np.array(["false", "true"])[y])
    assert named.predict(X).tolist() == np.array(["false", "true"])[aligned.predict(X)].tolist()


def test_predictions_follow_the_decision_and_the_probabilities():
    X, y = planted()
    probe = ContrastConsistentProbe().fit(X, y)
    decision, found = probe.decision_function(X), probe.predict_proba(X)
    assert (probe.predict(X) == (decision > 0)).all()
    assert ((found[:, 1] > 0.5) == (decision > 0)).all()
    pushed = X.copy()
    pushed[:, 0] += 100 * probe.direction_
    assert (probe.predict(pushed) == 1).all()
    np.testing.assert_allclose(probe.decision_function(X[:, ::-1]) + decision, 2 * probe.intercept_[0], atol=1e-9)


def test_the_loss_by_hand():
    """p = 1/2 on both halves: consistent, and 1/4 for want of confidence. p = (3/4, 1/2): 1/16 + 1/4."""
    nothing = torch.zeros(3, dtype=torch.float64)
    pairs = torch.tensor([[[np.log(3.0), 0.0], [0.0, 0.0]]], dtype=torch.float64)
    assert float(contrast_loss(nothing, pairs)) == pytest.approx(1 / 4)
    along = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    assert float(contrast_loss(along, pairs)) == pytest.approx(1 / 16 + 1 / 4)


def test_the_loss_kept_is_that_of_the_probabilities_and_of_the_best_start():
    X, _ = planted()
    probe = ContrastConsistentProbe(n_starts=8).fit(X)
    logits = (X - X.mean(0)) @ probe.coef_[0] + probe.bias_
    p = 1 / (1 + np.exp(-logits))
    assert probe.loss_ == pytest.approx(((p.sum(1) - 1) ** 2 + p.min(1) ** 2).mean())
    assert probe.loss_ < 0.2


def test_losses_of_pairs_have_the_loss_as_their_mean_and_are_those_of_the_probabilities():
    X, _ = planted()
    new, _ = planted(seed=1)
    probe = ContrastConsistentProbe(n_starts=2).fit(X)
    assert probe.pair_losses(X).mean() == pytest.approx(probe.loss_)
    p = 1 / (1 + np.exp(-((new - X.mean(0)) @ probe.coef_[0] + probe.bias_)))
    np.testing.assert_allclose(probe.pair_losses(new), (p.sum(1) - 1) ** 2 + p.min(1) ** 2)
    with pytest.raises(NotFittedError):
        ContrastConsistentProbe().pair_losses(X)


@pytest.mark.parametrize("rounding", [0.0, 1e-8])
def test_where_all_pairs_are_the_same_the_bias_alone_is_left_and_rounding_is_not_blown_up(rounding):
    """p = 2/5 on both halves: (4/5 - 1)^2 + (2/5)^2 = 1/5, less than the 1/4 of p = 1/2."""
    same = np.broadcast_to(np.random.default_rng(0).normal(size=(2, WIDTH)), (40, 2, WIDTH))
    X = same + rounding * np.random.default_rng(1).normal(size=(40, 2, WIDTH))
    probe = ContrastConsistentProbe(n_starts=2).fit(X)
    assert probe.loss_ == pytest.approx(UNINFORMED, abs=1e-6)
    np.testing.assert_allclose(probe.predict_proba(X), 0.5, atol=1e-4)
    assert np.abs(probe.coef_).max() < 1e-3


def test_of_several_starts_the_lowest_is_kept():
    """On few pairs without contrast descents end in many places; the first start is the same however many follow."""
    lower = 0
    for seed in range(5):
        X = np.random.default_rng(seed).normal(size=(20, 2, 8))
        square = ((X - X.mean(0)) ** 2).mean()
        reached = []
        for n_starts in (1, 6):
            probe = ContrastConsistentProbe(n_starts, alpha=1e-3, seed=seed).fit(X)
            reached.append(probe.loss_ + 1e-3 * (probe.coef_**2).sum() * square)
        assert reached[1] <= reached[0]
        lower += reached[1] < reached[0] - 1e-4
    assert lower


def test_the_seed_makes_it_again():
    X, _ = planted(100)
    first, again = (ContrastConsistentProbe(n_starts=2, seed=3).fit(X).coef_ for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_refusals():
    X, y = planted(40)
    with pytest.raises(InputError, match="the two halves of each pair"):
        ContrastConsistentProbe().fit(X[:, :1])
    with pytest.raises(InputError, match="halves that are all the same"):
        ContrastConsistentProbe().fit(X[:, [0, 0]])
    with pytest.raises(InputError, match=r"The labels are \[1\]. Expected two classes"):
        ContrastConsistentProbe().fit(X, np.where(y == 1, 1, -1))
    with pytest.raises(InputError, match="39 labels for 40 pairs"):
        ContrastConsistentProbe().fit(X, y[1:])
    with pytest.raises(InputError, match="did not converge within 1 iterations"):
        ContrastConsistentProbe(max_iter=1).fit(X)
    with pytest.raises(InputError, match="Expected all above zero"):
        ContrastConsistentProbe(n_starts=0).fit(X)
