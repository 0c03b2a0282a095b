"""The table's numbers from changes that can be read."""

import numpy as np

from interp.attention.sink_tests.arms import PLAIN
from interp.attention.sink_tests.run import Measured, Outcome
from interp.attention.sink_tests.setting import Case
from interp.attention.sink_tests.table import Row, as_dataset
from interp.statistics import bootstrap_interval, sign_flips

EFFECT, CONTROL = np.array([1.0, 2.0, 4.0, 3.0, 2.0, 6.0]), np.array([0.5, -0.5, 1.0, 0.0, 0.5, 0.0])


def row(name, effect, control, *, scored=True):
    n = len(EFFECT)
    case = Case(name, "edit", "other edit", PLAIN, (PLAIN,), scored=scored)
    sides = [Measured(change, np.full(n, sink), np.full(n, 0.3)) for change, sink in ((effect, 0.125), (control, 0.75))]
    return Row(name, Outcome(case, np.full(n, 0.625), *sides))


def table(*, signed=True):
    rows = [
        row("strong", EFFECT, CONTROL),
        row("weak", CONTROL, EFFECT - EFFECT[::-1]),
        row("looks", None, None, scored=False),
        Row("refused", None, "there is none"),
    ]
    return as_dataset(rows, signed=signed, seed=4)


def test_the_difference_is_paired_by_prompt():
    strong = table().sel(test="strong")
    assert (strong["effect"], strong["control"], strong["above_control"]) == (3.0, 0.25, 2.75)
    low, high = bootstrap_interval(EFFECT - CONTROL, seed=4)
    assert (strong["above_control_low"], strong["above_control_high"]) == (low, high)
    assert strong["above_control_p"] == sign_flips(EFFECT - CONTROL, seed=4).p == 2 / 2**6
    assert (strong["sink_before"], strong["sink_after"], strong["control_sink_after"]) == (0.625, 0.125, 0.75)
    assert strong["n_prompts"] == 6


def test_q_counts_the_rows_that_have_a_change():
    data = table()
    p = data["above_control_p"].values[:2]
    q = data["above_control_q_fdr"].values
    np.testing.assert_allclose(q[0], min(1.0, 2 * p.min()))
    assert np.isnan(q[2:]).all()


def test_a_row_without_a_change_is_not_zero():
    data = table()
    assert data["ran"].values.tolist() == [True, True, False, False]
    assert data["status"].values.tolist() == ["measured", "measured", "attention only", "not run"]
    for name in ("effect", "effect_low", "control", "above_control", "p"):
        assert np.isnan(data[name].values[2:]).all()
    assert data["sink_after"].values[2] == 0.125
    assert np.isnan(data["sink_after"].values[3])
    assert data["reason"].values[3] == "there is none"


def test_a_distance_has_no_p_of_its_own():
    data = table(signed=False)
    assert "p" not in data
    assert "q_fdr" not in data
    assert data["above_control_p"].values[0] == 2 / 2**6
