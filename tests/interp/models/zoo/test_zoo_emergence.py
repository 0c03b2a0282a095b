"""What came when, measured on the snapshots of a training of a moment."""

import json
import shutil

import numpy as np
import pytest

from interp import zoo_emergence
from interp.errors import InputError, ModelError
from interp.models import zoo
from interp.models.zoo.emergence import EMERGENCE, as_result, chosen_rows, load_emergence
from interp.plots import plot
from interp.zoo_figures import Sizes


@pytest.fixture(scope="module")
def state(trained, tmp_path_factory):
    """The first and the last snapshot of the training alone."""
    kept = tmp_path_factory.mktemp("kept")
    snapshots = sorted((trained / "snapshots").iterdir())
    for directory in (snapshots[0], snapshots[-1]):
        shutil.copytree(directory, kept / "snapshots" / directory.name)
    return kept


@pytest.fixture(scope="module")
def measured(state, corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("emergence")
    path = zoo_emergence.measure_emergence(state, out, corpus=corpus, sizes=Sizes(800, openings=2, switches=1))
    assert path == out / EMERGENCE
    return load_emergence(out)


def test_every_snapshot_is_measured_alike(measured, recipe):
    assert [snapshot.step for snapshot in measured.snapshots] == [0, recipe.steps]
    assert measured.snapshots[1].tokens_seen == recipe.steps * recipe.batch * recipe.n_ctx
    for snapshot in measured.snapshots:
        assert set(snapshot.measured) == set(measured.measures)
        for found in snapshot.measured.values():
            assert found.low <= found.value <= found.high
            assert found.n >= 2
    first, last = (snapshot.measured for snapshot in measured.snapshots)
    for language in ("en", "fr", "de", "es"):
        name = f"bits per byte, held-out novels, {language}"
        assert last[name].high < first[name].low
    assert "--corpus DIR" in measured.command
    assert measured.provenance.model == "zoo:polyglot", "no path of the machine it was trained on"


def test_a_snapshots_numbers_are_those_of_the_measurements(measured, trained_model):
    from interp.models.zoo.measure import repeated_random_loss

    found = repeated_random_loss(trained_model, n_sequences=zoo_emergence.N_SEQUENCES)
    last = measured.snapshots[-1].measured
    assert last["random tokens"].value == pytest.approx(found.first.value)
    assert last["random tokens said again"].value == pytest.approx(found.second.value)


def test_the_result_opens_in_pandas_with_the_untrained_model_as_control(measured, tmp_path):
    result = as_result(measured)
    table = result.to_dataframe()
    assert len(table) == 2 * len(measured.measures)
    assert {"step", "tokens_seen", "measure", "unit", "value", "value_low", "value_high", "control"} <= set(table)
    np.testing.assert_array_equal(result.data["control"], result.data["value"].sel(step=0))
    loaded = type(result).load(result.save(tmp_path / "emergence.safetensors"))
    assert loaded.data.equals(result.data)
    assert "untrained" in plot(loaded).control


def test_a_training_without_its_beginning_has_no_control(measured):
    from dataclasses import replace

    with pytest.raises(ModelError, match=r"of steps \[30\]\. Expected one of step 0"):
        as_result(replace(measured, snapshots=measured.snapshots[1:]))


def test_a_table_has_the_first_and_the_last_snapshot(measured):
    from dataclasses import replace

    many = replace(measured, snapshots=[replace(measured.snapshots[0], step=step) for step in range(16)])
    assert [row.step for row in chosen_rows(many, 4)] == [0, 5, 10, 15]
    assert [row.step for row in chosen_rows(measured, 8)] == [0, 30]


def test_a_state_without_snapshots_and_a_damaged_file_are_refused(tmp_path):
    with pytest.raises(InputError, match="holds no snapshots"):
        zoo_emergence.measure_emergence(tmp_path, tmp_path)
    (tmp_path / EMERGENCE).write_text(json.dumps({"model": "x"}))
    with pytest.raises(ModelError, match=r"emergence\.json cannot be read"):
        load_emergence(tmp_path)


def test_without_a_corpus_the_shipped_text_is_measured(state, tmp_path):
    shutil.copytree(state / "snapshots" / "000000", tmp_path / "snapshots" / "000000")
    zoo_emergence.measure_emergence(tmp_path, tmp_path, sizes=Sizes(openings=2, switches=1))
    found = load_emergence(tmp_path)
    assert found.text == "the shipped sentences"
    assert not any("held-out" in name for name in found.measures)
    assert "--corpus" not in found.command


def test_the_command_refuses_a_state_without_snapshots(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        zoo_emergence.main(["--state", str(tmp_path), "--out", str(tmp_path)])
    assert stopped.value.code == 2
    assert "holds no snapshots" in capsys.readouterr().err


def test_the_zoo_opens_on_a_shipped_models_emergence():
    if not (zoo.WEIGHTS / "polyglot" / EMERGENCE).exists():
        pytest.skip("zoo:polyglot has no emergence.json here: make it with python -m interp.zoo_emergence.")
    result = zoo.read_emergence("zoo:polyglot")
    assert result.data.sizes["step"] >= 12
    assert plot(result).plotly is not None
