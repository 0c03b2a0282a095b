"""Tests of what writes the sink: massive dimensions, the spike neuron, and the heads that use it."""

import numpy as np
import torch

from interp.attention.sink_tests import places
from interp.attention.sink_tests.arms import Arm
from interp.attention.sink_tests.edits import RefusedError
from interp.attention.sink_tests.setting import Case, Setting, Spike
from interp.models import require_causal
from interp.run import Ablate, Clamp, capture_batches
from interp.sites import Site

CONSTANT = 1e-4
"""Relative spread over prompts below which the first token counts as the same in all of them."""


def massive_zero(setting: Setting) -> Case:
    """Set the first token's massive dimensions to zero; control: as many random dimensions."""
    spike = setting.spike
    return Case(
        "massive_zero",
        f"set dimensions {_named(spike)} of the first token to zero after layer {spike.layer}",
        "set as many random other dimensions of it to zero",
        _zeroed(spike, spike.massive.dimensions),
        tuple(_zeroed(spike, chosen) for chosen in _random_dimensions(setting)),
        budget_unit="summed magnitude of the dimensions",
        note=_criterion(spike),
    )


def massive_mean(setting: Setting) -> Case:
    """Set the massive dimensions to their mean over prompts; control: as many random dimensions to theirs."""
    spike = _varying(setting)
    return Case(
        "massive_mean",
        f"set dimensions {_named(spike)} of the first token to their mean over prompts after layer {spike.layer}",
        "set as many random other dimensions of it to their means",
        _to_mean(spike, spike.massive.dimensions),
        tuple(_to_mean(spike, chosen) for chosen in _random_dimensions(setting)),
        budget_unit="summed mean magnitude of the change",
        note=_criterion(spike),
    )


def massive_zero_mean(setting: Setting) -> Case:
    """Set the massive dimensions to zero; control: to their mean, which removes content and keeps a bias."""
    spike = _varying(setting)
    return Case(
        "massive_zero_mean",
        f"set dimensions {_named(spike)} of the first token to zero after layer {spike.layer}",
        "set the same dimensions to their mean over prompts",
        _zeroed(spike, spike.massive.dimensions),
        (_to_mean(spike, spike.massive.dimensions),),
        budget_unit="summed mean magnitude of the change",
        note=_criterion(spike),
    )


def spike_neuron_test(setting: Setting) -> Case:
    """Set the neuron that writes most at the first token to zero; control: random neurons of its layer."""
    model, site = setting.subject.model, Site(setting.spike.layer, "post")
    require_causal(model, "post")
    seen = capture_batches(model, setting.subject.batch, [site], rows_per_batch=setting.rows_per_batch)
    post = np.concatenate([found[site][:, 0].float().cpu().numpy() for _, found in seen])
    lengths = model.blocks[site.layer].mlp.W_out.detach().float().norm(dim=-1).cpu().numpy()
    if len(lengths) != post.shape[1]:
        raise RefusedError(
            f"W_out has {len(lengths)} rows for {post.shape[1]} neurons, so what each writes is not known."
        )
    writes = np.abs(post).mean(0) * lengths
    neuron = places.spike_neuron(post, lengths)
    rng = np.random.default_rng(setting.seed)
    others = rng.choice(np.delete(np.arange(len(writes)), neuron), min(setting.n_draws, len(writes) - 1), replace=False)
    before, after = setting.spike.growth
    return Case(
        "spike_neuron",
        f"set neuron {neuron} of layer {site.layer} to zero, at every position",
        "set one random other neuron of the layer to zero, at every position",
        Arm(sites={site: Clamp((neuron,))}, budget=float(writes[neuron])),
        tuple(Arm(sites={site: Clamp((int(other),))}, budget=float(writes[other])) for other in others),
        budget_unit="norm of what the neuron writes at the first token",
        note=f"this layer lets the first token's mean norm grow most, from {before:.3g} to {after:.3g}",
    )


def head_test(setting: Setting, domain: str, layer: int, head: int) -> Case:
    """Zero one head on prompts of a domain; control: other heads of its layer.

    Raises:
        RefusedError: the layer has no other head.
    """
    require_causal(setting.subject.model, "z")
    sink = setting.sink_by_head.mean(0)
    others = np.delete(np.arange(sink.shape[1]), head)
    if not len(others):
        raise RefusedError(f"Layer {layer} has one head, so there is no other to compare it with.")
    rng = np.random.default_rng([setting.seed, layer, head])
    chosen = rng.choice(others, min(setting.n_draws, len(others)), replace=False)
    return Case(
        f"L{layer}H{head} on {domain}",
        f"set z of L{layer}H{head} to zero",
        "set z of one random other head of the layer to zero",
        _without_head(layer, head, float(sink[layer, head])),
        tuple(_without_head(layer, int(other), float(sink[layer, other])) for other in chosen),
        budget_unit="the head's own attention to the first token in this domain",
    )


def _without_head(layer: int, head: int, sink: float) -> Arm:
    return Arm(sites={Site(layer, "z", head=head): Ablate.zero()}, budget=sink)


def _varying(setting: Setting) -> Spike:
    spike = setting.spike
    chosen = spike.first[:, list(spike.massive.dimensions)]
    if np.ptp(chosen, axis=0).max() <= CONSTANT * np.abs(chosen).max():
        raise RefusedError(
            "The first token and so its stream is the same in all prompts (BOS sees only itself): the mean is what "
            "stands there already, and setting it would change nothing. Give prompts that begin with different tokens."
        )
    return spike


def _named(spike: Spike) -> str:
    return ", ".join(map(str, spike.massive.dimensions))


def _criterion(spike: Spike) -> str:
    found = spike.massive
    size = f"the largest is {found.size:.3g}, {found.ratio:.3g} times the median"
    if found.published:
        return f"massive activations: {size}"
    return (
        f"no massive activation (above {places.MASSIVE_SIZE:g} and {places.MASSIVE_RATIO:g} times the median), so the "
        f"{len(found.dimensions)} largest dimensions: {size}"
    )


def _random_dimensions(setting: Setting) -> list[tuple[int, ...]]:
    massive, width = setting.spike.massive.dimensions, setting.spike.first.shape[1]
    free, rng = np.delete(np.arange(width), list(massive)), np.random.default_rng(setting.seed)
    return [tuple(rng.choice(free, len(massive), replace=False).tolist()) for _ in range(setting.n_draws)]


def _zeroed(spike: Spike, dimensions: tuple[int, ...]) -> Arm:
    size = np.abs(spike.first[:, list(dimensions)]).mean(0).sum()
    return Arm(sites={Site(spike.layer, "resid_post", pos=0): Clamp(dimensions)}, budget=float(size))


def _to_mean(spike: Spike, dimensions: tuple[int, ...]) -> Arm:
    chosen = spike.first[:, list(dimensions)]
    mean = chosen.mean(0)
    edit = Clamp(dimensions, torch.from_numpy(mean))
    return Arm(sites={Site(spike.layer, "resid_post", pos=0): edit}, budget=float(np.abs(chosen - mean).mean(0).sum()))
