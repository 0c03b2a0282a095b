"""Composition: the formula on dense matrices, and the edges of circuits whose weights were set by hand."""

import numpy as np
import pytest

from interp.attention import composition_scores
from interp.errors import InputError, ModelError
from interp.models import load_model
from interp.models.compiled import compiled_model
from interp.results import Result


def score_all(name: str) -> dict[str, Result]:
    """The three kinds of composition of a compiled model."""
    model = load_model(f"compiled:{name}")
    controls = [load_model(f"random:compiled:{name}", seed=seed) for seed in range(20)]
    return {kind: composition_scores(model, controls, kind=kind) for kind in "QKV"}


@pytest.fixture(scope="module")
def copy() -> dict[str, Result]:
    return score_all("copy")


def heads_of(key) -> dict[str, str]:
    heads = {node.name: node.site for node in key.nodes + key.decoys if node.site.kind == "z"}
    return {name: f"L{site.layer}H{site.head}" for name, site in heads.items()}


def edges(found: dict[str, Result]) -> set[tuple[str, str, str]]:
    tables = {kind: result.to_dataframe() for kind, result in found.items()}
    return {
        (row.writer, row.reader, kind.lower())
        for kind, table in tables.items()
        for row in table[table["found"]].itertuples()
    }


def test_the_induction_head_reads_the_previous_token_head_through_its_keys():
    assert edges(score_all("induction")) == {("L0H0", "L1H0", "k")}


@pytest.mark.slow
def test_the_pairs_found_are_the_edges_of_the_answer_key(copy):
    key = compiled_model("copy").key
    heads = heads_of(key)
    wanted = {
        (heads[edge.source], heads[edge.target], edge.role)
        for edge in key.edges
        if {edge.source, edge.target} <= set(heads)
    }
    assert edges(copy) == wanted
    assert len(wanted) == 5


@pytest.mark.slow
def test_no_working_head_reads_a_decoy():
    heads = heads_of(compiled_model("decoys").key)
    found = edges(score_all("decoys"))
    previous = {reader for writer, reader, kind in found if writer == heads["previous"] and kind == "k"}
    assert previous == {heads["induction"], heads["loud_twin"], heads["backup"]}
    loud = {reader for writer, reader, _ in found if writer in (heads["loud_words"], heads["loud_twin"])}
    assert loud == {heads["loud_echo"]}


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("kind", ["Q", "K", "V"])
def test_the_formula_on_dense_matrices(family, kind, family_model, family_directory):
    model = family_model(family)
    control = load_model(f"random:{family_directory(family)}", seed=1)
    data = composition_scores(model, [control], kind=kind).data
    writer, reader, per_key = (0, 1), (2, 3), model.cfg.n_heads // (model.cfg.n_key_value_heads or model.cfg.n_heads)

    def weight(name: str, layer: int, head: int) -> np.ndarray:
        stacked = getattr(model.blocks[layer].attn, name)
        shared = head // per_key if name in ("W_K", "W_V") else head
        return stacked.reshape(-1, *stacked.shape[-2:])[shared].double().numpy()

    written = weight("W_V", *writer) @ model.W_O[writer].double().numpy()
    query_key = weight("W_Q", *reader) @ weight("W_K", *reader).T
    value = weight("W_V", *reader) @ model.W_O[reader].double().numpy()
    read = {"Q": query_key, "K": query_key.T, "V": value}[kind]
    norm = np.linalg.norm
    expected = norm(written @ read) / norm(written) / norm(read)
    assert float(data["score"].sel(writer="L0H1", reader="L2H3")) == pytest.approx(expected, rel=1e-4)


def test_only_earlier_layers_are_read(tiny, family_directory):
    result = composition_scores(tiny, [load_model(f"random:{family_directory('gpt2')}", seed=1)])
    data = result.data
    layer = np.arange(12) // 4
    assert (data["ran"].values == (layer[:, None] < layer)).all()
    for name in ("score", "control", "p_corrected", "q_fdr"):
        assert (np.isfinite(data[name].values) == data["ran"].values).all()
    assert data["found"].dtype == bool
    assert not data["found"].any()  # one control is not enough
    assert result.notes["q_floor"] == pytest.approx(48 / 49)
    assert result.baselines["largest control pair"] >= float(data["control"].max())


def test_a_head_without_weights_reads_and_writes_nothing():
    controls = [load_model("random:compiled:copy", seed=1)]
    score = composition_scores(load_model("compiled:copy"), controls).data["score"]
    assert float(score.sel(writer="L0H0", reader="L1H0")) > 0
    assert float(score.sel(writer="L0H1", reader="L1H0")) == 0
    assert float(score.sel(writer="L0H0", reader="L1H1")) == 0


def test_it_survives_a_round_trip_through_a_file(tiny, family_directory, tmp_path):
    result = composition_scores(tiny, [load_model(f"random:{family_directory('gpt2')}", seed=1)], kind="V")
    assert Result.load(result.save(tmp_path / "pairs.safetensors")).data.equals(result.data)


def test_refusals(tiny, family_directory):
    with pytest.raises(InputError, match="kind 'k'"):
        composition_scores(tiny, [], kind="k")
    with pytest.raises(InputError, match="No control model"):
        composition_scores(tiny, [])
    with pytest.raises(InputError, match="model's own weights"):
        composition_scores(tiny, [tiny])
    one = load_model("compiled:skip-trigram")
    with pytest.raises(InputError, match="one layer"):
        composition_scores(one, [])


def test_models_without_attention_in_every_layer_are_refused(family_directory):
    model = load_model(str(family_directory("gpt2")))
    del model.blocks[1]._modules["attn"]
    with pytest.raises(ModelError, match="attention in 2 of 3 layers"):
        composition_scores(model, [])
    for layer in (0, 2):
        del model.blocks[layer]._modules["attn"]
    with pytest.raises(ModelError, match=r"no composition scores for .*No attention layers"):
        composition_scores(model, [])


def test_weights_that_are_not_finite_are_refused(family_directory):
    model = load_model(str(family_directory("gpt2")))
    weight = model.original_model.transformer.h[0].attn.c_proj.weight
    weight[0, 0] = float("nan")
    with pytest.raises(ModelError, match="NaN or infinite"):
        composition_scores(model, [])
