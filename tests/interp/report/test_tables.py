import csv
import dataclasses
import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp.report import tables
from interp.report.tables import shown_cells, tidy, to_csv
from tests.interp.plots import synthetic
from tests.interp.plots.synthetic_switching import switching_units


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
def test_no_text_cell_starts_a_formula(text: str) -> None:
    frame = pd.DataFrame({"token": [text, "x"], "value": [-1.5, 2.0]})
    rows = list(csv.reader(io.StringIO(to_csv(frame), newline="")))
    assert not rows[1][0].startswith(("=", "+", "-", "@", "\t", "\r"))
    assert rows[1][0].removeprefix("'") == text.removeprefix("'")
    assert rows[1][1] == "-1.5", "numbers stay numbers"


def test_a_heading_starts_no_formula_either() -> None:
    assert to_csv(pd.DataFrame({"=cmd()": [1]})).splitlines()[0] == "'=cmd()"


def test_one_row_per_cell_with_its_label() -> None:
    result = synthetic.patch_sweep()
    frame = tidy(result).frame
    assert len(frame) == result.data["effect"].size
    row = frame[(frame["layer"] == 2) & (frame["pos"] == 3)].iloc[0]
    assert row["label"] == "<s>"
    assert row["effect"] == pytest.approx(float(result.data["effect"].values[2, 3]))
    assert "values" not in frame


def test_a_zero_that_was_not_computed_is_told_in_the_table() -> None:
    result = synthetic.patch_sweep(n_prompts=3)
    state = np.zeros(result.data["values"].shape, np.int8)
    state[:, 1, 2], state[0, 3, 4] = 1, 2
    data = result.data.assign(state=(result.data["values"].dims, state))
    frame = tidy(dataclasses.replace(result, data=data)).frame.set_index(["layer", "pos"])
    assert frame["computed_prompts"].loc[[(0, 0), (1, 2), (3, 4)]].tolist() == [3, 0, 2]
    assert "state" not in frame
    assert "computed_prompts" not in tidy(result).frame


def test_attention_keeps_the_weights_above_the_smallest() -> None:
    result = synthetic.attention()
    found = tidy(result)
    expected = sum(
        int((result.data["pattern"].values[prompt, ..., :n, :n] > tables.SMALLEST_WEIGHT).sum())
        for prompt, n in enumerate(result.data["length"].values)
    )
    assert len(found.frame) == expected > 0
    assert f"all {expected} weights above 0.01" in found.left_out
    row = found.frame.iloc[100]
    at = tuple(int(row[dim]) for dim in ("prompt", "layer", "head", "dest_pos", "src_pos"))
    assert row["weight"] == pytest.approx(float(result.data["pattern"].values[at]), abs=1e-5)
    assert row["control_weight"] == pytest.approx(float(result.data["control_pattern"].values[at]), abs=1e-5)
    assert row["dest_token"] == result.notes["str_tokens"][at[0]][at[3]]


def test_a_long_table_keeps_the_strongest_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_ROWS", 10)
    found = tidy(synthetic.attention([["a", "b", "c", "d"]]))
    assert len(found.frame) == 10
    assert "the 10 largest of" in found.left_out
    whole = synthetic.attention([["a", "b", "c", "d"]]).data["pattern"].values
    np.testing.assert_allclose(np.sort(found.frame["weight"]), np.sort(whole.ravel())[-10:], atol=1e-5)


def test_a_long_table_of_units_keeps_what_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tidy(switching_units())
    monkeypatch.setattr(tables, "MAX_ROWS", 4)
    short = tidy(switching_units())
    assert len(whole.frame) == 6
    assert short.frame["found"].all()
    assert len(short.frame) == whole.frame["found"].sum() == 2
    assert short.left_out == "Holds the 2 found of 6 rows; the result file holds every row."
    monkeypatch.setattr(tables, "MAX_ROWS", 1)
    assert len(tidy(switching_units()).frame) == 1


def test_cells_read_as_numbers_or_text() -> None:
    frame = pd.DataFrame({"a": ["<b>"], "b": [3], "c": [0.123456], "d": [np.nan], "e": [True]})
    assert shown_cells(frame, 5) == [[("<b>", False), ("3", True), ("0.1235", True), ("not run", True), ("yes", False)]]
