"""Swapping labels tells what a model's answer follows from what is only there, on models whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest

from interp.errors import InputError
from interp.models.compiled import NAMES, compiled_model
from interp.sites import Site
from probes import ProbeTask, amnesic_probe, metric_answer
from probes.use.label_swap import label_swap, wrong_labels
from tests.probes.use.compiled_features import feature, hooked, needed, prompts_of

MODELS = (*NAMES, "random-3x4-7", "random-2x3-1")
NODES = [
    (name, node.name) for name in MODELS for node in compiled_model(name).key.nodes + compiled_model(name).key.decoys
]
ASLEEP = ("decoys", "backup")
"""Looks at BOS alone: it tells nothing that varies."""


def swap(name, node_name, n=120, **settings):
    prompts, node = prompts_of(name, n), compiled_model(name).key.node(node_name)
    task = feature(name, node, prompts)
    return label_swap(hooked(name), task, metric_answer(task, prompts), [node.site], n_random=3, **settings)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "node"), [pair for pair in NODES if pair != ASLEEP])
def test_every_part_of_every_key_is_called_used_exactly_where_it_is(name, node):
    found = swap(name, node).data.isel(site=0)
    assert bool(found["used"]) == (node in needed(name))
    if node not in needed(name):
        assert float(found["swapped"]) <= 1e-5


@pytest.mark.parametrize("node", ["previous", "loud_words"])
def test_loud_and_unused_beside_quiet_and_used(node):
    found = swap("decoys", node, n=60).data.isel(site=0)
    assert bool(found["used"]) == (node == "previous")
    assert (float(found["swapped"]) > 5) == (node == "previous")
    assert float(found["control"].sel(arm="reinjected")) < 1e-4


def test_a_part_that_tells_nothing_has_no_feature():
    prompts, node = prompts_of("decoys", 60), compiled_model("decoys").key.node("backup")
    with pytest.raises(InputError, match="have the label '<bos>'"):
        feature("decoys", node, prompts)


def verbs(n=150):
    """Label the verb of a skip-trigram, or whether its place is odd, where the verb stands."""
    prompts = compiled_model("skip-trigram").prompts(n, inputs="in")
    batch = prompts.batch("clean")
    places = (batch.tokens != prompts.batch("corrupted").tokens).argmax(1)
    _, texts = np.unique(batch.tokens, axis=0, return_inverse=True)
    verb = batch.tokens[np.arange(n), places]
    tasks = {
        name: ProbeTask(batch, np.arange(n), places, labels, texts)
        for name, labels in {"verb": verb, "odd": places % 2}.items()
    }
    return prompts, tasks


def test_in_the_stream_a_used_label_is_above_random_directions_and_an_unused_one_moves_nothing():
    prompts, tasks = verbs()
    sites = [Site(0, "resid_pre"), Site(0, "resid_post")]
    found = {
        name: label_swap(hooked("skip-trigram"), task, metric_answer(task, prompts), sites, n_random=3).data
        for name, task in tasks.items()
    }
    assert found["verb"]["used"].values.tolist() == [True, False], "after the last block nobody reads the verb's place"
    assert found["odd"]["used"].values.tolist() == [False, False]
    assert found["verb"]["ran"].values.all()
    above = found["verb"]["above_control_low"].sel(site="L0 resid_pre", arm="random")
    assert float(above) > 3


def test_by_hand_a_swapped_verb_says_the_other_answer():
    """Every verb becomes one of three others: the answer loses 10, and the wrong one gains 10 in one of three."""
    prompts, tasks = verbs()
    task = tasks["verb"]
    found = label_swap(hooked("skip-trigram"), task, metric_answer(task, prompts), [Site(0, "resid_pre")], n_random=1)
    wrong = prompts.batch("corrupted").tokens[np.arange(len(prompts)), task.positions]
    expected = np.where(wrong_labels(task.labels) == wrong, 20, 10).mean()
    assert float(found.data["swapped"][0]) == pytest.approx(expected, abs=1e-3)


def test_wrong_labels_are_never_right_and_all_come():
    labels = np.array(["a", "b", "c"] * 200)
    drawn = wrong_labels(labels, seed=1)
    assert (drawn != labels).all()
    assert {tuple(pair) for pair in zip(labels.tolist(), drawn.tolist(), strict=True)} == {
        (own, other) for own in "abc" for other in "abc" if own != other
    }


def test_what_holds_no_vector_is_refused():
    prompts, tasks = verbs(40)
    answer = metric_answer(tasks["verb"], prompts)
    model = hooked("skip-trigram")
    for site in (Site(0, "z"), Site(0, "pattern", 0), Site(0, "resid_pre", pos=1)):
        with pytest.raises(InputError, match="holds no vector for each position"):
            label_swap(model, tasks["verb"], answer, [site])
    with pytest.raises(InputError, match="0 sites"):
        label_swap(model, tasks["verb"], answer, [])
    numbers = replace(tasks["verb"], labels=np.arange(float(len(tasks["verb"].labels))), label_kind="continuous")
    for ask in (label_swap, amnesic_probe):
        with pytest.raises(InputError, match="Expected one class for each sample"):
            ask(model, numbers, answer, [Site(0, "resid_pre")])
