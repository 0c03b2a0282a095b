"""Agreement of methods and languages, and depth, worked out on a table whose sets are known."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from interp.errors import ResultError
from interp.neurons.agreement import depth_profile, language_overlap, method_agreement
from interp.neurons.scoring import METHODS
from interp.neurons.table import language_neurons
from interp.results import Result
from tests.interp.neurons.test_table import CHOSEN, drawn

LAPE, AP, BOTTOM, DIFFERENCE, AUROC = METHODS


@pytest.fixture(scope="module")
def table() -> Result:
    """Found sets set by hand: 2 layers of 60 neurons, 3 languages."""
    made = language_neurons(drawn(), selection=CHOSEN, n_shuffles=2)
    found = np.zeros((5, 2, 60, 3), bool)
    found[0, 0, :4, 0] = True  # lape: neurons 0 to 3 of layer 0 for the first language,
    found[0, 0, 2:12, 1] = True  # 2 to 11 of it for the second
    found[1, 0, 1:4, 0] = True  # average precision: three of the same for the first,
    found[1, 1, 7, 2] = True  # and one of layer 1 for the third
    found[4, :, 20:30, 0] = True  # auroc: ten of each layer
    return replace(made, data=made.data.assign(found=(("method", "layer", "neuron", "language"), found)))


def at(result: Result, variable: str, **place: str) -> float:
    return float(result.data[variable].sel(dict(place)))


def test_overlap_of_methods_worked_by_hand(table):
    found = method_agreement(table)
    pair = {"method": LAPE, "other": AP}
    # 14 and 4 pairs, 3 of them the same.
    assert at(found, "overlap", **pair) == pytest.approx(3 / 4)
    assert at(found, "jaccard", **pair) == pytest.approx(3 / 15)
    # By chance 4 x 3 / 60 in layer 0 for the first language, nothing elsewhere; of 4.
    assert at(found, "control", **pair) == pytest.approx(0.2 / 4)
    low, high = (at(found, f"overlap_{end}", **pair) for end in ("low", "high"))
    theirs = stats.binomtest(3, 4).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((theirs.low, theirs.high))
    assert found.data["overlap"].sel({"method": LAPE, "other": AUROC}) == 0
    assert found.data["n_found"].values.tolist() == [14, 4, 0, 0, 20]


def test_a_method_that_found_nothing_has_no_overlap_rather_than_none(table):
    found = method_agreement(table)
    assert found.data["ran"].sel({"method": BOTTOM}).values.tolist() == [False] * 5
    assert np.isnan(found.data["overlap"].sel({"method": DIFFERENCE, "other": LAPE}))
    assert found.data["ran"].sel({"method": LAPE, "other": AUROC})


def test_rank_correlations_are_those_of_scipy(table):
    found, score = method_agreement(table), table.data["score"]
    best = {name: score.sel({"method": name}).max("language").values.ravel() for name in METHODS}
    # Low entropies speak for a language.
    best[LAPE] = -score.sel({"method": LAPE}).min("language").values.ravel()
    for one, other in ((AP, AUROC), (LAPE, AUROC), (BOTTOM, DIFFERENCE)):
        expected = stats.spearmanr(best[one], best[other]).statistic
        assert at(found, "rank_correlation", method=one, other=other) == pytest.approx(expected)
    shuffled = table.data["control"].max("language")
    rows = (shuffled.sel({"method": name}).values.ravel() for name in (AP, AUROC))
    assert at(found, "control_rank_correlation", method=AP, other=AUROC) == pytest.approx(
        stats.spearmanr(*rows).statistic
    )
    halves = table.data["score_in_half"].sel({"method": AUROC}).max("language").values.reshape(2, -1)
    assert at(found, "reliability", method=AUROC) == pytest.approx(stats.spearmanr(*halves).statistic)


def test_overlap_of_languages_worked_by_hand(table):
    found = language_overlap(table)
    pair = {"method": LAPE, "language": "aa", "other": "bb"}
    # 4 and 10 neurons of layer 0, of which 2 and 3 are the same two; by chance 4 x 10 / 60, of 4.
    assert at(found, "overlap", **pair) == pytest.approx(2 / 4)
    assert at(found, "jaccard", **pair) == pytest.approx(2 / 12)
    assert at(found, "control", **pair) == pytest.approx(4 * 10 / 60 / 4)
    assert not found.data["ran"].sel({"method": LAPE, "language": "aa", "other": "<cc>"})
    assert at(found, "overlap", method=AP, language="aa", other="<cc>") == 0


def test_depth_counts_neurons_layer_by_layer(table):
    found = depth_profile(table)
    assert at(found, "n_found", method=AUROC, layer=1, language="aa") == 10
    assert at(found, "share", method=AUROC, layer=1, language="aa") == pytest.approx(10 / 60)
    assert at(found, "share", method=AP, layer=0, language="aa") == pytest.approx(3 / 60)
    low, high = (at(found, f"share_{end}", method=AP, layer=0, language="aa") for end in ("low", "high"))
    theirs = stats.binomtest(3, 60).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((theirs.low, theirs.high))
    assert found.data["n_found"].sum() == 38
    assert "2 shuffles" in found.notes["control"]


@pytest.mark.parametrize("compare", [method_agreement, language_overlap, depth_profile])
def test_another_kind_of_result_is_refused(compare, table):
    with pytest.raises(ResultError, match="no language neurons"):
        compare(depth_profile(table))
    assert compare(table).has_control
