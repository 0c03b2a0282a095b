"""Exchanging subspaces is what a plain patch of that part is, learns what is planted, and refuses what cannot work."""

import numpy as np
import pytest
import torch

from interp.errors import HookError, InputError, ResultError, SiteError
from interp.models import load_model
from interp.models.compiled import compiled_model, compiled_prompts
from interp.prompts import TokenBatch
from interp.run import capture, forward, intervene
from interp.run.interchange import Interchange, Pairs, Training, arbitrary_targets
from interp.run.subspaces import mean_difference, random_subspace, span_of
from interp.sites import Site

SITE = Site(0, "resid_post")


def pairs_of(name: str, n: int = 24) -> tuple[Pairs, np.ndarray]:
    """Pairs of a compiled model at the token in which they differ, and the sources' answers among the choices."""
    prompts = compiled_prompts(name, n)
    base, source = prompts.batch("clean"), prompts.batch("corrupted")
    at = (base.tokens != source.tokens).argmax(1)
    own, theirs = (np.array([getattr(pair, side) for pair in prompts]) for side in ("answer", "wrong_answer"))
    choices = np.unique([own, theirs])
    return Pairs(base, source, at, at, choices), np.searchsorted(choices, theirs)


@pytest.fixture(scope="module")
def copy():
    return load_model("compiled:copy", dtype="float64")


@pytest.fixture(scope="module")
def exchanged(copy) -> tuple[Interchange, np.ndarray]:
    pairs, targets = pairs_of("copy")
    return Interchange.at(copy, SITE, pairs), targets


def space(name: str, d_model: int) -> np.ndarray:
    """A named part of the compiled stream, as a basis."""
    return np.eye(d_model)[:, compiled_model("copy").circuit.spaces[name]]


def test_the_space_that_carries_the_mark_carries_the_answer_and_no_other_does(exchanged):
    at, targets = exchanged
    assert (at.swapped(space("said_twice", at.d_model)).argmax(1) == targets).all()
    for other in ("token", "pos", "twice_here", "out"):
        assert (at.swapped(space(other, at.d_model)).argmax(1) != targets).all()
    np.testing.assert_array_equal(at.swapped(space("pos", at.d_model)), at.plain())


@pytest.mark.parametrize("site", [Site(1, "resid_post"), Site(0, "resid_pre"), Site(1, "attn_out"), Site(2, "mlp_out")])
def test_it_is_what_an_intervention_by_hand_does_with_padding_and_unequal_places(tiny, site):
    rng = np.random.default_rng(0)
    base, source = (TokenBatch.of([rng.integers(3, 90, size=n) for n in lengths]) for lengths in ((5, 9, 7), (8, 4, 6)))
    base_pos, source_pos, choices = np.array([2, 8, 3]), np.array([7, 0, 5]), np.array([5, 17, 40, 3])
    at = Interchange.at(tiny, site, Pairs(base, source, base_pos, source_pos, choices))
    basis, rows = random_subspace(at.d_model, 5, seed=3), torch.arange(3)
    B = torch.from_numpy(basis).float()
    there = capture(tiny, source, [site])[site][rows, source_pos]

    class Swap:
        def __call__(self, activation):
            edited = activation.clone()
            edited[rows, base_pos] += (there - activation[rows, base_pos]) @ B @ B.T
            return edited

    with intervene(tiny, {site: Swap()}):
        expected = forward(tiny, base)[rows, base.lengths - 1][:, choices]
    np.testing.assert_allclose(at.swapped(basis), expected, atol=1e-5)
    plain = forward(tiny, base)[rows, base.lengths - 1][:, choices]
    np.testing.assert_allclose(at.plain(), plain, atol=1e-6)
    assert np.abs(at.swapped(basis) - at.plain()).max() > 1e-3
    taken = at.take(np.array([2, 0]))
    np.testing.assert_allclose(taken.swapped(basis), at.swapped(basis)[[2, 0]], atol=1e-5)


def test_a_placebo_moves_as_far_in_another_subspace(exchanged):
    from transformer_lens.tools.analysis.interchange import NormMatchedPlacebo, SubspaceInterchange

    at, targets = exchanged
    basis = space("said_twice", at.d_model)
    found = at.placebo(basis, seed=2)
    assert (found.argmax(1) == targets).mean() < 0.2
    drawn = random_subspace(at.d_model, basis.shape[1], seed=2)
    move = NormMatchedPlacebo(SubspaceInterchange(torch.from_numpy(basis)), torch.from_numpy(drawn))
    moved = move(at.base, at.source) - at.base
    np.testing.assert_allclose(moved.norm(dim=1), np.sqrt(2), atol=1e-6)
    assert not np.array_equal(found, at.placebo(basis, seed=3))


def test_a_search_finds_the_planted_direction_and_leaves_the_model_as_it_was():
    """One token in place of another: the direction between the two carries the answer, and DAS of rank 1 finds it."""
    model, name = load_model("compiled:skip-trigram"), "skip-trigram"
    prompts = compiled_prompts(name, 400, inputs="in")
    wanted = {prompts.pairs[0].answer, prompts.pairs[0].wrong_answer}
    prompts = prompts.take([row for row, pair in enumerate(prompts) if {pair.answer, pair.wrong_answer} == wanted])
    base, source = prompts.batch("clean"), prompts.batch("corrupted")
    place, choices = (base.tokens != source.tokens).argmax(1), np.array(sorted(wanted))
    targets = np.searchsorted(choices, [pair.wrong_answer for pair in prompts])
    at = Interchange.at(model, Site(0, "resid_pre"), Pairs(base, source, place, place, choices))
    flags = [parameter.requires_grad for parameter in model.parameters()]
    with torch.no_grad():
        learned = at.learn(targets, Training(1, epochs=15, learning_rate=0.05))
    assert learned.losses[-1] < 0.01 * learned.losses[0]
    true = (at.source - at.base)[0].numpy()
    # A random direction would have a cosine of about 0.07; the gradient fades where all answers are right.
    assert abs(true @ learned.basis[:, 0]) / np.linalg.norm(true) > 0.8
    assert (at.swapped(learned.basis).argmax(1) == targets).all()
    assert [parameter.requires_grad for parameter in model.parameters()] == flags
    assert not any(point.fwd_hooks for point in model.hook_dict.values())
    again = at.learn(targets, Training(1, epochs=15, learning_rate=0.05))
    np.testing.assert_array_equal(again.basis, learned.basis)


def test_subspaces_by_hand():
    """Rows (3, 0, 0), (6, 0, 0) and (0, 0, 2) span the first and the third axis, the first the larger."""
    basis = span_of(np.array([[3.0, 0, 0], [6, 0, 0], [0, 0, 2]]))
    np.testing.assert_allclose(np.abs(basis), [[1, 0], [0, 0], [0, 1]], atol=1e-12)
    assert span_of(np.array([[3.0, 0, 0], [0, 0, 2]]), rank=1).shape == (3, 1)
    activations, labels = torch.tensor([[1.0, 5], [3, 5], [2, 8], [2, 10]]), np.array([0, 0, 1, 1])
    np.testing.assert_allclose(np.abs(mean_difference(activations, labels, rank=1)), [[0], [1]], atol=1e-12)
    drawn = random_subspace(20, 4, seed=1)
    np.testing.assert_allclose(drawn.T @ drawn, np.eye(4), atol=1e-14)


def test_means_and_draws_are_those_of_transformer_lens(exchanged):
    from transformer_lens.tools.analysis import interchange

    at, targets = exchanged
    ours, theirs = (
        mean_difference(at.base, targets, rank=99),
        interchange.mean_difference_basis(at.base, targets.tolist()).double().numpy(),
    )
    np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, atol=1e-5)
    drawn, expected = random_subspace(30, 3, seed=5), interchange.random_basis(30, 3, 5).double().numpy()
    np.testing.assert_allclose(drawn @ drawn.T, expected @ expected.T, atol=1e-6)
    weights = np.random.default_rng(0).normal(size=(3, 30))
    probe = interchange.probe_basis(torch.from_numpy(weights)).double().numpy()
    rows = span_of(weights - weights.mean(0))
    np.testing.assert_allclose(rows @ rows.T, probe @ probe.T, atol=1e-5)


def test_arbitrary_answers_belong_to_texts():
    pairs, _ = pairs_of("copy")
    drawn = arbitrary_targets(pairs, seed=0)
    assert set(drawn) <= set(range(len(pairs.choices)))
    np.testing.assert_array_equal(arbitrary_targets(pairs.take(np.array([3, 3, 1])), seed=0), drawn[[3, 3, 1]])
    assert not np.array_equal(drawn, arbitrary_targets(pairs, seed=1))


def test_refusals(tiny, copy, exchanged):
    at, targets = exchanged
    pairs = at.pairs
    for site in (Site(0, "resid_mid"), Site(0, "z", head=0), Site(0, "resid_post", pos=1)):
        with pytest.raises(SiteError, match="a subspace is interchanged in one of"):
            Interchange.at(copy, site, pairs)
    with pytest.raises(SiteError, match="no layer 7"):
        Interchange.at(copy, Site(7, "resid_post"), pairs)
    with pytest.raises(InputError, match="not orthonormal"):
        at.swapped(np.ones((at.d_model, 2)))
    with pytest.raises(InputError, match=r"A basis of shape \(5, 2\)"):
        at.swapped(np.eye(5)[:, :2])
    with pytest.raises(InputError, match="Rank 999 for"):
        at.learn(targets, Training(999))
    with pytest.raises(InputError, match="Targets from"):
        at.learn(targets + 50, Training(1))
    with pytest.raises(InputError, match="above zero"):
        Training(1, epochs=0)
    with pytest.raises(InputError, match="Position 99 of base prompt 0"):
        Pairs(pairs.base, pairs.source, pairs.base_pos + 89, pairs.source_pos, pairs.choices)
    with pytest.raises(InputError, match="24 source positions and 3 prompts"):
        Pairs(pairs.base, pairs.source[:3], pairs.base_pos, pairs.source_pos, pairs.choices)
    for nothing in (np.zeros((2, 4)), np.full((1, 4), np.nan), np.zeros((0, 4))):
        with pytest.raises(InputError, match="they span nothing"):
            span_of(nothing)


def test_hooks_of_others_are_refused_and_ours_go_after_an_exception(copy, exchanged):
    at, _ = exchanged

    def theirs(act, hook):
        return None

    with copy.hooks(fwd_hooks=[(SITE.hook_name, theirs)]), pytest.raises(HookError, match="left behind"):
        at.plain()
    spoilt = Interchange(at.model, at.site, at.pairs, at.base, at.source * torch.nan)
    with pytest.raises(ResultError, match="gave NaN or infinity"):
        spoilt.swapped(space("said_twice", at.d_model))

    def fail(base, source):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        at._run(fail)
    assert not any(point.fwd_hooks for point in copy.hook_dict.values())
