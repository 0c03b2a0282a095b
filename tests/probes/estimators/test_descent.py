import numpy as np
import pytest
import torch

from probes.estimators.descent import minimise


def test_the_minimum_of_a_parabola():
    matrix = torch.tensor([[3.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    aim = torch.tensor([1.0, -2.0], dtype=torch.float64)
    found = minimise(lambda at: (at - aim) @ matrix @ (at - aim) + 7, np.zeros(2), max_iter=100)
    np.testing.assert_allclose(found.parameters, [1, -2], atol=1e-6)
    assert found.loss == pytest.approx(7)
    assert found.converged


def test_iterations_used_up_are_told():
    valley = minimise(lambda at: (1 - at[0]) ** 2 + 100 * (at[1] - at[0] ** 2) ** 2, np.array([-1.2, 1.0]), max_iter=3)
    assert not valley.converged
