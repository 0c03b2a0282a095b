"""Amnesic probing tells a concept that a model uses from one that is only there, on models whose truth is known."""

from functools import partial

import numpy as np
import pytest
import torch

from interp.errors import InputError, ResultError, SiteError
from interp.models import encode, load_model
from interp.models.compiled import compiled_prompts
from interp.plots import plot
from interp.prompts import PromptSet
from interp.results import Result
from interp.run import Where, forward
from interp.sites import Site
from probes import (
    Answer,
    Inject,
    ProbeTask,
    amnesic_probe,
    leace,
    metric_answer,
    next_token_divergence,
    token_language_task,
)
from probes.tasks.task import capture_samples
from probes.use.answers import answers
from probes.use.labelled import labelled

N, GAIN = 200, 10.0
BEFORE, AFTER = Site(0, "resid_pre"), Site(0, "resid_post")
WORDS = ["cat", "mat", "dog", "store", "drink", "when", "gave", "slept", "Hund", "Katze", "Matte", "und", "auf"]


@pytest.fixture(scope="module")
def prompts() -> PromptSet:
    return compiled_prompts("skip-trigram", N, inputs="in")


@pytest.fixture(scope="module")
def verb_task(prompts) -> ProbeTask:
    """Label the verb, which decides what this model says after `in`."""
    batch = prompts.batch("clean")
    places = (batch.tokens != prompts.batch("corrupted").tokens).argmax(1)
    _, texts = np.unique(batch.tokens, axis=0, return_inverse=True)
    return ProbeTask(batch, np.arange(N), places, batch.tokens[np.arange(N), places], texts, "verb")


@pytest.fixture(scope="module")
def parity_task(verb_task) -> ProbeTask:
    """Label whether the verb's place is odd, which this model holds and never uses."""
    task = verb_task
    return ProbeTask(task.batch, task.prompts, task.positions, task.positions % 2, task.groups, "odd place")


@pytest.fixture(scope="module")
def model():
    return load_model("compiled:skip-trigram")


@pytest.fixture(scope="module")
def used(model, verb_task, prompts) -> Result:
    return amnesic_probe(model, verb_task, metric_answer(verb_task, prompts), [BEFORE, AFTER], n_random=5)


def test_by_hand_where_the_concept_is_used(used, verb_task, prompts):
    """Erased, each verb is the mean of all: the head says each answer by its verb's share, times its gain of 10."""
    verbs, counts = np.unique(verb_task.labels, return_counts=True)
    share = dict(zip(verbs.tolist(), counts / N, strict=True))
    wrong = prompts.batch("corrupted").tokens[np.arange(N), verb_task.positions]
    shares = np.array([share[right] - share[other] for right, other in zip(verb_task.labels, wrong, strict=True)])
    here = used.data.sel(site=str(BEFORE))
    assert used.baselines["logit_diff"] == pytest.approx(GAIN, abs=1e-3)
    assert float(here["effect"]) == pytest.approx((GAIN - GAIN * shares).mean(), abs=1e-3)
    assert float(here["everything"]) == pytest.approx(float(here["effect"]), abs=1e-3)
    assert int(here["rank"]) == 3


def test_a_used_concept_is_above_every_control_and_comes_back_with_the_right_label(used):
    here = used.data.sel(site=str(BEFORE))
    assert float(here["above_control_low"]) > 5
    assert float(here["effect"]) > 2 * float(here["control_largest"])
    assert float(here["p_corrected"]) < 0.001
    assert float(here["reinjected"]) < 1e-3
    assert float(here["restored"]) == pytest.approx(float(here["effect"]), abs=1e-3)


def test_after_the_last_head_nothing_is_used_at_the_verb(used):
    after = used.data.sel(site=str(AFTER))
    for name in ("effect", "control", "everything"):
        assert float(after[name]) == 0
    assert float(after["p"]) == 1


def test_a_concept_that_is_there_and_unused_is_not_above_its_control(model, parity_task, prompts):
    here = amnesic_probe(model, parity_task, metric_answer(parity_task, prompts), [BEFORE], n_random=5).data.isel(
        site=0
    )
    assert float(here["above_control_high"]) < 0
    assert float(here["effect"]) < 0.1 * float(here["everything"])


def test_inlp_erases_a_used_concept_too_with_more_directions(model, verb_task, used, prompts):
    task = verb_task
    # The stream is the verb and its place alone: what is equal there must be of one group.
    places = task.labels * 100 + task.positions
    alike = ProbeTask(task.batch, task.prompts, task.positions, task.labels, places, "verb")
    found = amnesic_probe(model, alike, metric_answer(alike, prompts), [BEFORE], erase="inlp", n_random=3)
    here, least = found.data.isel(site=0), used.data.sel(site=str(BEFORE))
    assert float(here["above_control_low"]) > 2
    assert float(here["effect"]) > 0.9 * float(here["everything"])
    assert int(here["rank"]) > int(least["rank"])
    assert "INLP" in found.method
    assert found.notes["erased_by"] == {str(BEFORE): "INLP, 3 rounds"}
    assert "LEACE" in used.method
    assert used.notes["erased_by"][str(BEFORE)] == "LEACE"


def test_the_wrong_label_brings_the_wrong_answer(model, verb_task, prompts):
    """Inject is not blind: the mean of the corrupted verb makes the model say the corrupted answer."""
    X = capture_samples(model, verb_task, [BEFORE])[0]
    eraser, answer = leace(X, verb_task.labels), metric_answer(verb_task, prompts)
    wrong = prompts.batch("corrupted").tokens[np.arange(N), verb_task.positions]
    means = eraser.mean.expand(*verb_task.batch.tokens.shape, -1).clone()
    for label in np.unique(wrong):
        rows = wrong == label
        means[np.arange(N)[rows], verb_task.positions[rows]] = torch.from_numpy(
            X[verb_task.labels == label].mean(0, dtype=np.float64)
        )
    where = labelled(verb_task)
    arms = {"swapped": lambda rows: {BEFORE: Where(Inject(eraser, means[rows]), where[rows])}}
    found = answers(model, verb_task.batch, answer, arms)
    np.testing.assert_allclose(found["plain"], GAIN, atol=1e-3)
    np.testing.assert_allclose(found["swapped"], -GAIN, atol=1e-3)


def test_it_says_what_its_control_is_and_can_be_kept(used, tmp_path):
    assert used.has_control
    for word in ("random directions", "reinjected", "everything"):
        assert word in used.notes["control"]
    assert used.notes["n_prompts"] == N
    assert f"Mean over {N} prompts." in plot(used).caption
    assert "logit" in used.unit
    for name in ("effect", "control", "above_control", "restored"):
        assert (used.data[f"{name}_low"] <= used.data[name]).all()
        assert (used.data[name] <= used.data[f"{name}_high"]).all()
    assert Result.load(used.save(tmp_path / "amnesic.safetensors")).data.equals(used.data)


@pytest.fixture(scope="module")
def spoken(family_model) -> ProbeTask:
    rng = np.random.default_rng(0)
    halves = {"en": WORDS[:8], "de": WORDS[8:]}
    texts = {half: [" ".join(rng.choice(words, 9)) for _ in range(20)] for half, words in halves.items()}
    return token_language_task(texts, partial(encode, family_model("gpt2")), samples_per_text=6)


def test_divergence_on_a_real_tiny_model_is_what_a_plain_loop_gives(tiny, spoken):
    site = Site(1, "resid_post")
    found = amnesic_probe(tiny, spoken, next_token_divergence(spoken), [site], n_random=2)
    eraser = leace(capture_samples(tiny, spoken, [site])[0], spoken.labels)
    before = forward(tiny, spoken.batch).log_softmax(-1)
    where = torch.zeros(spoken.batch.tokens.shape, dtype=torch.bool)
    where[spoken.prompts, spoken.positions] = True

    def edit(act, hook):
        return torch.where(where[:, :, None], eraser(act), act)

    tokens, mask = torch.from_numpy(spoken.batch.tokens), torch.from_numpy(spoken.batch.mask).long()
    with torch.no_grad(), tiny.hooks(fwd_hooks=[(site.hook_name, edit)]):
        after = tiny(tokens, attention_mask=mask).log_softmax(-1)
    divergence = (before.exp() * (before - after)).sum(-1).double().numpy()
    by_prompt = [divergence[row][where[row].numpy()].mean() for row in range(len(where))]
    assert float(found.data["effect"][0]) == pytest.approx(np.mean(by_prompt), rel=1e-4)
    assert found.baselines["kl"] == 0


def test_no_hook_stays_after_an_exception(tiny, spoken):
    def score(logits, plain, rows):
        return logits[:, 0, 0] * (torch.nan if logits is not plain else 1)

    with pytest.raises(ResultError, match="NaN or infinite for 40 prompts"):
        amnesic_probe(tiny, spoken, Answer("spoilt", "nats", "Larger.", score), [Site(1, "resid_post")], n_random=1)
    assert not any(point.fwd_hooks for point in tiny.hook_dict.values())


def test_refusals(tiny, spoken, model, verb_task, parity_task, prompts):
    answer = next_token_divergence(spoken)
    with pytest.raises(InputError, match="0 sites and 10 random"):
        amnesic_probe(tiny, spoken, answer, [])
    with pytest.raises(InputError, match="No erasure 'rlace'"):
        amnesic_probe(tiny, spoken, answer, [BEFORE], erase="rlace")
    shuffled = ProbeTask(
        spoken.batch,
        spoken.prompts,
        spoken.positions,
        np.random.default_rng(3).permutation(spoken.labels),
        spoken.groups,
    )
    with pytest.raises(InputError, match="cannot tell these labels apart as it is"):
        amnesic_probe(tiny, shuffled, next_token_divergence(shuffled), [Site(1, "resid_post")], erase="inlp")
    with pytest.raises(InputError, match="1 sites and 0 random"):
        amnesic_probe(tiny, spoken, answer, [BEFORE], n_random=0)
    for site in (Site(0, "pattern"), Site(0, "z", head=1), Site(0, "resid_pre", pos=2)):
        with pytest.raises(InputError, match="holds no vector for each position"):
            amnesic_probe(tiny, spoken, answer, [site])
    with pytest.raises(SiteError):
        amnesic_probe(tiny, spoken, answer, [Site(9, "resid_post")])
    some = spoken.prompts > 0
    fields = (getattr(spoken, name)[some] for name in ("prompts", "positions", "labels", "groups"))
    with pytest.raises(InputError, match="1 of 40 prompts have no labelled position"):
        amnesic_probe(tiny, ProbeTask(spoken.batch, *fields), answer, [BEFORE])
    with pytest.raises(InputError, match="are not the 40 prompts of the task"):
        metric_answer(spoken, prompts)
