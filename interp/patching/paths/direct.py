"""Direct paths: one sender's change reaches one receiver alone, all others still read what they read before."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from interp.errors import InputError, SiteError
from interp.metrics import Metric
from interp.models import facts
from interp.models.decoder import Decoder
from interp.patching.cells import Columns
from interp.patching.edited import Edited, check_once
from interp.patching.engine import Group
from interp.patching.engine.entries import NEEDS, original
from interp.patching.exact import Pair
from interp.patching.measured import Measured
from interp.patching.numbers import SweepNumbers
from interp.patching.paths.senders import PathRuns, check_senders, taken_apart, written
from interp.patching.plan import Direction, SweepPlan
from interp.patching.sweep import check_prompts
from interp.prompts import PromptSet
from interp.prompts.prompt_set import Side
from interp.results import Result
from interp.run import Patch
from interp.sites import HEAD_KINDS, Site
from interp.types import Model, PerPrompt

RECEIVED = {"q": "q", "k": "k", "v": "v", "mlp": "mlp_out", "logits": "resid_post"}
"""What each kind of receiver makes of its input, as the site that is patched."""
SENT = {"z": {"z", "attn_raw", "attn_out"}, "mlp_out": {"mlp_out"}, "resid_pre": set[str]()}
"""What the patched run must keep for each kind of sender."""
N_CHECKED = 3
"""Cells compared with hooked runs on first use."""
METHOD = (
    "Direct path patching: what one sender writes in the other run, less what it writes in this one, is added to the "
    "residual stream that one receiver's norm reads, and the receiver's output is computed again; every other reader "
    "of the sender sees this run's. An effect is what the sender tells that receiver without going through any other "
    "part; it is no evidence about paths through others."
)
CONTROL = "Placebo: the receiver's input is moved by as much, position by position, in a random direction."


def direct_paths(  # noqa: PLR0913 -- one call; all but the first four are keywords
    model: Model,
    prompts: PromptSet,
    sender: Site,
    receiver_kind: str,
    *,
    metric: str | Metric | Callable[..., PerPrompt] = "logit_diff",
    direction: Direction = "denoising",
    control: bool = True,
    seed: int = 0,
) -> Result:
    """Measure what one sender tells each later receiver directly.

    Args:
        model: A hooked model of an architecture that the exact engine knows.
        prompts: Clean and corrupted prompts.
        sender: A head (`Site(3, "z", head=2)`; without `head`, all heads of the layer), an MLP (`mlp_out`) or the
            embedding (`Site(0, "resid_pre")`). A position counts aligned columns.
        receiver_kind: Input of every later head's `q`, `k` or `v` (of key/value heads where those are fewer), of every
            later `mlp`, or of the `logits` (the final norm).
        metric: A metric's name, a `Metric`, or a function of a `Reading`.
        direction: `denoising` (clean into corrupted) or `noising` (corrupted into clean).
        control: Whether to run placebos.
        seed: Decides the placebos.

    Returns:
        A `direct_paths` result with dims `layer` and `head`, `layer`, or `receiver`; layers that the sender cannot
        reach are left out. Positive effects raise the metric.

    Raises:
        SiteError: a site that cannot send, no receiver after it, or an architecture that cannot be taken apart.
        PromptError: prompts the model cannot read, or that lack what the metric needs, or score alike.

    Example:
        >>> direct_paths(model, prompts, Site(3, "z", head=2), "q").to_dataframe().nlargest(5, "effect")

    Source: Wang et al. 2022, Interpretability in the Wild, sec. 3.1 (arXiv:2211.00593); Goldowsky-Dill et al. 2023
    (arXiv:2304.05969).
    """
    if receiver_kind not in RECEIVED:
        raise InputError(f"No receiver kind {receiver_kind!r}. Expected one of {list(RECEIVED)}.")
    scored = check_prompts(model, prompts, metric)
    check_senders(model, [sender])
    decoder = taken_apart(model)
    kind, layers = RECEIVED[receiver_kind], _layers(decoder, sender, receiver_kind)
    plan = SweepPlan(kind, _columns(model, prompts, receiver_kind), scored, direction, seed, layers)
    sweep = DirectPaths(
        model=model,
        decoder=decoder,
        prompts=prompts,
        plan=plan,
        keep=NEEDS[kind] | SENT[sender.kind],
        sent={sender.kind} - {"resid_pre"},
        sender=sender,
    )
    numbers = sweep.numbers(placebo=control)
    check_once(model, ("direct", sender.kind, receiver_kind), lambda: sweep.checked(numbers))
    return _labelled(sweep, numbers, receiver_kind, control=control)


@dataclass
class DirectPaths(PathRuns):
    """All direct paths of one sender to one kind of receiver."""

    sender: Site = field(default_factory=lambda: Site(0, "resid_pre"))

    def group_of(self, pair: Pair, control: int) -> Group:
        return replace(super().group_of(pair, control), new=self._new(pair, control))

    def _new(self, pair: Pair, control: int) -> Callable[[int], Tensor]:
        """Layer to what its receivers make of an input that the sender alone has changed."""
        change = self._change(pair, control)

        @cache
        def new(layer: int) -> Tensor:
            old = original(pair.base, self.plan.kind, layer)
            return old if layer not in self.plan.layers else received(self.decoder, pair, self.plan.kind, layer, change)

        return new

    @torch.no_grad()
    def _change(self, pair: Pair, control: int) -> Tensor:
        (((layer, kind), sent),) = self._sent(pair, [self.sender], control).items()
        return written(self.decoder, pair, sent, layer, kind)

    def checked(self, numbers: SweepNumbers) -> list[tuple[str, np.ndarray, np.ndarray]]:
        """A few random receivers' numbers, ours and by a full hooked forward pass."""
        rng, members = np.random.default_rng(self.plan.seed), self.groups[0]
        pair = self.pair_of(members)
        new, edited = (
            self._new(pair, 0),
            Edited(self.model, self.prompts.take(members), self.plan.base, self.plan.metric),
        )
        found = []
        for _ in range(N_CHECKED):
            number, column = int(rng.integers(len(self.plan.layers))), int(rng.integers(len(self.plan.columns)))
            layer, heads = self.plan.layers[number], self.plan.columns.heads
            site = Site(layer, self.plan.kind, heads[column] if heads else None)
            value = new(layer) if site.head is None else new(layer)[:, :, site.head]
            theirs = edited.score({site: Patch(value)})
            found.append((f"the path from {self.sender} to {site}", numbers.patched[members, number, column], theirs))
        return found


@torch.no_grad()
def received(decoder: Decoder, pair: Pair, kind: str, layer: int, change: Tensor) -> Tensor:
    """What the receivers of a layer make of the base run's input with `change` added to it.

    Args:
        decoder: The model.
        pair: The two runs.
        kind: The site the receivers write: `q`, `k`, `v`, `mlp_out`, or `resid_post` for the logits.
        layer: Their layer.
        change: What is added to the stream `[batch, pos, d_model]`.
    """
    block, base = decoder.blocks[layer], pair.base
    old = original(base, kind, layer)
    if kind == "resid_post":
        return old + change
    if kind == "mlp_out":
        assert block.mlp is not None
        assert block.mlp_norm is not None
        seen = base["resid"][layer] if block.parallel else base["resid_mid"][layer]
        new = block.mlp(block.mlp_norm(seen + change))
    else:
        project = {"q": block.attention.q, "k": block.attention.k, "v": block.attention.v}[kind]
        new = block.attention.heads(project(block.norm(base["resid"][layer] + change)))
    # Where nothing was added the old value itself stays, so that those rows need no work later.
    moved = (change != 0).any(-1)
    return torch.where(moved.view(*moved.shape, *[1] * (new.ndim - 2)), new, old)


def _layers(decoder: Decoder, sender: Site, receiver_kind: str) -> tuple[int, ...]:
    """Layers of the receivers that read the stream after the sender has written."""
    if receiver_kind == "logits":
        return (decoder.n_layers - 1,)
    if receiver_kind == "mlp" and decoder.blocks[0].mlp is None:
        raise SiteError("The model has no MLPs, so none can receive. Use 'q', 'k', 'v' or 'logits'.")
    own_mlp_reads = receiver_kind == "mlp" and sender.kind == "z" and not decoder.blocks[sender.layer].parallel
    layers = range(sender.layer + (0 if sender.kind == "resid_pre" or own_mlp_reads else 1), decoder.n_layers)
    if not layers:
        raise SiteError(
            f"No {receiver_kind!r} comes after {sender} of a model with {decoder.n_layers} layers. "
            "Choose an earlier sender, or 'logits' as receiver."
        )
    return tuple(layers)


def _columns(model: Model, prompts: PromptSet, receiver_kind: str) -> Columns:
    every = [np.arange(len(pair.aligned_positions)) for pair in prompts]
    kind, known = RECEIVED[receiver_kind], facts(model)
    if kind not in HEAD_KINDS:
        return Columns(kind, "pos", [receiver_kind], [[place] for place in every])
    n_heads = known.n_heads if kind == "q" else known.n_kv_heads
    labels = [f"H{head}" for head in range(n_heads)]
    return Columns(kind, "head", labels, [[place] * n_heads for place in every], tuple(range(n_heads)), n_heads)


def _labelled(sweep: DirectPaths, numbers: SweepNumbers, receiver_kind: str, *, control: bool) -> Result:
    heads, layers = list(sweep.plan.columns.heads), list(sweep.plan.layers)
    dims: dict[str, Sequence[Any]] = {"layer": layers, "head": heads} if heads else {"layer": layers}
    if receiver_kind == "logits":
        dims = {"receiver": ["logits"]}
    shape = (len(sweep.prompts), *(len(labels) for labels in dims.values()))
    assert numbers.states is not None
    plain: dict[Side, np.ndarray] = {"clean": numbers.clean, "corrupted": numbers.corrupted}
    measured = Measured(
        dims,
        numbers.patched.reshape(shape),
        plain[sweep.plan.base],
        numbers.placebo.reshape(shape) if control else None,
        numbers.states.reshape(shape),
    )
    call = f"direct_paths({str(sweep.sender)!r}, {receiver_kind!r}, {sweep.settings})"
    words = {"kind": "direct_paths", "method": METHOD, "control": CONTROL, "call": call}
    return sweep.labelled(measured, plain, words, {"sender": str(sweep.sender), "receiver": receiver_kind})
