"""Probing position by position finds where in a text a label becomes known."""

import numpy as np
import pytest

from interp.errors import InputError
from interp.plots import plot
from probes import LabelledActivations, SweepPlan, probe_by_position
from tests.interp.plots.synthetic import provenance

N, POSITIONS, D = 120, 4, 12


@pytest.fixture(scope="module")
def planted():
    """Texts of four positions: in layer 1 the label stands from position 2 on, in layer 0 nowhere."""
    rng = np.random.default_rng(0)
    texts, positions = np.repeat(np.arange(N), POSITIONS), np.tile(np.arange(POSITIONS), N)
    labels = rng.integers(0, 2, N)[texts]
    X = rng.normal(size=(2, N * POSITIONS, D))
    X[1, :, 3] += 6.0 * (labels - 0.5) * (positions >= 2)
    return LabelledActivations(X, labels, texts), positions


def test_a_label_is_found_where_it_stands_and_nowhere_else(planted):
    data, positions = planted
    found = probe_by_position(data, positions, provenance()).data
    known = found["accuracy"] > 0.9
    assert known.values.tolist() == [[False] * 4, [False, False, True, True]]
    assert ((found["p_corrected"] < 0.05) == known).all()
    assert float(found["control_shuffled"].max()) < 0.7
    assert found["n_at_position"].values.tolist() == [N] * 4
    assert (found["accuracy_low"] <= found["accuracy"]).all()
    assert (found["accuracy"] <= found["accuracy_high"]).all()


def test_positions_are_put_together_in_bins_of_about_as_many_samples(planted):
    data, positions = planted
    result = probe_by_position(data, positions, provenance(), plan=SweepPlan(n_bins=2))
    assert result.data["position"].values.tolist() == [0, 2]
    assert result.data["n_at_position"].values.tolist() == [2 * N, 2 * N]
    assert (result.data["accuracy"] > 0.9).values.tolist() == [[False, False], [False, True]]
    figure = plot(result)
    assert [str(text) for text in figure.plotly.layout.xaxis.ticktext] == ["0", "2"]


def test_what_cannot_be_probed_is_named(planted):
    data, positions = planted
    with pytest.raises(InputError, match="Give one for each"):
        probe_by_position(data, positions[1:], provenance())
    with pytest.raises(InputError, match="5 bins of 4 positions"):
        probe_by_position(data, positions, provenance(), plan=SweepPlan(n_bins=5))
    rare = np.where((positions == 3) & (np.arange(len(positions)) > 15), 2, positions)
    with pytest.raises(InputError, match=r"Position 3: .*n_bins"):
        probe_by_position(data, rare, provenance())
