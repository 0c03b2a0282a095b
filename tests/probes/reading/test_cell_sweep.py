"""What a sweep makes of scores, by hand: means, intervals, floors and p-values, portion by portion."""

import numpy as np
import pytest

from interp.errors import InputError
from probes.estimators.large_ridge import LargeRidgeProbe
from probes.reading.cell_readers import MEAN, ClassReader, LabelsReader, NumberReader, reader_of
from probes.reading.cell_sweep import sweep_cells
from probes.reading.portions import Portion
from probes.samples.split import Fold


class Given(NumberReader):
    """Scores that are written in the activations: by the true labels in column 0, by permutations in the next."""

    def score(self, X, labellings, fold):
        return X[fold.test, : len(labellings)].T.astype(float)


READER = Given(LargeRidgeProbe())
ROWS, GROUPS = np.arange(10), np.repeat(np.arange(5), 2)
LABELS = np.linspace(0, 1, 10)
# Of five groups of two samples, all better by the true labels than by the mean of two permutations, not than by one.
SCORES = np.tile([1.0, 1.0, 0.0], (10, 1))


def portion(rows: np.ndarray, test: np.ndarray) -> Portion:
    return Portion(rows, [Fold(np.setdiff1d(rows, test), test)], [LABELS] * 3)


def test_a_cell_by_hand():
    found = sweep_cells(lambda _: SCORES, ["a"], [portion(ROWS, ROWS)], READER, GROUPS, workers=1)
    assert found["r2"].tolist() == [[1.0]]
    assert found["control_shuffled"].tolist() == [[0.5]]
    # Each resample is of one permutation.
    assert (found["control_shuffled_low"].item(), found["control_shuffled_high"].item()) == (0.0, 1.0)
    assert found[MEAN].tolist() == [[0.0]]
    assert found["p"].tolist() == [[2 / 32]]


def test_portions_are_tested_on_their_own_groups_and_corrected_together():
    """The second portion holds two groups alone, so that no p there can be below 2 / 4."""
    both = [portion(ROWS, ROWS), portion(ROWS[:4], ROWS[:4])]
    found = sweep_cells(lambda _: SCORES, ["a", "b"], both, READER, GROUPS, workers=2)
    assert found["p"].tolist() == [[2 / 32, 2 / 4]] * 2
    assert (found["p_corrected"] >= found["p"]).all()
    assert found["r2"].shape == (2, 2)


def test_the_cell_that_cannot_be_fitted_is_named():
    def read(key: str) -> np.ndarray:
        raise InputError(f"nothing in {key}")

    with pytest.raises(InputError, match="L3 z: nothing in L3 z"):
        sweep_cells(read, ["L3 z"], [portion(ROWS, ROWS)], READER, ROWS, workers=1)


def test_labels_are_read_by_what_they_are_along_as_many_directions_as_they_need():
    rng = np.random.default_rng(0)
    for labels, kind, n in (
        (np.array(["a", "b", "c"] * 4), ClassReader, 2),
        (rng.random((12, 3)) < 0.5, LabelsReader, 3),
        (rng.normal(size=12), NumberReader, 1),
    ):
        reader = reader_of(labels, None)
        assert type(reader) is kind
        assert reader.n_directions(labels) == n
