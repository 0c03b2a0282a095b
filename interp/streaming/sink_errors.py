"""What eviction does to the models of `zoo:sink`, whose task makes an attention sink necessary under softmax."""

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError
from interp.models.zoo.sink_task import Recipe, SinkModel, draw_batch
from interp.results import Provenance, Result, hash_array, library_versions
from interp.statistics import bootstrap_interval
from interp.streaming.plan import FIRST_OTHER
from interp.streaming.policy import Policy

SETTLED = 64
"""Positions before this one are not measured: the cache is still filling."""
_METHOD = (
    "One attention head without positions: evicting a key is hiding it. {n} streams of {length} tokens, a cache of "
    "{window} keys, the query's own among them; mean squared error at positions from {settled} on, at triggers and "
    "elsewhere; 95 % bootstrap over streams. The model was trained on {trained} positions and read all of them."
)


@torch.no_grad()
def stream_errors(
    model: SinkModel,
    *,
    window: int = 16,
    n_streams: int = 32,
    length: int = 512,
    keep: int = FIRST_OTHER,
    seed: int = 0,
) -> Result:
    """Measure the errors of a `zoo:sink` model when BOS is evicted, when it is kept, and when another token is.

    Args:
        model: Any arm and seed, from `interp.models.zoo.sink.load_arm`.
        window: Keys in the cache.
        n_streams: Streams, at least two.
        length: Tokens of each.
        keep: The position that the control keeps instead of BOS.
        seed: Decides the streams.

    Returns:
        By arm (`dense`, `window`, `1 sink`, `control: 1 from 5`) `mse_other` and `mse_trigger` with their intervals,
        `control_mse_other`, and `bos_attention_other` and `bos_attention_trigger`, the mean weights on BOS. A larger
        error is worse. The answer at a trigger is the mean of all contents so far, which no cache of fixed size has:
        `mse_trigger` is large in every arm but the dense one.

    Raises:
        InputError: settings that leave nothing to measure.

    Source: Ran-Milo 2026 (arXiv:2603.11487); Xiao et al. 2023 (arXiv:2309.17453).
    """
    if n_streams < 2 or length <= SETTLED or not 1 <= keep < window <= SETTLED:
        raise InputError(
            f"window={window}, n_streams={n_streams}, length={length}, keep={keep} measure nothing. Expected two or "
            f"more streams longer than {SETTLED} tokens, a window of at most {SETTLED}, and a kept position within it."
        )
    recipe = Recipe(arm=model.recipe.arm, n_pos=length, seed=model.recipe.seed)
    # Training draws from its seed itself, its measurement from 10,000 above.
    inputs, answers, triggers = draw_batch(recipe, n_streams, torch.Generator().manual_seed(20_000 + seed))
    arms = {
        "dense": Policy(length),
        "window": Policy(window),
        "1 sink": Policy(window, range(1)),
        f"control: 1 from {keep}": Policy(window, range(keep, keep + 1)),
    }
    positions = torch.arange(length)
    groups = {"other": ~triggers, "trigger": triggers}
    found: dict[str, list[np.ndarray]] = {}
    for policy in arms.values():
        given, pattern = model(inputs, policy.mask(positions, positions))
        measured = {"mse": (given - answers).square().mean(-1), "bos_attention": pattern[..., 0]}
        for what, values in measured.items():
            for group, where in groups.items():
                found.setdefault(f"{what}_{group}", []).append(_by_stream(values, where))
    call = f"stream_errors(window={window}, n_streams={n_streams}, length={length}, keep={keep}, seed={seed})"
    words = {"n": n_streams, "length": length, "window": window, "settled": SETTLED, "trained": Recipe().n_pos}
    return Result(
        kind="stream_errors",
        data=_dataset(list(arms), {name: np.stack(values, 1) for name, values in found.items()}, seed),
        unit="squared error",
        sign="A larger error is worse",
        method=_METHOD.format(**words),
        provenance=_provenance(model, inputs, call, seed),
        notes={"control": f"the token at position {keep} kept instead of BOS; for the other arms the plain window"},
    )


def _by_stream(values: Float[Tensor, "stream pos"], where: Tensor) -> Float[np.ndarray, " stream"]:
    """Mean of each stream over the positions that count."""
    counted = where & (torch.arange(values.shape[1]) >= SETTLED)
    return ((values * counted).sum(1) / counted.sum(1)).double().numpy()


def _dataset(names: list[str], found: dict[str, Float[np.ndarray, "stream arm"]], seed: int) -> xr.Dataset:
    variables: dict[str, tuple[str, np.ndarray]] = {}
    for name, values in found.items():
        low, high = bootstrap_interval(values, seed=seed)
        variables |= {name: ("arm", values.mean(0)), f"{name}_low": ("arm", low), f"{name}_high": ("arm", high)}
    error, places = found["mse_other"].mean(0), [1, 1, 3, 1]
    variables["control_mse_other"] = ("arm", error[places])
    return xr.Dataset(variables, {"arm": np.array(names, object)})


def _provenance(model: SinkModel, inputs: Tensor, call: str, seed: int) -> Provenance:
    recipe = model.recipe
    return Provenance(
        model=f"zoo:sink, {recipe.arm}, seed {recipe.seed}",
        fingerprint=hash_array(*(weight.numpy() for weight in model.state_dict().values())),
        tokenizer="",
        tokens=hash_array(inputs.numpy()),
        dtype="float32",
        bos=True,
        call=call,
        seed=seed,
        versions=library_versions(),
    )
