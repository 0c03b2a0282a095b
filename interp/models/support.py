"""What an architecture can do here: which kinds of site exist and which reach the output when edited, all measured."""

from dataclasses import asdict, dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int
from transformer_lens.model_bridge import TransformerBridge

from interp.errors import ModelError, SiteError
from interp.models.architecture import architecture_facts, caution, scores_repeat_pattern
from interp.models.probe import Probe, is_open, probe_kinds, probe_layers
from interp.models.text import encode
from interp.sites import HEAD_KINDS, KINDS, NEURON_KINDS, SQUARE_HEAD_KINDS, Site

PROBE_TEXT = "When Mary and John went to the store, John gave a drink to Mary."
_INSTEAD = {
    "attn_scores": ("pattern", "z"),
    "pattern": ("z", "attn_out"),
    "pre": ("mlp_out",),
    "post": ("mlp_out",),
    "result": ("z",),
    "resid_mid": ("resid_pre", "resid_post"),
    "q": ("z",),
    "k": ("z",),
    "v": ("z",),
    "z": ("attn_out", "resid_post"),
}
_ALL_EXPERTS = "its hook is the input or output of all experts together, as wide as the model, so it holds no neurons."
_PATTERN_AGAIN = "its hook shows the pattern a second time, after softmax, and no scores."
_RESULT_SWITCH = "model.set_use_attn_result(True)"


@dataclass(frozen=True)
class Support:
    """What can be done at one kind of site."""

    kind: str
    exists: bool
    """Its hook is registered, fires, and carries what its name says."""
    causal: bool
    """An edit changes the output, from the first layer and from the last."""
    needs_flag: str
    """The call that switches the hook on; empty where none is needed."""
    shape: str
    """Axes of the activation."""
    effect_early: float
    """Largest change of a logit after zeroing the first layer's, in standard deviations of the logits."""
    effect_late: float
    """The same for the last layer."""
    reason: str
    """Why it does not exist or is not causal, or what to mind when reading it; else empty."""
    instead: str
    """The nearest kind that is causal, where this one is not; else empty."""


@dataclass(frozen=True)
class Description:
    """Capabilities of one loaded model."""

    architecture: str
    rows: tuple[Support, ...]
    facts: dict[str, Any]
    """Groups of heads, windows, soft caps, experts, sinks and the like, by name."""

    def row(self, kind: str) -> Support:
        """Return what can be done at one kind of site.

        Raises:
            SiteError: there is no such kind.
        """
        for row in self.rows:
            if row.kind == kind:
                return row
        raise SiteError(f"No site kind {kind!r}. Expected one of {list(KINDS)}.")

    def to_dataframe(self) -> pd.DataFrame:
        """Return one row per kind of site."""
        return pd.DataFrame([asdict(row) for row in self.rows])


_described: WeakKeyDictionary[TransformerBridge, Description] = WeakKeyDictionary()


def describe(model: TransformerBridge, tokens: Int[np.ndarray, " pos"] | None = None) -> Description:
    """Measure what can be read and edited in a model, with about 40 forward passes over one short prompt.

    Causal is measured at the first and the last layer by zeroing; layers between are taken to behave alike. It says
    that an edit can reach the output, not that the site matters for any behaviour.

    Args:
        model: Any bridge in eval mode. Without `tokens` the answer is kept for as long as the model lives.
        tokens: Ids of the prompt to probe with; by default a short English sentence.

    Raises:
        ModelError: the model is in training mode, has no stack of blocks, or its logits are not finite.
    """
    if tokens is not None:
        return _measure(model, tokens)
    if model not in _described:
        _described[model] = _measure(model, _probe_ids(model))
    return _described[model]


def require_exists(model: TransformerBridge, kind: str) -> None:
    """Refuse a kind of site that this model does not have, or whose hook is not switched on.

    Raises:
        SiteError: naming the architecture, the reason and the kind to use instead.
    """
    description = describe(model)
    row = description.row(kind)
    if not row.exists:
        raise SiteError(f"{description.architecture} has no site {kind!r}: {row.reason}{_advice(row)}")
    if row.needs_flag and not is_open(model, Site(0, kind)):
        raise SiteError(f"The hook of {kind!r} is switched off in this model. Call {row.needs_flag} first.")


def require_causal(model: TransformerBridge, kind: str) -> None:
    """Refuse a kind of site whose edit would change nothing in this model.

    Raises:
        SiteError: naming the architecture, the reason and the kind to use instead.
    """
    require_exists(model, kind)
    description = describe(model)
    row = description.row(kind)
    if not row.causal:
        raise SiteError(
            f"On {description.architecture} {kind!r} can be read but not edited: {row.reason}{_advice(row)}"
        )


def _advice(row: Support) -> str:
    return f" Use {row.instead!r} instead." if row.instead else " No other kind does in its place."


def _probe_ids(model: TransformerBridge) -> np.ndarray:
    if model.tokenizer is not None:
        return encode(model, PROBE_TEXT)[: model.cfg.n_ctx]
    rng = np.random.default_rng(0)
    return rng.integers(model.cfg.d_vocab, size=min(16, model.cfg.n_ctx))


def _measure(model: TransformerBridge, ids: np.ndarray) -> Description:
    if model.training:
        raise ModelError("This model is in training mode, where dropout hides effects. Call model.eval() first.")
    if Site(0, "resid_pre").hook_name not in model.hook_dict:
        raise ModelError(
            f"{model.cfg.architecture} has no stack of transformer blocks. Expected a text decoder or encoder."
        )
    tokens = torch.from_numpy(ids)[None].to(model.cfg.device)
    with torch.no_grad():
        if not model(tokens).isfinite().all():
            raise ModelError(f"The logits are not finite in {model.cfg.dtype}. Load the model in float32.")
    probes = probe_kinds(model, tokens)
    facts = architecture_facts(model, tokens, probes)
    misnamed = _misnamed(model, tokens)
    rows = tuple(_row(model, kind, probes, misnamed) for kind in KINDS)
    return Description(str(model.cfg.architecture), rows, facts)


def _row(model: TransformerBridge, kind: str, probes: dict[str, Probe], misnamed: dict[str, str]) -> Support:
    probe = probes[kind]
    exists = probe.fires and kind not in misnamed
    causal = exists and probe.causal
    instead = next((other for other in _INSTEAD.get(kind, ()) if probes[other].causal), "")
    early, late = probe.effects if exists else (float("nan"), float("nan"))
    return Support(
        kind=kind,
        exists=exists,
        causal=causal,
        needs_flag=_RESULT_SWITCH if kind == "result" and exists else "",
        shape=_axes(kind) if exists else "",
        effect_early=early,
        effect_late=late,
        reason=caution(model, kind) if causal else misnamed.get(kind) or _reason(kind, exists, probes),
        instead="" if causal else instead,
    )


def _misnamed(model: TransformerBridge, tokens: torch.Tensor) -> dict[str, str]:
    """Find the kinds whose hook carries something else than its name says, and say what."""
    whole = {kind: _ALL_EXPERTS for kind in NEURON_KINDS if _stands_for_whole_mlp(model, kind)}
    return {**whole, "attn_scores": _PATTERN_AGAIN} if scores_repeat_pattern(model, tokens) else whole


def _stands_for_whole_mlp(model: TransformerBridge, kind: str) -> bool:
    """Whether the neuron hook is only another name for the input or output of the whole layer, as with experts."""
    hooks = model.hook_dict
    whole = [hooks.get(f"blocks.{layer}.mlp.hook_{end}") for layer in probe_layers(model) for end in ("in", "out")]
    return any(hooks.get(Site(layer, kind).hook_name, "none") in whole for layer in probe_layers(model))


def _reason(kind: str, exists: bool, probes: dict[str, Probe]) -> str:
    if exists:
        return "its hook shows a copy, and an edit left the logits as they were."
    if kind == "resid_mid" and probes["mlp_out"].fires:
        return "attention and MLP read the same input side by side, so there is no residual stream between them."
    if kind == "result":
        return "this attention cannot split its output by head."
    return "no such hook fired in the first and the last layer."


def _axes(kind: str) -> str:
    if kind in SQUARE_HEAD_KINDS:
        return "batch head dest_pos src_pos"
    if kind == "result":
        return "batch pos head d_model"
    if kind in HEAD_KINDS:
        return "batch pos kv_head d_head" if kind in ("k", "v") else "batch pos head d_head"
    return f"batch pos {'d_mlp' if kind in NEURON_KINDS else 'd_model'}"
