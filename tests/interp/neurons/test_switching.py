import numpy as np
import pytest

from interp.errors import InputError
from interp.neurons.directions import find_switching_directions
from interp.neurons.passes import Places, read_units
from interp.neurons.separation import auroc
from interp.neurons.switching import find_switching_units, switch_evidence
from interp.results import Result
from tests.interp.neurons.planted_switches import PLANTED, RARITY, planted_material, planted_model


@pytest.fixture(scope="module")
def neurons() -> Result:
    return find_switching_units(planted_model(), planted_material())


def test_planted_neurons_are_found_and_no_others(neurons: Result) -> None:
    found = np.flatnonzero(neurons.data["found"].values[0])
    right = len(np.intersect1d(found, PLANTED))
    assert right / len(found) >= 0.95
    assert right / len(PLANTED) >= 0.95
    # Into one language of three, a third of the switch tokens fire and no match does: 1/2 + 1/2 * 1/3.
    np.testing.assert_allclose(neurons.data["score"].values[0, PLANTED], 2 / 3, atol=0.02)


def test_nothing_is_found_just_before_switches_that_nothing_foretells(neurons: Result) -> None:
    assert not neurons.data["found_before"].any()
    assert neurons.notes["n_significant_before"] == 0


def test_shuffled_labels_find_at_most_the_nominal_share() -> None:
    halves = planted_material().halves()
    evidence = switch_evidence(planted_model(), halves)
    found = [evidence.shuffled(np.random.default_rng(seed)).passes() for seed in range(50)]
    assert np.mean([one["found"].mean() for one in found]) <= 0.05
    assert np.mean([one["found"].any() for one in found]) <= 0.05
    assert evidence.passes()["found"].sum() >= len(PLANTED), "there is something to find, and labels decide it"


def test_neurons_of_rare_words_do_not_enter_though_switches_begin_with_frequent_ones(neurons: Result) -> None:
    model, material = planted_model(), planted_material()
    tokens = material.tokens
    row, pos = np.nonzero(tokens.language[material.plain] >= 0)
    plain, switch = (
        read_units(model, tokens.batch, places)[:, 0, RARITY]
        for places in (Places(material.plain[row], pos), material.at.switch)
    )
    unmatched = auroc(np.concatenate([switch, plain]), np.arange(len(switch) + len(plain)) < len(switch))
    assert (np.abs(unmatched - 0.5) > 0.1).all(), "without matching they would look like switch neurons"
    np.testing.assert_allclose(neurons.data["score"].values[0, RARITY], 0.5, atol=0.01)
    assert not neurons.data["found"].values[0, RARITY].any()


def test_neurons_of_a_language_stand_in_the_table_as_such(neurons: Result) -> None:
    factor = np.abs(neurons.data["factor_auroc"].sel(factor="language").values[0] - 0.5)
    language = np.arange(len(PLANTED), RARITY[0])
    assert (factor[language] > 0.4).all()
    assert (factor[PLANTED] < 0.01).all()
    assert not neurons.data["separate"].values[0, language].any()


def test_a_seed_says_everything(neurons: Result) -> None:
    again = find_switching_units(planted_model(), planted_material())
    assert again.data.equals(neurons.data)


def test_heads_go_the_same_way() -> None:
    heads = find_switching_units(planted_model(), planted_material(), "heads")
    assert heads.kind == "switching_heads"
    assert dict(heads.data["score"].sizes) == {"layer": 1, "head": 2}
    # Both write one word, or one language, whatever the language before: vectors of one length.
    assert not heads.data["found"].any()


def test_a_direction_made_on_one_half_tells_switches_on_the_other() -> None:
    found = find_switching_directions(planted_model(), planted_material())
    data = found.data
    assert float(data["score"][0]) > 0.9
    assert float(data["q_fdr"][0]) < 0.001
    assert abs(float(data["control"][0]) - 0.5) < 0.2
    assert float(data["before_q_fdr"][0]) > 0.05
    np.testing.assert_allclose(np.linalg.norm(data["direction"].values, axis=1), 1, rtol=1e-5)


def test_too_few_documents_cannot_be_split() -> None:
    material = planted_material()
    few = material.of(material.documents[:3])
    with pytest.raises(InputError, match="3 documents"):
        find_switching_units(planted_model(), few)
