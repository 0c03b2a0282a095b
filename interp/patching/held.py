"""How much memory tensors take at once, counted while code runs."""

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class HeldMemory(TorchDispatchMode):
    """Counts the bytes of all tensors made inside `with`: what is held, and the most that was held at once.

    Tensors that were there before are not counted. Neither is scratch space inside one operation, nor what the
    allocator keeps for later.
    """

    def __init__(self) -> None:
        super().__init__()
        self.held = 0
        """Bytes now."""
        self.peak = 0
        """The most bytes so far."""
        self._known: dict[int, weakref.ref[torch.UntypedStorage]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation and count what it made."""
        for tensor in self._tensors((args, kwargs)):
            self._see(tensor.untyped_storage(), counted=False)
        made = func(*args, **(kwargs or {}))
        for tensor in self._tensors(made):
            self._see(tensor.untyped_storage(), counted=True)
        return made

    @staticmethod
    def _tensors(tree: Any) -> list[torch.Tensor]:
        return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]

    def _see(self, storage: torch.UntypedStorage, *, counted: bool) -> None:
        key, size = storage._cdata, storage.nbytes() if counted else 0
        if key in self._known:
            return

        def forget(_: object) -> None:
            del self._known[key]
            self.held -= size

        self._known[key] = weakref.ref(storage, forget)
        self.held += size
        self.peak = max(self.peak, self.held)
