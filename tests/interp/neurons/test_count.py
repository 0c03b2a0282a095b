"""One pass counts what is there, wherever it is cut, killed or resumed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from interp.errors import InputError, ModelError, PromptError, SiteError
from interp.models import encode
from interp.neurons import rows as rows_module
from interp.neurons.count import count_neurons
from interp.neurons.counters import NeuronCounters
from interp.neurons.labelled import LabelledTokens
from interp.prompts import TokenBatch
from interp.run import capture
from interp.sites import Site

LANGUAGES = ("en", "fr", "de")
ROOT = Path(__file__).parents[3]


def random_rows(n_each: int = 7, *, length: int = 20, seed: int = 0) -> dict[str, list[np.ndarray]]:
    """Rows of several lengths for a tiny family, without special tokens."""
    rng = np.random.default_rng(seed)
    return {
        name: [rng.integers(10, 400, int(n)) for n in rng.integers(3, length, n_each + place)]
        for place, name in enumerate(LANGUAGES)
    }


def activations(model, ids: np.ndarray) -> np.ndarray:
    """`[layer, pos, neuron]` of one row."""
    batch = TokenBatch.of([ids])
    kept = capture(model, batch, [Site(layer, "post") for layer in range(3)])
    return np.stack([kept[Site(layer, "post")][0].numpy() for layer in range(3)])


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2", "gpt_neox"])
def test_counts_are_those_of_row_by_row_capture(family, family_model):
    model, rows = family_model(family), random_rows()
    counters = count_neurons(model, rows, sampled=1)
    for number, name in enumerate(LANGUAGES):
        values = np.concatenate([activations(model, ids) for ids in rows[name]], axis=1).astype(np.float64)
        assert counters.n[number] == values.shape[1]
        # A value at zero but for rounding may lie on either side in a pass with padding.
        unsure = (np.abs(values) < 1e-6).sum(1)
        assert (np.abs(counters.over_zero[number] - (values > 0).sum(1)) <= unsure).all()
        np.testing.assert_allclose(counters.total[number], values.sum(1), atol=1e-4)
        np.testing.assert_allclose(counters.squares[number], (values**2).sum(1), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(counters.low[number], values.min(1), atol=1e-5)
        np.testing.assert_allclose(counters.high[number], values.max(1), atol=1e-5)
        assert (counters.histogram[number].sum(-1) == counters.n[number]).all()
        median = np.quantile(values, 0.5, axis=1, method="inverted_cdf")
        assert (np.abs(counters.quantile(0.5)[number] - median) <= np.maximum(0.26 * np.abs(median), 2**-7)).all()


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2", "gpt_neox"])
def test_a_neuron_fires_where_its_activation_function_is_above_zero(family, family_model):
    model, rows = family_model(family), random_rows()
    counters = count_neurons(model, rows)
    expected = np.zeros_like(counters.fires)
    for number, name in enumerate(LANGUAGES):
        for ids in rows[name]:
            with torch.no_grad():
                outputs = _activation_outputs(model, torch.from_numpy(ids)[None])
            expected[number] += np.stack([(out[0] > 0).sum(0).numpy() for out in outputs])
    assert np.abs(counters.fires - expected).max() <= 1, "one value at the edge of zero is rounded either way"
    assert (counters.fires == expected).mean() > 0.999
    gated = family in ("llama", "gemma2")
    assert (counters.fires != counters.over_zero).any() == gated


def _activation_outputs(model, tokens):
    """What the model's own activation functions give, layer by layer."""
    inside = model.original_model
    if hasattr(inside, "transformer"):
        functions = [block.mlp.act for block in inside.transformer.h]
    else:
        layers = inside.model.layers if hasattr(inside, "model") else inside.gpt_neox.layers
        functions = [getattr(block.mlp, "act_fn", None) or block.mlp.act for block in layers]
    seen = []
    handles = [function.register_forward_hook(lambda _, __, out: seen.append(out.detach())) for function in functions]
    try:
        model(tokens)
    finally:
        for handle in handles:
            handle.remove()
    assert len(seen) == 3
    return seen


def test_tokens_around_a_text_count_for_no_language(family_model):
    for family, framing in (("llama", 1), ("bert", 2), ("gpt2", 1)):
        model = family_model(family)
        texts = {"en": "The cat sat on the mat", "fr": "Le chat dort"}
        rows = {name: [encode(model, text)] for name, text in texts.items()}
        counters = count_neurons(model, rows)
        assert counters.n.tolist() == [len(ids[0]) - framing for ids in rows.values()]


def test_every_token_counts_for_its_own_language(tiny):
    rng = np.random.default_rng(0)
    batch = TokenBatch.of([rng.integers(10, 400, n) for n in (9, 5, 12)])
    language = np.where(batch.mask, rng.integers(-1, 2, batch.tokens.shape), -1)
    nothing = np.full(language.shape, -1)
    labelled = LabelledTokens(batch, ("en", "fr"), language, nothing, nothing, nothing > 0, np.arange(3))
    counters = count_neurons(tiny, labelled, sampled=1)
    for number in range(2):
        mine = [
            activations(tiny, batch.tokens[row, :n])[:, language[row, :n] == number] for row, n in enumerate((9, 5, 12))
        ]
        values = np.concatenate(mine, 1)
        assert counters.n[number] == values.shape[1]
        np.testing.assert_allclose(counters.total[number], values.sum(1), atol=1e-4)
        np.testing.assert_allclose(counters.high[number], values.max(1), atol=1e-5)


def test_shards_add_up_to_the_whole_and_so_do_smaller_passes(tiny, monkeypatch):
    rows = random_rows()
    whole = count_neurons(tiny, rows, sampled=4)
    shards = [
        count_neurons(tiny, {name: ids[part] for name, ids in rows.items()}, sampled=4)
        for part in (slice(0, 3), slice(3, None))
    ]
    monkeypatch.setattr(rows_module, "TOKENS_AT_ONCE", 60)
    for other in (shards[0] + shards[1], count_neurons(tiny, rows, sampled=4)):
        for name in ("n", "n_rows", "rows_sum", "histogram"):
            np.testing.assert_array_equal(getattr(other, name), getattr(whole, name))
        np.testing.assert_allclose(other.total, whole.total, atol=1e-4)


def test_one_token_in_so_many_is_sampled_at_every_position(tiny):
    rng = np.random.default_rng(0)
    rows = {name: [rng.integers(10, 400, 32) for _ in range(64)] for name in LANGUAGES}
    assert count_neurons(tiny, rows, sampled=8).histogram.sum((1, 2, 3)).tolist() == [64 * 4 * 3 * 128] * 3
    # One-token rows: about one in eight is taken, because the rows decide at which place they begin.
    short = {name: [ids[:1] for ids in each] for name, each in rows.items()}
    taken = count_neurons(tiny, short, sampled=8).histogram.sum() / (3 * 128)
    assert 8 <= taken <= 45


CHILD = """
import sys
import numpy as np
from interp.models import load_model
from interp.neurons.count import count_neurons

model = load_model(sys.argv[1])
def rows(seed):
    rng = np.random.default_rng(seed)
    for number in range(150):
        if seed == 1 and number == 120:
            sys.stdout.write("waiting"); sys.stdout.flush()
            sys.stdin.read()
        yield rng.integers(10, 400, 50)
count_neurons(model, {"en": rows(0), "fr": rows(1)}, checkpoint=sys.argv[2], every=1)
"""


def streams() -> dict[str, list[np.ndarray]]:
    """The rows that the child counts."""
    rngs = [np.random.default_rng(seed) for seed in (0, 1)]
    return {name: [rng.integers(10, 400, 50) for _ in range(150)] for name, rng in zip(("en", "fr"), rngs, strict=True)}


def test_a_killed_pass_goes_on_to_the_counters_of_an_unbroken_one(family_directory, tiny, tmp_path):
    path = tmp_path / "counters.safetensors"
    command = [sys.executable, "-c", CHILD, str(family_directory("gpt2")), str(path)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        env=dict(os.environ),
    ) as child:
        assert child.stdout is not None
        assert child.stdout.read(7) == b"waiting"
        child.kill()
    assert child.returncode == -signal.SIGKILL
    held = NeuronCounters.load(path)
    assert 150 < held.n_rows < 270

    unbroken = count_neurons(tiny, streams())
    resumed = count_neurons(tiny, streams(), checkpoint=path)
    assert resumed == unbroken
    assert unbroken.n.tolist() == [7500, 7500]
    assert NeuronCounters.load(path) == unbroken
    assert count_neurons(tiny, streams(), checkpoint=path) == unbroken, "nothing is counted twice"


def test_a_checkpoint_of_other_rows_settings_or_models_is_refused_and_kept(tiny, family_model, tmp_path):
    path, rows = tmp_path / "counters.safetensors", random_rows()
    count_neurons(tiny, rows, checkpoint=path)
    before = path.read_bytes()
    other = {name: [ids + 1 for ids in each] for name, each in rows.items()}
    fewer = {name: each[:2] for name, each in rows.items()}
    for given in (other, fewer, {name: rows[name] for name in reversed(rows)}):
        with pytest.raises(InputError, match="counters of"):
            count_neurons(tiny, given, checkpoint=path)
    with pytest.raises(InputError, match="same call"):
        count_neurons(tiny, rows, checkpoint=path, sampled=3)
    with pytest.raises(InputError, match="same call"):
        count_neurons(family_model("gpt_neox"), rows, checkpoint=path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("family", ["mixtral", "gpt_oss"])
def test_experts_behind_one_hook_are_refused_by_name(family, family_model):
    with pytest.raises(SiteError, match=r"(Mixtral|GptOss).*no site 'post'.*experts"):
        count_neurons(family_model(family), random_rows())


def test_what_cannot_be_counted_is_refused(tiny):
    rows = random_rows()
    with pytest.raises(InputError, match="nothing to compare"):
        count_neurons(tiny, {"en": rows["en"]})
    with pytest.raises(InputError, match=r"No tokens of \['it'\]"):
        count_neurons(tiny, rows | {"it": []})
    with pytest.raises(InputError, match="every=0"):
        count_neurons(tiny, rows, every=0)
    with pytest.raises(PromptError, match="does not fit"):
        count_neurons(tiny, rows | {"it": [np.full(65, 20)]})
    with pytest.raises(PromptError, match="empty"):
        count_neurons(tiny, rows | {"it": [np.array([], np.int64)]})


def test_activations_that_are_not_finite_are_refused(family_directory):
    from interp.models import load_model

    model = load_model(str(family_directory("gpt2")))
    # Past the positions that loading and describing a model try.
    model.original_model.transformer.wpe.weight[40] = torch.inf
    count_neurons(model, random_rows(length=40))
    with pytest.raises(InputError, match=r"L0 post holds NaN or infinity"):
        count_neurons(model, random_rows() | {"it": [np.full(41, 20)]})


def test_a_gate_whose_sign_is_not_its_inputs_is_refused(family_directory):
    from interp.models import load_model

    model = load_model(str(family_directory("llama")))
    model.cfg.act_fn = "sigmoid"
    with pytest.raises(ModelError, match="'sigmoid'"):
        count_neurons(model, random_rows())
