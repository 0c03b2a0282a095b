"""What is written is what was given; whatever goes wrong on the way leaves nothing that can be taken for finished."""

import json
from itertools import count
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from signal import SIGKILL

import numpy as np
import pytest

from interp.errors import InputError
from interp.results import Provenance
from interp.sites import Site
from probes.samples.shards import MANIFEST, ShardedActivations
from probes.tasks.shard_writer import ShardWriter

MADE_BY = Provenance("planted", "0", "0", "0", "float32", True, "test")
SITES = [Site(0, "resid_post"), Site(1, "resid_post"), Site(1, "mlp_out")]
N = 12
LABELS, GROUPS = np.array(["a", "bb"] * 6), np.repeat(np.arange(4), 3)
X = {site: np.random.default_rng(k).normal(size=(N, 4 + k)).astype(np.float32) for k, site in enumerate(SITES)}


def write(directory: Path, *, batch: int = 5, dtype: str = "float32", **given) -> ShardedActivations:
    X_, labels, groups = given.get("X", X), given.get("labels", LABELS), given.get("groups", GROUPS)
    with ShardWriter(directory, SITES, MADE_BY, dtype=dtype) as writer:
        for start in range(0, N, batch):
            part = slice(start, start + batch)
            writer.write({site: x[part] for site, x in X_.items()}, labels[part], groups[part])
    return ShardedActivations.open(directory)


@pytest.mark.parametrize("batch", [1, 5, 12])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_what_is_read_is_what_was_written(tmp_path, batch, dtype):
    shards = write(tmp_path / "new" / "deep", batch=batch, dtype=dtype)
    for site in SITES:
        cell = shards.cell(site.layer, site.kind)
        assert cell.dtype == dtype
        np.testing.assert_array_equal(cell, X[site].astype(dtype))
    np.testing.assert_array_equal(shards.labels, LABELS)
    np.testing.assert_array_equal(shards.groups, GROUPS)
    assert shards.provenance == MADE_BY
    shards.verify()


def test_the_fingerprint_does_not_know_the_batches(tmp_path):
    assert write(tmp_path / "a", batch=1).fingerprint == write(tmp_path / "b", batch=7).fingerprint


def test_a_label_of_later_batches_may_be_longer(tmp_path):
    labels = np.array(["a"] * 6 + ["a long word"] * 6)
    shards = write(tmp_path / "x", batch=6, labels=np.array(labels.tolist()))
    assert shards.labels.tolist() == labels.tolist()


@pytest.mark.parametrize("labels", [np.arange(24).reshape(N, 2) % 3 == 0, np.linspace(0, 1, N)])
def test_other_kinds_of_label_are_stored_too(tmp_path, labels):
    np.testing.assert_array_equal(write(tmp_path / "x", labels=labels).labels, labels)


def test_an_error_on_the_way_leaves_a_directory_that_is_refused(tmp_path):
    with pytest.raises(ZeroDivisionError), ShardWriter(tmp_path / "x", SITES, MADE_BY) as writer:  # noqa: PT012
        writer.write(X, LABELS, GROUPS)
        _ = 1 / 0
    with pytest.raises(InputError, match="does not hold finished activations"):
        ShardedActivations.open(tmp_path / "x")
    with pytest.raises(InputError, match="perhaps a half-written one, and was left alone"):
        ShardWriter(tmp_path / "x", SITES, MADE_BY)


def write_for_ever(directory: Path, told: Connection) -> None:
    with ShardWriter(directory, SITES[:1], MADE_BY) as writer:
        for start in count(0, 10):
            rows = np.arange(start, start + 10)
            x = np.random.default_rng(start).normal(size=(10, 64)).astype(np.float32)
            writer.write({SITES[0]: x}, rows % 2, rows)
            if start == 1000:
                told.send("writing")


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # the child touches numpy and files alone
def test_a_killed_writer_leaves_a_directory_that_is_refused(tmp_path):
    context = get_context("fork")  # a fresh process would import torch first, for seconds
    here, there = context.Pipe()
    writer = context.Process(target=write_for_ever, args=(tmp_path / "x", there))
    writer.start()
    assert here.recv() == "writing"
    writer.kill()
    writer.join()
    assert writer.exitcode == -SIGKILL
    assert any((tmp_path / "x").iterdir())
    with pytest.raises(InputError, match="does not hold finished activations"):
        ShardedActivations.open(tmp_path / "x")


def test_a_finished_directory_is_left_alone(tmp_path):
    first = write(tmp_path / "x")
    with pytest.raises(InputError, match="holds finished activations and was left alone"):
        write(tmp_path / "x")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="not an empty directory"):
        ShardWriter(tmp_path / "file", SITES, MADE_BY)
    assert ShardedActivations.open(tmp_path / "x").fingerprint == first.fingerprint


def spoiled(value: float) -> dict[Site, np.ndarray]:
    bad = {site: x.copy() for site, x in X.items()}
    bad[SITES[2]][3, 1] = value
    return bad


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"X": spoiled(np.nan)}, "1 of 30 activations at L1 mlp_out are NaN"),
        ({"X": spoiled(1e6), "dtype": "float16"}, "too large for float16"),
        ({"X": {site: X[site] for site in SITES[:2]}}, "A batch holds the sites"),
        ({"labels": LABELS[:4]}, "4 labels and 5 groups"),
        ({"groups": GROUPS[:4]}, "5 labels and 4 groups"),
        ({"X": X | {SITES[0]: X[SITES[0]][:4]}}, r"for \[4, 5\] samples"),
        ({"groups": np.zeros(N, int)}, "All samples are in one group"),
        ({"X": {site: np.vstack([x[:11], x[:1]]) for site, x in X.items()}}, "Samples 0 and 11 have identical"),
    ],
)
def test_refusals(tmp_path, given, words):
    with pytest.raises(InputError, match=words):
        write(tmp_path / "x", **given)
    assert not (tmp_path / "x" / MANIFEST).exists()


def test_batches_must_be_alike(tmp_path):
    with ShardWriter(tmp_path / "x", SITES, MADE_BY) as writer:
        writer.write(X, LABELS, GROUPS)
        with pytest.raises(InputError, match="A batch has the widths"):
            writer.write({site: x[:, :3] + 1 for site, x in X.items()}, LABELS, GROUPS)
        with pytest.raises(InputError, match="Labels of shape"):
            writer.write({site: x + 1 for site, x in X.items()}, np.ones((N, 2), bool), GROUPS)
    assert len(ShardedActivations.open(tmp_path / "x")) == N
    with pytest.raises(InputError, match="Nothing is open"):
        writer.write(X, LABELS, GROUPS)


@pytest.mark.parametrize(
    ("sites", "dtype", "words"),
    [
        ([], "float32", "Expected at least one"),
        ([SITES[0], SITES[0]], "float32", "given once"),
        ([Site(0, "z", head=1)], "float32", "each whole"),
        (SITES, "bfloat16", "cannot be stored as 'bfloat16'"),
    ],
)
def test_settings_are_checked_before_anything_is_written(tmp_path, sites, dtype, words):
    with pytest.raises(InputError, match=words):
        ShardWriter(tmp_path / "x", sites, MADE_BY, dtype=dtype)
    assert not (tmp_path / "x").exists()


def test_nothing_written_is_refused(tmp_path):
    with pytest.raises(InputError, match="No sample was written"), ShardWriter(tmp_path / "x", SITES, MADE_BY):
        pass


def test_the_manifest_says_what_lies_there(tmp_path):
    write(tmp_path / "x")
    told = json.loads((tmp_path / "x" / MANIFEST).read_text())
    assert told["layers"] == [0, 1]
    assert told["kinds"] == ["resid_post", "mlp_out"]
    assert (told["n_samples"], told["dtype"], told["widths"]) == (N, "float32", [4, 5, 6])


def test_positions_come_with_every_batch_or_with_none(tmp_path):
    positions = np.arange(N) % 3
    with ShardWriter(tmp_path / "with", SITES, MADE_BY) as writer:
        for part in (slice(0, 6), slice(6, N)):
            writer.write({site: x[part] for site, x in X.items()}, LABELS[part], GROUPS[part], positions[part])
    assert ShardedActivations.open(tmp_path / "with").positions.tolist() == positions.tolist()
    assert write(tmp_path / "without").positions is None
    with ShardWriter(tmp_path / "checked", SITES, MADE_BY) as writer:
        with pytest.raises(InputError, match="11 positions for 12 samples"):
            writer.write(X, LABELS, GROUPS, positions[1:])
        writer.write(X, LABELS, GROUPS, positions)
        with pytest.raises(InputError, match="with every batch, or with none"):
            writer.write(X, LABELS, GROUPS)
    with ShardWriter(tmp_path / "other", SITES, MADE_BY) as writer:
        writer.write(X, LABELS, GROUPS)
        with pytest.raises(InputError, match="with every batch, or with none"):
            writer.write(X, LABELS, GROUPS, positions)
    np.save(tmp_path / "with" / "positions.npy", positions[::-1])
    with pytest.raises(InputError, match="changed since"):
        ShardedActivations.open(tmp_path / "with")
