"""Directories of small models in TransformerLens's own architecture, which Hugging Face has no class for.

Such a directory holds `config.json` with `architectures: ["TransformerLensNative"]` and the architecture's settings
under `native`, `model.safetensors` and an ordinary tokenizer. It is loaded by `load_model` like any other.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from interp.errors import ModelError
from interp.files import write_atomically
from interp.models.quiet import quiet_loading
from interp.models.refusals import CONFIG_FILE, WEIGHTS_FILE
from interp.models.sources import Source

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge
    from transformer_lens.model_bridge.sources.native import NativeModel

ARCHITECTURE = "TransformerLensNative"
UNKNOWN, BOS = "<unk>", "<bos>"


def is_native(config: dict[str, Any]) -> bool:
    """Whether a `config.json` describes a model of this format."""
    return config.get("architectures") == [ARCHITECTURE]


def build(settings: dict[str, Any], *, seed: int = 0) -> "NativeModel":
    """Build the plain module of these settings with random weights; training it trains what `load_model` loads."""
    with quiet_loading(), torch.random.fork_rng(devices=[]):
        from transformer_lens.config import TransformerBridgeConfig
        from transformer_lens.model_bridge.sources.native import NativeModel, initialize_native_model

        module = NativeModel(TransformerBridgeConfig.from_dict(dict(settings)))
        initialize_native_model(module, module.cfg, seed=seed)
    return module


def word_tokenizer(words: list[str], *, n_ctx: int) -> PreTrainedTokenizerFast:
    """Make a tokenizer that splits at whitespace and knows these words by their place in the list.

    Args:
        words: The vocabulary; must hold `<unk>`, which any other word becomes. Texts begin with `<bos>` if it is there.
        n_ctx: Longest text, in tokens.
    """
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {"unk_token": UNKNOWN}
    if BOS in words:
        # TransformerLens finds an end-of-text token for a tokenizer without one, takes <unk>, and strips it.
        special |= dict.fromkeys(("bos_token", "eos_token", "pad_token"), BOS)
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{BOS} $A", special_tokens=[(BOS, words.index(BOS))]
        )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=n_ctx, padding_side="right", **special)


def write_directory(out: Path, settings: dict[str, Any], state: dict[str, Tensor], words: list[str]) -> Path:
    """Write a model that `load_model` loads: settings, weights and a tokenizer of whole words.

    Returns:
        `out`, made if it was not there.
    """
    out.mkdir(parents=True, exist_ok=True)
    # Without a BOS of its own, TransformerLens would take the unknown word for one.
    told = {**settings, "default_prepend_bos": BOS in words}
    config = {"architectures": [ARCHITECTURE], "native": told}
    write_atomically(out / CONFIG_FILE, lambda part: part.write_text(json.dumps(config, indent=1) + "\n"))
    content = {name: weight.detach().contiguous().clone() for name, weight in state.items()}
    write_atomically(out / WEIGHTS_FILE, lambda part: save_file(content, part))
    word_tokenizer(words, n_ctx=settings["n_ctx"]).save_pretrained(out)
    return out


def boot(
    source: Source, config: dict[str, Any], *, tokenizer: Any, dtype: torch.dtype, device: torch.device, seed: int
) -> "TransformerBridge":
    """Hook a model of this format, with its stored weights, or with random ones where the source asks for them.

    Raises:
        ModelError: the settings are not those of the architecture, or the weights are not those of the settings.
    """
    from transformer_lens.model_bridge.sources import build_bridge_from_module

    settings = config.get("native")
    if not isinstance(settings, dict):
        raise ModelError(
            f"The config.json of {source.directory} has no settings under 'native'. Expected those of the architecture."
        )
    module = build(settings, seed=seed)
    if not source.random:
        module.load_state_dict(load_file(source.directory / WEIGHTS_FILE), strict=True)
    where: dict[str, Any] = {"dtype": dtype, "device": device}
    return build_bridge_from_module(
        module.to(**where), ARCHITECTURE, tl_config=module.cfg, tokenizer=tokenizer, model_name=source.name, **where
    )
