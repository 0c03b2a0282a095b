import gc
import threading
import time

import numpy as np
import psutil
import pytest
import torch

from interp.errors import HookError, InputError, ResultError, SiteError
from interp.models import encode
from interp.prompts import TokenBatch
from interp.run import Ablate, capture, capture_batches, estimate_bytes, intervene, open_activations
from interp.sites import Site

SITES = [Site(0, "resid_pre"), Site(1, "z"), Site(2, "pattern"), Site(2, "resid_post")]


def batch_of(model, n=5):
    return TokenBatch.of([encode(model, "The cat sat on the mat because " * (1 + i % 2)) for i in range(n)])


def test_captured_activations_equal_those_of_transformer_lens(family, family_model):
    model = family_model(family)
    tokens = encode(model, "The cat sat on the mat")
    ours = capture(model, TokenBatch.of([tokens]), SITES)
    _, theirs = model.run_with_cache(torch.from_numpy(tokens)[None])
    for site in SITES:
        torch.testing.assert_close(ours[site], theirs[site.hook_name], rtol=0, atol=1e-6)


def test_batches_of_any_size_give_the_same_activations(tiny):
    batch = batch_of(tiny)
    whole = capture(tiny, batch, SITES, rows_per_batch=5)
    parts = capture(tiny, batch, SITES, rows_per_batch=2)
    assert [rows.start for rows, _ in capture_batches(tiny, batch, SITES, rows_per_batch=2)] == [0, 2, 4]
    for site in SITES:
        torch.testing.assert_close(whole[site], parts[site], rtol=0, atol=1e-5)


def test_the_estimate_is_the_size_of_what_comes(tiny):
    batch = batch_of(tiny)
    kept = capture(tiny, batch, SITES)
    assert estimate_bytes(tiny, batch, SITES) == sum(kept[site].numel() * kept[site].element_size() for site in SITES)


def test_captured_tensors_are_copies(tiny):
    batch = batch_of(tiny, 1)
    kept = capture(tiny, batch, [Site(0, "resid_post"), Site(1, "resid_pre")])
    assert torch.equal(kept[Site(0, "resid_post")], kept[Site(1, "resid_pre")])
    kept[Site(0, "resid_post")].zero_()
    assert kept[Site(1, "resid_pre")].abs().max() > 0


def test_batches_are_copies_too(tiny):
    _, kept = next(iter(capture_batches(tiny, batch_of(tiny, 1), [Site(0, "resid_post"), Site(1, "resid_pre")])))
    kept[Site(0, "resid_post")].zero_()
    assert kept[Site(1, "resid_pre")].abs().max() > 0


def test_the_model_runs_no_further_than_the_last_site(tiny):
    with pytest.raises(HookError, match="did not happen"), intervene(tiny, {Site(1, "z"): Ablate.zero()}):
        capture(tiny, batch_of(tiny), [Site(0, "resid_pre"), Site(0, "mlp_out")])


def test_a_part_of_a_captured_activation_can_be_asked_for(tiny):
    kept = capture(tiny, batch_of(tiny), [Site(1, "z")])
    assert torch.equal(kept[Site(1, "z", head=3, pos=2)], kept[Site(1, "z")][:, 2, 3])
    with pytest.raises(SiteError, match=r"was not captured.*L1 z"):
        kept[Site(0, "z")]


def test_shards_on_disk_hold_the_same_and_say_where_they_come_from(tiny, tmp_path):
    batch = batch_of(tiny)
    memory = capture(tiny, batch, SITES, rows_per_batch=2)
    capture(tiny, batch, SITES, rows_per_batch=2, to=tmp_path / "shards")
    disk = open_activations(tmp_path / "shards")
    assert list(disk) == SITES
    for site in SITES:
        assert torch.equal(disk[site], memory[site])
    np.testing.assert_array_equal(disk.mask, batch.mask)
    assert disk.provenance.fingerprint == memory.provenance.fingerprint
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) == 3


def test_an_unfinished_or_damaged_capture_is_refused(tiny, tmp_path):
    directory = tmp_path / "shards"
    capture(tiny, batch_of(tiny), SITES, to=directory)
    with pytest.raises(InputError, match="left alone"):
        capture(tiny, batch_of(tiny), SITES, to=directory)
    shard = next(directory.glob("*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:100])
    with pytest.raises(ResultError, match="cannot be read"):
        open_activations(directory)[SITES[0]]
    (directory / "manifest.json").unlink()
    with pytest.raises(InputError, match="not a finished capture"):
        open_activations(directory)


def test_too_much_for_memory_is_refused_with_the_number(tiny):
    with pytest.raises(InputError, match=r"need 0 MiB.*to=DIRECTORY"):
        capture(tiny, batch_of(tiny), SITES, max_bytes=1000)


@pytest.mark.parametrize(
    ("sites", "says"),
    [([], "No sites"), ([Site(3, "z")], "no layer 3"), ([Site(0, "result")], "set_use_attn_result")],
)
def test_sites_that_cannot_be_captured_are_refused(tiny, sites, says):
    with pytest.raises(SiteError, match=says):
        capture(tiny, batch_of(tiny), sites)


def test_the_peak_of_capturing_two_sites_of_twelve_layers_stays_near_what_was_asked_for():
    from transformer_lens.model_bridge import TransformerBridge

    size = {"d_model": 128, "d_head": 32, "n_heads": 4, "n_layers": 12, "n_ctx": 128, "d_vocab": 500, "d_mlp": 512}
    model = TransformerBridge.boot_native({**size, "act_fn": "gelu_new", "normalization_type": "LN", "seed": 0}).eval()
    sites = [Site(3, "resid_post"), Site(7, "mlp_out")]
    batch = TokenBatch.of(list(np.random.default_rng(0).integers(0, 500, (1500, 128))))
    asked = estimate_bytes(model, batch, sites)
    capture(model, batch[:64], sites)
    with peak_above_start() as peak:
        kept = capture(model, batch, sites)
    assert asked == 2 * 1500 * 128 * 128 * 4
    assert peak() < 1.5 * asked
    assert len(kept) == 2


class peak_above_start:  # noqa: N801 - reads as a verb
    """Watch the resident memory from a thread."""

    def __enter__(self):
        gc.collect()
        self.process, self.going = psutil.Process(), True
        self.start = self.most = self.process.memory_info().rss
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return lambda: self.most - self.start

    def watch(self):
        while self.going:
            self.most = max(self.most, self.process.memory_info().rss)
            time.sleep(0.002)

    def __exit__(self, *_):
        self.going = False
        self.thread.join()
