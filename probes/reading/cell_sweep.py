"""Probe many cells of activations, in threads, and put what they score into numbers with intervals and p-values."""

from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

import numpy as np
from jaxtyping import Float
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from interp.errors import InputError
from interp.statistics import sign_flips
from probes.reading.cell_intervals import Units, score_intervals
from probes.reading.cell_readers import CellReader, Scores
from probes.reading.portions import Portion
from probes.samples.data import Groups
from probes.samples.row_blocks import Samples

K = TypeVar("K", bound=Hashable)
Numbers = dict[str, Float[np.ndarray, "cell portion"]]
SHUFFLED = "control_shuffled"


def sweep_cells(
    read: Callable[[K], Samples],
    keys: Sequence[K],
    portions: Sequence[Portion],
    reader: CellReader,
    groups: Groups,
    *,
    workers: int,
    seed: int = 0,
) -> Numbers:
    """Fit and score every portion of every cell.

    Args:
        read: Activations of a cell.
        keys: The cells.
        portions: Samples that are probed together; every cell has all of them.
        reader: How labels are read.
        groups: Group of each sample.
        workers: Cells at a time.
        seed: Decides resamples and flips.

    Returns:
        By name, cell and portion: the reader's measure with `_low` and `_high`, `control_shuffled` likewise,
        the floor by its name, and `p`, `p_corrected` and `q_fdr` of the scores against the mean of the permutations'.

    Raises:
        InputError: a cell that cannot be fitted, by its name.
    """

    def score(key: K) -> list[Scores]:
        X = read(key)
        return [
            np.concatenate([reader.score(X, each.labellings, fold) for fold in each.folds], axis=1) for each in portions
        ]

    found = in_threads(score, keys, workers)
    shape = (len(keys), len(portions))
    names = [f"{name}{end}" for name in (reader.measure, SHUFFLED) for end in ("", "_low", "_high")]
    numbers: Numbers = {name: np.empty(shape) for name in (*names, reader.floor)}
    units, above = Units.of(groups, seed=seed), []
    for place, portion in enumerate(portions):
        runs = np.stack([cell[place] for cell in found], axis=1)
        own = Units.of(groups[portion.tested], seed=seed)
        for name, scores in ((reader.measure, runs[:1]), (SHUFFLED, runs[1:])):
            low, high = score_intervals(scores, own, seed=seed)
            for end, values in (("", scores.mean((0, 2))), ("_low", low), ("_high", high)):
                numbers[f"{name}{end}"][:, place] = values
        numbers[reader.floor][:, place] = reader.score_floor(portion.labellings[0][portion.tested])
        above.append(units.sums_at(portion.tested, runs[0] - runs[1:].mean(0)))
    # All cells are flipped as one, so that the correction knows how alike neighbouring layers are.
    flips = sign_flips(np.stack(above).transpose(2, 1, 0), seed=seed)
    return numbers | {name: getattr(flips, name) for name in ("p", "p_corrected", "q_fdr")}


def in_threads(fit: Callable[[K], list[Scores]], keys: Sequence[K], workers: int) -> list[list[Scores]]:
    """Fit every cell, at most `workers` at a time; the first refusal ends the sweep and says which cell it was."""
    found: dict[K, list[Scores]] = {}
    # More threads of linear algebra than cores would wait for each other.
    with (
        threadpool_limits(1),
        ThreadPoolExecutor(workers) as pool,
        tqdm(total=len(keys), desc="probe", unit="cell", leave=False, delay=2) as bar,
    ):
        running = {pool.submit(fit, key): key for key in keys}
        try:
            for done in as_completed(running):
                found[running[done]] = done.result()
                bar.update()
        except InputError as error:
            raise InputError(f"{running[done]}: {error}") from error
        finally:
            pool.shutdown(cancel_futures=True)
    return [found[key] for key in keys]
