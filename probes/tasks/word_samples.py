"""Words of texts as samples of a probing task: which to keep, and their classes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from interp.errors import InputError
from interp.prompts import TokenBatch
from probes.tasks.task import ProbeTask


@dataclass(frozen=True)
class WordSample:
    """The last token of a word."""

    row: int
    """Text it stands in."""
    position: int
    label: str | int
    group: str | int


def one_of_each_beginning(
    samples: Sequence[WordSample], rows: Sequence[np.ndarray], rng: np.random.Generator
) -> list[WordSample]:
    """Shuffle the samples, and of those up to which the texts read the same keep one.

    A causal model cannot tell such samples apart: in two groups, a probe would be tested on what it was fitted to.
    """
    first: dict[bytes, WordSample] = {}
    for number in rng.permutation(len(samples)):
        sample = samples[number]
        first.setdefault(rows[sample.row][: sample.position + 1].tobytes(), sample)
    return list(first.values())


def draw(samples: Sequence[WordSample], samples_per_text: int) -> list[WordSample]:
    """Keep the first so many samples of each text, in the order given.

    Raises:
        InputError: fewer than one asked for.
    """
    if samples_per_text < 1:
        raise InputError(f"samples_per_text={samples_per_text} leaves no samples. Expected at least 1.")
    taken: dict[int, int] = {}
    kept = []
    for sample in samples:
        taken[sample.row] = taken.get(sample.row, 0) + 1
        if taken[sample.row] <= samples_per_text:
            kept.append(sample)
    return kept


def common(samples: Sequence[WordSample], fewest_groups: int) -> list[WordSample]:
    """Leave out classes that occur in few groups."""
    groups: dict[str | int, set[str | int]] = {}
    for sample in samples:
        groups.setdefault(sample.label, set()).add(sample.group)
    return [sample for sample in samples if len(groups[sample.label]) >= fewest_groups]


def word_task(rows: Sequence[np.ndarray], samples: Sequence[WordSample], what: str) -> ProbeTask:
    """Make the task, without the texts that no sample stands in.

    Raises:
        InputError: no samples, or anything `ProbeTask` refuses.
    """
    if not samples:
        raise InputError(f"No word is left to sample for {what!r}. Give more texts, of several words each.")
    samples = sorted(samples, key=lambda sample: (sample.row, sample.position))
    used, prompts = np.unique([sample.row for sample in samples], return_inverse=True)
    return ProbeTask(
        TokenBatch.of([rows[row] for row in used]),
        prompts,
        np.array([sample.position for sample in samples]),
        np.array([sample.label for sample in samples]),
        np.array([sample.group for sample in samples]),
        what=what,
    )


def quantile_classes(values: Float[np.ndarray, " _"] | Int[np.ndarray, " _"], n_classes: int) -> Int[np.ndarray, " _"]:
    """Cut numbers into classes of about equal size, from 0 for the smallest; equal numbers stay together.

    Where many are equal there may be fewer classes.

    Raises:
        InputError: fewer than two classes asked for, numbers that are not finite, or all the same.
    """
    if n_classes < 2:
        raise InputError(f"{n_classes} classes leave nothing to tell apart. Expected at least 2.")
    if not len(values) or not np.isfinite(values).all() or np.ptp(values) == 0:
        raise InputError("Numbers are missing, not finite or all the same. Expected numbers that vary.")
    # Method "lower" cuts at numbers that occur, so that rounding parts no equals.
    cuts = np.quantile(values, np.arange(1, n_classes) / n_classes, method="lower")
    # A cut at the largest number would leave nothing above it.
    cuts = np.minimum(cuts, values[values < values.max()].max())
    classes = np.searchsorted(np.unique(cuts), values, side="left")
    return np.unique(classes, return_inverse=True)[1]
