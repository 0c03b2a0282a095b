"""Equal samples are found by their hashes, and only those in two groups are refused."""

import numpy as np
import pytest

from interp.errors import InputError
from probes.samples.row_digests import RowDigests, refuse_twins

RNG = np.random.default_rng(0)
ONE, OTHER = RNG.normal(size=(8, 3)).astype(np.float32), RNG.normal(size=(8, 5)).astype(np.float32)
GROUPS = np.array(["a", "a", "b", "b", "c", "c", "d", "d"])


def digests(*cells: np.ndarray) -> RowDigests:
    made = RowDigests()
    for start in range(0, len(cells[0]), 3):
        made.add([cell[start : start + 3] for cell in cells])
    return made


def with_twin(cell: np.ndarray, *places: int) -> np.ndarray:
    cell = cell.copy()
    cell[list(places)] = cell[places[0]]
    return cell


def test_twins_in_two_groups_are_refused():
    refuse_twins(digests(ONE, OTHER), GROUPS)
    with pytest.raises(InputError, match=r"Samples 1 and 6 have identical activations .* groups 'a' and 'd'"):
        refuse_twins(digests(with_twin(ONE, 1, 6), with_twin(OTHER, 1, 6)), GROUPS)
    # Two of one group stand between them when sorted.
    with pytest.raises(InputError, match="Samples 1 and 6"):
        refuse_twins(digests(with_twin(ONE, 0, 1, 6), with_twin(OTHER, 0, 1, 6)), GROUPS)


def test_twins_in_one_group_or_at_one_site_only_are_no_leak():
    refuse_twins(digests(with_twin(ONE, 2, 3), with_twin(OTHER, 2, 3)), GROUPS)
    refuse_twins(digests(with_twin(ONE, 1, 6), OTHER), GROUPS)


def test_the_fingerprint_knows_values_and_order_and_not_batches():
    whole = RowDigests()
    whole.add([ONE, OTHER])
    assert whole.fingerprint == digests(ONE, OTHER).fingerprint
    assert whole.fingerprint != digests(ONE[::-1], OTHER[::-1]).fingerprint
    changed = ONE.copy()
    changed[7, 2] += 1e-5
    assert whole.fingerprint != digests(changed, OTHER).fingerprint
