import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp.errors import SiteError
from interp.sites import HEAD_KINDS, KINDS, Site, check_sites

numbers = st.integers(0, 200)


@st.composite
def sites(draw):
    kind = draw(st.sampled_from(KINDS))
    head = draw(st.none() | numbers) if kind in HEAD_KINDS else None
    return Site(draw(numbers), kind, head, draw(st.none() | numbers))


@given(sites())
def test_every_site_can_be_read_back_from_its_text(site):
    assert Site.parse(str(site)) == site


@pytest.mark.parametrize(
    ("site", "name", "index"),
    [
        (Site(3, "resid_mid"), "blocks.3.hook_resid_mid", (slice(None), slice(None))),
        (Site(0, "mlp_out", pos=4), "blocks.0.hook_mlp_out", (slice(None), 4)),
        (Site(5, "z", head=1), "blocks.5.attn.hook_z", (slice(None), slice(None), 1)),
        (Site(5, "pattern", head=1, pos=2), "blocks.5.attn.hook_pattern", (slice(None), 1, 2)),
        (Site(2, "post"), "blocks.2.mlp.hook_post", (slice(None), slice(None))),
    ],
)
def test_hook_names_and_indices_are_those_of_transformer_lens(site, name, index):
    assert site.hook_name == name
    assert site.index == index


@pytest.mark.parametrize(
    "make",
    [
        lambda: Site(0, "resid_prre"),
        lambda: Site(-1, "z"),
        lambda: Site(0, "mlp_out", head=0),
        lambda: Site(0, "z", pos=-1),
        lambda: Site.parse("layer 5"),
        lambda: check_sites([Site(9, "z")], ["blocks.0.attn.hook_z"]),
    ],
)
def test_wrong_sites_are_refused_with_what_to_do(make):
    with pytest.raises(SiteError, match=r"Nearest|Expected|Use one of"):
        make()
