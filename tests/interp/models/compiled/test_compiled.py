"""The compiled models do what their answer keys say, on the hooked model and on an independent forward pass."""

from functools import cache
from typing import Any

import numpy as np
import pytest

from interp.attention import head_scores
from interp.errors import InputError, ModelError, PromptError
from interp.models import describe, encode, facts, load_model, str_tokens
from interp.models.compiled import (
    NAMES,
    CompiledModel,
    Edge,
    compiled_model,
    compiled_prompts,
    random_circuit,
    reference_logits,
)
from interp.models.compiled.answer_key import EMBED, LOGITS, POS_EMBED
from interp.patching import patch_sweep
from interp.prompts import PromptSet
from interp.run import Ablate, capture, forward, intervene
from interp.sites import Site

FAMILIES = [(name, family.name) for name in NAMES for family in compiled_model(name).key.inputs]
RANDOM_SIZES = [(seed, 1 + seed % 6, 1 + seed % 3) for seed in range(100)]


@cache
def hooked(name: str, dtype: str = "float32") -> Any:
    return load_model(f"compiled:{name}", dtype=dtype)


def at_end(logits: np.ndarray, prompts: PromptSet, side: str = "clean") -> np.ndarray:
    """Logits at the last real token of each prompt."""
    return logits[np.arange(len(prompts)), [len(getattr(pair, side)) - 1 for pair in prompts]]


def run(model: Any, prompts: PromptSet, side: str = "clean") -> np.ndarray:
    return at_end(forward(model, prompts.batch(side)).double().numpy(), prompts, side)


def reference(model: CompiledModel, prompts: PromptSet, side: str = "clean", **edits: Any) -> np.ndarray:
    tokens = prompts.batch(side).tokens
    return at_end(reference_logits(model.weights, model.circuit, tokens, **edits), prompts, side)


def logit_diff(logits: np.ndarray, prompts: PromptSet) -> np.ndarray:
    rows = np.arange(len(prompts))
    right, wrong = ([getattr(pair, name) for pair in prompts] for name in ("answer", "wrong_answer"))
    return logits[rows, right] - logits[rows, wrong]


def check_answers(model: Any, prompts: PromptSet) -> None:
    """The most likely token is the answer, on both sides of every pair."""
    assert (run(model, prompts).argmax(-1) == [pair.answer for pair in prompts]).all()
    assert (run(model, prompts, "corrupted").argmax(-1) == [pair.wrong_answer for pair in prompts]).all()


def check_against_key(built: CompiledModel, model: Any, prompts: PromptSet, inputs: str) -> None:
    """Every predicted effect, every decoy, and equality with the reference, on these prompts."""
    plain = run(model, prompts)
    np.testing.assert_allclose(plain, reference(built, prompts), rtol=0, atol=1e-5)
    before, exactly = logit_diff(plain, prompts), logit_diff(reference(built, prompts), prompts)
    for said in built.key.predictions:
        if said.inputs != inputs:
            continue
        plan = {built.key.node(name).site: Ablate.zero() for name in said.ablated}
        with intervene(model, plan):
            effect = logit_diff(run(model, prompts), prompts) - before
        np.testing.assert_allclose(effect, said.effect, rtol=0, atol=1e-4, err_msg=str(said))
        exact = logit_diff(reference(built, prompts, ablated=said.ablated), prompts)
        np.testing.assert_allclose(exact - exactly, said.effect, atol=1e-9)
    for decoy in built.key.decoys:
        with intervene(model, {decoy.site: Ablate.zero()}):
            assert np.abs(run(model, prompts) - plain).max() < 1e-6, decoy


@pytest.mark.parametrize(("name", "inputs"), FAMILIES)
def test_five_hundred_inputs_are_answered(name, inputs):
    check_answers(hooked(name), compiled_prompts(name, 500, 1, inputs=inputs))


@pytest.mark.parametrize(("name", "inputs"), FAMILIES)
def test_ablations_do_what_the_key_says(name, inputs):
    check_against_key(compiled_model(name), hooked(name), compiled_prompts(name, 20, 1, inputs=inputs), inputs)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "inputs"), FAMILIES)
def test_ablations_do_what_the_key_says_on_five_hundred_inputs(name, inputs):
    check_against_key(compiled_model(name), hooked(name), compiled_prompts(name, 500, 1, inputs=inputs), inputs)


@pytest.mark.parametrize(("name", "inputs"), FAMILIES)
def test_in_float64_the_bridge_is_the_reference_at_every_position(name, inputs):
    built, batch = compiled_model(name), compiled_prompts(name, 20, 2, inputs=inputs).batch("clean")
    expected = reference_logits(built.weights, built.circuit, batch.tokens)[batch.mask]
    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-5)):
        logits = forward(hooked(name, dtype), batch).double().numpy()[batch.mask]
        np.testing.assert_allclose(logits, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_the_edges_of_the_key_are_all_there_are(name):
    built, key = compiled_model(name), compiled_model(name).key
    sets = [built.prompts(2, seed=3, inputs=family.name) for family in key.inputs]
    plain = [reference(built, prompts) for prompts in sets]
    sources = [node.name for node in key.nodes + key.decoys] + [EMBED, POS_EMBED]
    targets = [(node.name, role) for node in key.nodes for role in ("q", "k", "v", "mlp")] + [(LOGITS, "logits")]
    for edge in (Edge(source, target, role) for source in sources for target, role in targets):  # type: ignore[arg-type]
        if edge not in key.edges:
            for prompts, before in zip(sets, plain, strict=True):
                assert np.abs(reference(built, prompts, cut=[edge]) - before).max() < 1e-12, edge
        elif edge.source not in (EMBED, POS_EMBED):
            # A backup listens all the time and acts only when another part is gone.
            awake = [(), *((node.name,) for node in key.nodes if node.name != edge.source)]
            changes = [
                np.abs(reference(built, prompts, cut=[edge], ablated=gone) - reference(built, prompts, ablated=gone))
                for prompts in sets
                for gone in awake
            ]
            assert max(change.max() for change in changes) > 1, edge


def test_the_copy_key_is_the_one_worked_out_by_hand():
    key = compiled_model("copy").key
    assert {str(node.site): node.name for node in key.nodes} == {
        "L0H0 z": "duplicate",
        "L1H0 z": "collector",
        "L2H0 z": "mover_a",
        "L2H1 z": "mover_b",
        "L2H2 z": "suppressor",
    }
    between = {edge for edge in key.edges if edge.source not in (EMBED, POS_EMBED) and edge.target != LOGITS}
    assert between == {
        Edge("duplicate", "collector", "k"),
        Edge("duplicate", "collector", "v"),
        *(Edge("collector", name, "q") for name in ("mover_a", "mover_b", "suppressor")),
    }
    # 6 + 4 + 5 = 15 with the mark; without it a third of 10 for the right name, two thirds for the wrong one.
    assert key.effect("repeat", "duplicate") == pytest.approx(10 / 3 - 20 / 3 - 15)
    assert key.effect("alone", "suppressor") == 0
    assert key.inputs[1].needs == {"mover_a", "mover_b"}


def test_induction_composes_through_its_keys_only():
    key = compiled_model("induction").key
    assert [edge for edge in key.edges if edge.source == "previous"] == [Edge("previous", "induction", "k")]


def test_the_backup_acts_only_when_the_first_is_gone():
    model, prompts = hooked("decoys"), compiled_prompts("decoys", 50, 4)
    key = compiled_model("decoys").key
    seen = {}
    for gone in ((), ("induction",), ("backup",), ("induction", "backup")):
        plan = {key.node(name).site: Ablate.zero() for name in gone}
        logits = run(model, prompts) if not plan else _ablated(model, plan, prompts)
        seen[gone] = logit_diff(logits, prompts)
    for gone, expected in {(): 10, ("induction",): 8, ("backup",): 10, ("induction", "backup"): 0}.items():
        np.testing.assert_allclose(seen[gone], expected, atol=1e-4)


def _ablated(model: Any, plan: Any, prompts: PromptSet) -> np.ndarray:
    with intervene(model, plan):
        return run(model, prompts)


def test_decoys_write_more_than_the_working_heads_do():
    built, model = compiled_model("decoys"), hooked("decoys")
    batch = compiled_prompts("decoys", 20, 5).batch("clean")
    sites = [Site(layer, "z") for layer in range(3)]
    captured = capture(model, batch, sites)
    norms = {}
    for node in built.key.nodes + built.key.decoys:
        z = captured[Site(node.site.layer, "z")][:, :, node.site.head].double().numpy()
        norms[node.name] = np.linalg.norm(z @ built.weights.layers[node.site.layer].W_O[node.site.head], axis=-1).max()
    quietest = min(norms[node.name] for node in built.key.decoys)
    assert quietest > 3 * max(norms[node.name] for node in built.key.nodes)


def test_patching_finds_the_needed_nodes_and_nothing_else():
    for name, inputs in FAMILIES:
        key = compiled_model(name).key
        prompts = compiled_prompts(name, 6, 6, inputs=inputs)
        effect = patch_sweep(hooked(name), prompts, "z", by="head", direction="noising").data["effect"].values
        heads = {(node.site.layer, node.site.head): node.name for node in key.nodes if node.site.kind == "z"}
        found = {heads.get((int(layer), int(head))) for layer, head in np.argwhere(np.abs(effect) > 1e-6)}
        wanted = {family.needs for family in key.inputs if family.name == inputs}.pop()
        # On balanced brackets a missing count is harmless; a wrong one is not.
        assert found == {node for node in wanted if node != "judge"} | ({"counter"} if name == "brackets" else set())


def test_head_scores_find_the_two_heads_of_induction():
    model = hooked("induction")
    controls = (load_model("random:compiled:induction", seed=seed) for seed in range(2))
    scores = head_scores(model, texts=None, control_models=controls, n_sequences=4).data["score"]
    assert scores.sel(detector="previous_token", layer=0, head=0) > 0.999
    assert scores.sel(detector="induction", layer=1, head=0) > 0.999
    assert scores.sel(detector="previous_token", layer=1, head=0) < 0.1
    assert scores.sel(detector="induction", layer=0, head=0) < 0.1


@pytest.mark.parametrize("name", NAMES)
def test_a_compiled_model_is_an_ordinary_model(name):
    model, description = hooked(name), describe(hooked(name))
    for kind in ("resid_pre", "resid_post", "attn_out", "q", "k", "v", "z", "pattern"):
        assert description.row(kind).causal, kind
    assert facts(model).name == f"compiled:{name}"
    assert facts(model).weights == "raw"
    assert facts(model).bos
    ids = encode(model, "the cat went to the house")
    assert [text.strip() for text in str_tokens(model, ids)] == ["<bos>", "the", "cat", "went", "to", "the", "house"]
    assert not model.training
    assert not any(weight.requires_grad for weight in model.parameters())


def test_random_weights_are_seeded_and_are_not_the_circuit():
    first, again, other = (load_model("random:compiled:copy", seed=seed) for seed in (0, 0, 1))
    prints = [facts(model).fingerprint for model in (first, again, other, hooked("copy"))]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


@pytest.mark.parametrize(("seed", "depth", "width"), RANDOM_SIZES[:20])
def test_random_circuits_do_what_their_keys_say(seed, depth, width):
    check_random(seed, depth, width)


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "depth", "width"), RANDOM_SIZES)
def test_a_hundred_random_circuits_do_what_their_keys_say(seed, depth, width):
    check_random(seed + 1000, depth, width)


def check_random(seed: int, depth: int, width: int) -> None:
    built = random_circuit(seed, depth, width)
    model = load_model(f"compiled:{built.name}")
    check_answers(model, built.prompts(25, seed=seed))
    check_against_key(built, model, built.prompts(3, seed=seed), "words")
    assert len(built.circuit.layers) == depth
    assert len(built.key.nodes) + len(built.key.decoys) == depth * width
    assert {node.site.layer for node in built.key.nodes} == set(range(depth))


def test_random_circuits_use_every_kind_of_composition():
    roles = set()
    for seed in range(20):
        nodes = {node.name for node in random_circuit(seed, 4, 2).key.nodes}
        roles |= {edge.role for edge in random_circuit(seed, 4, 2).key.edges if {edge.source, edge.target} <= nodes}
    assert roles == {"q", "k", "v"}


def test_unknown_names_sizes_and_inputs_are_refused():
    with pytest.raises(ModelError, match=r"compiled:brackets.*compiled:skip-trigram"):
        load_model("compiled:nothing")
    with pytest.raises(ModelError, match="No compiled model ''"):
        load_model("random:compiled:")
    with pytest.raises(ModelError, match="no revision 'main'"):
        load_model("compiled:copy", revision="main")
    with pytest.raises(InputError, match="depth 7"):
        load_model("compiled:random-7x1-0")
    with pytest.raises(InputError, match="no inputs 'nowhere'"):
        compiled_prompts("copy", 1, inputs="nowhere")
    with pytest.raises(PromptError, match="0 prompts"):
        compiled_prompts("copy", 0)


def test_prompts_come_from_their_seed():
    one, same, other = (compiled_prompts("induction", 5, seed) for seed in (0, 0, 1))
    assert [pair.str_tokens for pair in one] == [pair.str_tokens for pair in same]
    assert [pair.str_tokens for pair in one] != [pair.str_tokens for pair in other]
