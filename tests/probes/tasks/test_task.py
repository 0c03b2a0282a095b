"""Tasks on prompts: the right positions are captured, whatever the batching and padding."""

import dataclasses
from functools import partial

import numpy as np
import pytest
import torch

from interp.errors import InputError, PromptError
from interp.models import encode, load_model
from interp.prompts import TokenBatch
from interp.run.capture import MOST_ROWS
from interp.sites import Site
from probes import ProbeTask, SweepPlan, probe_sites, probe_task, token_language_task
from probes.tasks.shard_writer import capture_shards
from probes.tasks.task import capture_samples

WORDS = {
    "en": ["cat", "mat", "dog", "store", "drink", "when", "gave", "slept"],
    "de": ["Hund", "Katze", "Matte", "und", "auf", "der", "sitzt", "schläft"],
}


def texts(seed: int = 0, n: int = 10) -> dict[str, list[str]]:
    rng = np.random.default_rng(seed)
    return {language: [" ".join(rng.choice(words, 9)) for _ in range(n)] for language, words in WORDS.items()}


@pytest.fixture
def task(tiny) -> ProbeTask:
    return token_language_task(texts(), partial(encode, tiny), samples_per_text=3)


def test_language_task(tiny, task):
    lengths = task.batch.lengths
    assert len(set(lengths)) > 1
    assert len(task.labels) == 2 * 10 * 3
    assert set(zip(task.groups.tolist(), task.labels.tolist(), strict=True)) == {
        (number, "en" if number < 10 else "de") for number in range(20)
    }
    assert (task.positions >= 4).all()
    assert (task.positions < lengths[task.prompts]).all()


def test_positions_that_another_text_shares_are_not_drawn(tiny):
    begin = "the cat sat on the mat because"
    given = {"en": [f"{begin} the dog slept", f"{begin} John gave a drink"], "de": texts()["de"][:2]}
    task = token_language_task(given, partial(encode, tiny), samples_per_text=100)
    shared = len(encode(tiny, begin))
    assert task.positions[task.prompts == 0].min() >= shared
    assert task.positions[task.prompts == 2].min() == 4
    given["en"][1] = given["en"][0]
    with pytest.raises(InputError, match=r"Text 0 has .* tells it from the other texts"):
        token_language_task(given, partial(encode, tiny))


def test_captured_samples_are_those_of_each_prompt_alone(family, family_model):
    model = family_model(family)
    task = token_language_task(texts(n=5), partial(encode, model), samples_per_text=3)
    sites = [Site(0, "resid_pre"), Site(1, "resid_post")]
    captured = capture_samples(model, task, sites)
    assert captured.shape[:2] == (2, len(task.labels))
    for sample in (0, 7, len(task.labels) - 1):
        prompt = task.prompts[sample]
        alone = torch.from_numpy(task.batch.tokens[prompt, : task.batch.lengths[prompt]])[None]
        _, cache = model.run_with_cache(alone, names_filter=[site.hook_name for site in sites])
        for layer, site in enumerate(sites):
            wanted = cache[site.hook_name][0, task.positions[sample]].float().numpy()
            np.testing.assert_allclose(captured[layer, sample], wanted, atol=2e-4, rtol=2e-4)


@pytest.mark.parametrize(("held", "kept"), [("float64", "float64"), ("float32", "float32"), ("bfloat16", "float32")])
def test_a_capture_is_as_wide_as_the_model_and_at_least_float32(family_directory, task, tmp_path, held, kept):
    model = load_model(str(family_directory("gpt2")), dtype=held)
    site = Site(1, "resid_post")
    captured = capture_samples(model, task, [site])
    assert captured.dtype == kept
    # Rounded to float32 on the way, every number of a float64 model would be a float32.
    assert (captured.astype(np.float32) == captured).all() == (kept == "float32")
    shards = capture_shards(model, task, [site], tmp_path / "shards", dtype="float64")
    np.testing.assert_array_equal(shards.cell(1, "resid_post"), captured[0])


def test_samples_may_stand_in_any_order_over_several_batches(tiny):
    task = token_language_task(texts(n=40), partial(encode, tiny), samples_per_text=2)
    assert len(task.batch) > MOST_ROWS
    order = np.random.default_rng(0).permutation(len(task.labels))
    mixed = ProbeTask(task.batch, task.prompts[order], task.positions[order], task.labels[order], task.groups[order])
    straight, turned = (capture_samples(tiny, each, [Site(1, "resid_post")]) for each in (task, mixed))
    np.testing.assert_array_equal(turned, straight[:, order])


def test_probe_task_on_a_model(tiny, task, family_directory):
    control = load_model(f"random:{family_directory('gpt2')}", seed=1)
    result = probe_task(tiny, control, task)
    assert result.data["layer"].values.tolist() == [-1, 0, 1, 2]
    assert result.notes["sites"] == ["L0 resid_pre", "L0 resid_post", "L1 resid_post", "L2 resid_post"]
    assert result.notes["what"] == "language of the text"
    # The two languages share no word, so the tokens themselves tell them apart.
    assert float(result.data["accuracy"].sel(layer=2)) > float(result.data["control_shuffled_high"].sel(layer=2))
    heads = probe_task(tiny, control, task, site_kind="attn_out")
    assert heads.data["layer"].values.tolist() == [0, 1, 2]
    with pytest.raises(InputError, match="no vector per position"):
        probe_task(tiny, control, task, site_kind="pattern")
    with pytest.raises(InputError, match="equal the activations"):
        probe_task(tiny, tiny, task)


def test_texts_past_the_context_are_refused(tiny, family_directory):
    long = {language: [" ".join(rows) for rows in (given[:5], given[5:])] for language, given in texts().items()}
    task = token_language_task(long, partial(encode, tiny), max_tokens=1000)
    assert task.batch.lengths.max() > 64
    with pytest.raises(PromptError, match="context"):
        probe_task(tiny, tiny, task)


@pytest.mark.parametrize("kind", ["continuous", "multilabel"])
def test_numbers_and_several_labels_are_read_by_layer_from_a_real_model(tiny, family_directory, task, kind):
    """Where in its text a token stands: learned position embeddings tell, and so do random ones."""
    positions = task.positions.astype(float)
    rows = np.stack([positions > np.median(positions), task.labels == "de"], 1)
    given = {"continuous": (positions, ()), "multilabel": (rows, ("late", "German"))}
    labels, names = given[kind]
    asked = dataclasses.replace(task, labels=labels, label_kind=kind, label_names=names)
    control = load_model(f"random:{family_directory('gpt2')}", seed=1)
    result = probe_task(tiny, control, asked)
    first = "r2" if kind == "continuous" else "accuracy"
    assert result.kind == "probe_measures"
    assert result.data["layer"].values.tolist() == [-1, 0, 1, 2]
    assert float(result.data[first].sel(layer=-1)) > float(result.data[f"control_shuffled_{first}_high"].sel(layer=-1))
    assert f"control_random_weights_{first}_low" in result.data
    assert list(result.notes.get("label_shares", {})) == list(names)
    swept = probe_sites(tiny, control, asked, ["resid_post"], plan=SweepPlan(n_shuffles=1))
    assert swept.notes["label_kind"] == kind
    np.testing.assert_allclose(swept.data[first].values[0], result.data[first].sel(layer=[0, 1, 2]), atol=1e-6)


def test_a_grid_over_site_layer_and_position_is_one_call(tiny, family_directory, task):
    control = load_model(f"random:{family_directory('gpt2')}", seed=1)
    kinds = ["resid_post", "attn_out"]
    found = probe_sites(tiny, control, task, kinds, plan=SweepPlan(n_bins=2, n_splits=3))
    assert found.kind == "probe_grid"
    assert dict(found.data["accuracy"].sizes) == {"site": 2, "layer": 3, "position": 2}
    assert found.data["n_at_position"].values.sum() == len(task.labels)
    assert np.isfinite(found.data["control_random_weights_low"]).all()
    assert "n_bins=2" in found.provenance.call


BATCH = TokenBatch.of([np.array([1, 2, 3]), np.array([4, 5])] + [np.array([6 + number]) for number in range(8)])
FIELDS = {
    "prompts": np.arange(10),
    "positions": BATCH.lengths - 1,
    "labels": np.array(["a", "b"] * 5),
    "groups": np.arange(10),
}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"positions": np.full(10, 2)}, "Sample 1 is at position 2 of prompt 1, which has 2 tokens"),
        ({"prompts": np.arange(10) + 1}, "Sample 9 is in no prompt"),
        ({"prompts": np.zeros(10, int), "positions": np.zeros(10, int)}, "given twice"),
        ({"groups": np.arange(9)}, "9 groups for 10 samples"),
        ({"labels": np.full(10, "a")}, "All 10 samples have the label"),
        ({"labels": np.arange(10.0)}, "Expected classes"),
        ({"label_names": ("a",)}, "for 0 labels"),
        ({"labels": np.eye(10, 2, dtype=bool), "label_kind": "multilabel"}, "Label 0 holds of 1 of 10"),
    ],
)
def test_task_refusals(fields, words):
    ProbeTask(BATCH, **FIELDS)
    with pytest.raises(InputError, match=words):
        ProbeTask(BATCH, **(FIELDS | fields))


def test_one_text_in_two_groups_is_refused():
    rows = [np.array([5, 6])] * 2 + [np.array([7 + number]) for number in range(8)]
    batch = TokenBatch.of(rows)
    fields = FIELDS | {"positions": batch.lengths - 1}
    with pytest.raises(InputError, match="Prompts 0 and 1 are the same text but in groups"):
        ProbeTask(batch, **fields)
    ProbeTask(batch, **(fields | {"groups": np.array([0, 0, *range(2, 10)])}))
