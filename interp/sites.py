"""Sites: the names of activations. This is the only place that spells TransformerLens hook names."""

import difflib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from interp.errors import SiteError

RESIDUAL_KINDS = ("resid_pre", "resid_mid", "resid_post")
OUTPUT_KINDS = ("attn_out", "mlp_out")
VECTOR_HEAD_KINDS = ("q", "k", "v", "z", "result")
SQUARE_HEAD_KINDS = ("attn_scores", "pattern")
NEURON_KINDS = ("pre", "post")
HEAD_KINDS = VECTOR_HEAD_KINDS + SQUARE_HEAD_KINDS
KINDS = RESIDUAL_KINDS + OUTPUT_KINDS + HEAD_KINDS + NEURON_KINDS

_SPELLED = re.compile(r"L(?P<layer>\d+)(?:H(?P<head>\d+))?\s+(?P<kind>\w+)(?:\s*@\s*(?P<pos>\d+))?")


@dataclass(frozen=True)
class Site:
    """One activation of the model: `Site(5, "z", head=3)` is what head L5H3 writes before W_O.

    Raises:
        SiteError: an unknown kind, a negative number, or a head where the kind has none.
    """

    layer: int
    kind: str
    head: int | None = None
    """One head, or None for all of them."""
    pos: int | None = None
    """One position (for patterns and scores: of the query), or None for all of them."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            near = difflib.get_close_matches(self.kind, KINDS, n=3)
            raise SiteError(f"No site kind {self.kind!r}. Nearest: {near}. Expected one of {list(KINDS)}.")
        for name in ("layer", "head", "pos"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise SiteError(f"{name} is {value}. Expected a number from 0: layers, heads and positions count up.")
        if self.head is not None and self.kind not in HEAD_KINDS:
            raise SiteError(
                f"{self.kind!r} has no heads, so head={self.head} means nothing. Use one of {list(HEAD_KINDS)}."
            )

    @classmethod
    def parse(cls, text: str) -> "Site":
        """Read `L5 mlp_out`, `L5H3 z` or `L5H3 z @7`, the form `str(site)` writes.

        Raises:
            SiteError: any other form.
        """
        match = _SPELLED.fullmatch(text.strip())
        if match is None:
            raise SiteError(
                f"Cannot read {text!r} as a site. Expected a form like 'L5 mlp_out', 'L5H3 z' or 'L5H3 z @7'."
            )
        head, pos = (int(match[name]) if match[name] else None for name in ("head", "pos"))
        return cls(int(match["layer"]), match["kind"], head, pos)

    @property
    def hook_name(self) -> str:
        """The name TransformerLens gives the hook of this site."""
        if self.kind in HEAD_KINDS:
            return f"blocks.{self.layer}.attn.hook_{self.kind}"
        if self.kind in NEURON_KINDS:
            return f"blocks.{self.layer}.mlp.hook_{self.kind}"
        return f"blocks.{self.layer}.hook_{self.kind}"

    @property
    def whole(self) -> "Site":
        """The whole activation this site is part of: all heads, all positions."""
        return replace(self, head=None, pos=None)

    @property
    def index(self) -> tuple[slice | int, ...]:
        """Index of this site in the whole activation.

        Shapes: `[batch, pos, d]`, `[batch, pos, head, d_head]`, or for patterns `[batch, head, dest_pos, src_pos]`.
        """
        everything = slice(None)
        head = everything if self.head is None else self.head
        pos = everything if self.pos is None else self.pos
        if self.kind in SQUARE_HEAD_KINDS:
            return (everything, head, pos)
        return (everything, pos, head) if self.kind in HEAD_KINDS else (everything, pos)

    def __str__(self) -> str:
        head = "" if self.head is None else f"H{self.head}"
        pos = "" if self.pos is None else f" @{self.pos}"
        return f"L{self.layer}{head} {self.kind}{pos}"


def check_sites(sites: Iterable[Site], known: Collection[str]) -> None:
    """Refuse sites whose hook the model does not have.

    Raises:
        SiteError: with the nearest hook names.
    """
    for site in sites:
        if site.hook_name not in known:
            near = difflib.get_close_matches(site.hook_name, list(known), n=3)
            raise SiteError(f"This model has no {site} (hook {site.hook_name!r}). Nearest: {near}.")
