"""The online code by hand and by a plain loop; a coin costs a bit a toss, what is decodable next to nothing."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm.auto import tqdm

from interp.errors import InputError
from interp.results import Provenance, Result
from probes import LabelledActivations, LogisticProbe
from probes.reading import description_length as module
from probes.reading.controls import shuffled_labels
from probes.reading.description_length import (
    PORTIONS,
    _order,
    code_length,
    description_length,
    strengths,
)

MADE_BY = Provenance("planted", "0", "0", "0", "float32", True, "test")
PROBE = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
ALONE = np.arange(2000)


def coin(seed: int, n: int = 2000, width: int = 64) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, width)), rng.integers(0, 2, n)


@pytest.mark.parametrize("seed", range(3))
def test_a_fair_coin_costs_a_bit_a_toss(seed):
    X, labels = coin(seed)
    assert code_length(X, labels, ALONE, strengths(PROBE), seed=seed).total_bits == pytest.approx(2000, rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize(("width", "per_group"), [(64, 1), (256, 1), (64, 8)])
def test_a_fair_coin_costs_a_bit_a_toss_with_other_seeds_widths_and_groups(width, per_group):
    for seed in range(10, 16):
        X, labels = coin(seed, width=width)
        code = code_length(X, labels, ALONE // per_group, strengths(PROBE), seed=seed)
        assert code.total_bits == pytest.approx(2000, rel=0.02)


def test_one_weak_penalty_alone_would_not_meet_that():
    X, labels = coin(0)
    assert code_length(X, labels, ALONE, [clone(PROBE).set_params(logisticregression__C=1.0)]).total_bits > 2400


def test_what_is_decodable_is_compressed_far():
    X, labels = coin(0)
    code = code_length(X + 3 * labels[:, None], labels, ALONE, strengths(PROBE))
    assert code.compression > 50
    assert code.total_bits < 40


def test_in_hindsight_no_candidate_is_better_by_more_than_the_choice_costs():
    X, labels = coin(0, n=400, width=10)
    labels = (X[:, 0] + 0.5 * X[:, 1] > 0).astype(int)
    candidates = strengths(PROBE)
    alone = [code_length(X, labels, ALONE[:400], [each]).total_bits for each in candidates]
    mixed = code_length(X, labels, ALONE[:400], candidates)
    # The first portion is uniform for all of them.
    assert mixed.total_bits <= min(alone) + np.log2(len(candidates)) + 1e-9
    assert mixed.total_bits < np.median(alone)
    np.testing.assert_allclose(mixed.weights.sum(1), 1)
    np.testing.assert_allclose(mixed.weights[:2], 1 / 7)


def test_by_hand():
    # Frequencies of the past as the probe, in order a | b | a a b... : with nothing but counts, the code is that of
    # Krichevsky and Trofimov, portion by portion.
    labels = np.array(["a", "b"] * 8)
    code = code_length(np.zeros((16, 1)), labels, np.arange(16), [DummyClassifier()], seed=5)
    order, ends = _order(np.arange(16), 5)
    assert ends.tolist() == [1, 1, 1, 1, 1, 1, 1, 2, 4, 8, 16]
    bits, known = [1.0], labels[order[:1]]
    for stop in (2, 4, 8, 16):
        for label in labels[order[len(known) : stop]]:
            share = ((known == label).sum() + 0.5) / (len(known) + 1)
            # One class alone teaches no probe: a bit.
            bits.append(1.0 if len(set(known)) == 1 else -np.log2(share))
        known = labels[order[:stop]]
    np.testing.assert_allclose(code.bits[order], bits)
    assert code.total_bits == pytest.approx(sum(bits))
    np.testing.assert_allclose(code.portion_bits[-1], sum(bits[8:]))
    assert code.compression == pytest.approx(16 / sum(bits))


def test_one_candidate_without_smoothing_is_the_code_of_the_paper():
    X, _ = coin(3, n=1000, width=5)
    labels = (X[:, 0] > 0).astype(int) + (X[:, 1] > 1)
    code = code_length(X, labels, np.arange(1000), [PROBE], pseudocount=1e-12, seed=1)
    order, ends = _order(np.arange(1000), 1)
    assert ends.tolist() == [1, 2, 4, 8, 16, 32, 62, 125, 250, 500, 1000]
    assert set(labels[order[:16]]) == {0, 1, 2}
    for number in range(5, 11):
        past, portion = order[: ends[number - 1]], order[ends[number - 1] : ends[number]]
        probabilities = clone(PROBE).fit(X[past], labels[past]).predict_proba(X[portion])
        nats = log_loss(labels[portion], probabilities, normalize=False, labels=[0, 1, 2])
        assert code.portion_bits[number] == pytest.approx(nats / np.log(2), rel=1e-6)
    assert code.portion_bits[0] == pytest.approx(np.log2(3))


def test_groups_stay_together_and_portions_end_between_them():
    groups = np.random.default_rng(0).integers(0, 37, 500)
    order, ends = _order(groups, 4)
    assert sorted(order.tolist()) == list(range(500))
    turned = groups[order]
    assert (np.diff(turned) != 0).sum() == 36
    for end in ends[:-1]:
        assert turned[end - 1] != turned[end]
    assert ends[-1] == 500
    # Nearest to the shares of the paper, to within half of the largest group.
    assert (abs(ends - 500 * np.array(PORTIONS))[5:] <= np.bincount(groups).max() / 2).all()
    assert not np.array_equal(order, _order(groups, 5)[0])


def test_the_order_owes_nothing_to_the_permutation_of_the_same_seed():
    # With one stream for both, the order sorted the labels that had been permuted, and the control cost threefold.
    groups = np.repeat(np.arange(100), 2)
    labels = (groups >= 50).astype(int)
    for seed in range(5):
        turned = shuffled_labels(labels, groups, seed=seed)[_order(groups, seed)[0]]
        assert 20 < (np.diff(turned[::2]) != 0).sum() < 80


def test_labels_to_come_decide_nothing():
    X, labels = coin(0, n=300, width=4)
    labels = (X[:, 0] > 0).astype(int)
    order, ends = _order(np.arange(300), 0)
    turned = labels.copy()
    turned[order[ends[-2] :]] = 1 - turned[order[ends[-2] :]]
    true, other = (code_length(X, each, np.arange(300), strengths(PROBE)) for each in (labels, turned))
    np.testing.assert_array_equal(true.portion_bits[:-1], other.portion_bits[:-1])
    np.testing.assert_array_equal(true.weights, other.weights)
    assert other.portion_bits[-1] > 3 * true.portion_bits[-1]


def test_only_c_is_chosen_and_only_where_there_is_one():
    assert [each.get_params()["logisticregression__C"] for each in strengths(PROBE, [1.0, 0.1])] == [0.1, 1.0]
    assert [each.C for each in strengths(LogisticRegression())] == [10.0**n for n in range(-4, 3)]
    neighbours = KNeighborsClassifier()
    assert strengths(neighbours) == [neighbours]


@pytest.fixture(scope="module")
def planted() -> LabelledActivations:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 4)
    labels = np.array(["de", "en", "fr"])[groups % 3]
    layers = [rng.normal(size=(240, 6)) + strength * rng.normal(size=(3, 6))[groups % 3] for strength in (0, 3)]
    return LabelledActivations(np.stack(layers), labels, groups, (-1, 4))


def test_by_layer(planted, tmp_path):
    result = description_length(planted, PROBE, MADE_BY, n_orders=3)
    data = result.data
    assert next(iter(data.data_vars)) == "compression"
    assert float(data["compression_low"].sel(layer=4)) > 2 * float(
        data["control_shuffled_compression_high"].sel(layer=4)
    )
    assert float(data["compression"].sel(layer=-1)) < 1.1
    assert (data["control_shuffled_compression"] < 1.1).all()
    for name in ("compression", "control_shuffled_compression", "bits", "control_shuffled_bits"):
        assert (data[f"{name}_low"] <= data[name]).all()
        assert (data[name] <= data[f"{name}_high"]).all()
    assert float(data["n_samples"].sum()) == 240
    assert result.notes["uniform_bits"] == pytest.approx(240 * np.log2(3))
    # Which is what the bits of all portions are set against, but for the mean over orders.
    ratio = result.notes["uniform_bits"] / data["bits"].sum("portion")
    np.testing.assert_allclose(ratio, data["compression"], rtol=0.05)
    assert result.has_control
    assert Result.load(result.save(tmp_path / "code.safetensors")).data.equals(data)


def test_refusals(planted):
    X, labels = planted.X[0], planted.labels
    with pytest.raises(InputError, match="0 candidates and 3 classes"):
        code_length(X, labels, planted.groups, [])
    with pytest.raises(InputError, match="1 candidates and 1 classes"):
        code_length(X, np.full(240, "a"), planted.groups, [PROBE])
    with pytest.raises(InputError, match="The code is infinite"):
        code_length(X, labels, planted.groups, strengths(PROBE), pseudocount=0.0)
    with pytest.raises(InputError, match="1 order has no spread"):
        description_length(planted, PROBE, MADE_BY, n_orders=1)
    numbers = LabelledActivations(planted.X, planted.groups.astype(float), planted.groups, label_kind="continuous")
    with pytest.raises(InputError, match="The labels are continuous"):
        description_length(numbers, PROBE, MADE_BY)


def test_many_classes_and_few_samples_are_coded_without_a_warning():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(30), 6)
    X = rng.normal(size=(180, 8)) + 4 * rng.normal(size=(30, 8))[labels]
    code = code_length(X, labels, np.arange(180), [LogisticProbe(C=1.0)])
    assert 1 < code.compression < 10


@pytest.fixture
def eager_bars(monkeypatch):
    """Show bars at once, not after two seconds."""
    monkeypatch.setattr(module, "tqdm", lambda *given, **named: tqdm(*given, **(named | {"delay": 0})))


def left_on_screen(written: str) -> str:
    """What a terminal shows of one line that was written over and over."""
    line = ""
    for piece in written.split("\r"):
        line = piece + line[len(piece) :]
    return line.strip()


@pytest.mark.usefixtures("eager_bars")
def test_no_bar_is_left_by_a_run_that_ends(planted, capsys):
    description_length(planted, PROBE, MADE_BY, n_orders=2)
    written = capsys.readouterr().err
    assert "code: 100%" in written
    assert left_on_screen(written) == ""


@pytest.mark.usefixtures("eager_bars")
def test_no_bar_is_left_by_a_run_that_is_refused_while_its_error_is_held(planted, capsys):
    with pytest.raises(InputError, match="did not converge") as held:
        description_length(planted, LogisticProbe(max_iter=1), MADE_BY, n_orders=2)
    assert held.traceback
    written = capsys.readouterr().err
    assert "code:   0%" in written
    assert left_on_screen(written) == ""


def test_in_a_notebook_no_bar_is_put_up_by_an_error_before_its_time(planted, monkeypatch):
    """Shown there, a bar that stopped early stays, in red; one that goes over an iterable shows itself to do so."""
    notebook = pytest.importorskip("tqdm.notebook")
    pytest.importorskip("ipywidgets")
    shown = []
    monkeypatch.setattr(notebook, "display", shown.append)
    monkeypatch.setattr(module, "tqdm", lambda *given, **named: notebook.tqdm(*given, **(named | {"delay": 3600})))
    with pytest.raises(InputError, match="did not converge"):
        description_length(planted, LogisticProbe(max_iter=1), MADE_BY, n_orders=2)
    assert shown == []
