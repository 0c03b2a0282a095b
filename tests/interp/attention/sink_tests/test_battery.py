"""The battery as a whole: what runs on which models, what a row that cannot be run says, and what is refused."""

import numpy as np
import pytest
import torch

from interp.attention.sink_tests import ALL, estimate_sink_tests, sink_tests
from interp.attention.sink_tests.arms import PLAIN, Subject, run_arm
from interp.attention.sink_tests.route import Route
from interp.attention.sink_tests.scores import NextToken
from interp.errors import InputError, PromptError, ResultError
from interp.models import encode
from interp.prompts import TokenBatch
from interp.results import Result
from tests import families

NEEDS_PATTERNS = ("mask_key", "mask_key_equal_mass", "zero_value", "zero_value_equal_mass", "move_sink")


def batch_of(model, n=4):
    return TokenBatch.of([encode(model, sentence) for sentence in families.SENTENCES[:n]])


def statuses(result: Result) -> dict[str, str]:
    return dict(zip(result.data["test"].values.tolist(), result.data["status"].values.tolist(), strict=True))


def test_an_encoder_moves_or_refuses_by_name(family_model):
    model = family_model("bert")
    batch = batch_of(model)
    result = sink_tests(model, batch, domains={"english": batch})
    data = result.data
    assert result.unit.startswith("change of the last hidden states (relative L2")
    assert set(statuses(result).values()) == {"measured", "attention only"}
    run = data["ran"].values
    assert (data["effect"].values[run] > 1e-3).all()
    assert (data["control"].values[run] > 1e-4).all()
    assert "p" not in data, "a distance is never negative, so its sign is no finding"
    assert "above_control_p" in data
    for test in NEEDS_PATTERNS[:2]:
        row = data.sel(test=test)
        assert row["sink_after"] < row["sink_before"] / 2


def test_what_cannot_be_run_is_named_and_never_zero(family_model):
    result = sink_tests(family_model("mixtral"), batch_of(family_model("mixtral")))
    assert statuses(result)["spike_neuron"] == "not run"
    assert "'post'" in result.notes["not_run"]["spike_neuron"]
    assert "the mean is what stands there already" in result.notes["not_run"]["massive_mean"]
    row = result.data.sel(test="spike_neuron")
    assert not row["ran"]
    for name in ("effect", "control", "above_control", "sink_after", "budget", "above_control_q_fdr"):
        assert np.isnan(row[name]), name
    assert row["n_prompts"] == 0


def test_without_a_way_to_edit_patterns_the_other_tests_run(tiny):
    """What an architecture would get whose patterns cannot be rebuilt: attention is measured in a run of its own."""
    batch = batch_of(tiny)
    read_only = Subject(tiny, batch, NextToken(), Route("none", "no way"), causal=True, learned_sinks=False)
    edited = Subject(tiny, batch, NextToken(), Route("pattern"), causal=True, learned_sinks=False)
    rows = slice(0, 4)
    seen, expected = run_arm(read_only, PLAIN, rows), run_arm(edited, PLAIN, rows)
    torch.testing.assert_close(seen.by_head, expected.by_head)
    assert torch.equal(torch.nan_to_num(seen.reading), torch.nan_to_num(expected.reading))


def test_prompts_without_bos_get_one_put_before_them(family_model):
    model = family_model("gpt_neox")
    result = sink_tests(model, batch_of(model), tests=("bos", "massive_mean", "massive_zero_mean"))
    assert set(statuses(result).values()) == {"measured"}, "first tokens differ, so their mean is none of them"
    assert "put BOS before" in str(result.data.sel(test="bos")["edit"].item())
    mean, against = (result.data.sel(test=test) for test in ("massive_mean", "massive_zero_mean"))
    assert mean["effect"] == against["control"] != 0


def test_numbers_do_not_depend_on_how_prompts_are_batched(family_model):
    model = family_model("llama")
    batch = batch_of(model)
    whole, parts = (sink_tests(model, batch, rows_per_batch=rows, n_draws=2).data for rows in (4, 3))
    for name in ("effect", "control", "sink_after", "control_sink_after", "budget", "control_budget"):
        np.testing.assert_allclose(parts[name], whole[name], rtol=0, atol=1e-5, err_msg=name)


def test_only_attention_is_compared_where_the_tokens_are_others(tiny):
    result = sink_tests(tiny, batch_of(tiny), tests=("random_tokens", "one_token_repeated"))
    assert set(statuses(result).values()) == {"attention only"}
    assert not result.data["ran"].any()
    for name in ("sink_before", "sink_after", "control_sink_after"):
        assert np.isfinite(result.data[name]).all()
    assert np.isnan(result.data["effect"]).all()


def test_heads_of_every_domain_are_rows_and_all_of_them_are_in_the_table(tiny):
    batch = batch_of(tiny)
    result = sink_tests(tiny, batch, domains={"a": batch[:2], "b": batch[2:]}, n_heads=2)
    names = result.data["test"].values.tolist()
    assert names[: len(ALL)] == list(ALL)
    assert [name.split(" on ")[1] for name in names[len(ALL) :]] == ["a", "a", "b", "b"]
    assert [name.split(" on ")[0] for name in names[-4:-2]] == [name.split(" on ")[0] for name in names[-2:]]
    assert result.data["n_prompts"].values[-4:].tolist() == [2, 2, 2, 2]
    frame = result.to_dataframe()
    assert len(frame) == len(names)
    assert result.has_control


def test_a_result_survives_its_file(tiny, tmp_path):
    result = sink_tests(tiny, batch_of(tiny), tests=("mask_key", "massive_mean", "random_tokens"))
    again = Result.load(result.save(tmp_path / "battery.safetensors"))
    assert again.data.equals(result.data)
    assert again.notes == result.notes


def test_an_estimate_counts_the_runs(tiny):
    batch = batch_of(tiny)
    found = estimate_sink_tests(tiny, batch, tests=("mask_key", "mask_key_equal_mass"), n_draws=2, rows_per_batch=2)
    assert found.runs == 2 * (1 + 2 + 2), "two chunks of the plain run, two effects and one control of two draws"
    assert found.seconds > 0
    assert "10 forward passes" in found.text


def test_settings_out_of_range_are_refused(tiny):
    batch = batch_of(tiny)
    with pytest.raises(InputError, match=r"No sink test 'mask'.*mask_key"):
        sink_tests(tiny, batch, tests=("mask",))
    with pytest.raises(InputError, match="neither a test nor a domain"):
        sink_tests(tiny, batch, tests=())
    with pytest.raises(InputError, match="name one twice"):
        sink_tests(tiny, batch, tests=("bos", "bos"))
    with pytest.raises(InputError, match="n_draws is 0"):
        sink_tests(tiny, batch, n_draws=0)
    with pytest.raises(InputError, match="move_from_layer is 3"):
        sink_tests(tiny, batch, move_from_layer=3)
    with pytest.raises(PromptError, match="for the battery gives no interval"):
        sink_tests(tiny, batch[:1])
    with pytest.raises(PromptError, match="for short has 3 tokens"):
        sink_tests(tiny, batch, domains={"short": TokenBatch.of([batch.tokens[0, :3]] * 2)})
    for number, words in ((0.0, r"shape \(1,\) for 4 prompts"), (np.nan, "NaN or infinite")):
        rows = 1 if number == 0 else len(batch)
        with pytest.raises(ResultError, match=words):
            sink_tests(tiny, batch, tests=("bos",), loss=lambda *_, n=rows, of=number: np.full(n, of))
