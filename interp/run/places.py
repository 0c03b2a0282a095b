"""Does the model have this place? Asked before anything runs."""

from collections.abc import Iterable

from interp.errors import SiteError
from interp.models import facts
from interp.sites import HEAD_KINDS, Site, check_sites
from interp.types import Model


def check_places(model: Model, sites: Iterable[Site]) -> None:
    """Refuse layers and heads past the model's last, and hooks it does not have.

    Raises:
        SiteError: naming the site and what there is.
    """
    known = facts(model)
    sites = list(sites)
    for site in sites:
        n_heads = known.n_kv_heads if site.kind in ("k", "v") else known.n_heads
        if site.layer >= known.n_layers:
            raise SiteError(f"{site}: the model has no layer {site.layer}. Expected 0 to {known.n_layers - 1}.")
        if site.kind in HEAD_KINDS and site.head is not None and site.head >= n_heads:
            raise SiteError(f"{site}: there is no such head of {site.kind!r}. Expected 0 to {n_heads - 1}.")
    check_sites(sites, model.hook_dict)
