"""Steering by a direction does what arithmetic says, is told from other directions, and leaves no hook behind."""

from functools import partial

import numpy as np
import pytest
import torch

from interp.errors import InputError, ResultError, SiteError
from interp.models import encode, load_model
from interp.models.compiled import compiled_model, compiled_prompts
from interp.prompts import PromptSet
from interp.results import Result
from interp.run import forward
from interp.sites import Site
from probes import Answer, LogisticProbe, ProbeTask, metric_answer, next_token_divergence, token_language_task
from probes.tasks.task import capture_samples
from probes.use.dose import DosePlan, corrupted_answers, steer_by_probe
from probes.use.dose_table import kendall_tau

GAIN = 10.0
BEFORE, AFTER = Site(0, "resid_pre"), Site(0, "resid_post")
WORDS = ["cat", "mat", "dog", "store", "drink", "when", "gave", "slept", "Hund", "Katze", "Matte", "und", "auf"]


@pytest.fixture(scope="module")
def model():
    return load_model("compiled:skip-trigram", dtype="float64")


@pytest.fixture(scope="module")
def prompts() -> PromptSet:
    """Prompts whose verb is keep or hold, and whose twin has the other one."""
    ids = {word: number for number, word in enumerate(compiled_model("skip-trigram").circuit.vocabulary)}
    drawn = compiled_prompts("skip-trigram", 600, inputs="in")
    both = {ids["mind"], ids["check"]}
    return drawn.take([row for row, pair in enumerate(drawn) if {pair.answer, pair.wrong_answer} == both][:40])


@pytest.fixture(scope="module")
def task(prompts) -> ProbeTask:
    """Label the verb."""
    batch, rows = prompts.batch("clean"), np.arange(len(prompts))
    places = (batch.tokens != prompts.batch("corrupted").tokens).argmax(1)
    return ProbeTask(batch, rows, places, batch.tokens[rows, places], rows, "verb")


@pytest.fixture(scope="module")
def signs(task) -> np.ndarray:
    """Away from the verb that stands there, whichever it is."""
    return np.where(task.labels == task.labels.min(), 1, -1)


@pytest.fixture(scope="module")
def direction(task) -> np.ndarray:
    """From keep to hold, in the space of tokens."""
    start = compiled_model("skip-trigram").circuit.spaces["token"].start
    towards = np.zeros(compiled_model("skip-trigram").weights.W_E.shape[1])
    towards[start + task.labels.min()], towards[start + task.labels.max()] = -1, 1
    return towards


@pytest.fixture(scope="module")
def steered(model, task, prompts, direction, signs) -> Result:
    plan = DosePlan(alphas=(-2, -1, 0, 1, 2), n_draws=3, signs=signs)
    toward = corrupted_answers(model, prompts)
    return steer_by_probe(model, task, metric_answer(task, prompts), BEFORE, 7 * direction, plan=plan, toward=toward)


def test_by_hand_a_used_direction_turns_one_verb_into_the_other(steered, task):
    """The head copies linearly: pushed by s along hold - keep it says mind by 10 (1 - s / sqrt 2), check by the rest.

    The direction's length (7 sqrt 2) does not matter. sigma is sqrt(2 p (1 - p)), p the share of one verb.
    """
    share = (task.labels == task.labels.min()).mean()
    sigma = np.sqrt(2 * share * (1 - share))
    alphas = np.array([-2, -1, 0, 1, 2])
    assert steered.notes["sigma"] == pytest.approx(sigma, abs=1e-6)
    np.testing.assert_allclose(steered.data["step"], alphas * sigma, atol=1e-6)
    expected = -GAIN * np.sqrt(2) * alphas * sigma
    np.testing.assert_allclose(steered.data["effect"], expected, atol=1e-5)
    np.testing.assert_allclose(steered.data["answer"], GAIN + expected, atol=1e-5)
    np.testing.assert_allclose(steered.data["contrast"], 2 * expected[3:], atol=1e-5)
    assert float(steered.data["slope"]) == pytest.approx(-GAIN * np.sqrt(2) * sigma, abs=1e-5)
    assert float(steered.data["monotonicity"]) == -1
    # Twice the gain lies between the two answers.
    np.testing.assert_allclose(steered.data["nie"], expected / (-2 * GAIN), atol=1e-6)
    assert steered.baselines["logit_diff"] == pytest.approx(GAIN, abs=1e-6)


def test_a_used_direction_stands_far_above_both_controls(steered):
    data = steered.data
    for kind in ("random", "orthogonal"):
        assert (data[f"above_{kind}_low"] > 0.5 * np.abs(data["contrast"])).all()
        assert (data[f"above_{kind}_p_corrected"] < 0.001).all()
        assert float(np.abs(data[f"control_{kind}_slope"]).max()) < 0.3 * abs(float(data["slope"]))
    assert float(data["slope_p"]) < 0.001
    # What the verb tells is read at the last position, which has no token after it.
    assert float(np.abs(data["loss_rise"]).max()) < 1e-6


def test_without_signs_the_two_verbs_cancel(model, task, prompts, direction):
    plan = DosePlan(alphas=(-1, 0, 1), n_draws=2)
    found = steer_by_probe(model, task, metric_answer(task, prompts), BEFORE, direction, plan=plan).data
    balance = (task.labels == task.labels.max()).mean() - (task.labels == task.labels.min()).mean()
    step = float(found["step"].sel(alpha=1))
    assert float(found["effect"].sel(alpha=1)) == pytest.approx(GAIN * np.sqrt(2) * step * balance, abs=1e-5)
    assert "nie" not in found


def test_a_fitted_probe_finds_the_way_and_a_shuffled_one_does_not(model, task, prompts, signs):
    X, plan = capture_samples(model, task, [BEFORE])[0].astype(float), DosePlan((-1, 0, 1), 3, signs)
    answer = metric_answer(task, prompts)
    true = LogisticProbe().fit(X, task.labels).direction()
    found = steer_by_probe(model, task, answer, BEFORE, true, plan=plan).data
    assert float(found["above_orthogonal_low"][0]) > 5
    lost = LogisticProbe().fit(X, np.random.default_rng(1).permutation(task.labels)).direction()
    nothing = steer_by_probe(model, task, answer, BEFORE, lost, plan=plan).data
    assert abs(float(nothing["contrast"][0])) < 0.3 * abs(float(found["contrast"][0]))


def test_an_unused_site_moves_nothing(model, task, prompts, direction, signs):
    """After the only head nothing is read at the verb: effects are exactly 0, and p is 1."""
    plan = DosePlan((-4, 0, 4), 2, signs)
    found = steer_by_probe(model, task, metric_answer(task, prompts), AFTER, direction, plan=plan).data
    for name in ("effect", "control_random", "control_orthogonal", "contrast", "slope", "monotonicity"):
        assert float(np.abs(found[name]).max()) == 0
    assert float(found["contrast_p"][0]) == 1


def test_at_the_last_stream_the_effect_is_that_of_the_unembedding(model, prompts):
    """No norm follows: effect = alpha sigma (W_U[answer] - W_U[wrong]) . direction, and no loss can be measured."""
    batch, rows = prompts.batch("clean"), np.arange(len(prompts))
    task = ProbeTask(batch, rows, batch.lengths - 1, prompts.answers("answer"), rows, "answer")
    direction = np.random.default_rng(0).normal(size=model.cfg.d_model)
    found = steer_by_probe(model, task, metric_answer(task, prompts), AFTER, direction, plan=DosePlan((-3, 0, 3), 2))
    W_U = model.W_U.double().numpy()
    read = W_U[:, prompts.answers("answer")] - W_U[:, prompts.answers("wrong_answer")]
    expected = found.notes["sigma"] * (read.T @ direction).mean() / np.linalg.norm(direction)
    np.testing.assert_allclose(found.data["effect"], [-3 * expected, 0, 3 * expected], atol=1e-9)
    assert "loss_rise" not in found.data
    assert "not measured" in found.notes["loss_rise"]


def test_kendalls_tau_by_hand():
    """Of three pairs of doses: up, up, up; then up, down, up (3 - 2 of 3); flat; and in any order of the doses."""
    values = np.array([[0.0, 1, 5, 2], [1, 3, 5, 1], [2, 2, 5, 0]])
    np.testing.assert_allclose(kendall_tau(np.array([-1.0, 0, 1]), values), [1, 1 / 3, 0, -1])
    np.testing.assert_allclose(kendall_tau(np.array([1.0, 0, -1]), values), [-1, -1 / 3, 0, 1])


@pytest.fixture(scope="module")
def spoken(family_model) -> ProbeTask:
    rng = np.random.default_rng(0)
    halves = {"en": WORDS[:8], "de": WORDS[8:]}
    texts = {half: [" ".join(rng.choice(words, 9)) for _ in range(20)] for half, words in halves.items()}
    return token_language_task(texts, partial(encode, family_model("gpt2")), samples_per_text=3, max_tokens=14)


@pytest.mark.parametrize("site", [Site(1, "resid_post"), Site(1, "z", head=2)])
def test_answer_and_loss_on_a_real_model_are_what_a_plain_loop_gives(tiny, spoken, site):
    width = tiny.cfg.d_model if site.head is None else tiny.cfg.d_head
    direction, plan = np.random.default_rng(1).normal(size=width), DosePlan((-5, 0, 5), 2)
    found = steer_by_probe(tiny, spoken, next_token_divergence(spoken), site, direction, plan=plan)
    push = torch.from_numpy(5 * found.notes["sigma"] * direction / np.linalg.norm(direction)).float()
    where = torch.zeros(spoken.batch.tokens.shape, dtype=torch.bool)
    where[spoken.prompts, spoken.positions] = True

    def edit(act, hook):
        act = act.clone()
        part = act[where] if site.head is None else act[:, :, site.head][where]
        (act if site.head is None else act[:, :, site.head])[where] = part + push
        return act

    tokens, mask = torch.from_numpy(spoken.batch.tokens), torch.from_numpy(spoken.batch.mask)
    plain = forward(tiny, spoken.batch).log_softmax(-1)
    with torch.no_grad(), tiny.hooks(fwd_hooks=[(site.hook_name, edit)]):
        after = tiny(tokens, attention_mask=mask.long()).log_softmax(-1)
    divergence = (plain.exp() * (plain - after)).sum(-1).double()
    expected = np.mean([divergence[row][where[row]].mean() for row in range(len(where))])
    assert float(found.data["effect"].sel(alpha=5)) == pytest.approx(expected, rel=1e-4)

    def loss(logits, row):
        places = range(int(where[row].nonzero()[0]), int(mask[row].sum()) - 1)
        return -np.mean([float(logits[row, pos, tokens[row, pos + 1]]) for pos in places])

    rows = [row for row in range(len(where)) if int(where[row].nonzero()[0]) < int(mask[row].sum()) - 1]
    rise = np.mean([loss(after, row) - loss(plain, row) for row in rows])
    assert float(found.data["loss_rise"].sel(alpha=5)) == pytest.approx(rise, abs=1e-5)
    assert found.baselines["loss_nats"] == pytest.approx(np.mean([loss(plain, row) for row in rows]), rel=1e-5)


def test_a_dose_of_nothing_is_the_plain_run_and_a_huge_one_breaks_the_model(tiny, spoken):
    direction, site = np.random.default_rng(1).normal(size=tiny.cfg.d_model), Site(0, "resid_post")
    plan = DosePlan((-1000, -1, 0, 1, 1000), 2)
    found = steer_by_probe(tiny, spoken, next_token_divergence(spoken), site, direction, plan=plan).data
    for name in ("effect", "loss_rise", "control_random", "control_orthogonal", "control_random_loss_rise"):
        assert float(found[name].sel(alpha=0)) == 0
    assert float(found["loss_rise"].sel(alpha=1000)) > 10 * abs(float(found["loss_rise"].sel(alpha=1)))


def test_controls_are_as_long_and_orthogonal_ones_are_orthogonal(model, task, direction):
    from probes.use.dose import _along, _controls

    X = capture_samples(model, task, [BEFORE])[0].astype(float)
    unit, sigma = _along(X, direction)
    assert sigma == pytest.approx((X @ direction / np.linalg.norm(direction)).std())
    alike, beside = _controls(X, unit, DosePlan(n_draws=6))
    np.testing.assert_allclose(np.linalg.norm(np.concatenate([alike, beside]), axis=1), 1)
    np.testing.assert_allclose(beside @ unit, 0, atol=1e-12)
    # Drawn from the covariance: nothing lies where the activations do not vary.
    assert np.abs(beside[:, X.std(0) == 0]).max() < 1e-12
    assert np.abs(alike[:, X.std(0) == 0]).max() > 0.1


def test_it_can_be_kept_and_says_what_its_controls_are(steered, tmp_path):
    assert steered.has_control
    for word in ("random", "orthogonal", "covariance"):
        assert word in steered.notes["control"]
    for name in ("effect", "answer", "contrast", "above_random", "slope", "nie", "loss_rise", "monotonicity"):
        assert (steered.data[f"{name}_low"] <= steered.data[name] + 1e-12).all()
        assert (steered.data[name] <= steered.data[f"{name}_high"] + 1e-12).all()
    assert Result.load(steered.save(tmp_path / "dose.safetensors")).data.equals(steered.data)


def test_its_sign_says_once_what_positive_means(steered):
    assert steered.sign.count("Positive") == 1
    assert "adding the direction raises the answer" in steered.sign


def test_no_hook_stays_after_an_exception(tiny, spoken):
    def score(logits, plain, rows):
        return logits[:, 0, 0] * (torch.nan if logits is not plain else 1)

    answer, direction = Answer("spoilt", "nats", "Larger.", score), np.ones(tiny.cfg.d_model)
    direction[0] = 3
    with pytest.raises(ResultError, match=r"NaN or infinite for 40 prompts.* smaller alphas"):
        steer_by_probe(tiny, spoken, answer, Site(1, "resid_post"), direction)
    assert not any(point.fwd_hooks for point in tiny.hook_dict.values())


@pytest.mark.parametrize("alphas", [(1.0, -1.0), (0.0,), (0.0, 1.0, 2.0), (0, 0, 1, -1), (0, np.inf, -np.inf)])
def test_doses_come_in_pairs_around_nothing(alphas):
    with pytest.raises(InputError, match="Expected 0 and at least one pair"):
        DosePlan(alphas=alphas)


def test_refusals(tiny, spoken, model, task, prompts, direction):
    answer, plan = next_token_divergence(spoken), DosePlan((-1, 0, 1), 2)
    along = np.random.default_rng(0).normal(size=tiny.cfg.d_model)
    for site in (Site(0, "pattern"), Site(0, "z"), Site(0, "resid_pre", pos=2)):
        with pytest.raises(InputError, match="holds no vector for each position"):
            steer_by_probe(tiny, spoken, answer, site, along)
    with pytest.raises(SiteError):
        steer_by_probe(tiny, spoken, answer, Site(9, "resid_post"), along)
    for bad in (along[:-1], 0 * along, along * np.nan):
        with pytest.raises(InputError, match="A direction of width"):
            steer_by_probe(tiny, spoken, answer, Site(1, "resid_post"), bad)
    unseen = np.zeros_like(direction)
    unseen[-1] = 1
    with pytest.raises(InputError, match="so no dose has a size"):
        steer_by_probe(model, task, metric_answer(task, prompts), BEFORE, unseen, plan=plan)
    plain = np.full(len(prompts), GAIN)
    with pytest.raises(InputError, match="39 answers to steer toward"):
        steer_by_probe(model, task, metric_answer(task, prompts), BEFORE, direction, plan=plan, toward=plain[:-1])
    with pytest.raises(InputError, match="a share of the way means nothing"):
        steer_by_probe(model, task, metric_answer(task, prompts), BEFORE, direction, plan=plan, toward=plain)
    with pytest.raises(InputError, match="3 signs for"):
        steer_by_probe(tiny, spoken, answer, Site(1, "resid_post"), along, plan=DosePlan(signs=np.array([1, 1, -1])))
    with pytest.raises(InputError, match="Expected 1 or -1"):
        DosePlan(signs=np.array([1, 0]))
    with pytest.raises(InputError, match="0 random directions"):
        DosePlan(n_draws=0)
    with pytest.raises(InputError, match="compares with the clean run"):
        corrupted_answers(model, prompts, "kl")
