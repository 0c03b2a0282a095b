"""Models in float64, in which two right ways to one number agree to the last digits."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def in_double() -> Iterator[None]:
    """Let models in float64 compute in float64 throughout.

    Many compute norms and softmax in float32, whatever their dtype: two ways that differ in the last digit of float64
    are then now and then rounded apart, by a whole last digit of float32.
    """
    import torch
    from torch.overrides import TorchFunctionMode

    class InDouble(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            kwargs = dict(kwargs or {})
            if args and isinstance(args[0], torch.Tensor) and args[0].dtype == torch.float64:
                if func is torch.Tensor.float or (func is torch.Tensor.to and args[1:] == (torch.float32,)):
                    return args[0]
                if kwargs.get("dtype") is torch.float32:
                    kwargs["dtype"] = torch.float64
            return func(*args, **kwargs)

    with InDouble():
        yield


@pytest.fixture(scope="session")
def loaded_in_double(family_directory: Callable[[str], Path]) -> Callable[[str], Any]:
    """A family's tiny model, or a shipped one (`zoo:`, `compiled:`), in float64. Leave it as you found it."""
    from interp.models import load_model

    loaded: dict[str, Any] = {}

    def model(name: str) -> Any:
        if name not in loaded:
            loaded[name] = load_model(name if ":" in name else str(family_directory(name)), dtype="float64")
        return loaded[name]

    return model


@pytest.fixture
def double_model(loaded_in_double: Callable[[str], Any], in_double: None) -> Callable[[str], Any]:
    """The same, computing in float64 throughout."""
    return loaded_in_double
