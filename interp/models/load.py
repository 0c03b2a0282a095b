"""Load a model by name as a plain TransformerBridge that every TransformerLens tool works on."""

from typing import TYPE_CHECKING, Any

from interp.errors import InputError, ModelError
from interp.models.quiet import quiet_loading
from interp.models.refusals import check_config, check_weights
from interp.models.sources import COMPILED, RANDOM, Source, find_source

if TYPE_CHECKING:
    import torch
    import transformer_lens.model_bridge

DTYPES = ("float32", "bfloat16", "float16", "float64")
_HEADS = ("cls.", "lm_head.", "pooler.", "bert.pooler.", "classifier.", "vocab_")
"""Beginnings of the weights that a sentence encoder is published without."""


def load_model(
    name: str,
    *,
    dtype: str = "float32",
    device: str = "cpu",
    seed: int = 0,
    allow_remote_code: bool = False,
    revision: str | None = None,
) -> "transformer_lens.model_bridge.TransformerBridge":
    """Load a hooked model: eval mode, no gradients, raw weights (nothing folded or centred), eager attention.

    Args:
        name: A local directory (needs no network), a hub name, `zoo:NAME` for a shipped model, `compiled:NAME` for one
            whose weights are set by hand, or `random:` before any of these: the same architecture and tokenizer with
            seeded random weights, the control of every analysis. A directory wins over a hub name spelled alike.
        dtype: `float32`, `bfloat16`, `float16` or `float64`.
        device: Where it runs, e.g. `cpu` or `cuda:0`.
        seed: Seed of the random weights, and of a head that the directory lacks.
        allow_remote_code: Run Python code that comes with the model. Read it first.
        revision: Branch, tag or commit of a hub model.

    Returns:
        The bridge; `facts(model)` says what it is, `describe(model)` what can be edited in it.

    Raises:
        InputError: an unknown dtype, or a device that this machine lacks.
        ModelError: a model that cannot be found, read or trusted, or whose tokenizer is unusable.
    """
    if dtype not in DTYPES:
        raise InputError(f"No dtype {dtype!r}. Expected one of {list(DTYPES)}.")
    if name.removeprefix(RANDOM).startswith(COMPILED):
        from interp.models.compiled.bridge import load_compiled

        return load_compiled(name, dtype=dtype, device=checked_device(device), seed=seed, revision=revision)
    source = find_source(name, revision=revision, allow_remote_code=allow_remote_code)
    config = check_config(source.directory, allow_remote_code=allow_remote_code)
    if not source.random:
        check_weights(source.directory)
    where = checked_device(device)
    with quiet_loading():
        return _boot(source, config, dtype=dtype, device=where, seed=seed, trust=allow_remote_code)


def checked_device(device: str) -> "torch.device":
    """The device of this name.

    Raises:
        InputError: torch cannot use it here.
    """
    import torch

    try:
        where = torch.device(device)
        if where.type == "meta":
            raise RuntimeError("it holds no numbers")
        torch.empty(1, device=where)
    except (RuntimeError, AssertionError, ValueError, NotImplementedError) as error:
        line = str(error).strip().splitlines()[0].rstrip(".")
        raise InputError(
            f"Device {device!r} cannot be used: {line}. Use 'cpu', or a device that torch finds here."
        ) from error
    return where


def _boot(source: Source, config: dict[str, Any], *, dtype: str, device: "torch.device", seed: int, trust: bool) -> Any:
    import torch
    from transformer_lens.model_bridge import TransformerBridge
    from transformer_lens.tools.analysis import random_init_bridge

    from interp.models import native
    from interp.models.identity import remember
    from interp.models.tokenizers import check_tokenizer, load_tokenizer

    element = getattr(torch, dtype)
    own = native.is_native(config)
    loader = _RecordingLoader(None if own else _model_class(source, trust), element)
    settings: dict[str, Any] = {
        "tokenizer": load_tokenizer(source.directory, trust),
        "model_class": loader,
        "trust_remote_code": trust,
        "dtype": element,
        "device": device,
    }
    try:
        if own:
            given = {name: settings[name] for name in ("tokenizer", "dtype", "device")}
            model = native.boot(source, config, seed=seed, **given)
        elif source.random:
            model = random_init_bridge(str(source.directory), seed=seed, **settings)
        else:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                model = TransformerBridge.boot_transformers(str(source.directory), **settings)
    except (OSError, RuntimeError, ValueError, KeyError, AttributeError, TypeError, NotImplementedError) as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"{source.directory} cannot be loaded: {line} Check that config.json belongs to these weights."
        ) from error
    untrained = () if source.random else _untrained_head(source, loader.missing)
    check_tokenizer(model, source.directory)
    model.eval().requires_grad_(False)
    remember(model, source, untrained)
    return model


def _model_class(source: Source, trust: bool) -> Any:
    """Choose the Hugging Face class for the config, or refuse an architecture that cannot be hooked."""
    from transformer_lens.model_bridge.sources.transformers import (
        determine_architecture_from_hf_config,
        get_hf_model_class_for_architecture,
    )
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(source.directory, trust_remote_code=trust)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        line = str(error).strip().splitlines()[0]
        raise ModelError(f"The config.json of {source.directory} is not understood: {line}") from error
    named = config.architectures or [config.model_type]
    try:
        architecture = determine_architecture_from_hf_config(config)
    except ValueError as error:
        raise ModelError(
            f"{source.directory} is a {named[0]}, which TransformerLens cannot hook. Expected an architecture it "
            "supports, such as GPT-2, Llama, Qwen, Gemma, Mistral, Mixtral, GPT-NeoX, gpt-oss or BERT."
        ) from error
    if architecture.endswith("ForConditionalGeneration"):
        raise ModelError(
            f"{source.directory} is a {architecture}: it reads images or sound, or has an encoder beside its decoder. "
            "Expected a text decoder (...ForCausalLM) or a text encoder (...ForMaskedLM)."
        )
    return get_hf_model_class_for_architecture(architecture)


def _untrained_head(source: Source, missing: set[str]) -> tuple[str, ...]:
    """Refuse weights that lack more than the head of an encoder: the loader would fill the gap with random numbers."""
    encoder = all(name.startswith(_HEADS) for name in missing) and not any(
        name.startswith("lm_head") for name in missing
    )
    if missing and not encoder:
        raise ModelError(
            f"{source.directory} lacks {len(missing)} weights that its config.json asks for, first {min(missing)!r}. "
            "They would be random: copy or download the model again, or load random: before the name on purpose."
        )
    return tuple(sorted(missing))


class _RecordingLoader:
    """Stand in for the Hugging Face class inside TransformerLens's loader, to see and set what it does not pass on.

    It never reads a pickle, tells which weights the files lacked, and builds random weights in the asked dtype:
    casting them after wrapping, as `random_init_bridge` does, breaks the forward pass in bfloat16.
    """

    def __init__(self, model_class: Any, dtype: "torch.dtype"):
        self.model_class, self.dtype = model_class, dtype
        self.missing: set[str] = set()

    def from_pretrained(self, name: str, **settings: Any) -> Any:
        model, report = self.model_class.from_pretrained(
            name, output_loading_info=True, use_safetensors=True, local_files_only=True, **settings
        )
        self.missing = set(report["missing_keys"])
        return model

    def from_config(self, config: Any, **settings: Any) -> Any:
        return self.model_class.from_config(config, dtype=self.dtype, attn_implementation="eager", **settings)
