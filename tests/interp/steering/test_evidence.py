"""A change beside its draws, by hand."""

import numpy as np
import pytest

from interp.errors import InputError
from interp.steering.evidence import check_draws, compare


def test_numbers_by_hand() -> None:
    change = np.array([1.0, 2.0, 3.0, 2.0])
    draws = np.array([[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0], [-2.5, -2.5, -2.5, -2.5]])
    found = compare(change, draws, seed=0)
    assert found is not None
    told = found.numbers
    assert (told["effect"], told["control"], told["control_low"], told["control_high"]) == (2.0, -0.5, -2.5, 1.0)
    assert told["above_control"] == 2.5
    assert told["effect_low"] < 2 < told["effect_high"]
    assert found.p == (1 + 1) / 4, "one draw of three is as large, with the other sign"
    assert not found.stands, "a draw is larger in size, and its being negative is no merit"
    assert found.n == 4
    smaller = compare(change, draws / 2, seed=0)
    assert smaller is not None
    assert smaller.p == 1 / 4
    assert smaller.stands


def test_a_change_that_differs_from_document_to_document_does_not_stand() -> None:
    found = compare(np.array([9.0, -3.0, -3.0, 0.0]), np.zeros((20, 4)), seed=0)
    assert found is not None
    assert found.p == 1 / 21
    assert not found.stands


def test_documents_without_a_value_are_left_out() -> None:
    change = np.array([1.0, np.nan, 3.0])
    draws = np.array([[0.0, 5.0, np.nan], [1.0, np.nan, 1.0]])
    found = compare(change, draws, seed=0)
    assert found is not None
    assert found.n == 2
    assert found.numbers["effect"] == 2
    assert found.numbers["control"] == (0 + 1) / 2
    assert found.numbers["above_control"] == ((1 - 0.5) + (3 - 1)) / 2
    assert compare(np.array([1.0, np.nan]), np.zeros((3, 2)), seed=0) is None


def test_too_few_draws_are_refused() -> None:
    check_draws(20)
    with pytest.raises(InputError, match="at least 20"):
        check_draws(19)
