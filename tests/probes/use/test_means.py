"""Means over prompts, beside the interval that they are given."""

import numpy as np

from interp.statistics import bootstrap_interval
from probes.use.means import means


def test_by_hand_the_mean_is_over_prompts_and_ends_are_of_the_same_cells():
    values = np.array([[0.0, 10.0], [2.0, 20.0], [4.0, 60.0]])
    found = means("effect", "site", values, seed=1)
    assert list(found) == ["effect", "effect_low", "effect_high"]
    np.testing.assert_array_equal(found["effect"][1], [2, 30])
    low, high = bootstrap_interval(values, seed=1)
    np.testing.assert_array_equal(found["effect_low"][1], low)
    np.testing.assert_array_equal(found["effect_high"][1], high)
    assert {dims for dims, _ in found.values()} == {"site"}
    assert [np.ndim(end) for _, end in means("slope", (), values[:, 0], seed=1).values()] == [0, 0, 0]
