"""The objective by hand and by finite differences, and its minimum."""

import numpy as np
import pytest

from interp.errors import InputError
from probes.estimators.softmax_descent import Objective, descend, loss_and_residual
from probes.samples.row_blocks import RowBlocks

RNG = np.random.default_rng(0)
# More rows than the shift is taken from, so that their mean is not zero and has to be reckoned with.
X = RNG.normal(size=(400, 4)) @ RNG.normal(size=(4, 4)) + 5


def objective(n_classes: int, n_labellings: int = 2, penalty: float = 0.1) -> Objective:
    codes = np.random.default_rng(1).integers(n_classes, size=(n_labellings, len(X)))
    return Objective(RowBlocks.of(X), codes, n_classes, penalty)


def test_loss_and_residual_by_hand():
    # Two classes: a logit of log 3 says 3 to 1 for the second. In nats: -log 3/4 if it is, -log 1/4 if not.
    loss, residual = loss_and_residual(np.log([[[3.0, 3.0]]]), np.array([[1, 0]]))
    assert loss == pytest.approx(np.log(4 / 3) + np.log(4))
    np.testing.assert_allclose(residual, [[[-0.25, 0.75]]])
    # Three classes, odds 1 : 2 : 5, the last of them true.
    loss, residual = loss_and_residual(np.log([[[1.0], [2.0], [5.0]]]), np.array([[2]]))
    assert loss == pytest.approx(np.log(8 / 5))
    np.testing.assert_allclose(residual[0, :, 0], [1 / 8, 2 / 8, -3 / 8])


def test_large_logits_do_not_overflow():
    for logits in ([[[900.0]]], [[[900.0], [-900.0], [0.0]]]):
        loss, residual = loss_and_residual(np.array(logits), np.array([[0]]))
        assert loss == pytest.approx(900 if len(logits[0]) == 1 else 0)
        assert np.isfinite(residual).all()


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_gradient_is_that_of_finite_differences(n_classes):
    at = objective(n_classes)
    rng, rows = np.random.default_rng(2), at.n_rows
    weights, intercepts = rng.normal(size=(2, rows, 4)), rng.normal(size=(2, rows))
    _, by_weight, by_intercept = at(weights, intercepts)
    step = 1e-6
    for place in np.ndindex(weights.shape):
        moved = np.zeros_like(weights)
        moved[place] = step
        slope = (at(weights + moved, intercepts)[0] - at(weights - moved, intercepts)[0]) / (2 * step)
        assert by_weight[place] == pytest.approx(slope, abs=1e-7)
    for place in np.ndindex(intercepts.shape):
        moved = np.zeros_like(intercepts)
        moved[place] = step
        slope = (at(weights, intercepts + moved)[0] - at(weights, intercepts - moved)[0]) / (2 * step)
        assert by_intercept[place] == pytest.approx(slope, abs=1e-7)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_at_the_minimum_the_gradient_vanishes_and_labellings_do_not_mix(n_classes):
    both = objective(n_classes)
    weights, intercepts, passes = descend(both, tol=1e-10, max_iter=200)
    _, by_weight, by_intercept = both(weights, intercepts)
    assert max(np.abs(by_weight).max(), np.abs(by_intercept).max()) <= 1e-10
    assert passes < 60
    for number in range(2):
        alone = Objective(both.blocks, both.codes[number : number + 1], n_classes, both.penalty)
        np.testing.assert_allclose(descend(alone, tol=1e-10, max_iter=200)[0][0], weights[number], atol=1e-7)


def test_coordinates_that_repeat_change_nothing_but_the_share_of_each():
    twice = Objective(RowBlocks.of(np.hstack([X, X])), objective(3).codes, 3, 0.1)
    weights, intercepts, _ = descend(twice, tol=1e-9, max_iter=500)
    # Shared by two columns, a weight costs half: as a penalty of half the size on the sum.
    once = descend(objective(3, penalty=0.05), tol=1e-9, max_iter=500)
    np.testing.assert_allclose(weights[..., :4] + weights[..., 4:], once[0], atol=1e-6)
    np.testing.assert_allclose(intercepts, once[1], atol=1e-6)


def test_no_convergence_is_refused():
    with pytest.raises(InputError, match="did not converge: after 2 of at most 2 steps"):
        descend(objective(3), tol=1e-9, max_iter=2)
    single = RowBlocks.of(X.astype(np.float32))
    with pytest.raises(InputError, match="give float64 activations"):
        descend(Objective(single, objective(3).codes, 3, 0.1), tol=1e-14, max_iter=200)
