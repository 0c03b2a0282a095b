"""Head scores on models: planted heads are found, a broken circuit is not, and every family gives plausible numbers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from interp.attention import head_scores
from interp.attention.heads import measure, of_repetition
from interp.attention.materials import prepare
from interp.errors import InputError
from interp.models import encode, load_model
from interp.prompts import TokenBatch
from interp.results import Result
from tests import families

ON_REPEATS = ("previous_token", "duplicate_token", "induction", "offset_2", "offset_3", "local", "uniform")
WIDTH = 64
"""One third of the planted model's residual stream: positions, tokens, and tokens of the position before."""
SHARP = 25.0


def plant(directory: Path, *, broken: bool = False) -> Path:
    """Write a GPT-2 with set weights: L0H0 is a previous-token, L0H1 a same-token and L1H0 an induction head.

    Every other head has no queries, so it attends evenly. `broken` cuts what L0H0 passes on to L1H0.
    """
    sizes = {"vocab_size": families.D_VOCAB, "n_embd": 3 * WIDTH, "n_layer": 2, "n_head": 3, "n_positions": WIDTH}
    model = GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=0, eos_token_id=0, pad_token_id=1))
    positions, token, before = (slice(WIDTH * part, WIDTH * (part + 1)) for part in range(3))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for block in model.transformer.h:
            for parameter in [*block.attn.parameters(), *block.mlp.parameters()]:
                parameter.zero_()
        model.transformer.wpe.weight.zero_()[:, positions] = torch.eye(WIDTH)
        code = torch.randn(families.D_VOCAB, WIDTH, generator=generator)
        model.transformer.wte.weight.zero_()[:, token] = code / code.norm(dim=1, keepdim=True)
        first, second = (block.attn for block in model.transformer.h)
        columns = 3 * WIDTH  # of queries, then of keys, then of values
        one = torch.eye(WIDTH)
        first.c_attn.weight[positions, 0:WIDTH] = SHARP * torch.diag(torch.ones(WIDTH - 1), -1)
        first.c_attn.weight[positions, columns : columns + WIDTH] = one
        first.c_attn.weight[token, WIDTH : 2 * WIDTH] = SHARP * one
        first.c_attn.weight[token, columns + WIDTH : columns + 2 * WIDTH] = one
        first.c_attn.weight[token, 2 * columns : 2 * columns + WIDTH] = one
        first.c_proj.weight[0:WIDTH, before] = 0 * one if broken else one
        second.c_attn.weight[token, 0:WIDTH] = SHARP * one
        second.c_attn.weight[before, columns : columns + WIDTH] = one
    model.save_pretrained(directory)
    families.build_tokenizer("gpt2").save_pretrained(directory)
    return directory


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Result]:
    """Scores of the planted model and of the same model with its circuit broken."""
    whole = plant(tmp_path_factory.mktemp("planted"))
    broken = plant(tmp_path_factory.mktemp("broken"), broken=True)
    controls = [load_model(f"random:{whole}", seed=seed) for seed in (1, 2)]

    def score(directory: Path) -> Result:
        return head_scores(load_model(str(directory)), texts=None, control_models=controls, n_sequences=8, period=20)

    return score(whole), score(broken)


def cell(result: Result, variable: str, detector: str, layer: int, head: int) -> float:
    return float(result.data[variable].sel(detector=detector, layer=layer, head=head))


def test_planted_heads_are_found_where_they_were_planted(planted):
    whole, _ = planted
    assert cell(whole, "score", "previous_token", 0, 0) > 0.98
    # The query's own token is as good a match as its duplicate, so each gets half.
    assert cell(whole, "score", "duplicate_token", 0, 1) == pytest.approx(0.5, abs=0.02)
    assert cell(whole, "score", "induction", 1, 0) > 0.95
    for detector, place in (("previous_token", (0, 0)), ("duplicate_token", (0, 1)), ("induction", (1, 0))):
        scores = whole.data["score"].sel(detector=detector).values
        assert np.unravel_index(scores.argmax(), scores.shape) == place
        assert cell(whole, "score", detector, *place) > float(whole.data["threshold"].sel(detector=detector))
        assert cell(whole, "p_corrected", detector, *place) == pytest.approx(1 / 3)  # the floor with two controls


def test_cutting_what_the_induction_head_reads_ends_it_and_leaves_the_others(planted):
    whole, broken = planted
    assert cell(broken, "score", "induction", 1, 0) < 0.1
    for detector, place in (("previous_token", (0, 0)), ("duplicate_token", (0, 1))):
        assert cell(broken, "score", detector, *place) == pytest.approx(cell(whole, "score", detector, *place))


def test_heads_without_queries_score_as_even_attention_does(planted):
    whole, _ = planted
    for detector in whole.data["detector"].values:
        expected = whole.baselines[f"uniform causal attention, {detector}"]
        assert cell(whole, "score", detector, 0, 2) == pytest.approx(expected, abs=1e-5)


def test_without_repetition_only_the_positional_head_stays(planted):
    whole, _ = planted
    assert cell(whole, "control_unrepeated", "previous_token", 0, 0) > 0.98
    assert cell(whole, "control_unrepeated", "induction", 1, 0) < 0.1
    assert cell(whole, "control_unrepeated", "duplicate_token", 0, 1) < 0.1


def test_the_interval_holds_the_score_and_the_control_is_small(planted):
    whole, _ = planted
    data = whole.data
    assert (data["score_low"] <= data["score"] + 1e-6).all()
    assert (data["score"] <= data["score_high"] + 1e-6).all()
    assert whole.has_control
    spread = ["local", "uniform"]  # which even attention scores high on
    assert float(data["control"].drop_sel(detector=spread).max()) < 0.3
    assert not data["found"].any()  # two controls are not enough
    assert whole.notes["q_floor"] == pytest.approx(48 / 97)  # eight detectors of six heads, and two models
    assert whole.notes["p_floor"] == pytest.approx(1 / 3)
    assert whole.notes["causal"]
    assert whole.notes["bos"]
    assert "max-T" in whole.notes["correction"]


@pytest.fixture
def controls(family_directory: Callable[[str], Path]) -> Callable[[str], list[Any]]:
    return lambda name: [load_model(f"random:{family_directory(name)}", seed=1)]


def test_every_family_gives_shares_of_attention(family, family_model, controls):
    model = family_model(family)
    texts = TokenBatch.of([encode(model, sentence) for sentence in families.SENTENCES[:3]])
    result = head_scores(model, texts=texts, control_models=controls(family), n_sequences=3, period=5)
    score = result.data["score"].values
    delimited = ["delimiter"] if result.data.sizes["detector"] == 9 else []
    assert result.data["detector"].values.tolist() == [*ON_REPEATS, "first_token", *delimited]
    assert (score >= 0).all()
    assert (score <= 1 + 1e-6).all()
    assert np.ptp(score) > 0.01
    assert result.notes["causal"] == (family != "bert")
    assert result.notes["row_sums_below_one"] == (family == "gpt_oss")
    assert result.notes["n_texts"] == 3


def test_first_token_equals_the_pattern_of_single_prompts(tiny, controls):
    """Padding and batching change nothing: each text alone, without padding, gives the same mean."""
    rows = [encode(tiny, sentence) for sentence in families.SENTENCES[:3]]
    assert len({len(row) for row in rows}) > 1, "equal lengths would need no padding"
    result = head_scores(tiny, texts=TokenBatch.of(rows), control_models=controls("gpt2"), n_sequences=2, period=4)
    alone = []
    for row in rows:
        _, cache = tiny.run_with_cache(torch.from_numpy(row)[None], names_filter="blocks.1.attn.hook_pattern")
        alone.append(cache["blocks.1.attn.hook_pattern"][0, :, 1:, 0].mean(-1).numpy())
    np.testing.assert_allclose(
        result.data["score"].sel(detector="first_token", layer=1), np.mean(alone, axis=0), atol=1e-5
    )


def test_delimiters_are_punctuation_and_separators_of_the_texts(family_model, controls):
    model = family_model("bert")
    rows = [encode(model, sentence) for sentence in families.SENTENCES[:3]]
    result = head_scores(model, texts=TokenBatch.of(rows), control_models=controls("bert"), n_sequences=2, period=4)
    alone = []
    for row in rows:
        marked = [token in (".", ",", "[SEP]") for token in model.tokenizer.convert_ids_to_tokens(row.tolist())]
        assert sum(marked) > 1
        _, cache = model.run_with_cache(torch.from_numpy(row)[None], names_filter="blocks.1.attn.hook_pattern")
        alone.append(cache["blocks.1.attn.hook_pattern"][0, :, 1:, marked].sum(-1).mean(-1).numpy())
    np.testing.assert_allclose(
        result.data["score"].sel(detector="delimiter", layer=1), np.mean(alone, axis=0), atol=1e-5
    )


def test_texts_without_delimiters_are_not_scored_by_them(tiny, controls):
    texts = TokenBatch.of([encode(tiny, families.SENTENCES[5])] * 2)
    result = head_scores(tiny, texts=texts, control_models=controls("gpt2"), n_sequences=2, period=4)
    assert result.data["detector"].values.tolist() == [*ON_REPEATS, "first_token"]


def test_heads_of_repetition_must_score_more_where_something_repeats():
    """An interval above all random weights is not enough; heads that go by position are not asked."""
    names = ["previous_token", "duplicate_token", "induction", "first_token"]
    assert of_repetition(names).tolist() == [False, True, True, False]


def test_a_measured_model_is_what_its_result_holds(planted, tmp_path):
    whole, _ = planted
    model = load_model(str(plant(tmp_path)))
    measured = measure(model, prepare(model, None, n_sequences=8, period=20, seed=0), seed=0)
    for name, values in (("score", measured.score), ("score_low", measured.low), ("score_high", measured.high)):
        np.testing.assert_allclose(whole.data[name], values)
    np.testing.assert_allclose(whole.data["control_unrepeated"], measured.other)


def test_scores_survive_a_round_trip_through_a_file(planted, tmp_path):
    whole, _ = planted
    loaded = Result.load(whole.save(tmp_path / "scores.safetensors"))
    assert loaded.data.equals(whole.data)
    assert loaded.notes == whole.notes


def test_control_models_may_come_one_at_a_time(tiny, controls):
    result = head_scores(
        tiny, texts=None, control_models=(model for model in controls("gpt2")), n_sequences=2, period=4
    )
    assert result.notes["n_controls"] == 1
    assert result.notes["p_floor"] == 0.5


def test_refusals(tiny, controls, family_model):
    settings = {"texts": None, "n_sequences": 2, "period": 4}
    with pytest.raises(InputError, match="No control model"):
        head_scores(tiny, control_models=[], **settings)
    with pytest.raises(InputError, match="model's own weights"):
        head_scores(tiny, control_models=[tiny], **settings)
    one_text = TokenBatch.of([encode(tiny, "the cat")])
    with pytest.raises(InputError, match="One text"):
        head_scores(tiny, control_models=controls("gpt2"), **(settings | {"texts": one_text}))
