"""What steering by doses shows, in numbers with intervals: effect, contrast, slope, monotonicity, share of the way."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float

from interp.errors import InputError
from interp.statistics import N_RESAMPLES, bootstrap_interval, sign_flips
from probes.use.means import means

FEWEST_WITH_LOSS = 2
"""Prompts that an interval of the loss needs."""
SMALLEST_WAY = 1e-6
"""Share of the largest answer below which a distance between answers is rounding."""


@dataclass(frozen=True)
class Doses:
    """Answers and losses by dose; the probe's direction is the first arm, then as many random ones as orthogonal."""

    alphas: Float[np.ndarray, " alpha"]
    plain: Float[np.ndarray, " prompt"]
    values: Float[np.ndarray, "alpha arm prompt"]
    plain_loss: Float[np.ndarray, " prompt"]
    """NaN where a prompt has no token whose loss counts."""
    losses: Float[np.ndarray, "alpha arm prompt"]


def dose_dataset(
    doses: Doses, n_draws: int, sigma: float, toward: Float[np.ndarray, " prompt"] | None, seed: int
) -> xr.Dataset:
    """Turn answers by dose into the variables of the result."""
    effects = doses.values - doses.plain
    arms = {"random": slice(1, 1 + n_draws), "orthogonal": slice(1 + n_draws, None)}
    variables = _beside_controls("effect", "control_{}", effects, arms, seed)
    for kind, chosen in arms.items():
        by_draw = effects[:, chosen].mean(2)
        variables[f"control_{kind}_largest"] = ("alpha", np.abs(by_draw).max(1))
        variables[f"control_{kind}_by_draw"] = (("alpha", "draw"), by_draw)
    variables |= means("answer", "alpha", doses.values[:, 0].T, seed=seed)
    variables["step"] = ("alpha", doses.alphas * sigma)
    variables |= _losses(doses, arms, seed)
    variables |= _contrasts(doses.alphas, effects, arms, seed)
    variables |= _slopes(doses.alphas, effects, arms, seed)
    variables |= means("monotonicity", (), kendall_tau(doses.alphas, doses.values[:, 0]), seed=seed)
    if toward is not None:
        variables |= _indirect_effect(effects[:, 0], toward - doses.plain, seed)
    sizes = doses.alphas[doses.alphas > 0]
    coordinates = {"alpha": doses.alphas, "magnitude": np.sort(sizes), "draw": np.arange(n_draws)}
    return xr.Dataset(variables, coordinates)


def check_toward(plain: Float[np.ndarray, " prompt"], toward: Float[np.ndarray, " _"], seed: int) -> None:
    """Refuse a goal that is no way off.

    Raises:
        InputError: another number of prompts, values that are not finite, or a mean distance whose interval holds 0.
    """
    if len(toward) != len(plain) or not np.isfinite(toward).all():
        raise InputError(
            f"{len(toward)} answers to steer toward, {int((~np.isfinite(toward)).sum())} of them not finite, for "
            f"{len(plain)} prompts. Give a finite one for each."
        )
    low, high = bootstrap_interval(toward - plain, seed=seed)
    rounding = SMALLEST_WAY * float(np.abs(plain).max())
    if low <= rounding and high >= -rounding:
        raise InputError(
            f"The answer to steer toward is {(toward - plain).mean():.3g} away on average (95 %: {float(low):.3g} to "
            f"{float(high):.3g}), so a share of the way means nothing. Expected prompts whose two sides differ."
        )


def kendall_tau(
    alphas: Float[np.ndarray, " alpha"], values: Float[np.ndarray, "alpha prompt"]
) -> Float[np.ndarray, " prompt"]:
    """Compute for each prompt the share of pairs of doses in which the larger one has the larger value, minus the rest.

    Kendall's tau without correction for ties: 1 rises throughout, -1 falls throughout, 0 is flat.
    """
    first, second = np.triu_indices(len(alphas), 1)
    ordered = np.sign(alphas[second] - alphas[first])[:, None] * np.sign(values[second] - values[first])
    return ordered.mean(0)


def _beside_controls(
    name: str, control: str, values: Float[np.ndarray, "alpha arm prompt"], arms: dict[str, slice], seed: int
) -> dict[str, Any]:
    """Means over prompts for the probe's direction, and over the draws of each kind of control."""
    variables = means(name, "alpha", values[:, 0].T, seed=seed)
    for kind, chosen in arms.items():
        variables |= means(control.format(kind), "alpha", values[:, chosen].mean(1).T, seed=seed)
    return variables


def _losses(doses: Doses, arms: dict[str, slice], seed: int) -> dict[str, Any]:
    known = np.isfinite(doses.plain_loss)
    if known.sum() < FEWEST_WITH_LOSS:
        return {}
    rises = (doses.losses - doses.plain_loss)[:, :, known]
    return _beside_controls("loss_rise", "control_{}_loss_rise", rises, arms, seed)


def _contrasts(
    alphas: Float[np.ndarray, " alpha"],
    effects: Float[np.ndarray, "alpha arm prompt"],
    arms: dict[str, slice],
    seed: int,
) -> dict[str, Any]:
    place = {alpha: number for number, alpha in enumerate(alphas.tolist())}
    sizes = sorted(alpha for alpha in place if alpha > 0)
    contrast = np.stack([effects[place[size]] - effects[place[-size]] for size in sizes])
    turned = contrast * np.where(contrast.mean(2, keepdims=True) < 0, -1, 1)
    cells = {"contrast": contrast[:, 0]}
    cells |= {f"above_{kind}": turned[:, 0] - turned[:, chosen].mean(1) for kind, chosen in arms.items()}
    variables: dict[str, Any] = {}
    for name, values in cells.items():
        variables |= means(name, "magnitude", values.T, seed=seed)
    flips = sign_flips(np.stack([*cells.values()]).transpose(2, 0, 1), seed=seed)
    for number, name in enumerate(cells):
        variables |= {
            f"{name}_p": ("magnitude", flips.p[number]),
            f"{name}_p_corrected": ("magnitude", flips.p_corrected[number]),
        }
    for kind, chosen in arms.items():
        variables[f"control_{kind}_contrast"] = ("magnitude", turned[:, chosen].mean((1, 2)))
    return variables


def _slopes(
    alphas: Float[np.ndarray, " alpha"],
    effects: Float[np.ndarray, "alpha arm prompt"],
    arms: dict[str, slice],
    seed: int,
) -> dict[str, Any]:
    # Alphas come in pairs around 0, so that an intercept would not change the slope.
    slopes = np.einsum("a,amp->mp", alphas, effects) / (alphas**2).sum()
    variables = means("slope", (), slopes[0], seed=seed)
    variables["slope_p"] = ((), sign_flips(slopes[0], seed=seed).p)
    for kind, chosen in arms.items():
        variables[f"control_{kind}_slope"] = ("draw", slopes[chosen].mean(1))
    return variables


def _indirect_effect(
    effect: Float[np.ndarray, "alpha prompt"], way: Float[np.ndarray, " prompt"], seed: int
) -> dict[str, Any]:
    """Share of the way from the plain answer to the one steered toward: a ratio of means over prompts."""
    n = len(way)
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=N_RESAMPLES)
    low, high = np.percentile((counts @ effect.T) / (counts @ way)[:, None], [2.5, 97.5], axis=0)
    return {
        "nie": ("alpha", effect.mean(1) / way.mean()),
        "nie_low": ("alpha", low),
        "nie_high": ("alpha", high),
    }
