"""General path patching: every path from a set of senders to a set of receivers, through MLPs or through nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from interp.errors import InputError, SiteError
from interp.metrics import Metric
from interp.models.decoder import Attention, Block, Decoder, Prefix, attend
from interp.models.decoder.parts import RowFunction
from interp.patching.cells import Columns
from interp.patching.edited import Edited, check_once
from interp.patching.exact import Pair
from interp.patching.measured import Measured
from interp.patching.paths.senders import PathRuns, check_senders, taken_apart
from interp.patching.plan import Direction, SweepPlan, require_apart
from interp.patching.sweep import check_prompts
from interp.prompts import PromptSet
from interp.prompts.prompt_set import Side
from interp.results import Result
from interp.run import Patch, Where
from interp.run.places import check_places
from interp.sites import HEAD_KINDS, Site
from interp.types import Model, PerPrompt

RECEIVERS = ("q", "k", "v", "mlp_out", "resid_post")
"""Kinds that can receive: heads' inputs, MLPs (their input; the output is computed again), and the logits."""
Recorded = dict[Site, Tensor]
METHOD = (
    "Path patching: in a first run the senders are replaced by the other run's and all other heads{frozen} are held "
    "at this run's, and what the receivers make of their inputs is recorded; in a second run the receivers alone are "
    "set to that. An effect is what the senders tell the receivers {through}; it is no evidence that the receivers use "
    "it alike on other prompts."
)
CONTROL = "Placebo: the senders are moved by as much, vector by vector, in a random direction."


def path_patch(  # noqa: PLR0913 -- one call; all but the first four are keywords
    model: Model,
    prompts: PromptSet,
    senders: Sequence[Site],
    receivers: Sequence[Site],
    *,
    through_mlps: bool,
    metric: str | Metric | Callable[..., PerPrompt] = "logit_diff",
    direction: Direction = "denoising",
    control: bool = True,
    seed: int = 0,
) -> Result:
    """Measure what a set of senders tells a set of receivers.

    Args:
        model: A hooked model of an architecture that the exact engine knows.
        prompts: Clean and corrupted prompts.
        senders: Heads (`z`), MLPs (`mlp_out`) and the embedding (`Site(0, "resid_pre")`). Positions count aligned
            columns; without a head all heads of the layer send. No senders: nothing changes.
        receivers: `q`, `k` and `v` of heads, `mlp_out`, and `resid_post` of the last layer, which is what the logits
            read.
        through_mlps: Whether MLPs pass the change on (Wang et al.), or are held like the heads, so that the change
            goes from senders to receivers directly.
        metric: A metric's name, a `Metric`, or a function of a `Reading`.
        direction: `denoising` (clean into corrupted) or `noising` (corrupted into clean).
        control: Whether to run the placebo.
        seed: Decides the placebo.

    Returns:
        A `path_patch` result with the one cell `path`. A positive effect raises the metric.

    Raises:
        SiteError: a site that cannot send or receive, or an architecture that cannot be taken apart.
        InputError: no receivers, an MLP on both sides, or the logits beside other receivers.
        PromptError: prompts the model cannot read, or that lack what the metric needs, or score alike.

    Source: Wang et al. 2022, Interpretability in the Wild, app. B (arXiv:2211.00593); Goldowsky-Dill et al. 2023
    (arXiv:2304.05969).
    """
    scored = check_prompts(model, prompts, metric)
    check_senders(model, senders)
    decoder = taken_apart(model)
    _check_receivers(model, decoder, senders, receivers)
    nothing = Columns("resid_post", "pos", [], [[] for _ in prompts])
    plan = SweepPlan("resid_post", nothing, scored, direction, seed, ())
    sweep = PathSets(
        model=model,
        decoder=decoder,
        prompts=prompts,
        plan=plan,
        keep={"z", "attn_out", *({"mlp_out"} if decoder.blocks[0].mlp is not None else ())},
        sent={site.kind for site in senders} - {"resid_pre"},
        senders=tuple(senders),
        receivers=tuple(receivers),
        through_mlps=through_mlps,
    )
    return sweep.result(control=control)


@dataclass
class PathSets(PathRuns):
    """The paths of one set of senders to one set of receivers."""

    senders: tuple[Site, ...] = ()
    receivers: tuple[Site, ...] = ()
    through_mlps: bool = False

    def result(self, *, control: bool) -> Result:
        """Run both runs of every group of prompts, and label what they give."""
        plain: dict[Side, np.ndarray] = {side: self.plain(side) for side in ("clean", "corrupted")}
        require_apart(self.plan.metric, plain["clean"], plain["corrupted"])
        found = np.empty((1 + control, len(self.prompts), 1))
        for members in self.groups:
            pair = self.pair_of(members)
            for placebo in range(1 + control):
                found[placebo, members, 0] = self._run(pair, self._recorded(pair, placebo))
        check_once(self.model, ("paths", *sorted({site.kind for site in self.receivers})), lambda: self._checked(found))
        return self._labelled(plain, found)

    @torch.no_grad()
    def _recorded(self, pair: Pair, placebo: int) -> Recorded:
        """What the receivers make of their inputs when the senders are the other run's and the rest is held."""
        sent, found = self._sent(pair, self.senders, placebo), Recorded()
        rows = sent.get((0, "resid_pre"), pair.base["resid"][0])
        for layer, block in enumerate(self.decoder.blocks):
            here = [site for site in self.receivers if site.layer == layer]
            normed = block.norm(rows) if any(site.kind in HEAD_KINDS for site in here) else None
            for site in here:
                if site.kind in HEAD_KINDS and normed is not None:
                    found[site] = block.attention.heads(_projection(block.attention, site.kind)(normed))
            z = sent.get((layer, "z"))
            attn_out = pair.base["attn_out"][layer] if z is None else block.attn_out(z)
            mid = rows + attn_out
            if block.mlp is None or block.mlp_norm is None:
                rows = mid
                continue
            mlp_out = sent.get((layer, "mlp_out"), pair.base["mlp_out"][layer])
            readers = [site for site in here if site.kind == "mlp_out"]
            passes_on = self.through_mlps and (layer, "mlp_out") not in sent
            if readers or passes_on:
                new = block.mlp(block.mlp_norm(rows if block.parallel else mid))
                found |= dict.fromkeys(readers, new)
                mlp_out = new if passes_on else mlp_out
            rows = mlp_out + attn_out + rows if block.parallel else mid + mlp_out
        return found | {site: rows for site in self.receivers if site.kind == "resid_post"}

    @torch.no_grad()
    def _run(self, pair: Pair, recorded: Recorded) -> np.ndarray:
        """The metric of the run with the receivers alone set to what they were recorded to make."""
        first = min(site.layer for site in self.receivers)
        rows = pair.base["resid"][first]
        for layer in range(first, self.decoder.n_layers):
            rows = self._block(pair, layer, rows, {site: recorded[site] for site in recorded if site.layer == layer})
        return self.score(rows[:, -1][None], pair)[0].cpu().numpy()

    def _block(self, pair: Pair, layer: int, rows: Tensor, recorded: Recorded) -> Tensor:
        block = self.decoder.blocks[layer]
        attention, normed = block.attention, block.norm(rows)
        made = {kind: attention.heads(_projection(attention, kind)(normed)) for kind in ("q", "k", "v")}
        made = {kind: self._set(pair, kind, old, recorded) for kind, old in made.items()}
        q, k = attention.rotated(made["q"], attention.q_norm, 0), attention.rotated(made["k"], attention.k_norm, 0)
        nothing = Prefix(k[:, :0], made["v"][:, :0])
        attn_out = block.attn_out(attend(attention, q[None], k[None], made["v"][None], nothing)[0])
        rows = self._after(pair, block, (rows, attn_out), recorded)
        return self._set(pair, "resid_post", rows, recorded)

    def _after(self, pair: Pair, block: Block, parts: tuple[Tensor, Tensor], recorded: Recorded) -> Tensor:
        pre, attn_out = parts
        mid = pre + attn_out
        if block.mlp is None or block.mlp_norm is None:
            return mid
        mlp_out = self._set(pair, "mlp_out", block.mlp(block.mlp_norm(pre if block.parallel else mid)), recorded)
        return mlp_out + attn_out + pre if block.parallel else mid + mlp_out

    def _set(self, pair: Pair, kind: str, old: Tensor, recorded: Mapping[Site, Tensor]) -> Tensor:
        for site, new in recorded.items():
            if site.kind == kind:
                old = torch.where(self._chosen(pair, site, old), new, old)
        return old

    def _chosen(self, pair: Pair, site: Site, like: Tensor) -> Tensor:
        """Where a receiver is set: all positions, unless it names one."""
        shape = like.shape[:-1]
        chosen = torch.ones(shape[:2], dtype=torch.bool, device=like.device)
        if site.pos is not None:
            chosen = self._positions(pair, site)
        if site.kind not in HEAD_KINDS:
            return chosen[..., None]
        heads = torch.arange(shape[2], device=like.device)
        of_head = torch.ones_like(heads, dtype=torch.bool) if site.head is None else heads == site.head
        return (chosen[..., None] & of_head)[..., None]

    def _checked(self, found: np.ndarray) -> list[tuple[str, np.ndarray, np.ndarray]]:
        """The second run of the first group, ours and by hooks."""
        members = self.groups[0]
        pair, plan = self.pair_of(members), dict[Site, Where]()
        for site, new in self._recorded(pair, 0).items():
            everywhere = replace(site, pos=None)
            new, chosen = (rows[everywhere.index] for rows in (new, self._chosen(pair, site, new)))
            chosen = chosen[..., 0]
            chosen = chosen | plan[everywhere].chosen if everywhere in plan else chosen
            plan[everywhere] = Where(Patch(new), chosen)
        edited = Edited(self.model, self.prompts.take(members), self.plan.base, self.plan.metric)
        return [(f"the receivers {[str(site) for site in plan]}", found[0, members, 0], edited.score(plan))]

    def _labelled(self, plain: dict[Side, np.ndarray], found: np.ndarray) -> Result:
        senders, receivers = ([str(site) for site in sites] for sites in (self.senders, self.receivers))
        path = f"{', '.join(senders) or 'nothing'} -> {', '.join(receivers)}"
        measured = Measured({"path": [path]}, found[0], plain[self.plan.base], found[1] if len(found) > 1 else None)
        through = "through MLPs or directly" if self.through_mlps else "directly"
        method = METHOD.format(frozen="" if self.through_mlps else " and MLPs", through=through)
        call = f"path_patch({senders}, {receivers}, through_mlps={self.through_mlps}, {self.settings})"
        notes = {"senders": senders, "receivers": receivers, "through_mlps": self.through_mlps}
        words = {"kind": "path_patch", "method": method, "control": CONTROL, "call": call}
        return self.labelled(measured, plain, words, notes)


def _projection(attention: Attention, kind: str) -> RowFunction:
    return {"q": attention.q, "k": attention.k, "v": attention.v}[kind]


def _check_receivers(model: Model, decoder: Decoder, senders: Sequence[Site], receivers: Sequence[Site]) -> None:
    if not receivers:
        raise InputError("There are no receivers, so nothing could be told. Give at least one, such as a head's 'q'.")
    last = decoder.n_layers - 1
    for site in receivers:
        if site.kind not in RECEIVERS or (site.kind == "resid_post" and site.layer != last):
            raise SiteError(
                f"{site} cannot receive. Expected 'q', 'k' or 'v' of heads, 'mlp_out' for an MLP, or "
                f"Site({last}, 'resid_post') for the logits."
            )
    check_places(model, receivers)
    if len({site.kind == "resid_post" for site in receivers}) > 1:
        raise InputError("The logits come after every other receiver and would hide it. Patch the two sets apart.")
    mlps = {(site.layer, site.kind) for site in senders if site.kind == "mlp_out"}
    if both := [str(site) for site in receivers if (site.layer, site.kind) in mlps]:
        raise InputError(f"{both} are senders and receivers at once. Leave each on one side.")
