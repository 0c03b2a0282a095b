"""The zoo: small trained models that ship with the toolkit, as ordinary Hugging Face directories."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from interp.errors import ModelError

if TYPE_CHECKING:
    from interp.models.zoo.emergence import read_emergence as read_emergence
    from interp.models.zoo.prompt_sets import prompts as prompts

WEIGHTS = Path(__file__).parent / "weights"
"""One directory per shipped model."""


def model_names() -> list[str]:
    """Names of the shipped models, to be loaded as `zoo:NAME`."""
    return sorted(config.parent.name for config in WEIGHTS.glob("*/config.json"))


def model_directory(name: str) -> Path:
    """Return the directory of a shipped model.

    Raises:
        ModelError: there is no shipped model of this name.
    """
    names = model_names()
    if name not in names:
        raise ModelError(f"No shipped model 'zoo:{name}'. Expected one of {[f'zoo:{known}' for known in names]}.")
    return WEIGHTS / name


def __getattr__(name: str) -> Any:
    # On first use: the names of the models cost nothing but the standard library.
    if name == "prompts":
        from interp.models.zoo.prompt_sets import prompts

        return prompts
    if name == "read_emergence":
        from interp.models.zoo.emergence import read_emergence

        return read_emergence
    raise AttributeError(f"module 'interp.models.zoo' has no attribute {name!r}")
