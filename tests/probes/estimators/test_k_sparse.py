import numpy as np
import pytest
import torch
from sklearn.feature_selection import f_classif

from interp.errors import InputError
from probes.estimators import KSparseProbe, LogisticProbe
from probes.estimators.k_sparse import mean_gaps

PLANTED = [3, 17, 30]


def planted(n: int = 600, d: int = 40, seed: int = 0):
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=n)
    X = rng.normal(size=(n, d)) + 2
    X[:, PLANTED] += np.outer(y, [3.0, -2.0, 1.5])
    return X, y


@pytest.mark.parametrize("ranking", ["mean_difference", "f"])
def test_the_planted_coordinates_are_chosen_and_no_others_carry_weight(ranking):
    X, y = planted()
    fitted = KSparseProbe(3, ranking).fit(X, y)
    assert fitted.chosen_.tolist() == PLANTED
    assert np.flatnonzero(fitted.coef_).tolist() == PLANTED
    assert np.sign(fitted.direction_[PLANTED]).tolist() == [1, -1, 1]
    assert KSparseProbe(1, ranking).fit(X, y).chosen_.tolist() == [3]
    new, truth = planted(seed=1)
    control = np.random.default_rng(0).permutation(y)
    assert fitted.score(new, truth) > 0.9
    assert KSparseProbe(3, ranking).fit(X, control).score(new, truth) < 0.65


def test_of_all_coordinates_it_is_the_logistic_probe():
    X, y = planted()
    ours, theirs = KSparseProbe(40, C=0.1).fit(X, y), LogisticProbe(C=0.1).fit(X, y)
    np.testing.assert_allclose(ours.decision_function(X), theirs.decision_function(X), atol=1e-10)


def test_the_ranking_and_the_readout_are_those_of_transformer_lens():
    from transformer_lens.tools.analysis.sparse_probing import fit_sparse_probe

    X, y = planted()
    for k in (1, 5):
        theirs = fit_sparse_probe(
            torch.from_numpy(X), torch.from_numpy(y), k=k, preprocess="standardize", class_weight=None, l2_strength=1e-2
        )
        train, test = theirs.train_indices.numpy(), theirs.test_indices.numpy()
        ours = KSparseProbe(k, C=1 / (1e-2 * len(train))).fit(X[train], y[train])
        assert ours.chosen_.tolist() == sorted(theirs.selected_features.tolist())
        np.testing.assert_allclose(mean_gaps(X[train], y[train]), theirs.feature_scores.abs(), atol=1e-10)
        order = np.argsort(theirs.selected_features.numpy())
        weights = (theirs.coefficients / theirs.preprocess_scale).numpy()[order]
        np.testing.assert_allclose(ours.coef_[0, ours.chosen_], weights, atol=5e-3)
        assert ours.score(X[test], y[test]) == pytest.approx(theirs.metrics.accuracy, abs=0.01)


def test_the_gap_by_hand_and_its_units():
    """Means 1, 4 and 2 of three classes lie 3 apart; in units ten times smaller the gap ranks first, F does not."""
    X = np.array([[0.0], [2.0], [4.0], [4.0], [1.0], [3.0]])
    y = np.array([0, 0, 1, 1, 2, 2])
    np.testing.assert_allclose(mean_gaps(X, y), [3])
    data, labels = planted()
    data[:, 5] = 100 * data[:, 5]
    assert KSparseProbe(1).fit(data, labels).chosen_.tolist() == [5]
    assert KSparseProbe(1, "f").fit(data, labels).chosen_.tolist() == [3]
    assert f_classif(data, labels)[0].argmax() == 3


def test_constant_coordinates_are_chosen_last():
    X, y = planted()
    X[:, 0] = 7
    for ranking in ("mean_difference", "f"):
        assert 0 not in KSparseProbe(39, ranking).fit(X, y).chosen_


def test_refusals():
    X, y = planted()
    for k in (0, 41):
        with pytest.raises(InputError, match=f"k is {k}. Expected 1 to 40"):
            KSparseProbe(k).fit(X, y)
    probe = KSparseProbe()
    probe.set_params(ranking="chi")
    with pytest.raises(InputError, match="The ranking is 'chi'"):
        probe.fit(X, y)
