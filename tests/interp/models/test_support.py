from contextlib import nullcontext

import numpy as np
import pytest
import torch

from interp.errors import ModelError, SiteError
from interp.models import describe, encode, load_model, require_causal, require_exists
from interp.sites import KINDS, Site
from tests import families

MISSING = {
    "gpt_neox": {"resid_mid"},
    "mixtral": {"pre", "post"},
    "gpt_oss": {"pre", "post"},
    "bert": {"result", "attn_scores"},
}
READ_ONLY = {"bert": {"pattern"}}


def test_which_kinds_exist_and_which_are_causal(family, family_model):
    description = describe(family_model(family))
    rows = {row.kind: row for row in description.rows}
    assert tuple(rows) == KINDS
    missing, read_only = MISSING.get(family, set()), READ_ONLY.get(family, set())
    assert {kind for kind, row in rows.items() if not row.exists} == missing
    assert {kind for kind, row in rows.items() if not row.causal} == missing | read_only


def shift(act, hook):
    return act.roll(1, dims=-2)


def test_an_edit_changes_the_logits_where_causal_and_nowhere_else(family, family_model):
    # The same question asked with other means than the probe's: one middle layer, values shifted by one position.
    model, description = family_model(family), describe(family_model(family))
    tokens = torch.from_numpy(encode(model, "When Mary and John went to the store"))[None]
    with torch.no_grad():
        plain = model(tokens)
        for row in description.rows:
            if not row.exists or row.needs_flag:
                continue
            with nullcontext() if row.causal else pytest.warns(UserWarning, match="The edit is discarded"):
                edited = model.run_with_hooks(tokens, fwd_hooks=[(Site(1, row.kind).hook_name, shift)])
            assert torch.equal(plain, edited) is not row.causal, row.kind


def test_gated_results_are_switched_back(tiny):
    describe(tiny)
    assert not tiny.cfg.use_attn_result
    assert describe(tiny).row("result").needs_flag == "model.set_use_attn_result(True)"
    with pytest.raises(SiteError, match=r"switched off in this model. Call model.set_use_attn_result\(True\)"):
        require_exists(tiny, "result")
    tiny.set_use_attn_result(True)
    try:
        require_causal(tiny, "result")
    finally:
        tiny.set_use_attn_result(False)


def test_probing_leaves_no_hook_and_the_same_logits(family, family_directory):
    model = load_model(str(family_directory(family)))
    tokens = model.to_tokens("The cat sat")

    def hooks():
        return {name: (len(point.fwd_hooks), len(point.bwd_hooks)) for name, point in model.hook_dict.items()}

    with torch.no_grad():
        before, hooks_before = model(tokens), hooks()
        describe(model)
        assert torch.equal(model(tokens), before)
    assert hooks() == hooks_before, "TransformerLens's own permanent hooks, and no others"


FACTS = {
    "gpt2": {"positions": "learned", "heads_per_kv_head": 1, "norms": "before"},
    "llama": {"positions": "rotary", "heads_per_kv_head": 2, "n_kv_heads": 2, "sliding_windows": [None] * 3},
    "qwen2": {"bos": False, "heads_per_kv_head": 2, "sliding_windows": [None] * 3},
    "qwen3": {"bos": False, "heads_per_kv_head": 2},
    "gemma2": {
        "norms": "sandwich",
        "attention_soft_cap": 50.0,
        "logit_soft_cap": 30.0,
        "sliding_windows": [6, None, 6],
    },
    "gemma3": {"norms": "sandwich", "attention_soft_cap": None, "sliding_windows": [6, None, 6]},
    "gpt_neox": {"parallel_blocks": True, "bos": False, "positions": "rotary"},
    "mistral": {"sliding_windows": [6, 6, 6], "parallel_blocks": False},
    "mixtral": {"n_experts": 4, "experts_per_token": 2, "learned_sinks": False},
    "gpt_oss": {"learned_sinks": True, "n_experts": 4, "sliding_windows": [6, None, 6]},
    "bert": {"family": "encoder", "norms": "after", "positions": "learned", "bos": True},
}


def test_facts_of_each_family(family, family_model):
    found = describe(family_model(family)).facts
    assert {name: found[name] for name in FACTS[family]} == FACTS[family]
    assert found["family"] == ("encoder" if family == "bert" else "decoder")
    assert found["learned_sinks"] == (family == "gpt_oss")
    assert (found["n_experts"] > 0) == (family in ("mixtral", "gpt_oss"))


def test_the_stated_windows_are_those_of_the_patterns(family, family_model):
    model = family_model(family)
    ids = encode(model, "one two three four five six seven eight nine ten")
    with torch.no_grad():
        _, cache = model.run_with_cache(torch.from_numpy(ids)[None])
    distance = np.arange(len(ids))[:, None] - np.arange(len(ids))
    for layer, window in enumerate(describe(model).facts["sliding_windows"]):
        pattern = cache[Site(layer, "pattern").hook_name].numpy()
        reach = distance[(pattern[0] > 0).any(0)].max()
        assert reach == (len(ids) if window is None else window) - 1


def test_learned_sinks_take_what_the_rows_lack(family_model):
    model = family_model("gpt_oss")
    assert 0.01 < describe(model).facts["learned_sink_mass"] < 0.99
    assert describe(family_model("mixtral")).facts["learned_sink_mass"] < 1e-6


def test_the_shape_words_have_the_right_number_of_axes_and_sizes(family, family_model):
    model = family_model(family)
    ids = encode(model, "The cat sat on the mat")
    heads = {"q": 4, "z": 4, "k": describe(model).facts["n_kv_heads"], "v": describe(model).facts["n_kv_heads"]}
    with torch.no_grad():
        _, cache = model.run_with_cache(torch.from_numpy(ids)[None])
    for kind, n_heads in heads.items():
        assert cache[Site(1, kind).hook_name].shape == (1, len(ids), n_heads, 8)
    for row in describe(model).rows:
        if row.exists and not row.needs_flag:
            assert len(row.shape.split()) == cache[Site(1, row.kind).hook_name].ndim


def test_bert_refuses_edited_patterns_and_says_what_to_use(family_model):
    model = family_model("bert")
    require_exists(model, "pattern")
    with pytest.raises(SiteError, match=r"On BertForMaskedLM 'pattern' can be read but not edited.*Use 'z' instead"):
        require_causal(model, "pattern")
    require_causal(model, "z")


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("mixtral", "post", r"MixtralForCausalLM has no site 'post'.*no neurons. Use 'mlp_out' instead"),
        ("gpt_neox", "resid_mid", r"GPTNeoXForCausalLM has no site 'resid_mid'.*side by side.*Use 'resid_pre'"),
        ("bert", "result", r"BertForMaskedLM has no site 'result'.*Use 'z' instead"),
    ],
)
def test_a_missing_kind_is_refused_with_another_in_its_place(name, kind, words, family_model):
    for require in (require_exists, require_causal):
        with pytest.raises(SiteError, match=words):
            require(family_model(name), kind)


def test_an_unknown_kind_is_refused(tiny):
    with pytest.raises(SiteError, match="No site kind 'patern'"):
        require_causal(tiny, "patern")


def native(**changes):
    from transformer_lens.model_bridge import TransformerBridge

    sizes = {"d_model": 16, "d_head": 4, "n_heads": 4, "n_layers": 2, "n_ctx": 32, "d_vocab": 20, "d_mlp": 32}
    settings = {"act_fn": "gelu_new", "normalization_type": "LN", "seed": 0, "device": "cpu"}
    return TransformerBridge.boot_native({**sizes, **settings, **changes})


@pytest.mark.parametrize("name", ["native", "bert"])
def test_scores_that_only_repeat_the_pattern_are_no_scores(name, family_model):
    model = native().eval() if name == "native" else family_model(name)
    tokens = torch.arange(3, 10)[None]
    with torch.no_grad():
        _, cache = model.run_with_cache(tokens)
    rows = cache[Site(0, "attn_scores").hook_name].sum(-1)
    torch.testing.assert_close(rows, torch.ones_like(rows))  # scores before softmax would not sum to 1
    row = describe(model).row("attn_scores")
    assert not row.exists
    assert "after softmax" in row.reason


def test_real_scores_are_not_taken_for_patterns(tiny):
    with torch.no_grad():
        _, cache = tiny.run_with_cache(tiny.to_tokens("The cat sat"))
    torch.testing.assert_close(cache[Site(0, "attn_scores").hook_name].softmax(-1), cache[Site(0, "pattern").hook_name])
    assert describe(tiny).row("attn_scores").exists


def test_a_model_in_training_mode_is_refused():
    with pytest.raises(ModelError, match=r"Call model.eval\(\) first"):
        describe(native().train())


def test_logits_that_are_not_finite_are_refused():
    model = native().eval()
    with torch.no_grad():
        next(iter(model.parameters())).fill_(float("nan"))
    with pytest.raises(ModelError, match="The logits are not finite"):
        describe(model)


def test_the_description_is_kept_and_tabled(tiny):
    assert describe(tiny) is describe(tiny)
    table = describe(tiny).to_dataframe()
    assert list(table["kind"]) == list(KINDS)
    assert table.loc[table.kind == "pattern", "effect_early"].item() > 0.01


def test_other_tokens_can_be_probed(tiny):
    other = describe(tiny, encode(tiny, "Le chat dort"))
    assert other.row("z").causal
    assert other.row("z").effect_early != describe(tiny).row("z").effect_early


def test_describe_works_on_random_weights(family_directory):
    model = load_model(f"random:{family_directory('llama')}")
    assert all(row.causal for row in describe(model).rows)


def test_families_are_what_the_tests_say():
    assert set(FACTS) == set(families.FAMILIES)
