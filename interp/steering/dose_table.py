"""Numbers of a dose-response: each cell a measure under an edit, beside the unedited run and the random edits."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float
from scipy import stats

from interp.results import RAN
from interp.statistics import bootstrap_interval
from interp.steering.evidence import compare
from interp.steering.trial import MEASURES, PerDocument

DIMS = ("setting", "strength", "measure")
VALUES = [f"{name}{end}" for name in ("value", "control", "change", "above_control") for end in ("", "_low", "_high")]

Cell = dict[str, float] | None
"""Numbers by name; None where fewer than two documents have a value."""


def cells_of(
    plain: PerDocument, edited: PerDocument, draws: Float[np.ndarray, "draw document measure"], seed: int
) -> list[Cell]:
    """Compare an edited run with the unedited one, beside random edits, measure by measure.

    Args:
        plain: The unedited run.
        edited: The edited one.
        draws: The same edit of what was drawn at random.
        seed: Decides the resamples.
    """
    return [_numbers(plain[:, place], edited[:, place], draws[:, :, place], seed) for place in range(len(MEASURES))]


def _numbers(
    plain: Float[np.ndarray, " document"],
    edited: Float[np.ndarray, " document"],
    draws: Float[np.ndarray, "draw document"],
    seed: int,
) -> Cell:
    found = compare(edited - plain, draws - plain, seed=seed)
    if found is None:
        return None
    there = edited[np.isfinite(edited)]
    means = [row[np.isfinite(row)].mean() for row in draws if np.isfinite(row).any()]
    low, high = bootstrap_interval(there, seed=seed)
    changes = {name.replace("effect", "change"): of for name, of in found.numbers.items() if "effect" in name}
    above = {name: of for name, of in found.numbers.items() if name.startswith("above")}
    return {
        "value": float(there.mean()),
        "value_low": float(low),
        "value_high": float(high),
        "control": float(np.mean(means)),
        "control_low": float(np.min(means)),
        "control_high": float(np.max(means)),
        **changes,
        **above,
        "p": found.p,
        "stands": float(found.stands),
        "n": float(found.n),
    }


def dataset(
    cells: Sequence[Sequence[Sequence[Cell]]],
    strengths: Sequence[float],
    settings: Mapping[str, tuple[str, int, int]],
) -> xr.Dataset:
    """Lay cells out by setting, strength and measure.

    Args:
        cells: In that order.
        strengths: The first is 0, the unedited run, which is no hypothesis.
        settings: Edit, number of neurons (0 for a direction) and layer (-1 for neurons) of each setting, by its name.
    """

    def of(name: str, missing: float = np.nan) -> np.ndarray:
        return np.array([[[missing if cell is None else cell[name] for cell in row] for row in some] for some in cells])

    p, ran = of("p"), of("n", 0.0) > 0
    tested = ran & (np.array(strengths) > 0)[:, None]
    q = np.where(ran, 1.0, np.nan)
    q[tested] = stats.false_discovery_control(p[tested])
    variables: dict[str, Any] = {name: (DIMS, of(name)) for name in VALUES}
    variables |= {"p": (DIMS, p), "q_fdr": (DIMS, q), "stands": (DIMS, of("stands", 0.0) > 0)}
    variables |= {"n": (DIMS, of("n", 0.0).astype(np.int64)), RAN: (DIMS, ran)}
    edits, counts, layers = zip(*settings.values(), strict=True)
    variables |= {
        "edit": ("setting", np.array(edits, object)),
        "n_neurons": ("setting", np.array(counts)),
        "layer": ("setting", np.array(layers)),
        "unit": ("measure", np.array(list(MEASURES.values()), object)),
    }
    coords = {"setting": np.array(list(settings), object), "strength": np.array(strengths, float)}
    return xr.Dataset(variables, {**coords, "measure": np.array(list(MEASURES), object)})
