"""What results on a task say of themselves."""

import numpy as np

from interp.prompts import TokenBatch
from interp.sites import Site
from probes import ProbeTask, next_token_divergence
from probes.use.about import call_of, notes_on

BATCH = TokenBatch.of(list(np.arange(20).reshape(10, 2)))
TASK = ProbeTask(BATCH, np.arange(10), np.ones(10, int), np.array(["a", "b"] * 5), np.arange(10), "verb")
ANSWER = next_token_divergence(TASK)


def test_the_call_is_written_as_it_was_made():
    sites = [Site(0, "resid_pre"), Site(1, "z", 2)]
    several = call_of("label_swap", TASK, ANSWER, sites, n_random=3, seed=0)
    assert several == "label_swap('verb', 'kl', ['L0 resid_pre', 'L1H2 z'], n_random=3, seed=0)"
    one = call_of("steer_by_probe", TASK, ANSWER, sites[0], alphas=(-1, 0, 1))
    assert one == "steer_by_probe('verb', 'kl', 'L0 resid_pre', alphas=(-1, 0, 1))"


def test_notes_count_prompts():
    assert notes_on(TASK, ANSWER, "none") == {"what": "verb", "answer": "kl", "n_prompts": 10, "control": "none"}
