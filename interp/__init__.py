"""Find out where in a transformer a behaviour lives.

Names are imported on first use: `import interp` loads neither torch nor transformer_lens.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interp.attention import attention_patterns as attention_patterns
    from interp.attention import head_scores as head_scores
    from interp.models import ModelEncoder as ModelEncoder
    from interp.models import describe as describe
    from interp.models import encode as encode
    from interp.models import facts as facts
    from interp.models import load_model as load_model
    from interp.overview import first_look as first_look
    from interp.patching import patch_sweep as patch_sweep
    from interp.plots import plot as plot
    from interp.prompts import PromptPair as PromptPair
    from interp.prompts import PromptSet as PromptSet
    from interp.prompts import TokenBatch as TokenBatch
    from interp.prompts import pair_from_text as pair_from_text
    from interp.prompts import read_prompts as read_prompts
    from interp.report import Report as Report
    from interp.report import Section as Section
    from interp.report import Table as Table
    from interp.report import write_report as write_report
    from interp.results import Result as Result
    from interp.run import Ablate as Ablate
    from interp.run import Clamp as Clamp
    from interp.run import Patch as Patch
    from interp.run import Placebo as Placebo
    from interp.run import Project as Project
    from interp.run import Steer as Steer
    from interp.run import Where as Where
    from interp.run import capture as capture
    from interp.run import intervene as intervene
    from interp.sites import Site as Site

_HOME = {
    **dict.fromkeys(["attention_patterns", "head_scores"], "attention"),
    "first_look": "overview",
    **dict.fromkeys(["ModelEncoder", "describe", "encode", "facts", "load_model"], "models"),
    "patch_sweep": "patching",
    "plot": "plots",
    **dict.fromkeys(["PromptPair", "PromptSet", "TokenBatch", "pair_from_text", "read_prompts"], "prompts"),
    **dict.fromkeys(["Report", "Section", "Table", "write_report"], "report"),
    "Result": "results",
    **dict.fromkeys(
        ["Ablate", "Clamp", "Patch", "Placebo", "Project", "Steer", "Where", "capture", "intervene"], "run"
    ),
    "Site": "sites",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"interp.{_HOME[name]}"), name)
    raise AttributeError(f"module 'interp' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
