"""Neurons planted for a language are found, by every method; frequency is no language; shuffled labels find nothing."""

from dataclasses import replace

import numpy as np
import pytest

from interp.errors import InputError
from interp.neurons.activity import TextActivity, text_activity
from interp.neurons.average_precision import average_precision
from interp.neurons.count import count_neurons
from interp.neurons.scoring import ALPHA, METHODS, Evidence, Scored, Selection
from interp.neurons.separation import auroc, mean_difference
from tests.interp.neurons.planted import N_CONCEPTS, N_TOKENS, Planted, draw_rows, plant

PUBLISHED = Selection()
N_SEEDS = 50
FIRING = [METHODS.index(name) for name in METHODS if name != "average_precision_bottom"]


def read(planted: Planted, n_documents: int = 30) -> TextActivity:
    rows, documents = draw_rows(n_documents)
    return replace(text_activity(planted.model, rows), document=np.concatenate(list(documents.values())))


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Planted:
    return plant(tmp_path_factory.mktemp("planted") / "model")


@pytest.fixture(scope="module")
def evidence(planted) -> Evidence:
    return Evidence.of(read(planted))


@pytest.fixture(scope="module")
def scored(evidence) -> Scored:
    return evidence.scored(evidence.ranked.activity.language, PUBLISHED)


@pytest.fixture(scope="module")
def shuffled(evidence) -> list[Scored]:
    """The same with the languages dealt out anew among documents, from 50 seeds."""
    activity = evidence.ranked.activity
    return [evidence.scored(activity.shuffled_labels(np.random.default_rng(s)), PUBLISHED) for s in range(N_SEEDS)]


def recall_and_precision(found: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    hits = (found & truth).sum()
    return hits / truth.sum(), hits / max(1, found.sum())


@pytest.mark.parametrize("method", [METHODS[place] for place in FIRING])
def test_neurons_planted_for_a_language_are_found_and_no_others(method, planted, scored):
    recall, precision = recall_and_precision(scored.found[METHODS.index(method)], planted.truth)
    assert recall >= 0.95
    assert precision >= 0.95


def test_the_rule_as_published_takes_the_planted_neurons_and_their_languages(planted, scored):
    # One in a hundred, which is how many were planted.
    assert planted.truth.sum() == 24 == round(0.01 * planted.truth[..., 0].size)
    assert (scored.found[METHODS.index("lape")] & planted.truth).sum() >= 23


def test_neurons_that_fire_at_frequent_words_do_not_enter(planted, scored):
    words = 2 + np.arange(N_CONCEPTS)
    frequent, rare = (np.array([1, *np.resize(some, N_TOKENS)]) for some in (words[:4], words[40:]))
    probability = count_neurons(planted.model, {"frequent": [frequent], "rare": [rare]}).probability
    often, seldom = probability[:, planted.confounds].mean(1)
    assert often > 0.9, "or they would be no confound"
    assert seldom < 0.2
    assert planted.confounds.sum() == 24
    assert not scored.found[:, planted.confounds].any()
    assert not (scored.q[:, planted.confounds] <= ALPHA).any()


def test_p_of_neurons_that_know_no_language_is_as_frequent_as_it_says(planted, scored):
    p = scored.p[:, ~planted.truth.any(-1)]
    assert ((p <= 0.05).mean((1, 2)) < 0.06).all()
    assert (p <= 0.5).mean((1, 2)) == pytest.approx(0.5, abs=0.06)


def test_shuffled_labels_find_a_neuron_in_at_most_the_nominal_share_of_runs(shuffled):
    """Family-wise: 5 % of the runs may report any neuron for any language. FDR under a null that holds everywhere is
    the same thing: with nothing to find, one false discovery is a rate of 1.
    """
    runs = np.array([run.found.any((1, 2, 3)) for run in shuffled])
    assert len(runs) == N_SEEDS
    assert (runs.mean(0) <= 0.05).all(), dict(zip(METHODS, runs.mean(0), strict=True))
    # By q alone, without what methods ask besides. 7 of 50 are improbable (p < 0.01) at a true rate of 5 %.
    alone = np.array([run.surprising for run in shuffled]).sum(0)
    assert (alone <= 6).all(), dict(zip(METHODS, alone, strict=True))


def test_shuffled_labels_give_small_p_values_as_often_as_they_say(shuffled):
    share = np.mean([(run.p <= 0.05).mean((1, 2, 3)) for run in shuffled], 0)
    assert share == pytest.approx(0.05, abs=0.006)
    rare = np.mean([(run.p <= 0.001).mean((1, 2, 3)) for run in shuffled], 0)
    assert (rare <= 0.0015).all()


def test_lape_as_published_finds_its_share_in_noise_and_the_test_does_not(evidence, shuffled):
    from interp.neurons.lape import lape

    labels = evidence.ranked.activity.shuffled_labels(np.random.default_rng(0))
    assert lape(evidence.ranked.activity.relabelled(labels).probability).assigned.sum() > 0
    assert shuffled[0].found[METHODS.index("lape")].sum() == 0


def test_behind_a_gate_lape_finds_what_means_of_the_product_do_not_show(tmp_path):
    # The gate knows the language; what it is multiplied with has no sign of its own.
    gated = plant(tmp_path / "gated", gated=True)
    activity = read(gated)
    scored = Evidence.of(activity).scored(activity.language, PUBLISHED)
    recall, precision = recall_and_precision(scored.found[METHODS.index("lape")], gated.truth)
    assert min(recall, precision) >= 0.95
    assert recall_and_precision(scored.found[METHODS.index("auroc")], gated.truth)[0] < 0.5


def test_scores_are_those_of_each_method_by_itself(evidence):
    activity = evidence.ranked.activity
    scores = evidence.ranked.scores(activity.language)
    for number in range(3):
        ours = activity.language == number
        part = activity.mean[:, :2, :40]
        expected = [average_precision(part, ours), average_precision(-part, ours), mean_difference(part, ours)]
        for place, values in zip((1, 2, 3), expected, strict=True):
            np.testing.assert_allclose(scores[place, :2, :40, number], values, rtol=1e-6)
        np.testing.assert_allclose(scores[4, :2, :40, number], auroc(part, ours), rtol=1e-6)


def test_neurons_that_keep_still_for_a_language_are_the_bottom_ones():
    rng = np.random.default_rng(0)
    language = np.repeat([0, 1, 2], 20)
    mean = rng.normal(size=(60, 1, 200))
    mean[language == 1, 0, :4] -= 4
    activity = TextActivity(
        ("aa", "bb", "cc"),
        language,
        np.arange(60),
        np.full(60, 10),
        mean,
        rng.integers(0, 10, mean.shape),
        _provenance(),
    )
    scored = Evidence.of(activity).scored(language, Selection(n_each=4))
    bottom = np.argwhere(scored.found[METHODS.index("average_precision_bottom")]).tolist()
    assert bottom == [[0, neuron, 1] for neuron in range(4)]
    assert not scored.found[METHODS.index("auroc"), 0, :, 1].any()


def _provenance():
    from tests.interp.plots.synthetic import provenance

    return provenance()


@pytest.mark.parametrize("change", [{"rate": 0.0}, {"percentile": 1.5}, {"least_auroc": 2.0}, {"n_each": 0}])
def test_a_selection_that_means_nothing_is_refused(change):
    with pytest.raises(InputError, match="Expected"):
        Selection(**change)
