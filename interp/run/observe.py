"""Read activations as they pass, without keeping them: what is measured is reduced layer by layer."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from torch import Tensor

from interp.errors import SiteError
from interp.models import require_exists
from interp.prompts import TokenBatch
from interp.run.forward import forward
from interp.run.hooks import hooked
from interp.run.places import check_places
from interp.sites import Site
from interp.types import Model

Reader = Callable[[Tensor], None]
"""Sees an activation while the model computes; must not change it, and copies what it keeps of it."""


def observe(model: Model, batch: TokenBatch, readers: Mapping[Site, Reader]) -> None:
    """Run the model once and show each activation to its reader as it passes.

    Nothing is kept, so that only one layer's activations are alive at a time; the run ends when every reader has seen
    its activation, so that what comes after the last of them (often the unembedding) is not computed.

    Args:
        model: A hooked model.
        batch: The prompts of one forward pass.
        readers: What reads at which site; a head or a position in a site is ignored, the whole activation comes.

    Raises:
        SiteError: a site the model lacks, or through which nothing passed.
        HookError: hooks of somebody else are on the model.
    """
    check_capture(model, list(readers))
    seen: set[Site] = set()

    def reading(site: Site, reader: Reader) -> Reader:
        def read(activation: Tensor) -> None:
            reader(activation.detach())
            seen.add(site)
            if len(seen) == len(readers):
                raise _Enough

        return read

    functions = {site.whole.hook_name: reading(site, reader) for site, reader in readers.items()}
    with suppress(_Enough), hooked(model, functions):
        forward(model, batch)
    if missed := [str(site) for site in readers if site not in seen]:
        raise SiteError(f"Nothing passed through {missed} on this architecture, so there is nothing to capture there.")


def check_capture(model: Model, sites: Sequence[Site]) -> list[Site]:
    """Refuse sites that this model lacks; return the whole activations they lie in, each once."""
    if not sites:
        raise SiteError("No sites were asked for. Give at least one, such as Site(0, 'resid_post').")
    check_places(model, sites)
    for site in sites:
        require_exists(model, site.kind)
    return list(dict.fromkeys(site.whole for site in sites))


class _Enough(Exception):  # noqa: N818 - not an error
    """Every site has been read: the rest of the forward pass is not needed."""
