"""The named heads of models whose heads are known are found, and no head of a random-weights model is."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from interp.attention import composition_scores, head_scores, weight_scores
from interp.models import load_model
from interp.results import Result

Heads = dict[str, set[str]]


def controls(name: str) -> list[Any]:
    return [load_model(f"random:{name}", seed=seed) for seed in range(1, 21)]


def found(result: Result) -> Heads:
    """Heads found by each detector, such as `{"induction": {"L1H0"}}`; detectors that found none are left out."""
    heads: Heads = {}
    for detector in result.data["detector"].values:
        places = np.argwhere(result.data["found"].sel(detector=detector).values)
        heads[str(detector)] = {f"L{layer}H{head}" for layer, head in places}
    return {detector: places for detector, places in heads.items() if places}


def by_pattern(model: Any, others: Iterable[Any]) -> Heads:
    return found(head_scores(model, texts=None, control_models=others, n_sequences=16))


def test_the_two_heads_of_compiled_induction():
    model, others = load_model("compiled:induction"), controls("compiled:induction")
    # Within the first copy the induction head rests on BOS.
    wanted = {"previous_token": {"L0H0"}, "local": {"L0H0"}, "induction": {"L1H0"}, "first_token": {"L1H0"}}
    assert by_pattern(model, others) == wanted
    assert found(weight_scores(model, others)) == {"copying": {"L1H0"}}


@pytest.mark.slow
def test_the_heads_of_compiled_copy():
    """Movers and suppressor look at names that were said twice, which random tokens do not show; weights do."""
    model, others = load_model("compiled:copy"), controls("compiled:copy")
    heads = by_pattern(model, others)
    assert heads.pop("first_token") >= {"L0H0", "L1H0", "L2H2"}  # where they rest
    assert heads == {"duplicate_token": {"L0H0"}}
    weights = found(weight_scores(model, others))
    assert weights == {
        "copying": {"L2H0", "L2H1"},
        "copy_suppression": {"L2H2"},
        "key_tokens": {"L2H0", "L2H1"},  # at names, whatever the query
        "token_pairs": {"L0H0", "L2H0", "L2H1"},  # from a name, at the same one
    }


def test_the_counter_of_compiled_brackets():
    model, others = load_model("compiled:brackets"), controls("compiled:brackets")
    heads = {"L0H0"}
    assert by_pattern(model, others) == {"first_token": heads}  # BOS and the brackets alike
    assert found(weight_scores(model, others)) == {"key_tokens": heads, "token_pairs": heads}


def test_the_two_heads_of_compiled_skip_trigram():
    model, others = load_model("compiled:skip-trigram"), controls("compiled:skip-trigram")
    heads = {"L0H0", "L0H1"}
    assert by_pattern(model, others) == {"first_token": heads}  # where they rest
    assert found(weight_scores(model, others)) == {"token_pairs": heads}


@pytest.mark.slow
def test_patterns_show_decoys_and_weights_tell_them_from_working_heads():
    model, others = load_model("compiled:decoys"), controls("compiled:decoys")
    heads, weights = by_pattern(model, others), found(weight_scores(model, others))
    # The loud heads do look there; L0H0 and L1H1 are decoys.
    assert heads["previous_token"] == {"L0H0", "L0H1"}
    assert heads["induction"] == {"L1H0", "L1H1"}
    assert set(heads) == {"previous_token", "local", "induction", "first_token"}
    assert weights == {"copying": {"L1H0", "L2H1"}}
    pairs = composition_scores(model, others, kind="K").to_dataframe()
    assert set(pairs[pairs["found"]]["writer"]) == {"L0H1"}


@pytest.mark.slow
def test_the_heads_of_zoo_induction():
    model, others = load_model("zoo:induction"), controls("zoo:induction")
    heads = by_pattern(model, others)
    assert heads["previous_token"] >= {"L0H0", "L0H1", "L0H2"}
    assert heads["induction"] == {f"L1H{head}" for head in range(4)}
    assert not {"duplicate_token", "offset_2", "offset_3", "uniform"} & set(heads)
    weights = found(weight_scores(model, others))
    assert set(weights) == {"copying", "key_tokens", "token_pairs"}
    assert weights["copying"] >= heads["induction"]
    # Heads of the first layer go by position, and those of the second compare tokens.
    assert weights["key_tokens"] == weights["token_pairs"] == heads["induction"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["zoo:induction", "compiled:decoys"])
def test_no_head_of_twenty_random_models_is_found(name):
    models = [load_model(f"random:{name}", seed=seed) for seed in range(21)]
    for place, subject in enumerate(models[:20]):
        others = models[:place] + models[place + 1 :]
        assert by_pattern(subject, others) == {}
        assert found(weight_scores(subject, others)) == {}
        for kind in "QKV":
            assert not composition_scores(subject, others, kind=kind).data["found"].any()
