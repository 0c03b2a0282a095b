"""LEACE erases what it is told to, no more than it must, and says so when it cannot; random erasures do not."""

import numpy as np
import pytest
import torch

from interp.errors import InputError
from probes import Eraser, LogisticProbe, leace, project_out, random_eraser

N, WIDTH = 2000, 16


def planted(n: int = N, *, seed: int = 0, strength: float = 2.0):
    """Correlated activations with two concepts along directions of their own, drawn independently of each other."""
    rng, fixed = np.random.default_rng(seed), np.random.default_rng(99)
    mixing, (first, second) = fixed.normal(size=(WIDTH, WIDTH)), fixed.normal(size=(2, WIDTH, 3))
    language, number = rng.integers(3, size=n), rng.integers(2, size=n)
    X = rng.normal(size=(n, WIDTH)) @ mixing + strength * (4 * first.T[language] + 4 * second.T[number]) + 5
    return X, np.array(["de", "en", "fr"])[language], number


def left_over(eraser: Eraser, labels: np.ndarray) -> tuple[float, float]:
    """Held-out accuracy of a new probe, before and after an erasure fitted to other samples."""
    X, *concepts = planted(seed=1)
    chosen = concepts[0] if labels.dtype.kind == "U" else concepts[1]
    half = N // 2
    each = []
    for seen in (X, eraser.erase(X)):
        each.append(LogisticProbe().fit(seen[:half], chosen[:half]).score(seen[half:], chosen[half:]))
    return each[0], each[1]


def test_by_hand_on_two_correlated_coordinates():
    """The concept lies along the first coordinate, which noise shares with the second: x1 becomes 1 + x2.

    Covariance [[2, 1], [1, 1]], cross-covariance along v = (1, 0): x - v (vS^-1(x - mean)) / (vS^-1v).
    """
    X = np.array([[1.0, 1.0], [-1.0, -1.0], [3.0, 1.0], [1.0, -1.0]] * 3)
    eraser = leace(X, np.array(["a", "a", "b", "b"] * 3))
    assert eraser.rank == 1
    np.testing.assert_allclose(eraser.erase(X)[:4], [[2, 1], [0, -1], [2, 1], [0, -1]], atol=1e-12)
    np.testing.assert_allclose(eraser.matrix, [[0, 1], [0, 1]], atol=1e-12)
    np.testing.assert_allclose(eraser.mean, [1, 0], atol=1e-12)


def test_projecting_out_by_hand():
    eraser = project_out(np.array([[3.0, 4.0], [-6.0, -8.0]]))
    assert eraser.rank == 1
    np.testing.assert_allclose(eraser.erase(np.array([[5.0, 0.0]])), [[3.2, -2.4]], atol=1e-12)


def test_after_leace_no_linear_reader_of_new_samples_beats_chance_and_after_random_erasure_it_does():
    X, language, _ = planted()
    eraser = leace(X, language)
    assert eraser.rank == 2
    before, erased = left_over(eraser, language)
    assert before > 0.95
    assert erased < 0.42
    for seed in range(5):
        assert left_over(random_eraser(X, 2, seed=seed), language)[1] > 0.85
    # Labels that mean nothing erase nothing of those that do.
    assert left_over(leace(X, np.random.default_rng(5).permutation(language)), language)[1] > 0.85


def test_the_other_concept_stays():
    X, language, number = planted()
    before, after = left_over(leace(X, language), number)
    assert before > 0.9
    assert after > before - 0.03
    assert left_over(leace(X, number), number)[1] < 0.56


def test_the_theorem_holds_on_the_samples_it_was_fitted_to():
    X, language, _ = planted()
    eraser = leace(X, language)
    erased = eraser.erase(X)
    means = np.stack([erased[language == label].mean(0) for label in ("de", "en", "fr")])
    assert np.ptp(means, axis=0).max() < 1e-10
    one_hot = (language[:, None] == np.unique(language)).astype(float)
    assert np.abs((erased - erased.mean(0)).T @ one_hot / N).max() < 1e-10
    np.testing.assert_allclose(erased.mean(0), X.mean(0), atol=1e-10)
    assert LogisticProbe().fit(erased, language).score(erased, language) == pytest.approx(
        np.unique(language, return_counts=True)[1].max() / N
    )
    matrix = eraser.matrix
    torch.testing.assert_close(matrix @ matrix, matrix)
    # Erased activations never vary more: this is why the package's trace constraint is left out.
    assert np.trace(np.cov(erased.T)) < np.trace(np.cov(X.T))


def test_it_changes_less_than_any_other_erasure():
    X, language, _ = planted()
    wide = X - X.mean(0)
    crossed = np.stack([wide[language == label].mean(0) for label in ("de", "en", "fr")])
    orthogonal = project_out(crossed[:2])
    moved = ((leace(X, language).erase(X) - X) ** 2).sum(1).mean()
    assert moved < 0.99 * ((orthogonal.erase(wide) - wide) ** 2).sum(1).mean()


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_equals_the_package_and_keeps_concepts_the_package_would_drop():
    from concept_erasure import LeaceEraser

    X, language, number = planted()
    wide, one_hot = torch.from_numpy(X), torch.from_numpy((language[:, None] == np.unique(language)).astype(float))
    theirs = LeaceEraser.fit(wide, one_hot, constrain_cov_trace=False, shrinkage=False)
    torch.testing.assert_close(leace(X, language)(wide), theirs(wide), rtol=0, atol=1e-9)
    # Noise that nothing in X tells, and of X as much as correlates by 0.005.
    noise = np.random.default_rng(0).normal(size=N)
    centred = X - X.mean(0)
    noise = noise - noise.mean() - centred @ np.linalg.lstsq(centred, noise - noise.mean(), rcond=None)[0]
    weak = 0.005 * centred[:, 0] / centred[:, 0].std() + noise / noise.std()
    assert LeaceEraser.fit(wide, torch.from_numpy(weak), shrinkage=False).proj_right.norm() == 0
    eraser = leace(X, weak)
    assert eraser.rank == 1
    assert np.abs(np.cov(eraser.erase(X).T, weak)[-1, :-1]).max() < 1e-10
    both = np.stack([number, X[:, 3]], axis=1)
    assert leace(X, both).rank == 2


def test_scale_and_shift_of_the_labels_do_not_matter():
    X, _, number = planted()
    eraser = leace(X, number)
    for values in (number * 1e-9, number * 1e9 + 7.0, number.astype(bool), np.where(number, "x", "y")):
        np.testing.assert_allclose(leace(X, values).matrix, eraser.matrix, atol=1e-7)


def test_random_erasures_are_projections_that_keep_the_mean_and_differ():
    X, *_ = planted()
    one, again, other = (random_eraser(X, 3, seed=seed) for seed in (0, 0, 1))
    assert one.rank == 3
    torch.testing.assert_close(one.matrix @ one.matrix, one.matrix)
    np.testing.assert_allclose(one.erase(X).mean(0), X.mean(0), atol=1e-10)
    assert torch.equal(one.left, again.left)
    assert not torch.allclose(one.matrix, other.matrix)
    # Rank 3 of 16 in the whitened space: as much whitened variance as LEACE of rank 3 would take.
    whitened = np.linalg.solve(np.cov(X.T), np.cov(one.erase(X).T))
    assert np.trace(whitened) == pytest.approx(WIDTH - 3)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_an_eraser_keeps_dtype_and_shape_and_does_not_write_into_its_argument(dtype):
    X, language, _ = planted()
    activation = torch.from_numpy(X[:12]).to(dtype).view(3, 4, WIDTH)
    before = activation.clone()
    erased = leace(X, language)(activation)
    assert erased.dtype == dtype
    assert erased.shape == activation.shape
    assert torch.equal(activation, before)
    expected = torch.from_numpy(leace(X, language).erase(before.double().view(12, WIDTH).numpy())).view(3, 4, WIDTH)
    torch.testing.assert_close(erased.double(), expected, rtol=2e-2, atol=1e-1 if dtype == torch.bfloat16 else 1e-4)


def spoilt(X: np.ndarray) -> np.ndarray:
    bad = X.copy()
    bad[3, 4] = np.nan
    return bad


X, LANGUAGE, _ = planted()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": LANGUAGE[:-1]}, "1999 labels for 2000 samples"),
        ({"X": spoilt(X)}, "1 of 32000 activations are NaN"),
        ({"labels": np.full(N, "de")}, "All 2000 samples have the label 'de'"),
        ({"labels": np.ones(N)}, "same label. Expected labels that vary"),
        ({"labels": np.where(LANGUAGE == "de", np.nan, 1.0)}, "labels hold NaN"),
        ({"labels": np.stack([LANGUAGE] * 2, 1)}, "Rows of labels of type <U2"),
        ({"X": X[:17], "labels": LANGUAGE[:17]}, "17 samples are too few for activations that vary in 16"),
        ({"X": X[:, :0]}, "2000 activations of width 0 that do not vary"),
        ({"X": np.full_like(X, 0.1)}, "2000 activations of width 16 that do not vary"),
        ({"X": np.concatenate([X, X]), "labels": np.repeat(["a", "b"], N)}, "nothing to erase"),
    ],
)
def test_refusals(change, words):
    given = {"X": X, "labels": LANGUAGE} | change
    with pytest.raises(InputError, match=words):
        leace(**given)


def test_refusals_of_controls_and_directions():
    for rank in (0, 9):
        with pytest.raises(InputError, match=f"{rank} random directions of the 16"):
            random_eraser(X, rank)
    with pytest.raises(InputError, match="NaN or infinite"):
        random_eraser(spoilt(X), 1)
    for directions in (np.zeros((1, 4)), np.array([[1.0, np.inf]]), np.zeros((0, 4))):
        with pytest.raises(InputError, match="zero or not finite, or there is none"):
            project_out(directions)
