"""Intervene on a model, loudly: an edit that does not happen as planned is an error, never a silent zero."""

from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from interp.errors import HookError, SiteError
from interp.models import require_causal
from interp.models.architecture import norm_placement
from interp.run.hooks import hooked
from interp.run.interventions import Intervention
from interp.run.places import check_places
from interp.sites import Site
from interp.types import Model

Edit = Callable[[Tensor], Tensor]


@contextmanager
def intervene(model: Model, plan: Mapping[Site, Intervention], *, times: int | None = None) -> Generator[None]:
    """Edit activations in every forward pass inside the `with` block.

    Several sites may lie in one activation (two heads of a layer); they are edited in the order of the plan. Contexts
    may be nested. After the block, or an exception in it, the model is as before.

    Args:
        model: A hooked model.
        plan: What to do at which site. A site with a head or a position edits only that part.
        times: Forward passes expected in the block; None expects at least one, and equally many at every site.

    Raises:
        SiteError: a site this model lacks, or whose edit has no effect on this architecture.
        HookError: an edit changed shape, dtype or device, gave NaN or infinity, or did not fire as planned; or hooks of
            somebody else are on the model.

    Example:
        >>> with intervene(model, {Site(1, "z", head=3): Ablate.zero()}):
        ...     logits = model(tokens)
    """
    check_plan(model, plan)
    by_hook: dict[str, list[_Edit]] = defaultdict(list)
    for site, intervention in plan.items():
        by_hook[site.hook_name].append(_Edit(site, intervention))
    fired: Counter[str] = Counter()
    functions = {name: _guard(name, edits, fired) for name, edits in by_hook.items()}
    if norm_placement(model) != "after":
        for layer in {site.layer for site in plan if site.kind == "resid_mid"}:
            _carry(functions, layer)
    with hooked(model, functions):
        yield
    _check_fired(by_hook, fired, times)


@dataclass(frozen=True)
class _Edit:
    """One intervention at one site."""

    site: Site
    intervention: Intervention = field(repr=False)


def check_plan(model: Model, plan: Mapping[Site, Intervention]) -> None:
    """Refuse sites that this model lacks or where an edit changes nothing.

    Raises:
        SiteError: naming the first such site.
    """
    if not plan:
        raise SiteError("The plan is empty, so nothing would be changed. Give at least one site and its intervention.")
    check_places(model, plan)
    for site in plan:
        require_causal(model, site.kind)


def _guard(name: str, edits: list[_Edit], fired: Counter[str]) -> Edit:
    def change(activation: Tensor) -> Tensor:
        fired[name] += 1
        # A copy: TransformerLens hands the same storage to the next block's hook_resid_pre.
        edited = activation.clone()
        for edit in edits:
            part = edited[edit.site.index]
            new = edit.intervention(part)
            _check_edit(edit.site, part, new)
            edited[edit.site.index] = new
        return edited

    return change


def _carry(functions: dict[str, Edit], layer: int) -> None:
    """Let an edit of `resid_mid` change the residual stream, too.

    TransformerLens 4 reads this hook where the MLP's norm reads the stream: an edit there reaches the MLP alone. So
    what it changed is added once more where the MLP's output joins the stream. Where norms stand after their sublayer
    the hook is on the stream itself, and nothing is to be carried.
    """
    mid, out = (Site(layer, kind).hook_name for kind in ("resid_mid", "mlp_out"))
    edit, after = functions[mid], functions.get(out)
    changes: list[Tensor] = []

    def change(activation: Tensor) -> Tensor:
        edited = edit(activation)
        changes.append(edited - activation)
        return edited

    def add(activation: Tensor) -> Tensor:
        return (activation if after is None else after(activation)) + changes.pop()

    functions[mid], functions[out] = change, add


def _check_edit(site: Site, part: Tensor, new: Tensor) -> None:
    for what in ("shape", "dtype", "device"):
        if getattr(new, what) != getattr(part, what):
            raise HookError(
                f"The intervention at {site} changed the {what} from {getattr(part, what)} to {getattr(new, what)}. "
                "Return an edited copy of the activation."
            )
    if not torch.isfinite(new).all() and torch.isfinite(part).all():
        raise HookError(f"The intervention at {site} made NaN or infinity. Look for a division by zero or an overflow.")


def _check_fired(by_hook: Mapping[str, list[_Edit]], fired: Counter[str], times: int | None) -> None:
    counts = {str(edit.site): fired[name] for name, edits in by_hook.items() for edit in edits}
    if silent := [site for site, count in counts.items() if count == 0]:
        raise HookError(
            f"Nothing passed through {silent}, so these interventions did not happen. "
            "Run the whole model inside the block (no stop_at_layer below the site)."
        )
    if len(set(counts.values())) > 1 or (times is not None and set(counts.values()) != {times}):
        wanted = "equally often" if times is None else f"{times} times"
        raise HookError(f"Interventions fired {counts} times. Expected all of them {wanted}.")
