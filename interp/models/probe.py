"""Measure every kind of site: whether its hook fires, its shape, and whether an edit reaches the output.

The output is the logits. An encoder's are read from its last hidden state, so an edit reaches both or neither.
"""

import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from interp.sites import KINDS, Site

LEAST_EFFECT = 1e-5
"""Largest change of a logit, in standard deviations of the logits, that still counts as no effect."""
Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Probe:
    """What the two-site probe saw at one kind of site."""

    shapes: tuple[tuple[int, ...], ...]
    """Shape at the early and at the late layer; empty where no hook fired."""
    effects: tuple[float, ...]
    """Largest change of a logit after the edit there, in standard deviations of the logits."""

    @property
    def fires(self) -> bool:
        """Whether the hook fired at both layers."""
        return len(self.shapes) == 2

    @property
    def causal(self) -> bool:
        """Whether an edit reached the output from both layers."""
        return self.fires and min(self.effects) > LEAST_EFFECT


def probe_kinds(model: TransformerBridge, tokens: Int[Tensor, "batch pos"]) -> dict[str, Probe]:
    """Edit every kind of site at the first and at the last layer and compare the logits with those of a plain run.

    An edit sets the activation to zero; where that changes nothing, seeded noise is tried as well.
    """
    open_kinds = [kind for kind in KINDS if kind != "result"]
    with torch.no_grad(), warnings.catch_warnings():
        # TransformerLens says so itself where it discards an edit; here that is a measurement, not an accident.
        warnings.filterwarnings("ignore", message="A hook on .* returned a modified tensor")
        probes = {kind: _probe(model, tokens, kind) for kind in open_kinds}
        with _head_results_on(model):
            probes["result"] = _probe(model, tokens, "result")
    return probes


def record(model: TransformerBridge, tokens: Int[Tensor, "batch pos"], sites: list[Site]) -> dict[Site, Tensor]:
    """Run once and keep the activations of those sites whose hook exists and fires, in float32."""
    seen: dict[Site, Tensor] = {}

    def keep(site: Site) -> Callable[..., None]:
        return lambda act, hook: seen.__setitem__(site, act.detach().float().clone())  # noqa: ARG005

    open_sites = [site for site in sites if site.hook_name in model.hook_dict and is_open(model, site)]
    hooks: list[Any] = [(site.hook_name, keep(site)) for site in open_sites]
    with torch.no_grad():
        model.run_with_hooks(tokens, fwd_hooks=hooks)
    return seen


def is_open(model: TransformerBridge, site: Site) -> bool:
    """Whether the hook needs no switch, or its switch is on."""
    return site.kind != "result" or bool(model.cfg.use_attn_result)


def probe_layers(model: TransformerBridge) -> tuple[int, int]:
    """The early and the late layer that are probed."""
    return 0, model.cfg.n_layers - 1


def _probe(model: TransformerBridge, tokens: Tensor, kind: str) -> Probe:
    sites = [Site(layer, kind) for layer in probe_layers(model)]
    seen = record(model, tokens, sites)
    if not all(site in seen for site in sites):
        return Probe((), ())
    plain = _logits(model, tokens)
    effects = []
    for site in sites:
        effect = _effect(model, tokens, plain, site, torch.zeros_like)
        if effect <= LEAST_EFFECT:
            effect = _effect(model, tokens, plain, site, _add_noise)
        effects.append(effect)
    return Probe(tuple(tuple(seen[site].shape) for site in sites), tuple(effects))


def _effect(model: TransformerBridge, tokens: Tensor, plain: Tensor, site: Site, change: Change) -> float:
    edited = _logits(model, tokens, [(site.hook_name, lambda act, hook: change(act))])  # noqa: ARG005
    return float((edited - plain).abs().max() / plain.std())


def _add_noise(act: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return act + torch.randn(act.shape, generator=generator).to(act)


def _logits(
    model: TransformerBridge, tokens: Tensor, hooks: list[Any] | None = None
) -> Float[Tensor, "batch pos d_vocab"]:
    return model.run_with_hooks(tokens, fwd_hooks=hooks or []).float()


@contextmanager
def _head_results_on(model: TransformerBridge) -> Generator[None]:
    """Switch `hook_result` on where the attention can compute it, and back to what it was."""
    before = bool(model.cfg.use_attn_result)
    # Left as it was where this attention cannot split its output by head.
    with suppress(NotImplementedError):
        model.set_use_attn_result(True)
    try:
        yield
    finally:
        if bool(model.cfg.use_attn_result) != before:
            model.set_use_attn_result(before)
