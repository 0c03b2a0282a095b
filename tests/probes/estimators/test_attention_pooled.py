import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from interp.errors import InputError
from probes.estimators import AttentionPooledProbe, LogisticProbe

WIDTH, POS = 16, 10
MARK, READ = 1.5 * np.random.default_rng(5).normal(size=(2, WIDTH))


def planted(n: int = 300, seed: int = 0):
    """One marked token at a place of its own bears the label; all others bear a label drawn by chance."""
    rng = np.random.default_rng(seed)
    y, place = rng.integers(2, size=n), rng.integers(POS, size=n)
    signs = rng.choice([-1.0, 1.0], size=(n, POS))
    signs[np.arange(n), place] = 2 * y - 1
    X = rng.normal(size=(n, POS, WIDTH)) + signs[:, :, None] * READ + 3
    X[np.arange(n), place] += MARK
    return X, y, place


@pytest.fixture(scope="module")
def fitted():
    X, y, _ = planted()
    return AttentionPooledProbe().fit(X, y)


def test_the_planted_token_is_found_wherever_it_stands_and_the_mean_over_positions_does_worse(fitted):
    X, y, _ = planted()
    new, truth, place = planted(seed=1)
    weights = fitted.attention(new)
    assert (weights.argmax(1) == place).mean() > 0.95
    assert weights[np.arange(len(new)), place].mean() > 0.7
    assert fitted.score(new, truth) > 0.97
    assert LogisticProbe().fit(X.mean(1), y).score(new.mean(1), truth) < 0.75
    assert fitted.direction_ @ READ / np.linalg.norm(READ) > 0.9


def test_shuffled_labels_are_not_found():
    X, y, _ = planted()
    new, truth, _ = planted(seed=1)
    shuffled = np.random.default_rng(0).permutation(y)
    assert AttentionPooledProbe().fit(X, shuffled).score(new, truth) < 0.6


def test_attention_is_a_share_and_moves_with_the_query(fitted):
    X, _, _ = planted(20, seed=2)
    weights = fitted.attention(X)
    np.testing.assert_allclose(weights.sum(1), 1)
    moved = X.copy()
    moved[:, 4] += fitted.query_
    assert (fitted.attention(moved)[:, 4] > weights[:, 4]).all()
    pooled = np.einsum("sp,spd->sd", weights, X)
    np.testing.assert_allclose(fitted.decision_function(X), pooled @ fitted.coef_[0] + fitted.intercept_[0])


def test_of_one_position_it_is_logistic_regression():
    """Where there is nothing to choose, the query is 0 and the readout scikit-learn's."""
    X, y, _ = planted()
    ours = AttentionPooledProbe(C=0.1, n_starts=1).fit(X[:, :1], y)
    theirs = LogisticRegression(C=0.1, tol=1e-8)
    standard = (X[:, 0] - X[:, 0].mean(0)) / X[:, 0].std(0)
    np.testing.assert_allclose(
        ours.decision_function(X[:, :1]), theirs.fit(standard, y).decision_function(standard), atol=1e-3
    )
    np.testing.assert_allclose(ours.query_, 0, atol=1e-4)


def test_padding_is_never_read():
    X, y, _ = planted(60)
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, POS + 1, size=60)
    mask = np.arange(POS) < lengths[:, None]
    rows = [text[:length] for text, length in zip(X, lengths, strict=True)]
    ragged = AttentionPooledProbe().fit(rows, y)
    for filling in (0.0, 1e6):
        filled = np.where(mask[:, :, None], X, filling)
        masked = AttentionPooledProbe().fit(filled, y, mask)
        np.testing.assert_allclose(masked.coef_, ragged.coef_, atol=1e-8)
        np.testing.assert_allclose(masked.decision_function(filled, mask), ragged.decision_function(rows), atol=1e-6)
        assert (masked.predict(filled, mask) == ragged.predict(rows)).all()
        assert (masked.attention(filled, mask)[~mask] == 0).all()
        np.testing.assert_allclose(masked.predict_proba(filled, mask).sum(1), 1)


def test_positions_added_under_the_mask_change_nothing():
    X, y, _ = planted(80)
    longer = np.concatenate([X, np.full((80, 7, WIDTH), 50.0)], axis=1)
    mask = np.arange(POS + 7)[None].repeat(80, axis=0) < POS
    plain, padded = AttentionPooledProbe().fit(X, y), AttentionPooledProbe().fit(longer, y, mask)
    assert padded.loss_ == pytest.approx(plain.loss_, abs=1e-9)
    np.testing.assert_allclose(padded.attention(longer, mask)[:, :POS], plain.attention(X), atol=1e-4)


def test_the_units_of_coordinates_do_not_matter():
    X, y, _ = planted(80)
    units = np.exp(np.random.default_rng(0).normal(size=WIDTH))
    plain, scaled = AttentionPooledProbe().fit(X, y), AttentionPooledProbe().fit(X * units, y)
    np.testing.assert_allclose(scaled.attention(X * units), plain.attention(X), atol=1e-4)
    np.testing.assert_allclose(scaled.decision_function(X * units), plain.decision_function(X), atol=1e-3)


def test_of_several_starts_the_lowest_is_kept():
    """With labels by chance the descent from nothing, which is the first, need not end lowest."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 20, 3)), np.arange(60) % 2
    one, four = (AttentionPooledProbe(10.0, n_starts).fit(X, y).loss_ for n_starts in (1, 4))
    assert four < one - 1e-4


def test_texts_of_their_own_lengths_can_be_split():
    X, y, _ = planted(200)
    rows = [text[: 6 + number % 5] for number, text in enumerate(X)]
    assert cross_val_score(AttentionPooledProbe(n_starts=1), rows, y, cv=3).mean() > 0.7


def test_three_classes_and_their_names():
    X, y, _ = planted(seed=3)
    rng = np.random.default_rng(0)
    third = rng.random(len(y)) < 0.3
    X[third, rng.integers(POS)] += 6
    labels = np.where(third, "c", np.array(["a", "b"])[y])
    probe = AttentionPooledProbe().fit(X, labels)
    assert probe.coef_.shape == (3, WIDTH)
    assert probe.direction_.shape == (3, WIDTH)
    assert probe.score(X, labels) > 0.8
    assert probe.predict_proba(X).shape == (len(X), 3)


def test_the_seed_makes_it_again():
    X, y, _ = planted(100)
    first, again = (AttentionPooledProbe(seed=1).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(first.query_, again.query_)


def test_refusals(fitted):
    X, y, _ = planted(20)
    mask = np.ones((20, POS), bool)
    mask[3] = False
    with pytest.raises(InputError, match="at least one true position in each text"):
        AttentionPooledProbe().fit(X, y, mask)
    with pytest.raises(InputError, match="each of its own length"):
        AttentionPooledProbe().fit(list(X), y, np.ones((20, POS), bool))
    with pytest.raises(InputError, match="did not converge within 2 iterations"):
        AttentionPooledProbe(max_iter=2).fit(X, y)
    with pytest.raises(InputError, match="Expected all above zero"):
        AttentionPooledProbe(C=0.0).fit(X, y)
    with pytest.raises(InputError, match="fitted to a width of 16"):
        fitted.predict(X[:, :, 1:])
    with pytest.raises(InputError, match="All samples have the label 1"):
        AttentionPooledProbe().fit(X, np.ones(20, int))
