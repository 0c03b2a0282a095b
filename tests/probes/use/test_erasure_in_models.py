"""Erasers as interventions on a real tiny model: what is planted goes, all else stays, and no hook is left behind."""

from functools import partial

import numpy as np
import pytest
import torch

from interp.errors import HookError, InputError
from interp.models import encode
from interp.run import Intervention, Steer, Where, forward, intervene, observe
from interp.sites import Site
from probes import LogisticProbe, ProbeTask, leace, project_out, random_eraser, token_language_task
from probes.tasks.task import capture_samples

WORDS = ["cat", "mat", "dog", "store", "drink", "when", "gave", "slept", "Hund", "Katze", "Matte", "und", "auf"]
PLANTED, HERE, NEXT = Site(0, "resid_post"), Site(1, "resid_post"), Site(2, "resid_pre")


@pytest.fixture(scope="module")
def marked(family_model) -> ProbeTask:
    """Tokens of random texts, each text with a mark that nothing in it gives away."""
    rng = np.random.default_rng(0)
    texts = {mark: [" ".join(rng.choice(WORDS, 9)) for _ in range(60)] for mark in ("dull", "lit")}
    return token_language_task(texts, partial(encode, family_model("gpt2")), samples_per_text=10)


def stream(model, task: ProbeTask, site: Site, plan: dict[Site, Intervention]) -> np.ndarray:
    """Labelled activations at a site where each text's mark is written into the stream of layer 0."""
    lit = torch.zeros(len(task.batch), 1, dtype=torch.bool)
    lit[task.prompts[task.labels == "lit"]] = True
    direction = torch.randn(model.cfg.d_model, generator=torch.Generator().manual_seed(0))
    kept: list[torch.Tensor] = []
    with intervene(model, {PLANTED: Where(Steer(direction, 2.0), lit)} | plan, times=1):
        observe(model, task.batch, {site: lambda activation: kept.append(activation.clone())})
    return kept[0][task.prompts, task.positions].double().numpy()


def test_in_a_model_the_planted_concept_is_erased_and_another_is_not(tiny, marked):
    parity = np.where(marked.positions % 2, "odd", "even")
    fitted, fit, test = marked.groups % 2 == 0, marked.groups % 4 == 1, marked.groups % 4 == 3
    X = stream(tiny, marked, HERE, {})[fitted]
    eraser = leace(X, marked.labels[fitted])
    plans = {"plain": {}, "erased": {HERE: eraser}, "random": {HERE: random_eraser(X, eraser.rank)}}
    found = {}
    for name, plan in plans.items():
        seen = stream(tiny, marked, NEXT, plan)
        for what, labels in (("mark", marked.labels), ("parity", parity)):
            found[name, what] = LogisticProbe(C=0.1).fit(seen[fit], labels[fit]).score(seen[test], labels[test])
    assert found["plain", "mark"] > 0.95
    assert found["random", "mark"] > 0.95
    assert found["erased", "mark"] < 0.6
    assert found["plain", "parity"] > 0.7
    assert found["erased", "parity"] > found["plain", "parity"] - 0.05


def test_erasing_at_chosen_positions_leaves_the_others_and_the_past(tiny, marked):
    eraser = leace(capture_samples(tiny, marked, [HERE])[0], marked.labels)
    batch = marked.batch[:4]
    where = torch.zeros(batch.tokens.shape, dtype=torch.bool)
    where[:, 5] = True
    before = forward(tiny, batch)
    with intervene(tiny, {HERE: Where(eraser, where)}, times=1):
        after = forward(tiny, batch)
    assert torch.equal(after[:, :5], before[:, :5])
    assert (after[:, 5] - before[:, 5]).abs().amax(-1).min() > 1e-3


def test_no_hook_stays_after_an_exception(tiny, marked):
    def hooks() -> int:
        return sum(len(point.fwd_hooks) for point in tiny.hook_dict.values())

    X = capture_samples(tiny, marked, [HERE])[0]
    eraser, batch = leace(X, marked.labels), marked.batch[:2]
    before = forward(tiny, batch)
    # Divides by zero only where a hook is there to be left behind.
    with pytest.raises(ZeroDivisionError), intervene(tiny, {HERE: eraser}):
        assert not hooks() or hooks() // 0
    assert hooks() == 0
    narrow = project_out(np.ones((1, 3)))
    with pytest.raises(InputError, match="fitted to vectors of width 3"), intervene(tiny, {HERE: narrow}):
        forward(tiny, batch)
    with pytest.raises(HookError, match="did not happen"), intervene(tiny, {HERE: eraser}):
        pass
    assert hooks() == 0
    assert torch.equal(forward(tiny, batch), before)
