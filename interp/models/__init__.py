"""Models: load one by name, say what it is and what can be edited in it, and turn text into its tokens and back.

Everything is imported on first use, so that the names of the shipped models cost neither torch nor transformer_lens.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interp.models.encoder import ModelEncoder as ModelEncoder
    from interp.models.identity import ModelFacts as ModelFacts
    from interp.models.identity import facts as facts
    from interp.models.identity import provenance as provenance
    from interp.models.load import load_model as load_model
    from interp.models.support import Description as Description
    from interp.models.support import Support as Support
    from interp.models.support import describe as describe
    from interp.models.support import require_causal as require_causal
    from interp.models.support import require_exists as require_exists
    from interp.models.text import encode as encode
    from interp.models.text import str_tokens as str_tokens
    from interp.models.text import word_spans as word_spans

_HOME = {
    "load_model": "load",
    "ModelEncoder": "encoder",
    **dict.fromkeys(["ModelFacts", "facts", "provenance"], "identity"),
    **dict.fromkeys(["Description", "Support", "describe", "require_causal", "require_exists"], "support"),
    **dict.fromkeys(["encode", "str_tokens", "word_spans"], "text"),
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"interp.models.{_HOME[name]}"), name)
    raise AttributeError(f"module 'interp.models' has no attribute {name!r}")
