import psutil
import pytest

from interp.models import facts, load_model
from interp.patching import budget, patch_sweep
from interp.patching.budget import FREE_SHARE, MOST_ROWS, row_bytes, rows_per_pass
from interp.prompts import PromptSet
from tests.interp.patching.test_estimate import drawn


def test_the_bytes_of_a_row_by_hand():
    known = facts(model := load_model("random:zoo:polyglot"))
    assert (known.d_model, known.d_mlp, known.n_heads, known.d_head) == (256, 704, 4, 64)
    # The gated MLP (3 x 704) is wider than attention over 16 positions (4 x (4 x 64 + 2 x 16)).
    assert row_bytes(model, 16) == 4 * (2 * 256 + 3 * 704)
    # Over 400 positions attention is: 4 x (4 x 64 + 2 x 400).
    assert row_bytes(model, 400) == 4 * (2 * 256 + 4 * (256 + 800))


@pytest.mark.parametrize(("free", "rows"), [(10**12, MOST_ROWS), (0, 1), (1, 1)])
def test_rows_follow_the_free_memory(tiny, monkeypatch, free, rows):
    monkeypatch.setattr(budget, "free_bytes", lambda _: free)
    assert rows_per_pass(tiny, 12) == rows


def test_a_quarter_of_the_free_memory_is_spent(tiny, monkeypatch):
    monkeypatch.setattr(budget, "free_bytes", lambda _: 40 * row_bytes(tiny, 12))
    assert rows_per_pass(tiny, 12) == 40 * FREE_SHARE


def test_free_memory_is_read_from_the_system(tiny):
    free = budget.free_bytes(next(tiny.parameters()).device)
    assert 0 < free < psutil.virtual_memory().total


def test_little_memory_changes_the_passes_and_no_number(tiny, monkeypatch):
    prompts = PromptSet.of(list(drawn(3, 8, 2)))
    roomy = patch_sweep(tiny, prompts, "resid_pre")
    monkeypatch.setattr(budget, "free_bytes", lambda _: 4 * 20 * row_bytes(tiny, 8))
    narrow = patch_sweep(tiny, prompts, "resid_pre")
    assert (roomy.notes["rows_per_pass"], narrow.notes["rows_per_pass"]) == (MOST_ROWS, 20)
    assert abs(roomy.data["effect"] - narrow.data["effect"]).max() < 1e-5
    assert patch_sweep(tiny, prompts, "resid_pre", engine="hooks").notes["rows_per_pass"] is None
