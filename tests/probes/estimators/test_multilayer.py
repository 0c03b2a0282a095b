import numpy as np
import pytest

from interp.errors import InputError
from probes.estimators import LogisticProbe, MultilayerProbe


def exclusive_or(n: int = 400, seed: int = 0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4)) * [1, 20, 1, 1] + [0, 100, 0, 0]
    return X, ((X[:, 0] > 0) ^ (X[:, 1] > 100)).astype(int)


def test_it_reads_what_no_line_tells_apart():
    X, y = exclusive_or()
    new, truth = exclusive_or(seed=1)
    assert MultilayerProbe((16,)).fit(X, y).score(new, truth) > 0.9
    assert LogisticProbe().fit(X, y).score(new, truth) < 0.65


def test_shuffled_labels_are_not_read_off_new_samples():
    X, y = exclusive_or()
    new, truth = exclusive_or(seed=1)
    shuffled = np.random.default_rng(0).permutation(y)
    assert MultilayerProbe((16,), early_stopping=True).fit(X, shuffled).score(new, truth) < 0.65


def test_the_seed_makes_it_again():
    X, y = exclusive_or()
    first, again, other = (MultilayerProbe((64,), seed=seed).fit(X, y).predict_proba(X) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_it_has_no_direction_and_says_why():
    X, y = exclusive_or()
    fitted = MultilayerProbe((64,)).fit(X, y)
    assert not hasattr(fitted, "direction_")
    with pytest.raises(AttributeError, match=r"differs from sample to sample. Use a linear probe"):
        fitted.direction_  # noqa: B018


def test_refusals():
    X, y = exclusive_or(100)
    with pytest.raises(InputError, match="did not converge within 2 passes"):
        MultilayerProbe(max_iter=2).fit(X, y)
    with pytest.raises(InputError, match="Expected at least one hidden layer"):
        MultilayerProbe(hidden=()).fit(X, y)
