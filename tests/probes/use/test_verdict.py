"""The verdict calls features of compiled models what they are: decodable and used, or decodable and not used."""

import numpy as np
import pytest

from interp.errors import InputError
from interp.models.compiled import compiled_model
from interp.results import Result
from interp.sites import Site
from probes import metric_answer
from probes.estimators.linear import LogisticProbe
from probes.reading.readable import Reading, some_samples
from probes.use.verdict import ABSENT, UNUSED, USED, probe_verdict
from tests.probes.use.compiled_features import feature, hooked, needed, prompts_of
from tests.probes.use.test_label_swap import ASLEEP, NODES, verbs


def verdict(name, node_name, n=120):
    prompts, node = prompts_of(name, n), compiled_model(name).key.node(node_name)
    task = feature(name, node, prompts)
    return probe_verdict(hooked(name), task, metric_answer(task, prompts), [node.site], n_random=2)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "node"), [pair for pair in NODES if pair != ASLEEP])
def test_every_feature_of_every_key_gets_its_verdict(name, node):
    assert str(verdict(name, node).data["verdict"].values[0]) == (USED if node in needed(name) else UNUSED)


@pytest.fixture(scope="module")
def both():
    """Verdicts on what decides a model's answer and on what is only there, where they stand and after the block."""
    prompts, tasks = verbs()
    sites = [Site(0, "resid_pre"), Site(0, "resid_post")]
    answer = metric_answer(tasks["verb"], prompts)
    model = hooked("skip-trigram")
    return {name: probe_verdict(model, task, answer, sites, n_random=3) for name, task in tasks.items()}


def test_a_used_and_an_unused_feature_of_one_site(both):
    said = {name: result.data["verdict"].values.tolist() for name, result in both.items()}
    assert said == {"verb": [USED, UNUSED], "odd": [UNUSED, UNUSED]}
    assert both["verb"].data["simple"].values.all()
    assert both["verb"].has_control


def test_a_verdict_is_saved_and_opens_in_pandas(both, tmp_path):
    loaded = Result.load(both["verb"].save(tmp_path / "v.safetensors"))
    assert loaded.data["verdict"].values.tolist() == both["verb"].data["verdict"].values.tolist()
    assert "probe_verdict(" in loaded.provenance.call
    assert {"site", "verdict", "accuracy", "compression"} <= set(loaded.to_dataframe("accuracy").columns)


def test_shuffled_labels_are_not_decodable(both):
    prompts, tasks = verbs()
    task = tasks["odd"]
    object.__setattr__(task, "labels", np.random.default_rng(0).permutation(task.labels))
    found = probe_verdict(
        hooked("skip-trigram"), task, metric_answer(task, prompts), [Site(0, "resid_pre")], n_random=2
    )
    assert found.data["verdict"].values.tolist() == [ABSENT]
    assert not found.data["simple"].values.any()
    assert not found.data["used"].values.any()


def test_a_nonlinear_label_is_absent_and_a_weak_one_not_simple():
    rng = np.random.default_rng(0)
    X, groups = rng.normal(size=(400, 20)), np.arange(400)
    for labels, decodable in ((X[:, 0] * X[:, 1] > 0, False), (X[:, 0] > 0, True)):
        read = Reading.of(labels.astype(int), groups, LogisticProbe(), n_splits=4, seed=0).read(X)
        assert read.decodable == decodable == read.simple
    wide = np.concatenate([X[:, :1], rng.normal(size=(400, 150))], 1)
    weak = Reading.of((X[:, 0] > 0).astype(int), groups, LogisticProbe(C=10.0), n_splits=4, seed=0).read(wide)
    assert weak.decodable
    assert not weak.simple, "a hundred and fifty coordinates of noise take more samples to see through than there are"


def test_whole_groups_are_chosen_and_rare_classes_left_out():
    groups = np.repeat(np.arange(30), 4)
    labels = np.where(groups == 7, "rare", np.where(np.arange(120) % 2, "a", "b"))
    rows = some_samples(labels, groups, 60, 5)
    assert 50 <= len(rows) <= 60
    assert set(labels[rows]) == {"a", "b"}
    assert all(np.isin(np.flatnonzero(groups == group), rows).all() for group in np.unique(groups[rows]))
    with pytest.raises(InputError, match="1 classes occur in 5 groups"):
        some_samples(np.where(groups < 2, "rare", "a"), groups, 120, 5)
