"""Interchange finds the subspace that carries the answer, on models whose truth is known, and nothing elsewhere."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from interp.errors import InputError, SiteError
from interp.models import load_model
from interp.models.compiled import compiled_model, compiled_prompts
from interp.prompts import PromptPair, PromptSet, Span
from interp.results import Result
from interp.run.interchange import Interchange, Pairs, Training, arbitrary_targets
from interp.run.subspaces import mean_difference
from interp.sites import Site
from interp.statistics import bootstrap_interval, sign_flips
from probes.use.interchange import _pairs, interchange_probe
from probes.use.interchange_study import InterchangePlan, split_pairs

COPY, AT_NAME = "copy", Site(0, "resid_post")
CHEAP = InterchangePlan(rank=1, epochs=1, n_placebos=2)


def places_of(prompts: PromptSet) -> np.ndarray:
    """Where clean and corrupted prompt differ first."""
    return (prompts.batch("clean").tokens != prompts.batch("corrupted").tokens).argmax(1)


def rows_of(name: str, space: str) -> np.ndarray:
    """A named part of a compiled model's stream."""
    built = compiled_model(name)
    return np.eye(built.weights.W_E.shape[1])[built.circuit.spaces[space]]


@pytest.fixture(scope="module")
def copy():
    return load_model("compiled:copy", dtype="float64")


@pytest.fixture(scope="module")
def untrained_copy():
    return load_model("random:compiled:copy", dtype="float64")


@pytest.fixture(scope="module")
def copy_prompts() -> PromptSet:
    return compiled_prompts(COPY, 40)


@pytest.fixture(scope="module")
def exchanged(copy, untrained_copy, copy_prompts) -> Result:
    subspaces = {space: rows_of(COPY, space) for space in ("said_twice", "token", "twice_here")}
    places = places_of(copy_prompts)
    return interchange_probe(
        copy, untrained_copy, copy_prompts, AT_NAME, positions=places, subspaces=subspaces, plan=CHEAP
    )


def test_by_hand_the_space_that_carries_the_mark_gives_1_and_its_decoys_0(exchanged):
    """The movers and the suppressor say the other name: from 6 + 4 + 5 for the own one to as much against it."""
    data = exchanged.data
    for space, iia, effect in (("said_twice", 1, 30), ("token", 0, 0), ("twice_here", 0, 0)):
        here = data.sel(subspace=space)
        assert float(here["iia"]) == iia
        assert float(here["effect"]) == pytest.approx(effect, abs=1e-6)
    assert float(data["everything"]) == 1
    assert exchanged.baselines == pytest.approx({"own_answer": 1, "source_answer": 0, "logit_diff": 15})


def test_the_true_space_is_above_its_placebo_and_decoys_are_not(exchanged):
    true, decoy = (exchanged.data.sel(subspace=space) for space in ("said_twice", "twice_here"))
    assert float(true["control_placebo"]) < 0.2
    assert float(true["above_placebo_low"]) > 0.8
    assert float(true["above_placebo_p_corrected"]) < 0.001
    assert float(true["control_placebo_effect"]) < 15
    assert float(decoy["above_placebo_high"]) <= 0
    assert float(decoy["above_placebo_p"]) == 1


@pytest.mark.parametrize(
    ("site", "from_end", "iia"), [(Site(1, "resid_post"), 0, 1), (Site(1, "resid_post"), 2, 0), (AT_NAME, 0, 0)]
)
def test_the_mark_is_read_at_the_end_and_nowhere_else(copy, untrained_copy, site, from_end, iia):
    """One block later the mark stands at every later place, and only the last one is read. Before, nothing is there."""
    prompts = compiled_prompts(COPY, 24, 3)
    ends = prompts.batch("clean").lengths - 1 - from_end
    settings = {"positions": ends, "subspaces": {"mark": rows_of(COPY, "twice_here")}, "plan": CHEAP}
    if site == AT_NAME:
        with pytest.raises(InputError, match="nothing to exchange"):
            interchange_probe(copy, untrained_copy, prompts, site, **settings)
        return
    found = interchange_probe(copy, untrained_copy, prompts, site, **settings).data
    assert float(found["iia"].sel(subspace="mark")) == iia
    assert float(found["everything"]) == iia


@pytest.fixture(scope="module")
def verbs() -> PromptSet:
    """One of two verbs in place of the other."""
    prompts = compiled_prompts("skip-trigram", 500, 1, inputs="in")
    wanted = {prompts.pairs[0].answer, prompts.pairs[0].wrong_answer}
    return prompts.take([row for row, pair in enumerate(prompts) if {pair.answer, pair.wrong_answer} == wanted])


@pytest.fixture(scope="module")
def trigram() -> tuple:
    return load_model("compiled:skip-trigram"), load_model("random:compiled:skip-trigram")


def turned(verbs: PromptSet, share: float) -> np.ndarray:
    """A direction of which a share (squared cosine) lies along the two verbs, the rest where nothing is read."""
    places = compiled_model("skip-trigram").circuit.spaces
    pair, at = verbs.pairs[0], places_of(verbs)[0]
    row = np.zeros((1, rows_of("skip-trigram", "token").shape[1]))
    row[0, places["token"].start + pair.clean[at]] = np.sqrt(share / 2)
    row[0, places["token"].start + pair.corrupted[at]] = -np.sqrt(share / 2)
    row[0, places["out"].start] = np.sqrt(1 - share)
    return row


@pytest.fixture(scope="module")
def searched(trigram, verbs) -> Result:
    subspaces = {f"share {share}": turned(verbs, share) for share in (0.25, 0.75, 1.0)}
    plan = InterchangePlan(rank=1, epochs=15, learning_rate=0.05, n_placebos=4)
    return interchange_probe(
        *trigram, verbs, Site(0, "resid_pre"), positions=places_of(verbs), subspaces=subspaces, plan=plan
    )


def test_by_hand_a_direction_at_an_angle_moves_the_square_of_its_cosine(searched):
    """The difference lies along the verbs; projected there and back cos^2 of it is left: of 20 nats 5, 15 and 20."""
    data = searched.data
    for share, effect, iia in ((0.25, 5, 0), (0.75, 15, 1), (1.0, 20, 1)):
        here = data.sel(subspace=f"share {share}")
        assert float(here["effect"]) == pytest.approx(effect, abs=1e-4)
        assert float(here["iia"]) == iia


def test_das_finds_the_planted_direction_and_every_control_fails(searched):
    data = searched.data
    das = data.sel(subspace="das")
    assert float(das["iia"]) == 1
    assert float(data["fit"]) == 1
    assert float(das["above_placebo_low"]) > 0.9
    assert float(data["control_untrained"]) < 0.8
    assert float(data["control_arbitrary_fit"]) < 0.9
    assert float(data["above_untrained_low"]) > 0
    assert float(data.sel(subspace="mean_difference")["iia"]) == 1


def test_a_split_shares_no_text(copy_prompts):
    """Pairs are drawn so that texts recur, and a clean text is another pair's corrupted one."""
    pairs = list(copy_prompts) + [PromptPair(p.corrupted, p.clean, p.wrong_answer, p.answer) for p in copy_prompts]
    prompts = PromptSet.of(pairs)
    train, test = split_pairs(prompts, 0.4, seed=0)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(80))
    assert 25 <= len(test) <= 33

    def texts(rows):
        return {text.tobytes() for row in rows for text in (pairs[row].clean, pairs[row].corrupted)}

    assert not texts(train) & texts(test)
    assert not np.array_equal(test, split_pairs(prompts, 0.4, seed=1)[1])
    alike = PromptSet.of([copy_prompts.pairs[0]] * 20)
    with pytest.raises(InputError, match="20 pairs, of which 0 could be held out"):
        split_pairs(alike, 0.5, seed=0)


def test_it_can_be_kept_and_says_what_its_controls_are(exchanged, tmp_path):
    assert exchanged.has_control
    for word in ("placebo", "arbitrary", "untrained", "everything"):
        assert word in exchanged.notes["control"]
    assert exchanged.notes["n_train"] + exchanged.notes["n_test"] == 40
    assert exchanged.notes["rank"] == {"das": 1, "mean_difference": 1, "said_twice": 63, "token": 63, "twice_here": 63}
    for name in ("iia", "effect", "control_placebo", "above_placebo", "control_arbitrary", "control_untrained", "fit"):
        assert (exchanged.data[f"{name}_low"] <= exchanged.data[name] + 1e-12).all()
        assert (exchanged.data[name] <= exchanged.data[f"{name}_high"] + 1e-12).all()
    assert Result.load(exchanged.save(tmp_path / "interchange.safetensors")).data.equals(exchanged.data)


SEEDED = InterchangePlan(rank=2, epochs=2, learning_rate=0.05, batch_size=16, n_placebos=2, test_share=0.3, seed=3)
BUDGET = Training(2, 2, 0.05, 16, 3)


@dataclass(frozen=True)
class Parts:
    """A result with a seed and a share of its own, beside what it is made of."""

    result: Result
    train: np.ndarray
    test: np.ndarray
    both: Interchange
    random: Interchange
    answers: np.ndarray

    def flips(self, logits: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return (logits.argmax(1) == self.answers[1, rows]).astype(float)

    def toward(self, logits: np.ndarray) -> np.ndarray:
        own, source = np.take_along_axis(logits, self.answers[:, self.test].T, 1).T
        return source - own

    def agrees(self, values: np.ndarray, name: str, **at: str) -> None:
        low, high = bootstrap_interval(values, seed=3)
        ends = [float(self.result.data[f"{name}{end}"].sel(**at)) for end in ("", "_low", "_high")]
        assert ends == pytest.approx([values.mean(), float(low), float(high)], abs=1e-9), name


@pytest.fixture(scope="module")
def parts(copy, untrained_copy, copy_prompts) -> Parts:
    places = places_of(copy_prompts)
    result = interchange_probe(copy, untrained_copy, copy_prompts, AT_NAME, positions=places, plan=SEEDED)
    own, source = copy_prompts.answers("answer"), copy_prompts.answers("wrong_answer")
    choices = np.unique([own, source])
    pairs = Pairs(copy_prompts.batch("clean"), copy_prompts.batch("corrupted"), places, places, choices)
    both, random = (Interchange.at(model, AT_NAME, pairs) for model in (copy, untrained_copy))
    train, test = split_pairs(copy_prompts, 0.3, seed=3)
    return Parts(result, train, test, both, random, np.searchsorted(choices, [own, source]))


def test_every_subspace_is_measured_on_held_out_pairs_beside_its_placebos(parts):
    fit_to, tested = parts.both.take(parts.train), parts.both.take(parts.test)
    answers = parts.answers[:, parts.train]
    bases = {
        "das": fit_to.learn(answers[1], BUDGET).basis,
        "mean_difference": mean_difference(torch.cat([fit_to.base, fit_to.source]), answers.reshape(-1), rank=2),
    }
    plain = parts.toward(tested.plain())
    for name, basis in bases.items():
        placebos = [tested.placebo(basis, seed=seed) for seed in (3, 4)]
        iia, placebo = (
            parts.flips(tested.swapped(basis), parts.test),
            [parts.flips(one, parts.test) for one in placebos],
        )
        parts.agrees(iia, "iia", subspace=name)
        parts.agrees(parts.toward(tested.swapped(basis)) - plain, "effect", subspace=name)
        parts.agrees(np.mean(placebo, 0), "control_placebo", subspace=name)
        moves = [parts.toward(one) - plain for one in placebos]
        parts.agrees(np.mean(moves, 0), "control_placebo_effect", subspace=name)
        parts.agrees(iia - np.mean(placebo, 0), "above_placebo", subspace=name)
    parts.agrees(parts.flips(fit_to.swapped(bases["das"]), parts.train), "fit")
    notes = parts.result.notes
    assert (notes["n_train"], notes["n_test"]) == (len(parts.train), len(parts.test))
    assert parts.result.data["rank"].values.tolist() == [2, 2]


def test_controls_are_trained_on_the_same_pairs_and_tested_on_the_same_others(parts):
    fit_to, tested, random = parts.both.take(parts.train), parts.both.take(parts.test), parts.random
    source = parts.answers[1, parts.train]
    targets = arbitrary_targets(fit_to.pairs, seed=3)
    arbitrary = fit_to.learn(targets, BUDGET).basis
    untrained = random.take(parts.train).learn(source, BUDGET).basis
    controls = {
        "arbitrary": parts.flips(tested.swapped(arbitrary), parts.test),
        "arbitrary_fit": (fit_to.swapped(arbitrary).argmax(1) == targets).astype(float),
        "untrained": parts.flips(random.take(parts.test).swapped(untrained), parts.test),
        "untrained_fit": parts.flips(random.take(parts.train).swapped(untrained), parts.train),
    }
    for name, values in controls.items():
        parts.agrees(values, f"control_{name}")
    das = parts.flips(tested.swapped(fit_to.learn(source, BUDGET).basis), parts.test)
    for name in ("arbitrary", "untrained"):
        parts.agrees(das - controls[name], f"above_{name}")
        p = float(sign_flips(das - controls[name], seed=3).p)
        assert float(parts.result.data[f"above_{name}_p"]) == pytest.approx(p)


def test_the_source_is_read_at_the_place_aligned_with_the_bases():
    """The twin has a token more in front: its places are one further on, those at the end as well."""
    pair = PromptPair(
        np.array([5, 6, 7]),
        np.array([4, 5, 8, 7]),
        1,
        2,
        alignment=((Span(0, 1), Span(1, 2)), (Span(1, 3), Span(2, 4))),
    )
    other = PromptPair(np.array([5, 6, 9]), np.array([5, 8, 9]), 2, 1)
    at_end, given = (_pairs(PromptSet.of([pair, other]), positions) for positions in (None, np.array([1, 0])))
    assert (at_end.base_pos.tolist(), at_end.source_pos.tolist()) == ([2, 2], [3, 2])
    assert (given.base_pos.tolist(), given.source_pos.tolist()) == ([1, 0], [2, 0])


def test_the_budget_is_that_of_the_plan():
    plan = InterchangePlan(rank=3, epochs=4, learning_rate=0.1, batch_size=8, seed=5)
    assert plan.training() == Training(3, 4, 0.1, 8, 5)
    with pytest.raises(InputError, match="Expected at least one, and a share"):
        InterchangePlan(test_share=0.0)


@pytest.mark.parametrize(("share", "held_out"), [(0.25, 3), (0.75, 9)])
def test_a_side_of_fewer_than_four_pairs_is_refused(share, held_out):
    pairs = [PromptPair(np.array([1, 10 + row]), np.array([2, 10 + row]), 1, 2) for row in range(12)]
    with pytest.raises(InputError, match=f"12 pairs, of which {held_out} could be held out"):
        split_pairs(PromptSet.of(pairs), share, seed=0)
    assert [len(side) for side in split_pairs(PromptSet.of(pairs), 0.5, seed=0)] == [6, 6]


def test_no_hook_stays(copy, untrained_copy, exchanged):
    for model in (copy, untrained_copy):
        assert not any(point.fwd_hooks for point in model.hook_dict.values())
        assert not any(parameter.requires_grad for parameter in model.parameters())


def test_refusals(copy, untrained_copy, copy_prompts, trigram):
    places = places_of(copy_prompts)
    with pytest.raises(InputError, match="The control model is the model itself"):
        interchange_probe(copy, copy, copy_prompts, AT_NAME)
    with pytest.raises(InputError, match="or they are equal"):
        interchange_probe(copy, load_model("compiled:copy", dtype="float64"), copy_prompts, AT_NAME, positions=places)
    with pytest.raises(InputError, match="'das' is made here"):
        interchange_probe(copy, untrained_copy, copy_prompts, AT_NAME, subspaces={"das": np.eye(316)[:1]})
    with pytest.raises(InputError, match="Subspace 'probe' has rows of width 7"):
        interchange_probe(copy, untrained_copy, copy_prompts, AT_NAME, subspaces={"probe": np.eye(7)})
    with pytest.raises(InputError, match="span nothing"):
        interchange_probe(copy, untrained_copy, copy_prompts, AT_NAME, subspaces={"probe": np.zeros((1, 316))})
    with pytest.raises(InputError, match="39 positions for 40 prompts"):
        interchange_probe(copy, untrained_copy, copy_prompts, AT_NAME, positions=places[:-1])
    with pytest.raises(InputError, match="has no aligned place"):
        interchange_probe(copy, untrained_copy, copy_prompts, AT_NAME, positions=places + 50)
    with pytest.raises(SiteError, match="a subspace is interchanged in one of"):
        interchange_probe(copy, untrained_copy, copy_prompts, Site(0, "resid_mid"), positions=places)
    with pytest.raises(InputError, match="Rank 316 of a width of 316"):
        interchange_probe(copy, untrained_copy, copy_prompts, AT_NAME, plan=InterchangePlan(rank=316))
    for settings in ({"n_placebos": 0}, {"test_share": 1.0}):
        with pytest.raises(InputError, match="Expected at least one, and a share"):
            InterchangePlan(**settings)
    with pytest.raises(InputError, match="above zero"):
        InterchangePlan(rank=0)
