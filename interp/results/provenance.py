"""Where a result comes from: model, tokenizer, tokens, versions and the call that made it."""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version

import numpy as np

_LIBRARIES = ("interp-toolkit", "torch", "transformer-lens", "transformers", "numpy")


@dataclass(frozen=True)
class Provenance:
    """What somebody else needs to make the same result again."""

    model: str
    """Name the model was loaded by."""
    fingerprint: str
    """Hash of the weights, so that two models of one name are told apart."""
    tokenizer: str
    """Hash of the tokenizer's vocabulary."""
    tokens: str
    """Hash of all token ids that went in."""
    dtype: str
    bos: bool
    """Whether a beginning-of-sequence token is put before every prompt; attention results depend on it."""
    call: str
    """The call that made the result, with its settings."""
    seed: int = 0
    weights: str = "raw"
    """`raw`: as published; nothing folded or centred."""
    versions: dict[str, str] = field(default_factory=dict)
    made: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))


def library_versions() -> dict[str, str]:
    """Versions of the libraries that numbers depend on."""
    return {name: version(name) for name in _LIBRARIES}


def hash_array(*arrays: np.ndarray) -> str:
    """Hash the dtype, shape and bytes of arrays into 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]
