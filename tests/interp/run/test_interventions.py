import pytest
import torch

from interp.errors import InputError
from interp.prompts import TokenBatch
from interp.run import Ablate, Clamp, Patch, Placebo, Project, Steer, Where

ACTIVATION = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]])


def mask_of(*lengths):
    import numpy as np

    return TokenBatch.of([np.arange(length) for length in lengths])


# Each expected value is worked out by hand from ACTIVATION.
BY_HAND = [
    (Patch(ACTIVATION * 10), [[[10, 20], [30, 40]], [[50, 60], [70, 80]]]),
    (Ablate.zero(), [[[0, 0], [0, 0]], [[0, 0], [0, 0]]]),
    # The second position of the second prompt is padding: the mean is over three vectors.
    (Ablate.mean(ACTIVATION, mask_of(2, 1)), [[[3, 4], [3, 4]], [[3, 4], [3, 4]]]),
    (Ablate.resample(ACTIVATION), [[[5, 6], [7, 8]], [[1, 2], [3, 4]]]),
    (Steer(torch.tensor([1.0, -1.0]), scale=2.0), [[[3, 0], [5, 2]], [[7, 4], [9, 6]]]),
    (Project(torch.tensor([0.0, 3.0])), [[[1, 0], [3, 0]], [[5, 0], [7, 0]]]),
    (Clamp((1,), 9.0), [[[1, 9], [3, 9]], [[5, 9], [7, 9]]]),
    (Where(Ablate.zero(), torch.tensor([[True, False], [False, True]])), [[[0, 0], [3, 4]], [[5, 6], [0, 0]]]),
]


@pytest.mark.parametrize(("intervention", "expected"), BY_HAND, ids=lambda value: type(value).__name__)
def test_each_intervention_gives_the_number_worked_out_by_hand_and_leaves_its_argument_alone(intervention, expected):
    before = ACTIVATION.clone()
    torch.testing.assert_close(intervention(ACTIVATION), torch.tensor(expected).float())
    torch.testing.assert_close(ACTIVATION, before, rtol=0, atol=0)


@pytest.mark.parametrize("intervention", [case[0] for case in BY_HAND], ids=lambda value: type(value).__name__)
def test_a_placebo_moves_every_vector_as_far_as_its_intervention_but_elsewhere(intervention):
    wide = torch.randn(2, 2, 64, generator=torch.Generator().manual_seed(1))
    wider = {
        "Patch": Patch(wide + 1),
        "Steer": Steer(torch.ones(64)),
        "Project": Project(torch.ones(64)),
        "Clamp": Clamp(tuple(range(5)), 3.0),
        "Ablate": Ablate.zero(),
        "Where": intervention,
    }
    real = wider[type(intervention).__name__]
    change, placebo = real(wide) - wide, Placebo(real, seed=3)(wide) - wide
    torch.testing.assert_close(placebo.norm(dim=-1), change.norm(dim=-1))
    cosine = torch.nn.functional.cosine_similarity(placebo, change, dim=-1)
    assert cosine.abs().max() < 0.6
    assert torch.equal(Placebo(real, seed=3)(wide) - wide, placebo), "the same seed must give the same placebo"
    if isinstance(real, Clamp):
        assert ((placebo != 0).sum(-1) == 5).all(), "as many other units"


def test_a_placebo_leaves_alone_what_its_intervention_leaves_alone():
    kept = Where(Ablate.zero(), torch.tensor([[True, False], [False, False]]))
    moved = (Placebo(kept)(ACTIVATION) != ACTIVATION).any(-1)
    assert moved.tolist() == [[True, False], [False, False]]


def test_in_resample_ablation_nobody_is_his_own_donor():
    rows = torch.arange(7.0)[:, None, None].expand(7, 2, 3)
    for seed in range(20):
        assert (Ablate.resample(rows, seed=seed)(rows) != rows).all()


def test_resampling_one_prompt_is_refused():
    with pytest.raises(InputError, match="at least two prompts"):
        Ablate.resample(ACTIVATION[:1])


def test_a_choice_of_the_wrong_shape_is_refused():
    with pytest.raises(InputError, match="one row for each prompt"):
        Where(Ablate.zero(), torch.ones(3, 2, dtype=torch.bool))(ACTIVATION)
