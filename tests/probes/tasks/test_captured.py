"""What a task's readings ask for is captured in one call: activations, word types, and words to show."""

import numpy as np
import pytest

from interp.errors import InputError
from interp.models import encode, str_tokens
from interp.plots import plot
from interp.prompts import TokenBatch
from interp.sites import Site
from probes import ProbeTask, capture_labelled, project_samples, sample_contexts
from probes.tasks.captured import AROUND
from probes.tasks.task import capture_samples

WORDS = ["cat", "mat", "dog", "store", "drink", "when", "gave", "slept"]


@pytest.fixture(scope="module")
def task(family_model) -> ProbeTask:
    rng, model = np.random.default_rng(0), family_model("gpt2")
    rows = [encode(model, " ".join(rng.choice(WORDS, 20))) for _ in range(12)]
    prompts, positions = np.repeat(np.arange(12), 2), np.tile([10, 25], 12)
    return ProbeTask(TokenBatch.of(rows), prompts, positions, np.where(positions > 12, "late", "early"), prompts)


def test_a_capture_is_that_of_each_site_with_its_tokens(tiny, task):
    got = capture_labelled(tiny, task)
    assert got.data.layers == (-1, 0, 1, 2)
    assert got.sites == (Site(0, "resid_pre"), *(Site(layer, "resid_post") for layer in range(3)))
    np.testing.assert_array_equal(got.data.X, capture_samples(tiny, task, list(got.sites)))
    assert got.token_ids[:2].tolist() == task.batch.tokens[0, [10, 25]].tolist()
    assert got.token_ids[-1] == task.batch.tokens[11, 25]
    assert got.provenance.call == "capture_labelled('label', site_kind='resid_post')"
    assert capture_labelled(tiny, task, site_kind="attn_out").data.layers == (0, 1, 2)
    with pytest.raises(InputError, match="no vector per position"):
        capture_labelled(tiny, task, site_kind="pattern")


def test_a_sample_is_shown_among_its_neighbours(tiny, task):
    shown = sample_contexts(tiny, task)
    tokens = str_tokens(tiny, task.batch.tokens[0, : task.batch.lengths[0]])
    for sample, position in ((0, 10), (1, 25)):
        before, after = tokens[position - AROUND : position], tokens[position + 1 : position + 1 + AROUND]
        more = "…" if len(tokens) > position + 1 + AROUND else ""
        assert shown[sample] == f"…{''.join(before)}[{tokens[position]}]{''.join(after)}{more}"
    first = ProbeTask(task.batch, np.arange(12), np.full(12, 2), np.array(["a", "b"] * 6), np.zeros(12, int))
    assert sample_contexts(tiny, first)[0] == f"{''.join(tokens[:2])}[{tokens[2]}]{''.join(tokens[3 : 3 + AROUND])}…"


def test_samples_are_laid_along_a_direction_with_their_words(tiny, task):
    got = capture_labelled(tiny, task)
    laid = project_samples(got.data, sample_contexts(tiny, task), got.provenance, layer=0)
    assert set(laid.data["context"].values.tolist()) <= set(sample_contexts(tiny, task))
    assert plot(laid).plotly.data
