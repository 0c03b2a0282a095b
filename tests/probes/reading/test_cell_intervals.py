"""Intervals of many cells at once are those of each alone; p-values tell a better probe from one that is not."""

import numpy as np
import pytest

from probes.reading import cell_intervals
from probes.reading.cell_intervals import Units, above_control, accuracy_intervals
from probes.reading.intervals import accuracy_over_groups

RNG = np.random.default_rng(0)
GROUPS = np.repeat(np.arange(40), RNG.integers(1, 9, 40))
CORRECT = np.stack([RNG.random(len(GROUPS)) < share for share in (0.9, 0.5, 0.5)])


def test_intervals_are_those_of_each_cell_alone():
    low, high = accuracy_intervals(CORRECT, Units.of(GROUPS), seed=3)
    for cell, correct in enumerate(CORRECT):
        alone = accuracy_over_groups(correct[None], GROUPS, seed=3)
        assert (low[cell], high[cell]) == pytest.approx((alone.low, alone.high), abs=1e-12)


def test_p_values_by_hand():
    # Five groups of one sample, all better than the control: of 32 flips, the given one and its mirror reach as far.
    correct, control = np.ones((1, 5), bool), np.zeros((1, 5), bool)
    flips = above_control(correct, control, Units.of(np.arange(5)))
    assert flips.p.tolist() == [2 / 32]
    # In two groups, the samples of one are no independent evidence: of 4 flips 2 reach as far.
    assert above_control(correct, control, Units.of(np.array([0, 0, 0, 1, 1]))).p.tolist() == [2 / 4]


def test_a_better_cell_is_told_from_equal_ones():
    flips = above_control(CORRECT, CORRECT[[1, 2, 1]], Units.of(GROUPS), seed=1)
    assert flips.p_corrected[0] < 0.01
    assert (flips.p_corrected[1:] > 0.1).all()


def test_very_many_groups_are_put_together(monkeypatch):
    monkeypatch.setattr(cell_intervals, "MOST_UNITS", 10)
    units = Units.of(GROUPS, seed=0)
    assert len(units.sizes) == 10
    assert units.sizes.sum() == len(GROUPS)
    # No group is cut.
    assert all(len(np.unique(units.member[group == GROUPS])) == 1 for group in range(40))
    np.testing.assert_allclose(units.right(CORRECT).sum(1), CORRECT.sum(1))
