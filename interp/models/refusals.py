"""What is refused from the files of a model directory alone, before any weight is read. No torch."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from interp.errors import ModelError

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
_REMOTE_CODE_FILES = (CONFIG_FILE, "tokenizer_config.json")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


def check_config(directory: Path, *, allow_remote_code: bool) -> dict[str, Any]:
    """Read `config.json` and refuse it where it is missing, broken or asks for code from elsewhere.

    Returns:
        The settings.

    Raises:
        ModelError: saying which of these it is.
    """
    path = directory / CONFIG_FILE
    if not path.is_file():
        raise ModelError(
            f"{directory} has no {CONFIG_FILE}. Expected a Hugging Face model directory, as save_pretrained writes."
        )
    config = _read_settings(path)
    for name in _REMOTE_CODE_FILES:
        if (directory / name).is_file() and "auto_map" in _read_settings(directory / name) and not allow_remote_code:
            raise ModelError(
                f"{directory / name} asks to run code that comes with the model (auto_map). It was not run: "
                "read that code, and pass allow_remote_code=True only if you trust it."
            )
    return config


def check_weights(directory: Path) -> None:
    """Refuse missing, pickled, unreadable, truncated or incomplete weights, from headers and sizes alone.

    Raises:
        ModelError: naming the file.
    """
    index, single = directory / INDEX_FILE, directory / WEIGHTS_FILE
    if single.is_file():
        _tensor_names(single)
    elif index.is_file():
        _check_shards(directory, indexed_shards(index))
    elif pickles := sorted(path.name for pattern in _PICKLES for path in directory.glob(pattern)):
        raise ModelError(
            f"{directory} has its weights only as pickle files {pickles}, which can run code and are never loaded. "
            "Convert them: load them where you trust them and call save_pretrained, which writes safetensors."
        )
    else:
        raise ModelError(f"{directory} has no weights. Expected {WEIGHTS_FILE}, or {INDEX_FILE} with its shards.")


def indexed_shards(index: Path) -> dict[str, set[str]]:
    """Read a shard index.

    Returns:
        The tensor names that each shard file is to hold.

    Raises:
        ModelError: the index is broken, or names a file outside its directory.
    """
    weight_map = _read_settings(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelError(
            f"{index} has no weight_map. Expected the index that save_pretrained writes beside its shards."
        )
    shards: dict[str, set[str]] = {}
    for tensor, shard in weight_map.items():
        if not isinstance(shard, str) or Path(shard).name != shard or not shard.endswith(".safetensors"):
            raise ModelError(f"{index} puts {tensor!r} into {shard!r}. Expected a *.safetensors file beside the index.")
        shards.setdefault(shard, set()).add(tensor)
    return shards


def _check_shards(directory: Path, shards: dict[str, set[str]]) -> None:
    if missing := sorted(shard for shard in shards if not (directory / shard).is_file()):
        raise ModelError(
            f"{directory} lacks the shards {missing} that its index names. Copy or download the model again."
        )
    for shard, expected in shards.items():
        if absent := sorted(expected - _tensor_names(directory / shard)):
            raise ModelError(
                f"{directory / shard} lacks {len(absent)} tensors that the index puts there, first {absent[0]!r}. "
                "Copy or download the model again."
            )


def _tensor_names(path: Path) -> set[str]:
    """Open the file, which compares its header with its size, and list its tensors."""
    try:
        with safe_open(path, framework="numpy") as file:
            return set(file.keys())
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"{path} is not a whole safetensors file ({error}). Copy or download it again; a pickle is never loaded."
        ) from error


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ModelError(f"{path} cannot be read as JSON: {error}. Copy or download the model again.") from error
    if not isinstance(settings, dict):
        raise ModelError(
            f"{path} holds {type(settings).__name__}, not the settings of a model. Copy or download it again."
        )
    return settings
