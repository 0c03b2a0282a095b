"""Edits stand at the labelled positions and nowhere else, and only where there is a vector to edit."""

import numpy as np
import pytest
import torch

from interp.errors import InputError
from interp.prompts import TokenBatch
from interp.sites import Site
from probes import ProbeTask
from probes.use.labelled import at_labels, check_every_prompt, check_vectors, class_means, labelled, placed

BATCH = TokenBatch.of(list(np.arange(30).reshape(10, 3)))
SITE = Site(0, "resid_post")


def task(prompts: list[int]) -> ProbeTask:
    """Ten samples, at places 0, 1, 2, 0, 1, 2, ... of these prompts."""
    return ProbeTask(BATCH, np.array(prompts), np.arange(10) % 3, np.array(["a", "b"] * 5), np.array(prompts))


def test_by_hand_a_vector_is_laid_at_its_sample_and_another_elsewhere():
    laid = placed(task([2, 0, 0, *range(3, 10)]), np.arange(20.0).reshape(10, 2), torch.tensor([-1.0, -2.0]))
    assert laid[0].tolist() == [[-1, -2], [2, 3], [4, 5]]
    assert laid[1].tolist() == [[-1, -2]] * 3
    assert laid[2].tolist() == [[0, 1], [-1, -2], [-1, -2]]
    assert laid[9].tolist() == [[18, 19], [-1, -2], [-1, -2]]


def test_by_hand_the_mean_of_the_label_that_is_wanted():
    X = np.array([[1.0, 0], [3, 0], [10, 4]])
    own = np.array(["a", "a", "b"])
    np.testing.assert_array_equal(class_means(X, own, own), [[2, 0], [2, 0], [10, 4]])
    np.testing.assert_array_equal(class_means(X, own, np.array(["b", "a", "a"])), [[10, 4], [2, 0], [2, 0]])


def test_an_edit_is_made_for_the_prompts_that_run_and_changes_labelled_positions_alone():
    some = task([0, 1, 1, 2, 2, 2, 3, 4, 5, 6])
    asked = []
    edits = at_labels(some, SITE, lambda rows: asked.append(rows) or (lambda activation: activation + 1))(slice(1, 3))
    assert asked == [slice(1, 3)]
    changed = edits[SITE](torch.zeros(2, 3, 4))
    assert changed[..., 0].tolist() == [[0, 1, 1], [1, 1, 1]]
    assert labelled(some)[1:4].tolist() == [[False, True, True], [True, True, True], [True, False, False]]


def test_a_prompt_without_labels_is_refused():
    check_every_prompt(task([*range(10)]))
    with pytest.raises(InputError, match="2 of 10 prompts have no labelled position"):
        check_every_prompt(task([0, 0, 0, *range(3, 10)]))


@pytest.mark.parametrize("heads", [True, False])
def test_only_sites_with_a_vector_for_each_position_will_do(heads):
    check_vectors([SITE, Site(2, "attn_out"), Site(2, "mlp_out")], heads=heads)
    for bad in (Site(0, "pattern", 1), Site(0, "z"), Site(0, "post"), Site(0, "resid_pre", pos=2), Site(0, "z", 1, 2)):
        with pytest.raises(InputError, match="holds no vector for each position") as refused:
            check_vectors([SITE, bad], heads=heads)
        assert ("one head" in str(refused.value)) == heads


def test_one_head_will_do_where_heads_are_allowed():
    check_vectors([Site(0, "z", 1), Site(0, "k", 0)], heads=True)
    with pytest.raises(InputError, match="L0H1 z holds no vector"):
        check_vectors([Site(0, "z", 1)], heads=False)
