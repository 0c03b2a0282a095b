"""What senders write, in the run that is patched and in the other."""

from collections import defaultdict
from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interp.errors import SiteError
from interp.models import facts
from interp.models.decoder import Decoder, as_decoder
from interp.patching.engine.entries import original
from interp.patching.engine.runs import BASE
from interp.patching.exact import ExactSweep, Pair
from interp.patching.measured import About, Measured, as_measured
from interp.prompts.prompt_set import Side
from interp.results import Result
from interp.run.placebo import random_turn
from interp.run.places import check_places
from interp.sites import Site
from interp.types import Model

SENDERS = ("z", "mlp_out", "resid_pre")
"""Kinds that can send: heads, MLPs, and the embedding (`resid_pre` of layer 0)."""


@dataclass
class PathRuns(ExactSweep):
    """The two runs of each group of prompts, with what paths need of them, and the metric of any last rows."""

    keep: Set[str] = frozenset()
    """What the patched run keeps besides what every such run keeps."""
    sent: Set[str] = frozenset()
    """What the other run keeps."""

    @property
    def kept(self) -> tuple[Set[str], Set[str]]:
        """What the patched run and the other run keep."""
        return BASE | self.keep, {"resid", *self.sent}

    @property
    def settings(self) -> str:
        """The settings every path has, as a call spells them."""
        return f"metric={self.plan.metric.name!r}, direction={self.plan.direction!r}, seed={self.plan.seed}"

    def labelled(
        self, measured: Measured, plain: dict[Side, np.ndarray], words: dict[str, str], notes: dict[str, Any]
    ) -> Result:
        """Label numbers; `words` are the kind, method, control and call of the result."""
        baselines = {side: float(values.mean()) for side, values in plain.items()}
        about = About(
            **words,
            base=self.plan.base,
            metric=self.plan.metric,
            seed=self.plan.seed,
            baselines=dict(baselines),
            tokens=[self.prompts.batch("clean").tokens, self.prompts.batch("corrupted").tokens],
            notes=notes | {"direction": self.plan.direction, "path": "exact"},
        )
        span = baselines[self.plan.source] - baselines[self.plan.base]
        return as_measured(self.model, self.prompts, measured, about, span=span)

    def _positions(self, pair: Pair, site: Site) -> Bool[Tensor, "batch pos"]:
        """The positions of the patched run that a site means: a site's `pos` counts aligned columns, as sweeps do."""
        aligned = self.prompts.aligned()[pair.members, :, 0 if self.plan.base == "clean" else 1]
        columns = torch.from_numpy(aligned if site.pos is None else aligned[:, site.pos : site.pos + 1])
        like = pair.base["resid"][0]
        chosen = torch.zeros(like.shape[0], like.shape[1] + 1, dtype=torch.bool)
        # -1, no such column, falls on the extra last place.
        chosen[torch.arange(len(chosen))[:, None], columns] = True
        return chosen[:, :-1].to(like.device)

    def _sent(self, pair: Pair, senders: Iterable[Site], control: int) -> dict[tuple[int, str], Tensor]:
        """By layer and kind, the patched run's activations with the senders' own replaced (or moved at random)."""
        by_place: dict[tuple[int, str], list[Site]] = defaultdict(list)
        for site in senders:
            by_place[site.layer, site.kind].append(site)
        found = {}
        for (layer, kind), sites in by_place.items():
            old, new = original(pair.base, kind, layer), pair.patch(kind, layer)
            chosen = torch.zeros(old.shape[: 3 if kind == "z" else 2], dtype=torch.bool, device=old.device)
            for site in sites:
                positions = self._positions(pair, site)
                if kind == "z":
                    chosen[:, :, slice(None) if site.head is None else site.head] |= (
                        positions[..., None] if site.head is None else positions
                    )
                else:
                    chosen |= positions
            if control:
                generator = torch.Generator().manual_seed(self.plan.seed + layer)
                new = old + random_turn(new - old, generator)
            found[layer, kind] = torch.where(chosen[..., None], new, old)
        return found


def written(decoder: Decoder, pair: Pair, sent: Tensor, layer: int, kind: str) -> Float[Tensor, "batch pos d_model"]:
    """How a sender's new activation changes what it adds to the residual stream, through the layer's own norm."""
    if kind != "z":
        return sent - original(pair.base, kind, layer)
    attention = decoder.blocks[layer].attention
    change = torch.einsum("bphe,hed->bpd", sent - pair.base["z"][layer], attention.w_o())
    if attention.post_norm is None:
        return change
    return attention.post_norm(pair.base["attn_raw"][layer] + change) - pair.base["attn_out"][layer]


def check_senders(model: Model, senders: Iterable[Site]) -> None:
    """Refuse senders that write nothing of their own, and places the model lacks.

    Raises:
        SiteError: naming the first such site.
    """
    senders = list(senders)
    for site in senders:
        if site.kind not in SENDERS or (site.kind == "resid_pre" and site.layer > 0):
            raise SiteError(
                f"{site} cannot send: it is not what one part of the model writes. Expected heads ('z'), MLPs "
                "('mlp_out') or the embedding (Site(0, 'resid_pre'))."
            )
    check_places(model, senders)


def taken_apart(model: Model) -> Decoder:
    """The model as functions of rows.

    Raises:
        SiteError: it cannot be taken apart, so the readers of one activation cannot be told apart either.
    """
    decoder = as_decoder(model)
    if decoder is None:
        raise SiteError(
            f"Path patching must give each reader of the residual stream its own input, and a "
            f"{facts(model).architecture} cannot be taken apart for that. Use one of the exact engine's architectures, "
            "or patch_sweep for whole activations."
        )
    return decoder
