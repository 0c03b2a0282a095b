import pytest
import torch

from interp.errors import HookError, SiteError
from interp.models import encode
from interp.prompts import TokenBatch
from interp.run import capture, observe
from interp.sites import Site


@pytest.fixture
def batch(tiny):
    return TokenBatch.of([encode(tiny, "The cat sat on the mat."), encode(tiny, "The dog slept.")])


def test_readers_see_what_capture_keeps(tiny, batch):
    sites = [Site(0, "pattern"), Site(2, "q"), Site(1, "resid_pre")]
    seen = {}
    observe(tiny, batch, {site: lambda at, site=site: seen.__setitem__(site, at.clone()) for site in sites})
    kept = capture(tiny, batch, sites)
    for site in sites:
        assert torch.equal(seen[site], kept[site])


def test_nothing_behind_the_last_reader_is_computed(tiny, batch):
    ran = []
    handle = tiny.blocks[1].mlp.register_forward_hook(lambda *_: ran.append(1))
    after = tiny.blocks[2].mlp.register_forward_hook(lambda *_: ran.append(2))
    try:
        observe(tiny, batch, {Site(0, "pattern"): ran.append, Site(2, "pattern"): ran.append})
    finally:
        handle.remove()
        after.remove()
    assert [at for at in ran if isinstance(at, int)] == [1]


def test_an_error_in_a_reader_leaves_no_hook(tiny, batch):
    before = tiny(torch.from_numpy(batch.tokens))

    def fail(activation):
        raise ValueError("reader")

    with pytest.raises(ValueError, match="reader"):
        observe(tiny, batch, {Site(0, "pattern"): fail})
    assert torch.equal(before, tiny(torch.from_numpy(batch.tokens)))


def test_what_cannot_be_read_is_refused(tiny, batch):
    with pytest.raises(SiteError, match="no layer 9"):
        observe(tiny, batch, {Site(9, "pattern"): print})
    with pytest.raises(SiteError, match="No sites"):
        observe(tiny, batch, {})
    tiny.add_hook(Site(0, "z").hook_name, lambda at, hook: at)  # noqa: ARG005
    try:
        with pytest.raises(HookError, match="left behind"):
            observe(tiny, batch, {Site(0, "pattern"): print})
    finally:
        tiny.reset_hooks()
