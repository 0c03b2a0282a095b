"""Contrast pairs of texts: checked when made, captured at their ends, and searched in a model with its controls."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from interp.errors import InputError, PromptError
from interp.models import encode, load_model, str_tokens
from interp.plots import plot
from interp.prompts import TokenBatch
from interp.run.capture import MOST_ROWS
from interp.sites import Site
from probes import ContrastConsistentProbe, ContrastTask, agreement_contrast_task, contrast_probe, contrast_task
from probes.tasks.contrast_task import FEWEST_NOUNS, _capture

QUICK = ContrastConsistentProbe(n_starts=1, alpha=1.0)


@pytest.fixture(scope="module")
def model():
    return load_model("zoo:polyglot")


@pytest.fixture(scope="module")
def control():
    return load_model("random:zoo:polyglot", seed=1)


@pytest.fixture(scope="module")
def reader(model):
    return partial(encode, model)


def words(text: str) -> np.ndarray:
    """One number for each word."""
    return np.array([int.from_bytes(word.encode()[:7]) for word in text.split(" ") if word], np.int64)


N = 10
STEMS = [f"Q{n} is it" for n in range(N)]
GIVEN = {
    "first_texts": [f"{stem} yes" for stem in STEMS],
    "second_texts": [f"{stem} sadly no" for stem in STEMS],
    "labels": ["a", "b"] * (N // 2),
    "groups": list(range(N)),
}


def test_pairs_of_ones_own():
    task = contrast_task(**GIVEN, encode=words)
    assert len(task) == N
    assert task.templates.tolist() == [0] * N
    halves = task.halves()
    assert halves.positions.tolist() == [3] * N + [4] * N
    ends = halves.batch.tokens[halves.prompts, halves.positions]
    assert ends.tolist() == [words("yes")[0]] * N + [words("no")[0]] * N
    assert halves.labels.tolist() == GIVEN["labels"] * 2
    named = contrast_task(**GIVEN, encode=words, templates=["x", "y"] * 5, what="truth")
    assert (named.templates.tolist(), named.what) == (["x", "y"] * 5, "truth")


def exchanged(name: str, place: int, value: object) -> dict:
    return {name: [value if number == place else of for number, of in enumerate(GIVEN[name])]}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"second_texts": GIVEN["second_texts"][1:]}, "9 second halves for 10 first halves"),
        ({"labels": GIVEN["labels"][1:]}, "9 labels for 10 first halves"),
        ({"groups": GIVEN["groups"][1:]}, "9 groups for 10 first halves"),
        ({"templates": ["x"]}, "1 templates for 10 first halves"),
        ({"labels": ["a"] * N}, "All 10 samples have the label 'a'"),
        ({"labels": ["a", "b", "c"] * 3 + ["a"]}, "Class 'b' has 3 samples"),
        (exchanged("second_texts", 3, GIVEN["first_texts"][3]), "halves of pair 3 are the same text"),
        (exchanged("second_texts", 7, GIVEN["second_texts"][2]), "Pairs 2 and 7 share a text but are in"),
    ],
)
def test_refusals(given, told):
    with pytest.raises(InputError, match=told):
        contrast_task(**(GIVEN | given), encode=words)


def test_more_than_two_classes_and_no_texts_are_refused():
    three = [stem.replace("Q", f"R{copy}") for copy in range(2) for stem in STEMS]
    texts = {"first_texts": [f"{stem} yes" for stem in three], "second_texts": [f"{stem} no" for stem in three]}
    with pytest.raises(InputError, match="There are 3 classes"):
        contrast_task(**texts, labels=(["a", "b", "c"] * 7)[:20], groups=list(range(20)), encode=words)
    with pytest.raises(PromptError, match="No prompts"):
        contrast_task([], [], [], [], words)


def test_a_pair_is_given_once_even_with_its_halves_exchanged():
    for first, second in (("first_texts", "second_texts"), ("second_texts", "first_texts")):
        given = GIVEN | {"groups": [0] * N}
        given |= {
            "first_texts": [*GIVEN["first_texts"][:-1], GIVEN[first][4]],
            "second_texts": [*GIVEN["second_texts"][:-1], GIVEN[second][4]],
        }
        with pytest.raises(InputError, match="Pairs 4 and 9 are the same two texts"):
            contrast_task(**given, encode=words)
    # Within a group, pairs may share one text.
    shared = exchanged("second_texts", 7, GIVEN["second_texts"][2])
    assert len(contrast_task(**(GIVEN | shared | {"groups": [0] * N}), encode=words)) == N


def test_agreement_pairs_are_balanced_in_every_template(model, reader):
    task = agreement_contrast_task(reader)
    assert set(np.unique(task.labels)) == {"singular", "plural"}
    assert {"en was/were", "fr était/étaient", "de hatte/hatten", "es era/eran"} <= set(task.templates.tolist())
    for template in np.unique(task.templates):
        rows = np.flatnonzero(task.templates == template)
        assert (task.labels[rows] == "plural").sum() * 2 == len(rows)
        assert len(np.unique(task.groups[rows])) >= FEWEST_NOUNS
    for number in (0, 51, len(task) - 1):
        first, second = (
            str_tokens(model, each.tokens[number, : each.lengths[number]]) for each in (task.first, task.second)
        )
        assert first[:-1] == second[:-1]
        assert [first[-1].strip(), second[-1].strip()] == task.templates[number].split(" ")[1].split("/")
    begins = str_tokens(model, task.first.tokens[0])
    assert "".join(begins[1:4]) == "The book about"
    assert task.labels[:2].tolist() == ["singular", "plural"]
    assert task.groups[:2].tolist() == ["en book", "en book"]


def test_agreement_of_no_language_or_of_another_is_refused():
    with pytest.raises(InputError, match=r"No agreement prompts in \['it'\]"):
        agreement_contrast_task(words, languages=["it"])
    with pytest.raises(InputError, match="No pairs"):
        agreement_contrast_task(words, languages=[])


def test_each_half_is_captured_at_its_own_last_token(model, reader):
    task = agreement_contrast_task(reader)
    assert len(task) * 2 > MOST_ROWS
    sites = [Site(0, "resid_pre"), Site(2, "resid_post")]
    captured = _capture(model, task, sites)
    assert captured.shape == (2, len(task), 2, 256)
    for number in (0, 77):
        for half, batch in enumerate((task.first, task.second)):
            alone = torch.from_numpy(batch.tokens[number, : batch.lengths[number]])[None]
            _, cache = model.run_with_cache(alone, names_filter=[site.hook_name for site in sites])
            for layer, site in enumerate(sites):
                wanted = cache[site.hook_name][0, -1].float().numpy()
                np.testing.assert_allclose(captured[layer, number, half], wanted, atol=2e-4, rtol=2e-4)


def test_a_search_in_a_model_stands_beside_its_controls(model, control, reader):
    task = agreement_contrast_task(reader, languages=["en"])
    result = contrast_probe(model, control, task, probe=QUICK, n_splits=2)
    assert result.data["layer"].values.tolist() == [-1, 0, 1, 2, 3]
    assert result.notes["sites"][:2] == ["L0 resid_pre", "L0 resid_post"]
    assert (result.notes["n_samples"], result.notes["n_groups"], result.notes["n_prompts"]) == (38, 19, 76)
    assert result.notes["templates"] == ["en was/were"]
    first = result.data.sel(layer=-1)
    # The verb alone is known there, and each form comes with both numbers.
    for name in ("accuracy", "supervised", "first_component", "control_random_direction", "control_random_weights"):
        assert float(first[name]) == 0.5
    assert float(first["loss"]) == float(first["control_random_weights_loss"]) == pytest.approx(0.2, abs=1e-6)
    assert np.isfinite(result.data.to_array()).all()
    assert result.provenance.call.startswith(
        "contrast_probe('number of the subject', ContrastConsistentProbe(alpha=1.0"
    )
    figure = plot(result)
    assert figure.title.endswith(": number of the subject")
    assert "random directions" in figure.control


def test_settings_are_checked_before_anything_is_run(reader):
    task = agreement_contrast_task(reader, languages=["en"])
    with pytest.raises(InputError, match=r"alpha 0\.0"):
        contrast_probe(None, None, task, probe=ContrastConsistentProbe(alpha=0.0))
    with pytest.raises(InputError, match="25 folds"):
        contrast_probe(None, None, task, n_splits=25)
    alone = replace(task, templates=np.where(task.groups == task.groups[0], "alone", "others"))
    with pytest.raises(InputError, match="without template 'alone'"):
        contrast_probe(None, None, alone)


def test_kinds_of_site_and_equal_models_are_refused(model, control, reader):
    task = agreement_contrast_task(reader, languages=["en"])
    with pytest.raises(InputError, match="no vector per position"):
        contrast_probe(model, control, task, site_kind="pattern")
    with pytest.raises(InputError, match="equal the activations"):
        contrast_probe(model, model, task)


def test_a_task_may_be_made_of_batches():
    rows = [TokenBatch.of([np.array([n + 5, last]) for n in range(N)]) for last in (1, 2)]
    task = ContrastTask(*rows, np.arange(N) % 2, np.arange(N))
    assert len(task) == N
    with pytest.raises(InputError, match="Expected classes: text or whole"):
        ContrastTask(*rows, np.arange(N) % 2 / 2, np.arange(N))
    with pytest.raises(InputError, match="halves of pair 0 are the same text"):
        ContrastTask(rows[0], rows[0], np.arange(N) % 2, np.arange(N))
