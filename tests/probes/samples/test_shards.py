"""Finished activations open; what was changed or cut since does not."""

import json

import numpy as np
import pytest

from interp.errors import InputError
from interp.results import Provenance
from interp.sites import Site
from probes.samples.row_blocks import BLOCK_ROWS
from probes.samples.shards import MANIFEST, ShardedActivations, file_name
from probes.tasks.shard_writer import ShardWriter

MADE_BY = Provenance("planted", "0", "0", "0", "float32", True, "test")
SITES = [Site(2, "resid_post"), Site(0, "resid_post"), Site(2, "mlp_out")]
N = BLOCK_ROWS + 10
X = {site: np.random.default_rng(k).normal(size=(N, 3)).astype(np.float32) for k, site in enumerate(SITES)}


@pytest.fixture
def shards(tmp_path) -> ShardedActivations:
    with ShardWriter(tmp_path / "x", SITES, MADE_BY) as writer:
        writer.write(X, np.arange(N) % 2, np.arange(N) // 4)
    return ShardedActivations.open(tmp_path / "x")


def test_cells_are_mapped_and_read_in_blocks(shards):
    assert shards.layers == (0, 2)
    assert shards.kinds == ("resid_post", "mlp_out")
    assert len(shards) == N
    cell = shards.cell(2, "mlp_out")
    assert isinstance(cell, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        cell[0, 0] = 1
    parts, blocks = zip(*shards.blocks(2, "mlp_out"), strict=True)
    assert [len(block) for block in blocks] == [BLOCK_ROWS, 10]
    assert parts[1] == slice(BLOCK_ROWS, N)
    np.testing.assert_array_equal(np.concatenate(blocks), X[SITES[2]])


def test_some_sites_alone(shards):
    part = shards.only(SITES[2:])
    assert part.layers == (2,)
    np.testing.assert_array_equal(part.cell(2, "mlp_out"), X[SITES[2]])
    for wrong, words in (([], "No site"), ([Site(5, "mlp_out")], "L5 mlp_out")):
        with pytest.raises(InputError, match=words):
            shards.only(wrong)
    with pytest.raises(InputError, match="L0 mlp_out was not written"):
        shards.cell(0, "mlp_out")
    with pytest.raises(InputError, match="part of the sites"):
        part.verify()


def test_a_changed_value_is_found_when_looked_for(shards):
    shards.verify()
    path = shards.directory / file_name(SITES[0])
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="changed since"):
        ShardedActivations.open(shards.directory).verify()


def cut(path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def swap(path) -> None:
    np.save(path, np.load(path)[::-1])


def narrow(path) -> None:
    np.save(path, np.load(path)[:, :2])


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        (file_name(SITES[1]), cut),
        (file_name(SITES[1]), narrow),
        (file_name(SITES[1]), lambda path: path.unlink()),
        ("labels.npy", swap),
        ("groups.npy", lambda path: path.unlink()),
        (MANIFEST, cut),
        (MANIFEST, lambda path: path.unlink()),
        (MANIFEST, lambda path: path.write_text("[]")),
        (MANIFEST, lambda path: path.write_text(json.dumps({"format": "other"}))),
        (MANIFEST, lambda path: path.write_text(path.read_text().replace('"float32"', '"float64"'))),
    ],
)
def test_what_does_not_fit_together_is_refused(shards, name, spoil):
    spoil(shards.directory / name)
    with pytest.raises(InputError, match="does not hold finished activations, or they were changed since"):
        ShardedActivations.open(shards.directory)


def test_a_file_that_is_gone_since_is_named(shards):
    (shards.directory / file_name(SITES[1])).unlink()
    with pytest.raises(InputError, match="L0 resid_post cannot be read"):
        shards.cell(0, "resid_post")
