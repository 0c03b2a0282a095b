"""Hooks that are certain to be gone afterwards, and certain to be the only ones."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from interp.errors import HookError
from interp.types import Model

_OURS = "_interp_hook"

HookFunction = Callable[[Tensor], Tensor | None]


def foreign_hooks(model: Model) -> list[str]:
    """Names of hook points that carry a hook this toolkit did not add.

    Permanent hooks do not count: TransformerLens builds some architectures (BERT's) with them.
    """
    points = {id(point): point for point in model.hook_dict.values()}
    return sorted(
        str(point.name)
        for point in points.values()
        for handle in [*point.fwd_hooks, *point.bwd_hooks]
        if not handle.is_permanent and not hasattr(handle.user_hook, _OURS)
    )


def refuse_foreign_hooks(model: Model) -> None:
    """Refuse a model on which somebody left hooks: they would change every number without a trace.

    Raises:
        HookError: naming the hook points.
    """
    if names := foreign_hooks(model):
        raise HookError(
            f"Hooks left behind at {names[:4]}{' and more' if len(names) > 4 else ''} would change this run. "
            "Remove them with model.reset_hooks()."
        )


@contextmanager
def hooked(model: Model, functions: Mapping[str, HookFunction]) -> Generator[None]:
    """Run with one function at each named hook; every hook is removed at the end, whatever happens.

    A function returns the replacement, or None to leave the activation as it is.

    Raises:
        HookError: hooks of somebody else are on the model.
    """
    refuse_foreign_hooks(model)
    with model.hooks(fwd_hooks=[(name, _as_hook(function)) for name, function in functions.items()]):
        yield


def _as_hook(function: HookFunction) -> Callable[..., Tensor | None]:
    def hook_function(activation: Tensor, hook: Any) -> Tensor | None:
        del hook  # its name is the canonical one, not the one asked for
        return function(activation)

    setattr(hook_function, _OURS, True)
    return hook_function
