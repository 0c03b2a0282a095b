import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from interp.errors import InputError
from interp.patching import calibration, estimate, patch_sweep
from interp.patching.allocator import return_memory_at_once
from interp.patching.engine import CellState
from interp.patching.estimate import estimate_sweep, in_words, parse_bytes
from interp.patching.held import HeldMemory
from interp.prompts import PromptPair, PromptSet


def drawn(n, length, first, d_vocab=400, seed=0):
    """Random pairs that differ from one position on."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        clean = rng.integers(10, d_vocab, length)
        corrupted = clean.copy()
        corrupted[[first, length - 1]] = (corrupted[[first, length - 1]] + 7) % (d_vocab - 10) + 10
        yield PromptPair(clean, corrupted, *(int(token) for token in rng.choice(np.arange(10, d_vocab), 2)))


@pytest.mark.parametrize(
    ("kind", "by"),
    [("resid_pre", "pos"), ("mlp_out", "pos"), ("z", "head"), ("z", "pos_head"), ("k", "pos"), ("q", "pos_head")],
)
def test_the_cells_foretold_are_those_computed(tiny, kind, by):
    prompts = PromptSet.of([*drawn(3, 8, 2), *drawn(2, 8, 5), *drawn(2, 6, 1)])
    told = estimate_sweep(tiny, prompts, kind, by=by, calibration_seconds=0.05)
    done = patch_sweep(tiny, prompts, kind, by=by, control=False)
    state = done.data["state"].values
    assert told.path == "exact"
    assert told.cells == (state != CellState.NOT_RUN).sum()
    assert told.computed_cells == (state == CellState.COMPUTED).sum()


def test_placebos_and_prompts_cost(tiny, monkeypatch):
    # Every trial takes as long as any other, so that what is compared is how many there are, on any machine.
    def always_as_long(work):
        work()
        return 0.01

    for module in (calibration, estimate):
        monkeypatch.setattr(module, "seconds_of", always_as_long)
    some, more = (PromptSet.of(list(drawn(n, 12, 2))) for n in (8, 64))
    kinds = {"calibration_seconds": 0.1}
    with_control, without = (
        estimate_sweep(tiny, more, "z", by="pos_head", control=on, **kinds) for on in (True, False)
    )
    assert with_control.seconds > without.seconds
    assert with_control.peak_bytes > estimate_sweep(tiny, some, "z", by="pos_head", **kinds).peak_bytes


def test_hooks_are_estimated_too_and_compute_every_cell(tiny):
    prompts = PromptSet.of(list(drawn(8, 12, 2)))
    hooks, exact = (estimate_sweep(tiny, prompts, "resid_pre", engine=engine) for engine in ("hooks", "auto"))
    assert hooks.path == "hooks"
    assert hooks.computed_cells == hooks.cells == exact.cells > exact.computed_cells
    assert hooks.seconds > 0
    assert hooks.peak_bytes > 0
    assert "by hooks" in hooks.text


def test_held_memory_counts_what_is_made_and_forgets_what_is_gone():
    before = torch.ones(1000)
    with HeldMemory() as memory:
        made = before * 2
        assert memory.held == 4000
        view = made.view(10, 100)[2:]
        assert memory.held == 4000, "a view holds nothing of its own"
        _ = before + 1
        gone = torch.zeros(500) + 1
        peak = memory.peak
        del gone
        kept = before.view(10, 100)
    assert peak >= 8000, "the sum that was thrown away was there once"
    assert memory.held <= 8000
    assert view.numel() + kept.numel() == 1800


@pytest.mark.parametrize(
    ("text", "amount"), [("2GB", 2 * 10**9), ("1.5GiB", 1.5 * 2**30), ("500 mb", 5 * 10**8), ("10B", 10)]
)
def test_amounts_of_memory(text, amount):
    assert parse_bytes(text) == amount


@pytest.mark.parametrize("text", ["", "2", "GB", "-1GB", "two GB", "nanGB", "infGB"])
def test_what_is_no_amount_of_memory(text):
    with pytest.raises(InputError, match="no amount of memory"):
        parse_bytes(text)


def test_durations_in_words():
    assert [in_words(seconds) for seconds in (0.31, 45.0, 600.0, 7200.0)] == ["0.3 s", "45 s", "10 min", "2.0 h"]


def test_only_an_allocator_that_can_be_told_is_told(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not return_memory_at_once()


PROBE = """
import ctypes, gc, sys
from pathlib import Path
from interp.models import load_model
from interp.patching import patch_sweep
from interp.patching.allocator import return_memory_at_once
from interp.patching.estimate import estimate_sweep
from interp.prompts import PromptSet
from tests.interp.patching.test_estimate import drawn

def kib(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))

assert return_memory_at_once()
model, kind, by, n, length, first = load_model(sys.argv[1]), *sys.argv[2:4], *map(int, sys.argv[4:])
patch_sweep(model, PromptSet.of(list(drawn(2, 4, 1))), kind, by=by)  # weights are read and libraries loaded
prompts = PromptSet.of(list(drawn(n, length, first, 50257)))
gc.collect()
ctypes.CDLL("libc.so.6").malloc_trim(0)  # or what loading left behind would hide a part of the growth
Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
before = kib("VmRSS")
result = patch_sweep(model, prompts, kind, by=by)
grown = 1024 * (kib("VmHWM") - before)
sys.stdout.write(f"{grown} {estimate_sweep(model, prompts, kind, by=by).peak_bytes}")
"""


@pytest.fixture(scope="module")
def gpt2_shaped(family_directory, tmp_path_factory):
    """GPT-2 small with random weights."""
    import shutil

    from transformers import GPT2Config, GPT2LMHeadModel

    path = shutil.copytree(family_directory("gpt2"), tmp_path_factory.mktemp("shaped") / "gpt2")
    torch.manual_seed(0)
    GPT2LMHeadModel(GPT2Config(n_layer=12, n_embd=768, n_head=12)).save_pretrained(path)
    return path


@pytest.mark.slow
@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="the peak is read from Linux's /proc, holes kept out of it"
)
@pytest.mark.parametrize(("kind", "by"), [("resid_pre", "pos"), ("z", "head")])
@pytest.mark.parametrize(("n", "length", "first"), [(4, 16, 2), (2, 64, 40)])
def test_the_process_grows_by_what_was_estimated(gpt2_shaped, record_property, kind, by, n, length, first):
    command = [sys.executable, "-c", PROBE, gpt2_shaped, kind, by, n, length, first]
    root = Path(__file__).parents[3]
    run = subprocess.run(
        [str(part) for part in command],
        cwd=root,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    grown, estimated = map(int, run.stdout.split())
    record_property("grown and estimated MiB", (grown >> 20, estimated >> 20))
    assert estimated == pytest.approx(grown, rel=0.2)
