"""Weight scores: the copying and suppressing heads of compiled models are found, their decoys are not."""

import numpy as np
import pytest
import torch

from interp.attention import weight_scores
from interp.attention.ov import copying, most_lowered, ov_circuits
from interp.attention.qk import key_tokens, token_attention, token_pairs
from interp.errors import InputError
from interp.models import facts, load_model
from interp.models.compiled import compiled_model
from interp.models.compiled.brackets import BRACKETS
from interp.models.decoder import as_decoder
from interp.results import Result


def score(name: str) -> Result:
    controls = (load_model(f"random:compiled:{name}", seed=seed) for seed in range(20))
    return weight_scores(load_model(f"compiled:{name}"), controls)


@pytest.fixture(scope="module")
def copy() -> Result:
    return score("copy")


def names_found(result: Result, detector: str, name: str) -> set[str]:
    key = compiled_model(name).key
    names = {(node.site.layer, node.site.head): node.name for node in key.nodes + key.decoys}
    places = np.argwhere(result.data["found"].sel(detector=detector).values)
    return {names[int(layer), int(head)] for layer, head in places}


def test_movers_copy_and_the_suppressor_suppresses(copy):
    assert names_found(copy, "copying", "copy") == {"mover_a", "mover_b"}
    assert names_found(copy, "copy_suppression", "copy") == {"suppressor"}
    score = copy.data["score"].sel(layer=2, detector=["copying", "copy_suppression"]).values
    assert score == pytest.approx(np.array([[1, 1, -1], [0, 0, 1]]))


def test_movers_look_at_names_and_the_duplicate_head_only_from_one_name_to_itself(copy):
    """12 of the 59 words are names; whatever the query, the movers leave out the others."""
    assert names_found(copy, "key_tokens", "copy") == {"mover_a", "mover_b"}
    assert names_found(copy, "token_pairs", "copy") == {"mover_a", "mover_b", "duplicate"}
    score = copy.data["score"]
    assert score.sel(layer=2, head=0, detector=["key_tokens", "token_pairs"]).values == pytest.approx(1 - 12 / 59)
    assert float(score.sel(layer=0, head=0, detector="token_pairs")) == pytest.approx(1 - 1 / 59)


def test_the_counter_of_brackets_looks_at_brackets_whatever_the_query():
    result = score("brackets")
    assert names_found(result, "key_tokens", "brackets") == {"counter"}
    n_words = result.notes["n_looking"]
    assert float(result.data["score"].sel(detector="key_tokens").max()) == pytest.approx(1 - len(BRACKETS) / n_words)


def test_heads_of_skip_trigrams_look_at_their_verbs_from_their_last_word_alone():
    result = score("skip-trigram")
    assert names_found(result, "token_pairs", "skip-trigram") == {"in", "at"}
    assert names_found(result, "key_tokens", "skip-trigram") == set()  # one query of many
    wanted = 1 - 4 / result.notes["n_looking"]  # four verbs
    assert result.data["score"].sel(detector="token_pairs").values == pytest.approx(wanted)


def test_without_queries_nothing_is_looked_at_more_than_the_rest():
    """The broken case: the same heads without what they look from."""
    model = load_model("compiled:skip-trigram")
    model.original_model.layers[0].attn.q.weight.zero_()
    controls = (load_model("random:compiled:skip-trigram", seed=seed) for seed in range(20))
    data = weight_scores(model, controls).data.sel(detector=["key_tokens", "token_pairs"])
    assert np.abs(data["score"]).max() < 1e-5
    assert not data["found"].any()


@pytest.mark.slow
def test_what_looks_like_induction_and_writes_elsewhere_does_not_copy():
    decoys = score("decoys")
    assert names_found(decoys, "copying", "decoys") == {"induction", "backup"}
    assert names_found(decoys, "copy_suppression", "decoys") == set()


def test_exchanged_tokens_end_it_and_random_weights_never_did_it(copy):
    data = copy.data
    assert np.abs(data["control_permuted"]).max() < 0.2
    control = data["control"].values
    assert np.abs(control[0]).max() < 0.05
    assert control[1] == pytest.approx(2 / 59, abs=0.02)  # of 59 tokens, 2 are no more than 5 %
    assert np.abs(control[2:]).max() < 0.02  # random weights attend nearly evenly
    assert copy.notes["q_floor"] == pytest.approx(36 / 721)  # four detectors of nine heads, and twenty models
    assert copy.notes["p_floor"] == pytest.approx(1 / 21)


def test_the_interval_leaves_out_a_tenth_of_the_tokens_in_turn(tiny, family_directory):
    control = load_model(f"random:{family_directory('gpt2')}", seed=1)
    data = weight_scores(tiny, [control], n_tokens=45).data
    pool = sorted(set(tiny.tokenizer.get_vocab().values()) - set(tiny.tokenizer.all_special_ids))
    tokens = np.random.default_rng(0).permutation(np.array([token for token in pool if token < facts(tiny).d_vocab]))
    values, outputs = list(ov_circuits(tiny, tokens[:45], tokens[:45]))[1]
    lowered = most_lowered(values, outputs)[0].double().numpy()
    kept = [np.arange(45)[np.arange(45) % 10 != group] for group in range(10)]
    shares = np.array([lowered[keep].mean(0) for keep in kept])
    ratios = np.array([copying(values[keep], outputs[:, :, keep]).numpy() for keep in kept])
    attention = list(list(token_attention(as_decoder(tiny), torch.from_numpy(tokens[:45]), facts(tiny).n_ctx))[1])
    chosen = [torch.from_numpy(np.isin(np.arange(45), keep)) for keep in kept]
    keys, pairs = (
        np.array([[detect(weights, some) for weights in attention] for some in chosen])
        for detect in (key_tokens, token_pairs)
    )
    lefts = (
        ("copying", ratios, -1),
        ("copy_suppression", shares, 0),
        ("key_tokens", keys, 0),
        ("token_pairs", pairs, 0),
    )
    for detector, left_out, least in lefts:
        half = 2.2622 * np.sqrt(0.9 * ((left_out - left_out.mean(0)) ** 2).sum(0))  # Student's t, 9 degrees
        row = data.sel(detector=detector, layer=1)
        assert half.max() > 0
        np.testing.assert_allclose(row["score_low"], np.maximum(row["score"] - half, least), atol=1e-4)
        np.testing.assert_allclose(row["score_high"], np.minimum(row["score"] + half, 1), atol=1e-4)


def test_results_survive_a_round_trip_and_have_a_control(copy, tmp_path):
    result = copy
    assert result.has_control
    assert Result.load(result.save(tmp_path / "weights.safetensors")).data.equals(result.data)


def test_refusals(tiny, family_directory):
    with pytest.raises(InputError, match="No control model"):
        weight_scores(tiny, [])
    with pytest.raises(InputError, match="model's own weights"):
        weight_scores(tiny, [tiny])
    with pytest.raises(InputError, match="12 tokens give no interval"):
        weight_scores(tiny, [], n_tokens=12)
