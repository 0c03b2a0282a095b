"""The sweep finds the planted cells and nothing in the others, from disk and whatever the memory."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from interp.errors import InputError
from interp.models import encode
from interp.results import Provenance, Result
from interp.run.capture import MOST_ROWS
from interp.sites import Site
from probes import token_language_task
from probes.estimators.large_logistic import LargeLogisticProbe, penalty_per_sample
from probes.estimators.large_ridge import LargeRidgeProbe
from probes.reading.controls import shuffled_labels
from probes.reading.portions import SweepPlan
from probes.reading.shard_sweep import probe_shards
from probes.samples.shards import ShardedActivations
from probes.samples.split import group_folds
from probes.tasks.shard_writer import ShardWriter, capture_shards
from probes.tasks.task import capture_samples

MADE_BY = Provenance("planted", "0", "0", "0", "float32", True, "test")
N_GROUPS, PER_GROUP, WIDTH = 60, 6, 12
GROUPS = np.repeat(np.arange(N_GROUPS), PER_GROUP)
LABELS = np.array(["de", "en", "fr"])[GROUPS % 3]
STRENGTHS = {Site(0, "resid_post"): 0.0, Site(3, "resid_post"): 3.0, Site(3, "mlp_out"): 0.6}


def planted(strength: float, seed: int) -> np.ndarray:
    """Samples of a group share a part of their own, and the class shifts them."""
    rng = np.random.default_rng(seed)
    own = rng.normal(size=(N_GROUPS, WIDTH))[GROUPS]
    shift = strength * rng.normal(size=(3, WIDTH))[GROUPS % 3]
    return (rng.normal(size=(len(GROUPS), WIDTH)) + own + shift).astype(np.float32)


X = {site: planted(strength, seed) for seed, (site, strength) in enumerate(STRENGTHS.items())}


def write(directory: Path, labels: np.ndarray = LABELS, x: dict[Site, np.ndarray] = X) -> ShardedActivations:
    with ShardWriter(directory, list(x), MADE_BY) as writer:
        writer.write(x, labels, GROUPS)
    return ShardedActivations.open(directory)


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> ShardedActivations:
    return write(tmp_path_factory.mktemp("shards") / "x")


@pytest.fixture(scope="module")
def result(shards) -> Result:
    return probe_shards(shards)


def test_the_planted_cell_is_found_and_the_empty_one_is_not(result):
    there = result.data.sel(site="resid_post", layer=3)
    assert float(there["accuracy"]) > 0.95
    assert float(there["accuracy_low"]) > float(there["control_shuffled_high"])
    assert float(there["p_corrected"]) < 0.01
    empty = result.data.sel(site="resid_post", layer=0)
    assert float(empty["accuracy"]) < 0.5
    assert float(empty["p_corrected"]) > 0.05


def test_controls_are_at_chance(result):
    shuffled = result.data["control_shuffled"].where(result.data["ran"], 1 / 3)
    assert (abs(shuffled - 1 / 3) < 0.2).all()
    np.testing.assert_allclose(result.data["control_majority"].where(result.data["ran"], 1 / 3), 1 / 3)
    assert result.has_control
    for name in ("shuffled", "majority"):
        assert name in result.notes["control"]


def test_cells_that_were_not_captured_are_no_zeros(result):
    assert result.data["site"].values.tolist() == ["resid_post", "mlp_out"]
    assert result.data["layer"].values.tolist() == [0, 3]
    assert result.data["ran"].values.tolist() == [[True, True], [False, True]]
    assert np.isnan(float(result.data["accuracy"].sel(site="mlp_out", layer=0)))


def test_every_fold_equals_plain_scikit_learn(shards):
    ours = probe_shards(shards, plan=SweepPlan(n_splits=4, seed=7), probe=LargeLogisticProbe(0.2, tol=1e-6))
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=0.2, max_iter=1000, tol=1e-6))
    folds = StratifiedGroupKFold(4, shuffle=True, random_state=7)
    for site, x in X.items():
        predicted = cross_val_predict(pipeline, x.astype(float), LABELS, groups=GROUPS, cv=folds)
        found = float(ours.data["accuracy"].sel(site=site.kind, layer=site.layer))
        # One sample on the border may fall to either side in single precision.
        assert found == pytest.approx((predicted == LABELS).mean(), abs=1.5 / len(LABELS))


def test_one_split_tests_the_first_fold_alone(shards, result):
    one = probe_shards(shards, plan=SweepPlan(all_folds=False))
    assert (one.notes["n_tested"], result.notes["n_tested"]) == (len(LABELS) // 5, len(LABELS))
    assert "one 5th of the groups held out" in one.method
    assert "in 5 folds" in result.method


def test_memory_and_workers_change_nothing(shards):
    plans = SweepPlan(max_bytes=2**31, workers=3), SweepPlan(max_bytes=0, workers=1)
    held, streamed = (probe_shards(shards, plan=plan).data for plan in plans)
    for name, values in held.items():
        np.testing.assert_allclose(values, streamed[name], atol=0.02)
    again = probe_shards(shards, plan=SweepPlan(max_bytes=2**31, workers=3)).data
    assert again.equals(held)


def test_round_trip(result, tmp_path):
    loaded = Result.load(result.save(tmp_path / "sweep.safetensors"))
    assert loaded.data.equals(result.data)
    assert loaded.kind == "probe_sweep"
    assert loaded.notes["classes"] == {"de": 120, "en": 120, "fr": 120}


def test_refusals(shards, tmp_path):
    with pytest.raises(InputError, match="max_bytes is -1"):
        SweepPlan(max_bytes=-1)
    with pytest.raises(InputError, match="workers 0"):
        SweepPlan(workers=0)
    with pytest.raises(InputError, match="folds need it in 30"):
        probe_shards(shards, plan=SweepPlan(n_splits=30))
    with pytest.raises(InputError, match=r"L\d \w+: The probe did not converge"):
        probe_shards(shards, probe=LargeLogisticProbe(max_iter=1))
    numbers = write(tmp_path / "numbers", np.linspace(0, 1, len(LABELS)))
    with pytest.raises(InputError, match="A LargeLogisticProbe does not read such labels"):
        probe_shards(numbers, probe=LargeLogisticProbe())
    rows = write(tmp_path / "rows", np.random.default_rng(0).normal(size=(len(LABELS), 2)))
    with pytest.raises(InputError, match="Rows of 2 numbers"):
        probe_shards(rows)
    with pytest.raises(InputError, match="written without positions"):
        probe_shards(shards, plan=SweepPlan(n_bins=2))


def test_numbers_are_read_as_by_ridge_regression(tmp_path):
    """In one cell the number stands along a direction with noise, in the other it does not."""
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=len(LABELS))
    there = rng.normal(size=(len(LABELS), WIDTH))
    there[:, 3] = numbers + np.sqrt(0.1) * rng.normal(size=len(LABELS))
    cells = {Site(0, "resid_post"): there.astype(np.float32), Site(1, "resid_post"): X[Site(0, "resid_post")]}
    found = probe_shards(write(tmp_path / "numbers", numbers, cells), probe=LargeRidgeProbe(1.0))
    r2 = found.data["r2"].sel(site="resid_post").values
    folds = GroupKFold(5, shuffle=True, random_state=0)
    pipeline = make_pipeline(StandardScaler(), Ridge(alpha=1.0))
    predicted = cross_val_predict(pipeline, there, numbers, groups=GROUPS, cv=folds)
    assert r2[0] == pytest.approx(r2_score(numbers, predicted), abs=1e-4)
    assert 0.85 < r2[0] < 0.95
    assert r2[1] < 0.0
    assert (found.data["control_shuffled"] < 0.0).all()
    p = found.data["p_corrected"].sel(site="resid_post").values
    assert p[0] < 0.01 < 0.05 < p[1]
    assert (found.data["control_mean"] == 0).all()
    assert "mean" in found.notes["control"]
    assert found.unit.startswith("R squared")


def test_several_labels_are_each_read_as_alone(tmp_path):
    """One of two labels is planted, the other not: the score is the mean over both."""
    rng = np.random.default_rng(0)
    labels = np.stack([LABELS == "de", rng.random(len(LABELS)) < 0.3], 1)
    site = Site(3, "resid_post")
    both = probe_shards(write(tmp_path / "both", labels, {site: X[site]}))
    folds = GroupKFold(5, shuffle=True, random_state=0)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=0.01))
    alone = [
        (cross_val_predict(pipeline, X[site], column, groups=GROUPS, cv=folds) == column).mean() for column in labels.T
    ]
    assert both.data["accuracy"].item() == pytest.approx(np.mean(alone), abs=2 / len(LABELS))
    shares = labels.mean(0)
    assert both.data["control_majority"].item() == pytest.approx(np.maximum(shares, 1 - shares).mean())
    assert both.data["p_corrected"].item() < 0.01
    assert both.notes["label_kind"] == "multilabel"


def test_a_grid_over_positions_finds_where_the_label_stands(tmp_path):
    """Site, layer and position: the class shifts only the last two of six positions, and only in one cell."""
    rng = np.random.default_rng(0)
    positions = np.tile(np.arange(PER_GROUP), N_GROUPS)
    noise = {site: rng.normal(size=(len(GROUPS), WIDTH)).astype(np.float32) for site in X}
    noise[Site(3, "mlp_out")][:, 2] += 6 * ((LABELS == "de") - 0.5) * (positions >= 4)
    labels = np.where(LABELS == "de", "de", "other")
    with ShardWriter(tmp_path / "grid", list(noise), MADE_BY) as writer:
        writer.write(noise, labels, GROUPS, positions)
    shards = ShardedActivations.open(tmp_path / "grid")
    np.testing.assert_array_equal(shards.positions, positions)
    found = probe_shards(shards, plan=SweepPlan(n_bins=3))
    assert found.kind == "probe_grid"
    assert found.data["accuracy"].dims == ("site", "layer", "position")
    assert found.data["position"].values.tolist() == [0, 2, 4]
    known = (found.data["accuracy"] > 0.9).values
    assert known.sum() == 1
    assert known[found.data["site"].values.tolist().index("mlp_out"), 1, 2]
    assert ((found.data["p_corrected"] < 0.05).values == known).all()
    assert found.data["ran"].values.sum() == 3 * 3
    assert found.data["n_at_position"].values.tolist() == [2 * N_GROUPS] * 3
    each = probe_shards(shards, plan=SweepPlan(positions=True, workers=1))
    assert each.data.sizes["position"] == PER_GROUP


def test_permutations_are_averaged(shards):
    """Labels permuted with the seeds 0 and 1 give, together, the mean of what each gives alone."""
    both = probe_shards(shards, plan=SweepPlan(n_shuffles=2)).data
    X = shards.cell(3, "mlp_out")
    folds, alone = group_folds(LABELS, GROUPS), []
    for seed in (0, 1):
        turned = shuffled_labels(LABELS, GROUPS, seed=seed)
        probe = LargeLogisticProbe(C=None)
        right = [
            probe.fit(X, turned, rows=fold.train).predict(X, rows=fold.test) == turned[fold.test] for fold in folds
        ]
        alone.append(np.concatenate(right).mean())
    found = both["control_shuffled"].sel(site="mlp_out", layer=3).item()
    assert found == pytest.approx(np.mean(alone), abs=2 / len(LABELS))
    with pytest.raises(InputError, match="Expected at least 1"):
        SweepPlan(n_shuffles=0)


def test_few_samples_are_not_drowned_by_the_penalty():
    assert penalty_per_sample(None, 100) == 0.1
    assert penalty_per_sample(None, 10_000) == pytest.approx(0.01)
    assert penalty_per_sample(0.01, 100) == pytest.approx(1.0)


WORDS = {"en": ["cat", "mat", "dog", "store", "drink", "when"], "de": ["Hund", "Katze", "Matte", "und", "auf", "der"]}


def test_a_task_is_captured_to_disk_as_into_memory(tiny, tmp_path):
    rng = np.random.default_rng(0)
    texts = {language: [" ".join(rng.choice(words, 9)) for _ in range(30)] for language, words in WORDS.items()}
    task = token_language_task(texts, partial(encode, tiny), samples_per_text=3)
    assert len(task.batch) > MOST_ROWS  # several batches
    sites = [Site(0, "resid_pre"), Site(2, "resid_post"), Site(1, "z")]
    shards = capture_shards(tiny, task, sites, tmp_path / "captured")
    order = np.argsort(task.prompts, kind="stable")
    for site in sites[:2]:
        wanted = capture_samples(tiny, task, [site])[0][order]
        np.testing.assert_allclose(shards.cell(site.layer, site.kind), wanted, atol=1e-6)
    assert shards.cell(1, "z").shape == (len(order), tiny.cfg.n_heads * tiny.cfg.d_head)
    np.testing.assert_array_equal(shards.labels, task.labels[order])
    np.testing.assert_array_equal(shards.groups, task.groups[order])
    np.testing.assert_array_equal(shards.positions, task.positions[order])
    found = probe_shards(shards)
    # The two languages share no word, so the tokens themselves tell them apart.
    assert float(found.data["accuracy"].sel(site="resid_pre", layer=0)) > 0.8
    assert found.provenance.model == shards.provenance.model
    with pytest.raises(InputError, match="no vector for each position"):
        capture_shards(tiny, task, [Site(0, "pattern")], tmp_path / "other")
