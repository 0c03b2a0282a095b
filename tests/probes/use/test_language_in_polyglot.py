"""On the shipped model: language is read far above what its input tells, and used for what comes next."""

from functools import partial

import pytest

from interp.models import encode, load_model
from interp.models.zoo.texts import read_sentences
from interp.neurons.next_language import learn_vocabulary
from interp.sites import Site
from probes import amnesic_probe, probe_task, token_language_task
from probes.tasks.floors import input_floor
from probes.tasks.task_sources import text_language_task
from probes.use.language_answer import next_language_answer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model():
    return load_model("zoo:polyglot")


def test_language_is_read_far_above_the_floor(model):
    task = token_language_task(read_sentences(30), partial(encode, model), samples_per_text=4)
    floor = input_floor(model, task).data
    result = probe_task(model, load_model("random:zoo:polyglot", seed=1), task).data
    last = result.sel(layer=3)
    assert float(last["accuracy_low"]) > float(floor["accuracy_high"].max()) + 0.2
    assert float(last["accuracy_low"]) > float(last["control_random_weights_high"]) + 0.2
    assert float(last["accuracy"]) > 0.9
    # What enters the first block is the floor itself, fitted on the same folds.
    assert float(result["accuracy"].sel(layer=-1)) == float(floor["accuracy"].sel(source="embedding"))


def test_language_erased_the_next_token_is_no_more_of_the_own_language(model):
    texts = read_sentences()
    task = text_language_task({name: rows[:10] for name, rows in texts.items()}, partial(encode, model))
    counted = learn_vocabulary(model, {name: rows[10:] for name, rows in texts.items()})
    answer = next_language_answer(task, counted.posterior * counted.begins[:, None], counted.languages)
    sites = [Site(1, "resid_post"), Site(3, "resid_post")]
    result = amnesic_probe(model, task, answer, sites, n_random=3).data
    assert (result["effect"] > 10 * result["control_largest"]).all()
    assert (result["above_control_low"] > 0).all()
    assert (result["p_corrected"] < 0.01).all()
    assert (result["reinjected"] < result["effect"] / 3).all()
