"""Intervals of many cells at once are those of each alone; p-values tell a better probe from one that is not."""

import numpy as np
import pytest

from probes.reading import cell_intervals
from probes.reading.cell_intervals import Units, score_intervals
from probes.reading.intervals import accuracy_over_groups

RNG = np.random.default_rng(0)
GROUPS = np.repeat(np.arange(40), RNG.integers(1, 9, 40))
CORRECT = np.stack([RNG.random(len(GROUPS)) < share for share in (0.9, 0.5, 0.5)])


def test_intervals_are_those_of_each_cell_alone():
    runs = np.stack([CORRECT, CORRECT[::-1]])
    for given in (runs[:1], runs):
        low, high = score_intervals(given, Units.of(GROUPS), seed=3)
        for cell in range(3):
            alone = accuracy_over_groups(given[:, cell], GROUPS, seed=3)
            assert (low[cell], high[cell]) == pytest.approx((alone.low, alone.high), abs=1e-12)


def test_sums_of_some_samples_by_hand():
    units = Units.of(np.array(["a", "a", "b", "c"]))
    sums = units.sums_at(np.array([0, 1, 3]), np.array([[0.5, 0.25, 2.0]]))
    np.testing.assert_array_equal(sums, [[0.75, np.nan, 2.0]])


def test_very_many_groups_are_put_together(monkeypatch):
    monkeypatch.setattr(cell_intervals, "MOST_UNITS", 10)
    units = Units.of(GROUPS, seed=0)
    assert len(units.sizes) == 10
    assert units.sizes.sum() == len(GROUPS)
    # No group is cut.
    assert all(len(np.unique(units.member[group == GROUPS])) == 1 for group in range(40))
    np.testing.assert_allclose(units.sums(CORRECT).sum(1), CORRECT.sum(1))
