"""What a model is: sizes, fingerprint of its weights, tokenizer and BOS policy, as results keep them."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from transformer_lens.model_bridge import TransformerBridge

from interp.models.sources import Source
from interp.models.tokenizers import frame
from interp.results import Provenance, hash_array, library_versions


@dataclass(frozen=True)
class ModelFacts:
    """Identity and sizes of a loaded model."""

    name: str
    """The name it was loaded by."""
    fingerprint: str
    """Hash over the architecture and every parameter's name, shape and bytes: one changed weight changes it."""
    tokenizer: str
    """Hash of the tokenizer's vocabulary, merges and special tokens; empty without a tokenizer."""
    dtype: str
    device: str
    bos: bool
    """Whether a beginning-of-sequence token (`[CLS]` for encoders) is put before every text."""
    revision: str | None
    """Commit of a hub model; None for a directory."""
    architecture: str
    n_layers: int
    n_heads: int
    n_kv_heads: int
    d_model: int
    d_head: int
    d_mlp: int
    """Neurons per MLP, or per expert; 0 without an MLP."""
    d_vocab: int
    n_ctx: int
    n_params: int
    untrained: tuple[str, ...]
    """Weights that the files lacked, drawn at random with the seed: a sentence encoder's masked-LM head, for one."""
    weights: str
    """`raw` as published, or `processed` after TransformerLens folded or centred them."""


_origins: WeakKeyDictionary[TransformerBridge, tuple[Source, tuple[str, ...]]] = WeakKeyDictionary()
_known: WeakKeyDictionary[TransformerBridge, tuple[tuple[Any, ...], ModelFacts]] = WeakKeyDictionary()


def remember(model: TransformerBridge, source: Source, untrained: tuple[str, ...]) -> None:
    """Note where a model came from, for as long as the model lives."""
    _origins[model] = source, untrained


def facts(model: TransformerBridge) -> ModelFacts:
    """Say what a model is; works for bridges that load_model did not make, too.

    The fingerprint is computed once and again whenever a parameter has been replaced or changed in place by an
    optimizer or by weight processing. Writing through `parameter.data` is invisible to torch, and so to this check.
    """
    state = _state(model)
    if model not in _known or _known[model][0] != state:
        _known[model] = state, _read_facts(model)
    return _known[model][1]


def provenance(model: TransformerBridge, *, tokens: Sequence[np.ndarray], call: str, seed: int = 0) -> Provenance:
    """Build the provenance of a result made on this model.

    Args:
        model: The model that was run.
        tokens: All token ids that went in, one array per prompt or batch.
        call: The call that made the result, with its settings.
        seed: The seed of whatever was drawn at random.
    """
    known = facts(model)
    return Provenance(
        model=known.name,
        fingerprint=known.fingerprint,
        tokenizer=known.tokenizer,
        tokens=hash_array(*tokens),
        dtype=known.dtype,
        bos=known.bos,
        call=call,
        seed=seed,
        weights=known.weights,
        versions=library_versions(),
    )


def _parameters(model: TransformerBridge) -> dict[str, torch.nn.Parameter]:
    return dict(model.original_model.named_parameters())


def _state(model: TransformerBridge) -> tuple[Any, ...]:
    # torch counts the in-place changes of a tensor in _version, and offers no public way to read the count.
    counts = tuple((id(weight), weight.data_ptr(), weight._version) for weight in _parameters(model).values())
    return (*counts, id(model.tokenizer), _weights(model))


def _weights(model: TransformerBridge) -> str:
    return "processed" if getattr(model, "_weights_processed", False) else "raw"


def _read_facts(model: TransformerBridge) -> ModelFacts:
    cfg, parameters = model.cfg, _parameters(model)
    source, untrained = _origins.get(model, (None, ()))
    first = next(iter(parameters.values()))
    return ModelFacts(
        name=source.name if source else str(cfg.model_name),
        fingerprint=_fingerprint(str(cfg.architecture), parameters),
        tokenizer=_tokenizer_hash(model.tokenizer) if model.tokenizer else "",
        dtype=str(first.dtype).removeprefix("torch."),
        device=str(first.device),
        bos=bool(model.tokenizer) and bool(frame(model).before),
        revision=source.revision if source else None,
        architecture=str(cfg.architecture),
        n_layers=cfg.n_layers,
        n_heads=cfg.n_heads,
        n_kv_heads=cfg.n_key_value_heads or cfg.n_heads,
        d_model=cfg.d_model,
        d_head=cfg.d_head,
        d_mlp=cfg.d_mlp or 0,
        d_vocab=cfg.d_vocab,
        n_ctx=cfg.n_ctx,
        n_params=_count(parameters),
        untrained=untrained,
        weights=_weights(model),
    )


def _count(parameters: dict[str, torch.nn.Parameter]) -> int:
    """Count parameters once: beside a joint qkv matrix TransformerLens keeps copies split into q, k and v."""
    joint = {name.split(".qkv.")[0] for name in parameters if ".qkv." in name}
    copies = tuple(f"{place}.{part}." for place in joint for part in "qkv")
    return sum(weight.numel() for name, weight in parameters.items() if not name.startswith(copies))


def _fingerprint(architecture: str, parameters: dict[str, torch.nn.Parameter]) -> str:
    digest = hashlib.sha256(architecture.encode())
    for name, weight in sorted(parameters.items()):
        digest.update(f"{name}{tuple(weight.shape)}{weight.dtype}".encode())
        digest.update(weight.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


def _tokenizer_hash(tokenizer: Any) -> str:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    content = json.loads(backend.to_str()) if backend else {"vocab": tokenizer.get_vocab()}
    # Padding and truncation are settings of the last call, not of the vocabulary.
    kept = {key: value for key, value in content.items() if key not in ("padding", "truncation")}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]
