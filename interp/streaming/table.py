"""From losses of each stream to the labelled result: means, intervals and differences from the control."""

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from interp.models.tokenizers import frame
from interp.results import Provenance, Result
from interp.statistics import bootstrap_interval, sign_flips
from interp.streaming.plan import Plan
from interp.types import Model

_DIMS = ("arm", "position")
_METHOD = (
    "Mean loss on the next token over the positions of each bin, then over streams; intervals: 95 % bootstrap over "
    "streams. Every arm but the dense one sees {window} keys, the query's own among them, at their positions inside "
    "the cache. {positions} recompute: a fresh pass over the last {window} tokens at {recompute} positions of each "
    "bin, the same for all streams; shown is the window's loss and the mean change at these positions; before the "
    "window is full there is none. {dense} full_loss_nats: the mean over the positions with a full window that the "
    "arm was run at. above_window_nats and saved_nats: how much that is above the plain window's, and below its "
    "control's, at the same positions of the same streams; p by sign flips over streams, corrected over arms. That "
    "keeping some tokens helps shows that later ones rely on them, not what for."
)
_ROTARY = "Keys are kept unrotated and rotated at their slots."
_LEARNED = (
    "Positions are learned, which makes this an approximation: each token has the position of its slot when it was "
    "read, the last one from the window on, and kept keys cannot be moved. Compare the arms with each other only."
)
_NONE = "The model knows no positions."
_CONTROL = (
    "for sinks as many other tokens kept in a cache of the same size, from position {others} on; for the other arms, "
    "those of the controls included, the plain window"
)


def as_result(
    model: Model,
    plan: Plan,
    edges: Int[np.ndarray, " edge"],
    means: dict[str, Float[np.ndarray, "stream bin"]],
    made_by: Provenance,
    *,
    recompute: int,
) -> Result:
    """Label the losses of all arms."""
    names = [arm.name for arm in plan.arms]
    losses = np.stack([means[name] for name in names], 1)
    others = {
        "control": losses[:, [names.index(arm.control) for arm in plan.arms]],
        "window": losses[:, [names.index("window")] * len(names)],
    }
    weights = np.where(edges[:-1] >= plan.window, np.diff(edges), 0)
    data = xr.Dataset(
        {
            **_by_position(losses, others["control"], made_by.seed),
            **_by_arm(losses, others, weights, made_by.seed),
        },
        {
            "arm": np.array(names, object),
            "kind": ("arm", np.array([arm.kind for arm in plan.arms], object)),
            "n_kept": ("arm", [len(arm.kept) for arm in plan.arms]),
            "position": edges[:-1],
            "position_stop": ("position", edges[1:]),
        },
    )
    return Result(
        kind="streaming",
        data=data,
        unit="loss on the next token (nats)",
        sign="A larger loss means that the model predicts worse",
        method=_METHOD.format(window=plan.window, positions=_positions(plan), recompute=recompute, dense=_dense(plan)),
        provenance=made_by,
        baselines=_baselines(plan, edges, data),
        notes=_notes(model, plan),
    )


def _by_position(
    losses: Float[np.ndarray, "stream arm bin"], controls: Float[np.ndarray, "stream arm bin"], seed: int
) -> dict[str, tuple[Any, np.ndarray]]:
    ran, loss = np.all(np.isfinite(losses), axis=0), losses.mean(0)
    found: dict[str, np.ndarray] = {"loss_nats": loss, "perplexity": np.exp(loss), "ran": np.asarray(ran)}
    found["control_loss_nats"] = np.where(ran, controls.mean(0), np.nan)
    if len(losses) > 1:
        ends = np.full((2, *loss.shape), np.nan)
        ends[:, ran] = bootstrap_interval(losses[:, ran], seed=seed)
        found["loss_nats_low"], found["loss_nats_high"] = ends
    return {name: (_DIMS, array) for name, array in found.items()}


def _by_arm(
    losses: Float[np.ndarray, "stream arm bin"],
    others: dict[str, Float[np.ndarray, "stream arm bin"]],
    weights: Int[np.ndarray, " bin"],
    seed: int,
) -> dict[str, tuple[Any, np.ndarray]]:
    """Means over all positions with a full window, weighting bins by their positions."""
    counted = np.where(np.isfinite(losses), weights, 0)
    full, control, window = (
        (np.nan_to_num(array) * counted).sum(-1) / counted.sum(-1) for array in (losses, *others.values())
    )
    measured = {"full_loss_nats": full, "saved_nats": control - full, "above_window_nats": full - window}
    found = {name: values.mean(0) for name, values in measured.items()} | {"control_full_loss_nats": control.mean(0)}
    if len(losses) > 1:
        for name, values in measured.items():
            found[f"{name}_low"], found[f"{name}_high"] = bootstrap_interval(values, seed=seed)
        found["saved_nats_p_corrected"] = sign_flips(measured["saved_nats"], seed=seed).p_corrected
    return {name: ("arm", array) for name, array in found.items()}


def _baselines(plan: Plan, edges: Int[np.ndarray, " edge"], data: xr.Dataset) -> dict[str, float]:
    """The dense model's loss late in its context; before the window is full every arm is dense."""
    dense = data["loss_nats"].sel(arm="dense" if "dense" in data["arm"] else "window").values
    stop = min(plan.dense_stop, plan.n_ctx) if "dense" in data["arm"] else plan.window
    late = np.flatnonzero((edges[1:] <= stop) & (edges[1:] > stop // 2))
    loss = np.average(dense[late], weights=np.diff(edges)[late])
    return {f"dense, positions {edges[late[0]]} to {edges[late[-1] + 1] - 1}": float(loss)}


def _positions(plan: Plan) -> str:
    if plan.decoder.learned_positions:
        return _LEARNED
    rotary = any(block.attention.rotary is not None for block in plan.decoder.blocks)
    return _ROTARY if rotary else _NONE


def _dense(plan: Plan) -> str:
    context = f"the model's context is {plan.n_ctx}"
    if not any(arm.kind == "dense" for arm in plan.arms):
        return f"No dense arm: it would end before the window is full ({context})."
    return f"The dense arm was stopped after {plan.dense_stop} positions; {context}."


def _notes(model: Model, plan: Plan) -> dict[str, Any]:
    before = frame(model).before if model.tokenizer else ()
    others = next((arm.kept.start for arm in plan.arms if arm.kind == "control"), 0)
    return {
        "control": _CONTROL.format(others=others),
        "n_streams": len(plan.tokens),
        "n_tokens": plan.tokens.shape[1],
        "window": plan.window,
        "n_ctx": plan.n_ctx,
        "dense_stop": plan.dense_stop,
        "begins_with_bos": bool(before) and bool((plan.tokens[:, 0] == before[0]).all()),
        "own_windows": [block.attention.window for block in plan.decoder.blocks],
        "positions": _positions(plan),
    }
