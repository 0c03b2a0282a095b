"""From the weights of a compiled model to a hooked model: TransformerLens's own architecture, without norms."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformer_lens.config import TransformerBridgeConfig
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.model_bridge.sources import build_bridge_from_module
from transformer_lens.model_bridge.sources.native import NativeModel, initialize_native_model
from transformers import PreTrainedTokenizerFast

from interp.errors import ModelError
from interp.models.compiled import compiled_model
from interp.models.compiled.language import BOS, N_CTX, SPECIAL
from interp.models.compiled.model import CompiledModel
from interp.models.compiled.weights import LayerWeights, Weights
from interp.models.identity import remember
from interp.models.quiet import quiet_loading
from interp.models.sources import RANDOM, Source
from interp.models.tokenizers import check_tokenizer


def load_compiled(
    name: str, *, dtype: str, device: torch.device, seed: int, revision: str | None = None
) -> TransformerBridge:
    """Load `compiled:NAME`, or `random:compiled:NAME`; called by `load_model`.

    Raises:
        ModelError: there is no such model, or a revision was asked for.
        InputError: a random circuit of a size out of range.
    """
    bare = name.removeprefix(RANDOM)
    built = compiled_model(bare)
    if revision is not None:
        raise ModelError(f"{name!r} is built in code, which has no revision {revision!r}. Leave the revision out.")
    random_seed = None if name == bare else seed
    with quiet_loading():
        model = boot_compiled(built, dtype=getattr(torch, dtype), device=device, random_seed=random_seed)
    check_tokenizer(model, Path(bare))
    model.eval().requires_grad_(False)
    remember(model, Source(name, Path(bare), name != bare, None), ())
    return model


def boot_compiled(
    model: CompiledModel, *, dtype: torch.dtype, device: torch.device, random_seed: int | None = None
) -> TransformerBridge:
    """Build the bridge.

    Args:
        model: The compiled model.
        dtype: The weights are whole numbers and roots; float32 rounds what they compute, float64 hardly does.
        device: Where it runs.
        random_seed: Draw random weights of the same shape instead, the control.
    """
    name, architecture = f"compiled:{model.name}", "TransformerLensNative"
    cfg = _config(model, random_seed)
    native = NativeModel(cfg).to(device, dtype)
    if random_seed is None:
        with torch.no_grad():
            _fill(native, model.weights)
    else:
        with torch.random.fork_rng(devices=[]):
            initialize_native_model(native, cfg)
    tokenizer = _tokenizer(model, name)
    settings: dict[str, Any] = {"tl_config": cfg, "tokenizer": tokenizer, "dtype": dtype, "device": device}
    return build_bridge_from_module(native, architecture, model_name=name, **settings)


def _config(model: CompiledModel, seed: int | None) -> TransformerBridgeConfig:
    weights = model.weights
    n_heads, d_model, d_head = weights.layers[0].W_Q.shape
    return TransformerBridgeConfig(
        architecture="TransformerLensNative",
        d_model=d_model,
        d_head=d_head,
        n_heads=n_heads,
        n_layers=len(weights.layers),
        n_ctx=N_CTX,
        d_vocab=len(weights.W_E),
        d_mlp=weights.d_mlp or None,
        attn_only=weights.d_mlp == 0,
        act_fn="relu",
        normalization_type=None,
        seed=seed,
    )


def _fill(native: NativeModel, weights: Weights) -> None:
    _set(native.tok_embed.weight, weights.W_E)
    if native.pos is not None:  # always so with learned positions, which the type does not say
        _set(native.pos.weight, weights.W_pos)
    _set(native.head.weight, weights.W_U.T)
    for block, layer in zip(native.layers, weights.layers, strict=True):
        _fill_layer(block, layer)


def _fill_layer(block: Any, layer: LayerWeights) -> None:
    for name, matrix in (("q", layer.W_Q), ("k", layer.W_K), ("v", layer.W_V)):
        part = getattr(block.attn, name)
        _set(part.weight, matrix.swapaxes(1, 2).reshape(-1, matrix.shape[1]))
        part.bias.zero_()
    _set(block.attn.o.weight, layer.W_O.reshape(-1, layer.W_O.shape[-1]).T)
    block.attn.o.bias.zero_()
    if layer.W_in.shape[1]:
        _set(block.mlp.fc_in.weight, layer.W_in.T)
        _set(block.mlp.fc_in.bias, layer.b_in)
        _set(block.mlp.fc_out.weight, layer.W_out.T)
        _set(block.mlp.fc_out.bias, layer.b_out)


def _set(parameter: torch.Tensor, values: Any) -> None:
    parameter.copy_(torch.from_numpy(values.copy()))


def _tokenizer(model: CompiledModel, name: str) -> PreTrainedTokenizerFast:
    """One token per word, split at spaces; BOS is put before every text."""
    pad, bos, eos, unk = SPECIAL
    backend = Tokenizer(
        models.WordLevel({word: number for number, word in enumerate(model.circuit.vocabulary)}, unk_token=unk)
    )
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, BOS)])
    special: dict[str, Any] = {"bos_token": bos, "eos_token": eos, "pad_token": pad, "unk_token": unk}
    # Without add_bos_token TransformerLens would look for a tokenizer of this name on the hub.
    return PreTrainedTokenizerFast(tokenizer_object=backend, name_or_path=name, add_bos_token=True, **special)
