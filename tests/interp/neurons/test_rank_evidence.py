import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from interp.errors import InputError
from interp.neurons.rank_evidence import rank_evidence

RNG = np.random.default_rng(0)


def _pairs(n_documents: int = 40, n_units: int = 200, effect: float = 0.0, per: int = 6, seed: int = 0):
    """Pairs whose documents differ: a document's pairs share a part of their difference."""
    rng = np.random.default_rng(seed)
    document = np.repeat(np.arange(n_documents), per)
    shared = rng.normal(size=(n_documents, n_units))[document]
    noise = rng.normal(size=(2, len(document), n_units))
    return noise[0] + shared + effect, noise[1], document


def test_by_hand() -> None:
    evidence = rank_evidence(np.array([[3.0], [4.0]]), np.array([[1.0], [2.0]]), np.array([0, 1]))
    # Ranks 3 - 1 and 4 - 2: leads of 2 and 2, so AUROC 1/2 + 4/8, z = 4 / sqrt(8).
    assert evidence.auroc[0] == 1.0
    assert evidence.z[0] == pytest.approx(2**0.5)
    assert evidence.p[0] == pytest.approx(0.1573, abs=1e-4)


def test_a_unit_that_never_differs_has_no_evidence() -> None:
    evidence = rank_evidence(np.ones((6, 1)), np.ones((6, 1)), np.array([0, 0, 1, 1, 2, 2]))
    assert (evidence.auroc[0], evidence.z[0], evidence.p[0]) == (0.5, 0.0, 1.0)


def test_it_is_the_area_under_the_curve_ties_included() -> None:
    switch, matched = RNG.integers(0, 5, (50, 3)).astype(float), RNG.integers(1, 6, (50, 3)).astype(float)
    found = rank_evidence(switch, matched, np.arange(50)).auroc
    labels = np.repeat([1, 0], 50)
    wanted = [roc_auc_score(labels, np.concatenate([switch[:, unit], matched[:, unit]])) for unit in range(3)]
    np.testing.assert_allclose(found, wanted)


def test_saying_a_documents_pairs_ten_times_makes_nothing_more_certain() -> None:
    switch, matched, document = _pairs(per=1)
    once = rank_evidence(switch, matched, document)
    often = rank_evidence(*(np.repeat(array, 10, axis=0) for array in (switch, matched, document)))
    np.testing.assert_allclose(once.auroc, often.auroc)
    np.testing.assert_allclose(once.z, often.z)


def test_documents_are_kept_whole_under_the_null() -> None:
    """Pairs of a document share their difference: a test of single pairs would find far more than 5 %."""
    switch, matched, document = _pairs(n_units=2000)
    whole = (rank_evidence(switch, matched, document).p < 0.05).mean()
    single = (rank_evidence(switch, matched, np.arange(len(document))).p < 0.05).mean()
    assert 0.03 < whole < 0.07
    assert single > 0.15


def test_the_normal_approximation_agrees_with_drawn_exchanges() -> None:
    evidence = rank_evidence(*_pairs(effect=0.3))
    drawn = evidence.permutation_p(n_draws=20_000)
    common = drawn > 0.002
    assert common.sum() > 100
    assert (np.abs(np.log(evidence.p[common] / drawn[common])) < 0.4).all()
    rare = ~common
    assert rare.any()
    assert (evidence.p[rare] < 0.004).all()


def test_the_direction_is_that_of_the_switch_tokens() -> None:
    switch, matched, document = _pairs(effect=1.5)
    evidence = rank_evidence(switch, matched, document)
    assert (evidence.auroc > 0.5).all()
    assert (evidence.p_in_direction(np.ones(200)) < 0.5).all()
    assert (evidence.p_in_direction(-np.ones(200)) > 0.5).all()
    low, high = evidence.interval()
    assert ((low < evidence.auroc) & (evidence.auroc < high)).all()


def test_shuffling_turns_whole_documents() -> None:
    evidence = rank_evidence(*_pairs(effect=1.5))
    shuffled = evidence.shuffled(np.random.default_rng(1))
    turned = (shuffled.lead == -evidence.lead).all(1)
    assert ((shuffled.lead == evidence.lead).all(1) | turned).all()
    assert 0 < turned.sum() < len(turned)
    assert abs(shuffled.auroc.mean() - 0.5) < abs(evidence.auroc.mean() - 0.5) / 2


def test_an_effect_of_the_detectable_size_is_found_four_times_in_five() -> None:
    null = rank_evidence(*_pairs(n_units=2000))
    wanted = null.detectable()
    sizes = np.linspace(0.1, 1.5, 15)
    aurocs = [rank_evidence(*_pairs(effect=size)).auroc.mean() for size in sizes]
    effect = float(np.interp(wanted, aurocs, sizes))
    power = (rank_evidence(*_pairs(n_units=2000, effect=effect, seed=1)).p < 0.05).mean()
    assert 0.7 < power < 0.9
    assert null.detectable(1000) > wanted


def test_one_document_gives_no_test() -> None:
    with pytest.raises(InputError, match="1 document"):
        rank_evidence(np.ones((2, 1)), np.zeros((2, 1)), np.array([3, 3]))
