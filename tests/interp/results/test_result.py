from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from interp.errors import ResultError
from interp.results import Provenance, Result, hash_array, library_versions


def make(effect=None, **more):
    effect = np.array([[0.5, -1.0], [0.0, 2.0]]) if effect is None else effect
    data = xr.Dataset(
        {"effect": (("layer", "pos"), effect), "control": (("layer", "pos"), effect * 0), **more},
        {"layer": [0, 1], "pos": [0, 1], "token": ("pos", np.array(["<s>", "\n🙂"], dtype=object))},
    )
    provenance = Provenance("tiny", "f00", "t00", "k00", "float32", True, "call()", versions=library_versions())
    return Result(
        "patch_sweep", data, "nats", "Positive: more.", "Hooks.", provenance, {"clean": 1.5}, {"labels": ["a"]}
    )


def test_saving_and_loading_gives_the_same_result(tmp_path):
    result = make()
    loaded = Result.load(result.save(tmp_path / "x.safetensors"))
    xr.testing.assert_identical(loaded.data, result.data)
    assert loaded.provenance == result.provenance
    assert (loaded.kind, loaded.unit, loaded.baselines, loaded.notes) == (
        "patch_sweep",
        "nats",
        {"clean": 1.5},
        {"labels": ["a"]},
    )


def test_a_number_without_dimensions_stays_one(tmp_path):
    result = make(mean=((), 0.25))
    loaded = Result.load(result.save(tmp_path / "x.safetensors"))
    xr.testing.assert_identical(loaded.data, result.data)


def test_a_table_has_one_row_per_cell():
    table = make().to_dataframe()
    assert len(table) == 4
    assert table.loc[(table.layer == 1) & (table.pos == 1), "effect"].item() == 2.0


def test_a_table_holds_what_its_cells_decide_and_other_variables_have_tables_of_their_own(tmp_path):
    values = (("prompt", "layer", "pos"), np.arange(12.0).reshape(3, 2, 2))
    # Saved and read, too: the first variable stays the first, whatever a file sorts by.
    data = make().data.assign(a_limit=("layer", np.array([5.0, 6.0])), prompt=np.arange(3), values=values)
    made = replace(make(), data=data)
    for result in (made, Result.load(made.save(tmp_path / "x.safetensors"))):
        table = result.to_dataframe()
        assert len(table) == 4
        assert "values" not in table
        assert table.loc[(table.layer == 1) & (table.pos == 0), "a_limit"].item() == 6.0
        assert result.to_dataframe("a_limit").to_dict("list") == {"layer": [0, 1], "a_limit": [5.0, 6.0]}
        single = result.to_dataframe("values")
        assert len(single) == 12
        assert single.loc[(single.prompt == 2) & (single.layer == 1) & (single.pos == 0), "effect"].item() == 0.0
    with pytest.raises(ResultError, match="no variable 'weight'"):
        made.to_dataframe("weight")


def test_nan_is_refused_unless_the_cell_is_marked_as_not_run():
    effect = np.array([[0.5, np.nan], [0.0, 2.0]])
    with pytest.raises(ResultError, match="1 of 4 values of 'effect'"):
        make(effect)
    assert make(effect, ran=(("layer", "pos"), np.isfinite(effect))).data["effect"].isnull().sum() == 1


def test_a_dimension_without_labels_is_refused():
    with pytest.raises(ResultError, match="without coordinates"):
        make(extra=(("head",), np.zeros(3)))


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda _: b"", lambda b: b"{}" + b])
def test_a_damaged_file_is_refused(tmp_path, damage):
    path = make().save(tmp_path / "x.safetensors")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ResultError, match="cannot be read"):
        Result.load(path)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = make().save(tmp_path / "x.safetensors")
    before = path.read_bytes()
    monkeypatch.setattr("interp.results.result.save_file", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        make().save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_hashes_tell_shapes_and_types_apart():
    zeros = np.zeros(4, np.int64)
    assert len({hash_array(zeros), hash_array(zeros.reshape(2, 2)), hash_array(zeros.astype(np.int32))}) == 3
